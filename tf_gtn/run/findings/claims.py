"""What a run file claims of an experiment's quantities, computed from their numbers: one language for every system.

A claim is `(quantity, relation, argument)` or `(quantity, relation, argument, what the paper says)`, for example
`("gtn", "above", "real", "p < 0.01 (figure 2)")`. `RELATIONS` has all relations with what their argument is. `check` looks at
the form of claims, `rehearse` makes them from stand-ins before the first step, `compare` makes them from what was found.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from tf_gtn import errors, registries
from tf_gtn.run.config import registrations
from tf_gtn.run.findings import results, statistics

QUANTITY, NUMBER, EITHER = "a quantity", "a number", "a quantity or a number"
_TAKEN = {QUANTITY: str, NUMBER: int | float, EITHER: str | int | float}
RELATIONS = registries.Registry("relation")
"""`{name: Relation}`."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Something that was measured.

    Attributes:
      values: for each seed a number, or one for each learner, or None: it diverged there.
      bounds: `(low, high)` beyond which no value of it can lie, see `statistics`.
      once: whether it is one number of a whole study, without seeds; then `interval` is its 95% interval, or None.
    """

    values: Sequence
    bounds: tuple[float, float] = statistics.ANY
    once: bool = False
    interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Relation:
    """One that a claim can name.

    Attributes:
      takes: the kinds of what its argument consists of: one, or several for a tuple.
      make: `(claimed) -> claim`, a `results.claim` of a `Claimed`.
    """

    takes: tuple[str, ...]
    make: Callable

    def quantities(self, argument) -> list[str]:
        """The quantities that an argument names."""
        return [each for each, kind in zip(_parts(argument), self.takes) if kind != NUMBER and isinstance(each, str)]


@dataclasses.dataclass(frozen=True)
class Claimed:
    """What a relation makes a claim of: `name` stands in `relation` to `argument`, as the paper `said`; `units` are in words
    what the values of a single seed are."""

    name: str
    relation: str
    argument: Any
    said: Any
    quantities: Mapping[str, Quantity]
    units: str

    @property
    def quantity(self) -> Quantity:
        return self.quantities[self.name]

    def result(self, statement, measured, interval, rule, *more, **numbers) -> dict:
        """The claim; `more`: what its id has after the relation."""
        identity = "_".join(map(str, (self.name, self.relation, *more))).replace("/", "_").replace(".", "_")
        return results.claim(identity, statement, self.said, measured, interval, rule, **numbers)


def relation(name: str, *takes: str) -> Callable:
    """Registers a function `(claimed) -> claim` as the relation of that name, with the kinds of its argument."""

    def register(make):
        RELATIONS.register(name, make)(Relation(takes, make))
        return make

    return register


def check(where: str, specs: Sequence) -> None:
    """Raises `UserError` unless claims have the form that `compare` takes; `where` is their gin name."""
    for spec in specs:
        if not isinstance(spec, list | tuple) or len(spec) not in (3, 4) or not isinstance(spec[0], str):
            raise errors.UserError(f"a claim is (quantity, relation, argument, the paper's value); got {spec!r}")
        RELATIONS.check(spec[1])
        takes, parts = RELATIONS[spec[1]].takes, _parts(spec[2])
        if len(parts) != len(takes) or not all(isinstance(each, _TAKEN[kind]) for each, kind in zip(parts, takes)):
            raise errors.UserError(f"a claim of {spec[1]!r} takes {' and '.join(takes)}; got {spec[2]!r}")
    registrations.check_different(where, [tuple(spec[:3]) for spec in specs])


def rehearse(specs: Sequence, quantities: Mapping, unsaid: Sequence[str] = ()) -> None:
    """Makes the claims from stand-ins: one that could not be made after training is refused before it.

    Args:
      specs: see `compare`.
      quantities: see `stand_ins`.
      unsaid: analyses that don't say what they find; a claim about `<analysis>/...` is taken as it is.

    Raises:
      UserError: as `compare`.
    """
    compare([spec for spec in specs if not {name.split("/")[0] for name in named(spec)} & {*unsaid}], quantities)


def stand_ins(sizes: Mapping[str, int], seeds: int) -> dict[str, Quantity]:
    """Quantities as `compare` takes them, all 0, from `{name: numbers of a seed, or 0 for a single one}`."""
    return {name: Quantity([np.zeros(size) if size else 0.0] * seeds) for name, size in sizes.items()}


def compare(specs: Sequence, quantities: Mapping, units: str = "fresh learners of one outer run") -> list[dict]:
    """The claims of a table such as `(("gtn", "above", "real", "p < 0.01 (figure 2)"), ("gtn", "at_least", 0.93))`.

    A quantity that is missing for one of the seeds, since its arm diverged, measures nothing: the claim does not hold.

    Args:
      specs: (quantity, relation, argument, and what the paper says or nothing).
      quantities: `{name: Quantity}`.
      units: what those of a single seed are, in words.

    Raises:
      UserError: an unknown quantity, two that can't be compared, or two claims that would have one id.
    """
    made = [_claim(spec, quantities, units) for spec in specs]
    for spec, claim in zip(specs, made):
        if [other["id"] for other in made].count(claim["id"]) > 1:
            raise errors.UserError(f"two claims would both be called {claim['id']!r}; one is {spec!r}")
    return made


def _claim(spec, quantities, units):
    name, relation, argument, said = (*spec, None)[:4]
    for wanted in named(spec):
        if wanted not in quantities:
            raise errors.unknown("quantity of a claim", wanted, quantities)
    return RELATIONS[relation].make(Claimed(name, relation, argument, said, quantities, units))


def _parts(argument):
    return tuple(argument) if isinstance(argument, list | tuple) else (argument,)


def named(spec: Sequence) -> list[str]:
    """The quantities of a claim."""
    return [spec[0], *RELATIONS[spec[1]].quantities(spec[2])]


@relation("above", EITHER)
def _above(claimed):
    """With several seeds, the 95% interval of the mean difference, seed by seed, lies above 0 (Student's t); with one, the two
    intervals over learners lie apart (bootstrapped)."""
    return _compared(claimed, "is above", "ci95[0] > 0", "ci95[0] > other_ci95[1]")


@relation("at_least", EITHER)
def _at_least(claimed):
    """The mean is at least the other's, or the number."""
    return _compared(claimed, "is at least", "measured >= 0", "measured >= other")


@relation("at_most", EITHER)
def _at_most(claimed):
    """The mean is at most the other's, or the number."""
    return _compared(claimed, "is at most", "measured <= 0", "measured <= other")


@relation("between", NUMBER, NUMBER)
def _between(claimed):
    """The mean lies between two numbers."""
    low, high = claimed.argument
    measured, interval = _one(claimed)
    statement = f"{_label(claimed.name)} is between {low} and {high}"
    return claimed.result(statement, measured, interval, "low <= measured <= high", low=low, high=high)


@relation("times_above", QUANTITY, NUMBER)
def _times_above(claimed):
    """The mean is at least so many times the other's."""
    other, times = claimed.argument
    measured, interval = _one(claimed)
    numbers = {"other": _mean(claimed.quantities[other]), "times": times}
    statement = f"{_label(claimed.name)} is above {_label(other)} by a factor of {times}"
    return claimed.result(statement, measured, interval, "measured >= times * other", other, **numbers)


@relation("at_most_in_seeds", NUMBER, NUMBER)
def _at_most_in_seeds(claimed):
    """It is at most a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, "at most", np.less_equal)


@relation("at_least_in_seeds", NUMBER, NUMBER)
def _at_least_in_seeds(claimed):
    """It is at least a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, "at least", np.greater_equal)


@relation("below", QUANTITY)
def _below(claimed):
    """Most pairs of the two quantities' values, each of one search, have the first below the second.

    Measured by the share of pairs in which it is (ties, such as two that diverged, count half), which is U / (n m) of the test
    by Mann and Whitney (1947). Unlike a difference of medians it needs no finite values. The trials of a search depend on one
    another. So with several searches the interval is of the share's mean over them, and with one the test only describes that.
    """

    def share(a, b):
        return float(np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b)))

    both = [claimed.quantities[name].values for name in (claimed.name, claimed.argument)]
    statement = f"{_label(claimed.name)} ends with a lower loss than {_label(claimed.argument)}: share of pairs of trials "
    if any(search is None for searches in both for search in searches):
        return claimed.result(f"{statement}(some have no value)", None, None, "ci95[0] > 0.5", claimed.argument)
    pairs = [[np.atleast_1d(np.asarray(search, np.float64)) for search in each] for each in zip(*both)]
    a, b = (np.concatenate(each) for each in zip(*pairs))
    medians = {"median": statistics.quartiles(a)[1], "other_median": statistics.quartiles(b)[1]}
    if len(pairs) > 1:
        mean, interval = statistics.mean_and_interval([share(*pair) for pair in pairs], statistics.SHARE)
        statement += f"(mean over {len(pairs)} searches of {len(pairs[0][0])} and {len(pairs[0][1])})"
        return claimed.result(statement, mean, interval, "ci95[0] > 0.5", claimed.argument, **medians)
    rng = np.random.default_rng(3)
    resampled = [share(rng.choice(a, len(a)), rng.choice(b, len(b))) for _ in range(1000)]
    return claimed.result(
        f"{statement}({len(a)} and {len(b)} of one search, one-sided Mann-Whitney test)",
        share(a, b),
        [float(end) for end in np.quantile(resampled, (0.025, 0.975))],
        "p_value < 0.05 and measured > 0.5",
        claimed.argument,
        p_value=float(scipy.stats.mannwhitneyu(a, b, alternative="less").pvalue),
        **medians,
    )


def _compared(claimed, words, over_seeds, over_learners):
    """The claim that a quantity's mean stands so to another's or to a number, by one of two rules."""
    name, other, quantity = claimed.name, claimed.argument, claimed.quantity
    another = claimed.quantities[other] if isinstance(other, str) else None
    if quantity.once and another is None:
        rule = over_learners.replace("other", "bound")
        return claimed.result(f"{_label(name)} {words} {other}", *_one(claimed), rule, bound=other)
    statement = f"{_label(name)} {words} {other if another is None else _label(other)}"
    named = [name] if another is None else [name, other]
    missing = [_label(each) for each in named if any(value is None for value in claimed.quantities[each].values)]
    if missing:
        statement += f" (no value in some runs: {', '.join(missing)})"
        return claimed.result(statement, None, None, over_seeds, other)
    values, over = statistics.units(quantity.values)
    if another is not None:
        others, other_over = statistics.units(another.values)
        if (other_over, len(others)) != (over, len(values)):
            raise errors.UserError(
                f"a claim compares like with like: {name} has {len(values)} {over}, {other} has {len(others)} {other_over}"
            )
    if over == "seeds":
        difference = values - (float(other) if another is None else others)
        bounds = statistics.difference(quantity.bounds, float(other) if another is None else another.bounds)
        statement += f" (mean difference over {len(difference)} seeds)"
        return claimed.result(statement, *_mean_and_interval(difference, bounds), over_seeds, other)
    statement += f" ({len(values)} {claimed.units}{'' if another is None else ' each'})"
    second = (float(other), [float(other)] * 2) if another is None else _mean_and_interval(others, another.bounds)
    found = _mean_and_interval(values, quantity.bounds)
    return claimed.result(statement, *found, over_learners, other, other=second[0], other_ci95=second[1])


def _in_seeds(claimed, words, holds):
    bound, least = claimed.argument
    values = [np.mean(value) for value in claimed.quantity.values if value is not None]
    count = int(np.sum(holds(values, bound))) if values else None
    statement = f"{_label(claimed.name)} is {words} {bound}, seeds of {len(values)}"
    return claimed.result(statement, count, None, "measured >= least", bound, least=least)


def _one(claimed):
    """A quantity's mean and its interval, that which is known or that over seeds or learners."""
    quantity = claimed.quantity
    if quantity.once:
        return quantity.values[0], quantity.interval
    if any(value is None for value in quantity.values):
        return None, None
    return _mean_and_interval(statistics.units(quantity.values)[0], quantity.bounds)


def _mean(quantity):
    """The mean of a quantity; None if it is missing for a seed."""
    if any(value is None for value in quantity.values):
        return None
    return quantity.values[0] if quantity.once else float(np.mean(statistics.units(quantity.values)[0]))


def _mean_and_interval(values, bounds):
    """Without an interval if there is but one value: then no claim of `above` holds."""
    mean, interval = statistics.mean_and_interval(values, bounds)
    return mean, interval if len(values) > 1 else None


def _label(name):
    return name.replace("/", ": ").replace("_", " ")
