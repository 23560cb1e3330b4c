"""What a run file claims of an experiment's quantities, computed from their numbers: one language for every system.

A claim is `(quantity, relation, argument)` or `(quantity, relation, argument, what the paper says)`, for example
`("gtn", "above", "real", "p < 0.01 (figure 2)")`. `RELATIONS` has all relations with what their argument is (`relations` makes
them). `check` looks at the form of claims, `rehearse` makes them from stand-ins before the first step, `compare` makes them
from what was measured.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn import errors, registries
from tf_gtn.reporting import results, statistics

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

    def parts(self, argument: Any) -> tuple[Any, ...]:
        """What an argument consists of."""
        return tuple(argument) if len(self.takes) > 1 and isinstance(argument, list | tuple) else (argument,)

    def quantities(self, argument: Any) -> list[str]:
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
        parts = (label(part) if isinstance(part, str) else part for part in relation.parts(self.argument))
        return f"{label(self.name)} {relation.words.format(*parts)}"

    def mean(self, name: str) -> float:
        """The mean of a quantity over its seeds."""
        quantity = self.quantities[name]
        return quantity.values[0] if quantity.once else float(np.mean(statistics.units(quantity.values)[0]))

    def result(
        self, statement: str, measured: float | None, interval: Sequence[float] | None, rule: str, **numbers: Any
    ) -> dict[str, Any]:
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
    claimed = [tuple(spec[:3]) for spec in specs]
    for claim in claimed:
        if claimed.count(claim) > 1:
            raise errors.UserError(f"{where} has {claim!r} twice")
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
    compared = [_claim(spec, quantities, units) for spec in specs]
    _check_identities(specs, [claim["id"] for claim in compared])
    return compared


def named_otherwise(spec: Sequence, quantities: Mapping, identity: str, statement: str) -> dict:
    """The claim of `compare`, with an id and a statement of its own."""
    (claim,) = compare([spec], quantities)
    return claim | {"id": identity, "statement": statement}


def named(spec: Sequence) -> list[str]:
    """The quantities of a claim."""
    return [spec[0], *RELATIONS[spec[1]].quantities(spec[2])]


def _claim(spec, quantities, units):
    name, relation, argument, said = (*spec, None)[:4]
    for wanted in named(spec):
        if wanted not in quantities:
            raise errors.unknown("quantity of a claim", wanted, quantities)
    claimed = Claimed(name, relation, argument, said, quantities, units)
    missing = [label(quantity) for quantity in named(spec) if any(value is None for value in quantities[quantity].values)]
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


def label(name: str) -> str:
    """A quantity's name in words."""
    return name.replace("/", ": ").replace("_", " ")
