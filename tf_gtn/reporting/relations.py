"""The relations that a claim can name: functions of a `claims.Claimed` that give a claim."""

import numpy as np
import scipy.stats

from tf_gtn import errors
from tf_gtn.reporting import claims, statistics

_IN_SEEDS = claims.NUMBER, claims.NUMBER  # the number, and how many seeds


@claims.relation("above", claims.EITHER, rule="ci95[0] > 0")
def _above(claimed):
    """With several seeds, the 95% interval of the mean difference, seed by seed, lies above 0 (Student's t); with one, the two
    intervals over learners lie apart (bootstrapped)."""
    return _compared(claimed, "ci95[0] > 0", "ci95[0] > other_ci95[1]")


@claims.relation("at_least", claims.EITHER)
def _at_least(claimed):
    """The mean is at least the other's, or the number."""
    return _compared(claimed, "measured >= 0", "measured >= other")


@claims.relation("at_most", claims.EITHER)
def _at_most(claimed):
    """The mean is at most the other's, or the number."""
    return _compared(claimed, "measured <= 0", "measured <= other")


@claims.relation("between", claims.NUMBER, claims.NUMBER)
def _between(claimed):
    """The mean lies between two numbers."""
    low, high = claimed.argument
    return claimed.result(claimed.statement, *_one(claimed), "low <= measured <= high", low=low, high=high)


@claims.relation("times_above", claims.QUANTITY, claims.NUMBER, words="is above {} by a factor of {}")
def _times_above(claimed):
    """The mean is at least so many times the other's."""
    other, times = claimed.argument
    numbers = {"other": claimed.mean(other), "times": times}
    return claimed.result(claimed.statement, *_one(claimed), "measured >= times * other", **numbers)


@claims.relation("at_most_in_seeds", *_IN_SEEDS, words="is at most {} in at least {} seeds", some_seeds=True)
def _at_most_in_seeds(claimed):
    """It is at most a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, np.less_equal)


@claims.relation(
    "at_least_in_seeds", claims.NUMBER, claims.NUMBER, words="is at least {} in at least {} seeds", some_seeds=True
)
def _at_least_in_seeds(claimed):
    """It is at least a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, np.greater_equal)


@claims.relation("below", claims.QUANTITY)
def _below(claimed):
    """Most pairs of the two quantities' values, each of one search, have the first below the second.

    Measured by the share of pairs in which it is (ties, such as two that diverged, count half), which is U / (n m) of the test
    by Mann and Whitney (1947). Unlike a difference of medians it needs no finite values. The trials of a search depend on one
    another. So with several searches the interval is of the share's mean over them, and with one the test only describes that.
    Quantities of one number per seed are taken as one search.
    """

    def share(a, b):
        return float(np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b)))

    first, second = (
        [np.asarray(v, np.float64) for v in claimed.quantities[n].values] for n in (claimed.name, claimed.argument)
    )
    if len(first) != len(second) or first[0].ndim != second[0].ndim:
        raise _unlike(claimed)
    pairs = list(zip(first, second)) if first[0].ndim else [(np.stack(first), np.stack(second))]
    a, b = (np.concatenate(per_search) for per_search in zip(*pairs))
    medians = {"median": statistics.quartiles(a)[1], "other_median": statistics.quartiles(b)[1]}
    statement = f"{claimed.statement}: share of pairs of {claimed.units} "
    if len(pairs) > 1:
        mean, interval = statistics.mean_and_interval([share(*pair) for pair in pairs], statistics.SHARE)
        statement += f"(mean over {len(pairs)} searches of {len(pairs[0][0])} and {len(pairs[0][1])})"
        return claimed.result(statement, mean, interval, "ci95[0] > 0.5", **medians)
    rng = np.random.default_rng(3)
    resampled = [share(rng.choice(a, len(a)), rng.choice(b, len(b))) for _ in range(1000)]
    return claimed.result(
        f"{statement}({len(a)} and {len(b)} of one search, one-sided Mann-Whitney test)",
        share(a, b),
        [float(end) for end in np.quantile(resampled, (0.025, 0.975))],
        "p_value < 0.05 and measured > 0.5",
        p_value=float(scipy.stats.mannwhitneyu(a, b, alternative="less").pvalue),
        **medians,
    )


def _compared(claimed, over_seeds, over_learners):
    """The claim that a quantity's mean stands so to another's or to a number, by one of two rules."""
    other, quantity, statement = claimed.argument, claimed.quantity, claimed.statement
    another = claimed.quantities[other] if isinstance(other, str) else None
    if another is not None and another.once != quantity.once:
        raise _unlike(claimed)
    if quantity.once:
        if another is None:
            rule = over_learners.replace("other_ci95[1]", "other").replace("other", "bound")
            return claimed.result(statement, *_one(claimed), rule, bound=other)
        return claimed.result(statement, *_one(claimed), over_learners, other=another.values[0], other_ci95=another.interval)
    values, over = statistics.units(quantity.values)
    if another is None:
        compared, other_bounds = float(other), float(other)
    else:
        compared, other_over = statistics.units(another.values)
        other_bounds = another.bounds
        if (other_over, len(compared)) != (over, len(values)):
            raise _unlike(claimed)
    if over == "seeds":
        difference = values - compared
        bounds = statistics.difference(quantity.bounds, other_bounds)
        statement += f" (mean difference over {len(difference)} seeds)"
        return claimed.result(statement, *_mean_and_interval(difference, bounds), over_seeds)
    statement += f" ({len(values)} {claimed.units}{'' if another is None else ' each'})"
    second = (compared, [compared] * 2) if another is None else _mean_and_interval(compared, other_bounds)
    first = _mean_and_interval(values, quantity.bounds)
    return claimed.result(statement, *first, over_learners, other=second[0], other_ci95=second[1])


def _unlike(claimed):
    """The error of two quantities that can't be compared."""
    sizes = []
    for name in (claimed.name, claimed.argument):
        quantity = claimed.quantities[name]
        values, over = statistics.units(quantity.values)
        sizes.append(f"{name} has {'one number' if quantity.once else f'{len(values)} {over}'}")
    return errors.UserError(f"a claim compares like with like: {', '.join(sizes)}")


def _in_seeds(claimed, holds):
    bound, least = claimed.argument
    values = [np.mean(value) for value in claimed.quantity.values if value is not None]
    count = int(np.sum(holds(values, bound))) if values else None
    statement = f"{claimed.statement}; {len(values)} have a value"
    return claimed.result(statement, count, None, "measured >= least", least=least)


def _one(claimed):
    """A quantity's mean and its interval, that which is known or that over seeds or learners."""
    quantity = claimed.quantity
    if quantity.once:
        return quantity.values[0], quantity.interval
    return _mean_and_interval(statistics.units(quantity.values)[0], quantity.bounds)


def _mean_and_interval(values, bounds):
    """A single value has no interval: no claim of `above` holds then."""
    mean, interval = statistics.mean_and_interval(values, bounds)
    return mean, interval if len(values) > 1 else None
