"""What an experiment does with its trained arms: one registry of analyses, whatever the system.

An analysis is a subclass of `Analysis`. Its settings, if it has any, are a dataclass that gin knows as `analyses.<name>`.
`check` reads them too, so that a setting without effect is found before the first step. Figures of images, which are too large
for a table, `measure` draws into the folder of its seed.
"""

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tf_gtn import errors, registries
from tf_gtn.reporting import claims as claims_lib
from tf_gtn.reporting import statistics

REGISTRY = registries.Registry("analysis")
"""`{name: Analysis}`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """The trained arms of one seed; systems add what they know of them.

    Attributes:
      trainings: `{arm: trained}`, without those that diverged.
      seed: of this run of the arms.
      folder: of this run of the arms.
    """

    trainings: Mapping[str, Any]
    seed: int
    folder: str


class Analysis:
    """An analysis that has nothing to check, claim or draw.

    Attributes:
      name: in the registry.
      of: the classes of trainings that it can analyse.
      Settings: the dataclass of its settings, or None.
    """

    name: str
    of: ClassVar[type | tuple[type, ...]] = object
    Settings: ClassVar[type | None] = None

    def __init__(self) -> None:
        self.settings: Callable[[], Any] = type(self).Settings or (lambda: None)  # gin puts its own way to them here
        self._made_for: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # {training: {key: value}}

    def check(self, trainings: Mapping[str, Any], settings: Any) -> None:
        """Raises `UserError` if these arms can't be analysed so. `settings`: how the system tests, see `sizes`."""
        del trainings, settings

    def sizes(self, trainings: Mapping[str, Any], settings: Any) -> Mapping[str, int] | None:
        """What `measure` will find, so that claims are checked before the first step; None: it can't say.

        Args:
          trainings: `{arm: training}`.
          settings: how the experiment's system tests, such as `teaching.experiment.Evaluation`.

        Returns:
          `{quantity: numbers of a seed, 0 for a single one}`.
        """
        del trainings, settings

    def measure(self, context: Any) -> Mapping[str, Any]:
        """`{quantity: number, or one for each learner, or nested lists}` of one seed; `context`: the system's `Context`."""
        raise NotImplementedError

    def bounds(self, quantity: str) -> tuple[float, float]:
        """`(low, high)` beyond which no value of a quantity can lie, see `reporting.statistics`."""
        del quantity
        return statistics.ANY

    def numbers(self, table: Mapping[str, Sequence]) -> Mapping[str, Sequence]:
        """What claims can be about in a table: quantities with one number per seed, or one per learner and seed."""
        return {key: values for key, values in table.items() if all(np.ndim(value) < 2 for value in values)}

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """Claims from `{quantity: [for each seed what measure gave]}`."""
        del table
        return []

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        """Figures from what `claims` takes, without what has no value in some seed."""
        del base_dir, table

    def kept(self, training: Any, key: Any, make: Callable[[], Any]) -> Any:
        """What `make()` gave for this training and key, with traces, from seed to seed; it must not refer to the training."""
        values = self._made_for.setdefault(training, {})
        if key not in values:
            values[key] = make()
        return values[key]

    def compare(self, specs: Sequence, table: Mapping[str, Sequence]) -> list[dict]:
        """Claims as of `claims.compare`, their names led by the analysis'."""
        quantities = {name: claims_lib.Quantity(values, self.bounds(name)) for name, values in table.items()}
        return [{**claim, "id": f"{self.name}_{claim['id']}"} for claim in claims_lib.compare(specs, quantities)]


def register(name: str) -> Callable[[type[Analysis]], type[Analysis]]:
    """Decorator: adds a class under a name, as an instance."""

    def add(cls):
        cls.name = name
        REGISTRY.register(name, cls)(cls())
        return cls

    return add


def check(names: Sequence[str], trainings: Mapping[str, Any], settings: Any = None) -> None:
    """Whether these arms can be analysed so; raises `UserError`."""
    for name in names:
        for arm, training in trainings.items():
            if not isinstance(training, REGISTRY[name].of):
                raise errors.UserError(f"the analysis {name} is not for arms such as {arm!r}")
        REGISTRY[name].check(trainings, settings)


def sizes(names: Sequence[str], trainings: Mapping[str, Any], settings: Any = None) -> tuple[dict[str, int], list[str]]:
    """`{<analysis>/<quantity>: size}` of all that know it, and the names of the others; see `Analysis.sizes`."""
    sizes, unknown = {}, []
    for name in names:
        of_analysis = REGISTRY[name].sizes(trainings, settings)
        sizes |= {f"{name}/{key}": size for key, size in (of_analysis or {}).items()}
        unknown += [name] if of_analysis is None else []
    return sizes, unknown


def table(name: str, outcomes: Sequence[Mapping], expected: Iterable[str] = ()) -> dict[str, list]:
    """`{quantity: [what an analysis measured in a seed]}`; None where there is none, or where an arm of it diverged.

    The arms that a quantity is of are parts of its name, between slashes. `expected`: `<analysis>/<quantity>` that there should
    be, whatever was measured.
    """
    diverged = [{*outcome.get("diverged", ())} for outcome in outcomes]
    keys = dict.fromkeys(key for outcome in outcomes for key in outcome["analyses"][name])
    keys |= dict.fromkeys(key.removeprefix(f"{name}/") for key in expected if key.startswith(f"{name}/"))
    return {
        key: [None if {*key.split("/")} & arms else o["analyses"][name].get(key) for o, arms in zip(outcomes, diverged)]
        for key in keys
    }


def drawable(table: Mapping[str, Sequence]) -> dict[str, Sequence]:
    """What can be drawn of a table: nothing of an arm that has a quantity without a value."""
    incomplete = {key.split("/")[0] for key, values in table.items() if any(value is None for value in values)}
    return {key: values for key, values in table.items() if not incomplete & {*key.split("/")}}


def first_parts(table: Mapping[str, Any]) -> list[str]:
    """The different names before the first slash of a table's quantities, in their order."""
    return list(dict.fromkeys(key.split("/")[0] for key in table))
