"""The registry of analyses, and what each of them needs.

An analysis is a module-like object with

    check(trainings)          raises `UserError` if these arms can't be analysed so; before the first step
    sizes(trainings, settings)    what `measure` will find, {quantity: numbers of a seed, 0 for a single one}, so that
                              claims are checked before the first step; None: it can't say
    measure(context)          -> {quantity: number, or one for each learner, or nested lists}, for one seed
    bounds(quantity)          (low, high) beyond which no value of it can lie, see `findings.statistics`
    claims(table)             claims from `{quantity: [for each seed what measure gave]}`
    draw(base_dir, table)     figures from the same

Figures of images, which are too large for a table, `measure` draws into the folder of its seed. Its settings are gin's, under
`analyses.<name>`; `check` reads them too, so that one which does nothing is found before the first step.
"""

import dataclasses
import weakref
from collections.abc import Callable

from tf_gtn import errors, registries
from tf_gtn.reporting import claims as claims_lib
from tf_gtn.reporting import statistics

REGISTRY = registries.Registry("analysis")


@dataclasses.dataclass(frozen=True)
class Context:
    """The trained arms of one seed.

    Attributes:
      dataset: a `data.Dataset`.
      trainings: `{arm: Training}`.
      evaluators: `{arm: Evaluator}`, with traces.
      exports: `{arm: path}` of the arm that was exported, if any.
      settings: `build.Evaluation`.
      seed: of this outer run.
      folder: of this outer run.
      recall: as in `evaluation.Evaluator.accuracies`.
    """

    dataset: object
    trainings: dict
    evaluators: dict
    exports: dict
    settings: object
    seed: int
    folder: str
    recall: Callable | None = None


class Analysis:
    """One that has nothing to check, claim or draw.

    Attributes:
      name: in the registry.
    """

    name = None

    def __init__(self):
        self._kept = weakref.WeakKeyDictionary()

    def check(self, trainings):
        del trainings

    def bounds(self, quantity):
        del quantity
        return statistics.ANY

    def sizes(self, trainings, settings):
        del trainings, settings

    def claims(self, table):
        del table
        return []

    def draw(self, base_dir, table):
        del base_dir, table

    def kept(self, training, key, make):
        """What `make()` gave for this training and key, with traces, from seed to seed; it must not refer to the training."""
        mine = self._kept.setdefault(training, {})
        if key not in mine:
            mine[key] = make()
        return mine[key]

    def arms(self, wanted, trainings, fits, need):
        """The arms to analyse: those wanted, or all that fit.

        Args:
          wanted: names; none for all.
          trainings: `{arm: Training}`.
          fits: training -> whether it can be analysed.
          need: what can, in words, for the error.

        Raises:
          UserError: there is no such arm, one does not fit, or none does.
        """
        for arm in wanted:
            if arm not in trainings:
                raise errors.unknown(f"arm of analyses.{self.name}.arms", arm, trainings)
            if not fits(trainings[arm]):
                raise errors.UserError(f"analyses.{self.name} takes {need}; the arm {arm!r} has none")
        found = tuple(wanted) or tuple(arm for arm, training in trainings.items() if fits(training))
        if not found:
            raise errors.UserError(f"analyses.{self.name} takes {need}; none of the arms has: {', '.join(trainings)}")
        return found

    def compare(self, specs, table):
        """Claims as of `claims.compare`, their names led by the analysis'."""
        quantities = {name: claims_lib.Quantity(values, self.bounds(name)) for name, values in table.items()}
        return [{**claim, "id": f"{self.name}_{claim['id']}"} for claim in claims_lib.compare(specs, quantities)]


class OfShares(Analysis):
    """One whose quantities are accuracies and other shares, but for those that end like one of `others`, numbers from 0 on."""

    others = ()

    def bounds(self, quantity):
        return statistics.NOT_NEGATIVE if quantity.endswith(self.others) else statistics.SHARE


def register(name):
    """Adds a class under a name, as an instance."""

    def add(cls):
        cls.name = name
        REGISTRY.register(name, cls)(cls())
        return cls

    return add


def check(names, trainings):
    """Whether these arms can be analysed so; raises `UserError`."""
    for name in names:
        REGISTRY[name].check(trainings)


def sizes(names, trainings, settings):
    """`{<analysis>/<quantity>: size}` of all that say what they find, and the names of the others; see `Analysis.sizes`."""
    found, unsaid = {}, []
    for name in names:
        own = REGISTRY[name].sizes(trainings, settings)
        found |= {f"{name}/{key}": size for key, size in (own or {}).items()}
        unsaid += [name] if own is None else []
    return found, unsaid


def positive(analysis, **values):
    """Raises `UserError` for a setting that is not above 0, or a list of them that is empty or holds one that is not."""
    for name, value in values.items():
        many = value if isinstance(value, list | tuple) else [value]
        if not many or not all(isinstance(v, int | float) and v > 0 for v in many):
            raise errors.UserError(f"analyses.{analysis}.{name} must be above 0; got {value!r}")


def first_parts(table):
    """The different names before the first slash of a table's quantities, in their order."""
    return list(dict.fromkeys(key.split("/")[0] for key in table))
