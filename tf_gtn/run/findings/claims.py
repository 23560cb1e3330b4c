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
      words: what is said of the quantity, with a `{}` for each part of the argument.
      rule: of a claim whose quantity has no value: it never holds.
      some_seeds: whether `make` can do with a quantity that has no value in some of the seeds.
    """

    takes: tuple[str, ...]
    make: Callable
    words: str
    rule: str
    some_seeds: bool

    def parts(self, argument) -> tuple:
        """What an argument consists of."""
        return tuple(argument) if len(self.takes) > 1 and isinstance(argument, list | tuple) else (argument,)

    def quantities(self, argument) -> list[str]:
        """The quantities that an argument names."""
        return [part for part in self.parts(argument) if isinstance(part, str)]


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

    @property
    def statement(self) -> str:
        """What is claimed, in words."""
        relation = RELATIONS[self.relation]
        parts = (_label(part) if isinstance(part, str) else part for part in relation.parts(self.argument))
        return f"{_label(self.name)} {relation.words.format(*parts)}"

    def mean(self, name: str) -> float:
        """The mean of a quantity over its seeds."""
        quantity = self.quantities[name]
        return quantity.values[0] if quantity.once else float(np.mean(statistics.units(quantity.values)[0]))

    def result(self, statement, measured, interval, rule, **numbers) -> dict:
        """The claim; see `results.claim`."""
        identity = _identity((self.name, self.relation, self.argument), self.quantity.once)
        return results.claim(identity, statement, self.said, measured, interval, rule, **numbers)


def relation(
    name: str, *takes: str, words: str | None = None, rule: str = "measured >= 0", some_seeds: bool = False
) -> Callable:
    """Registers a function `(claimed) -> claim` as the relation of that name.

    Args:
      name: as claims have it.
      takes: the kinds of its argument, `QUANTITY`, `NUMBER` or `EITHER`; several: it is a tuple.
      words, rule, some_seeds: see `Relation`; without words the name and the argument are said.
    """
    words = words or f"is {name.replace('_', ' ')} {' and '.join('{}' for _ in takes)}"

    def register(make):
        RELATIONS.register(name, make)(Relation(takes, make, words, rule, some_seeds))
        return make

    return register


def check(where: str, specs: Sequence) -> None:
    """Raises `UserError` unless claims have the form that `compare` takes; `where` is their gin name."""
    for spec in specs:
        if not isinstance(spec, list | tuple) or len(spec) not in (3, 4) or not isinstance(spec[0], str):
            raise errors.UserError(f"a claim is (quantity, relation, argument, the paper's value); got {spec!r}")
        RELATIONS.check(spec[1])
        relation = RELATIONS[spec[1]]
        parts = relation.parts(spec[2])
        if len(parts) != len(relation.takes) or not all(isinstance(p, _TAKEN[kind]) for p, kind in zip(parts, relation.takes)):
            raise errors.UserError(f"a claim of {spec[1]!r} takes {' and '.join(relation.takes)}; got {spec[2]!r}")
    registrations.check_different(where, [tuple(spec[:3]) for spec in specs])
    _check_identities(specs, [_identity(spec) for spec in specs])


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
    _check_identities(specs, [claim["id"] for claim in made])
    return made


def named(spec: Sequence) -> list[str]:
    """The quantities of a claim."""
    return [spec[0], *RELATIONS[spec[1]].quantities(spec[2])]


def _claim(spec, quantities, units):
    name, relation, argument, said = (*spec, None)[:4]
    for wanted in named(spec):
        if wanted not in quantities:
            raise errors.unknown("quantity of a claim", wanted, quantities)
    claimed = Claimed(name, relation, argument, said, quantities, units)
    missing = [_label(each) for each in named(spec) if any(value is None for value in quantities[each].values)]
    if missing and not RELATIONS[relation].some_seeds:
        statement = f"{claimed.statement} (no value in some runs: {', '.join(missing)})"
        return claimed.result(statement, None, None, RELATIONS[relation].rule)
    return RELATIONS[relation].make(claimed)


def _identity(spec, once=False):
    """A claim's id: its quantities and its relation, and the number that a quantity with seeds is compared with."""
    name, relation, argument = spec[:3]
    takes, parts = RELATIONS[relation].takes, RELATIONS[relation].parts(argument)
    kept = [part for part, kind in zip(parts, takes) if isinstance(part, str) or (kind == EITHER and not once)]
    identity = "_".join(map(str, (name, relation, *kept))).replace("/", "_")
    return identity if once else identity.replace(".", "_")


def _check_identities(specs, identities):
    for spec, identity in zip(specs, identities):
        if identities.count(identity) > 1:
            raise errors.UserError(f"two claims would both be called {identity!r}; one is {spec!r}")


@relation("above", EITHER, rule="ci95[0] > 0")
def _above(claimed):
    """With several seeds, the 95% interval of the mean difference, seed by seed, lies above 0 (Student's t); with one, the two
    intervals over learners lie apart (bootstrapped)."""
    return _compared(claimed, "ci95[0] > 0", "ci95[0] > other_ci95[1]")


@relation("at_least", EITHER)
def _at_least(claimed):
    """The mean is at least the other's, or the number."""
    return _compared(claimed, "measured >= 0", "measured >= other")


@relation("at_most", EITHER)
def _at_most(claimed):
    """The mean is at most the other's, or the number."""
    return _compared(claimed, "measured <= 0", "measured <= other")


@relation("between", NUMBER, NUMBER)
def _between(claimed):
    """The mean lies between two numbers."""
    low, high = claimed.argument
    return claimed.result(claimed.statement, *_one(claimed), "low <= measured <= high", low=low, high=high)


@relation("times_above", QUANTITY, NUMBER, words="is above {} by a factor of {}")
def _times_above(claimed):
    """The mean is at least so many times the other's."""
    other, times = claimed.argument
    numbers = {"other": claimed.mean(other), "times": times}
    return claimed.result(claimed.statement, *_one(claimed), "measured >= times * other", **numbers)


@relation("at_most_in_seeds", NUMBER, NUMBER, words="is at most {} in at least {} seeds", some_seeds=True)
def _at_most_in_seeds(claimed):
    """It is at most a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, np.less_equal)


@relation("at_least_in_seeds", NUMBER, NUMBER, words="is at least {} in at least {} seeds", some_seeds=True)
def _at_least_in_seeds(claimed):
    """It is at least a number in at least so many of the seeds in which it has a value."""
    return _in_seeds(claimed, np.greater_equal)


@relation("below", QUANTITY)
def _below(claimed):
    """Most pairs of the two quantities' values, each of one search, have the first below the second.

    Measured by the share of pairs in which it is (ties, such as two that diverged, count half), which is U / (n m) of the test
    by Mann and Whitney (1947). Unlike a difference of medians it needs no finite values. The trials of a search depend on one
    another. So with several searches the interval is of the share's mean over them, and with one the test only describes that.
    Quantities of one number a seed are taken as one search.
    """

    def share(a, b):
        return float(np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b)))

    first, second = (
        [np.asarray(v, np.float64) for v in claimed.quantities[n].values] for n in (claimed.name, claimed.argument)
    )
    if len(first) != len(second) or first[0].ndim != second[0].ndim:
        raise _unlike(claimed)
    pairs = list(zip(first, second)) if first[0].ndim else [(np.stack(first), np.stack(second))]
    a, b = (np.concatenate(each) for each in zip(*pairs))
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
    if quantity.once and another is None:
        rule = over_learners.replace("other_ci95[1]", "other").replace("other", "bound")
        return claimed.result(statement, *_one(claimed), rule, bound=other)
    if quantity.once:
        return claimed.result(statement, *_one(claimed), over_learners, other=another.values[0], other_ci95=another.interval)
    values, over = statistics.units(quantity.values)
    if another is not None:
        others, other_over = statistics.units(another.values)
        if (other_over, len(others)) != (over, len(values)):
            raise _unlike(claimed)
    if over == "seeds":
        difference = values - (float(other) if another is None else others)
        bounds = statistics.difference(quantity.bounds, float(other) if another is None else another.bounds)
        statement += f" (mean difference over {len(difference)} seeds)"
        return claimed.result(statement, *_mean_and_interval(difference, bounds), over_seeds)
    statement += f" ({len(values)} {claimed.units}{'' if another is None else ' each'})"
    second = (float(other), [float(other)] * 2) if another is None else _mean_and_interval(others, another.bounds)
    found = _mean_and_interval(values, quantity.bounds)
    return claimed.result(statement, *found, over_learners, other=second[0], other_ci95=second[1])


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
    """Without an interval if there is but one value: then no claim of `above` holds."""
    mean, interval = statistics.mean_and_interval(values, bounds)
    return mean, interval if len(values) > 1 else None


def _label(name):
    return name.replace("/", ": ").replace("_", " ")
