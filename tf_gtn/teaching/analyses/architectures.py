"""Trained teachers on networks and inner optimisers of other kinds: a matrix of arms and columns."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.core import optimizers as optimizers_lib
from tf_gtn.experiment import analyses
from tf_gtn.models import population
from tf_gtn.reporting import figures, statistics
from tf_gtn.teaching import architectures, evaluation, lesson
from tf_gtn.teaching.analyses import bases, plots
from tf_gtn.teaching.training import Training


def _conv2(first=64, second=128, units=128, **options):
    return {"conv2": {"filters": ((first, first), (second, second)), "units": (units, units), **options}}


COLUMNS = {
    "narrow": _conv2(8, 16, 16),
    "conv2": _conv2(),
    "wide": _conv2(128, 256, 256),
    "mlp": {"mlp": {"units": ((128, 128), (128, 128))}},
    "mlp_deep": {"mlp": {"units": 6 * ((128, 128),)}},
    "conv5": {"conv5": {"filters": 5 * ((64, 64),)}},
    "conv_deep": {"conv_deep": {"filters": 8 * ((64, 64),)}},
    "batch_norm": _conv2(normalization="batch"),
    "layer_norm": _conv2(normalization="layer"),
    "no_norm": _conv2(normalization="none"),
    "glorot": _conv2(initializer="glorot_uniform"),
    "orthogonal": _conv2(initializer="orthogonal"),
}
OPTIMIZERS = {"sgd": (1.0, 0.3, 0.1, 0.03, 0.01), "rmsprop": (0.03, 0.01, 0.003, 0.001), "adam": (0.03, 0.01, 0.003, 0.001)}
KINDS = {"sgd": optimizers_lib.SGD, "rmsprop": optimizers_lib.RMSProp, "adam": optimizers_lib.Adam}


Kind = Annotated[str, arguments.OneOf(KINDS, "optimizer of analyses.architectures.optimizers")]


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.architectures")
class Settings:
    """The matrix.

    Attributes:
      arms: its rows; `()` for all.
      columns: `{column: families}`, each as `models.Population.families`; None for `COLUMNS`. Fixed widths take one trace.
      optimizers: `{"sgd", "rmsprop" or "adam": learning rates}`, further columns: the arm's batches without its learned
        schedule; None for `OPTIMIZERS`.
      optimizer_families: the network of those; None for that of the column "conv2" of `COLUMNS`.
      limits: of the learned learning rates, as shares of the largest, from which the teacher's own batches choose.
      learners: how many fresh networks are tested.
      selection_learners: how many other networks choose limits and rates.
    """

    arms: tuple[str, ...] = ()
    columns: dict[str, dict[str, Any]] | None = None
    optimizers: dict[Kind, tuple[arguments.Positive, ...]] | None = None
    optimizer_families: dict[str, Any] | None = None
    limits: tuple[arguments.Positive, ...] = lesson.LIMITS
    learners: arguments.Count = 5
    selection_learners: arguments.Count = 2

    def __post_init__(self) -> None:
        for name, default in (("columns", COLUMNS), ("optimizers", OPTIMIZERS), ("optimizer_families", COLUMNS["conv2"])):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        columns, optimizers = self.columns or {}, self.optimizers or {}
        if not self.limits:
            raise errors.UserError("analyses.architectures.limits is empty: it takes shares of the largest learning rate")
        for name, rates in optimizers.items():
            if not rates:
                raise errors.UserError(f"analyses.architectures.optimizers[{name!r}] takes learning rates, (0.1, 0.01); got ()")
        for name in columns:
            if not isinstance(name, str) or not name.isidentifier() or name in map(_column, optimizers):
                raise errors.UserError(
                    "analyses.architectures.columns are named by letters, digits and underscores, and not as those of its "
                    f"optimizers (constant_...); got {name!r}"
                )
        if not columns and not optimizers:
            raise errors.UserError("analyses.architectures needs a column or an optimizer; got neither")


@analyses.register("architectures")
class Architectures(bases.OfArms, bases.OfShares):
    """Quantities `<arm>/<column>`: test accuracies; `<arm>/<column>/limit` or `/learning_rate`: what was chosen."""

    of = Training
    Settings = Settings

    others = ("/learning_rate",)

    def __init__(self) -> None:
        super().__init__()
        self.population = population.Population  # gin puts its own here
        self._populations = {}

    need = "arms with a learning rate"

    def fits(self, training: Training, named: bool) -> bool:
        return "learning_rate" in training.hyperparameters.values()

    def check(self, trainings: Mapping[str, Training], settings: Any) -> None:
        super().check(trainings, settings)
        self._populations = self._build(self.settings(), trainings[self.arms(trainings)[0]].dataset)

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        configured, sizes = self.settings(), {}
        for arm in self.arms(trainings):
            for column in configured.columns:
                sizes |= {f"{arm}/{column}": configured.learners, f"{arm}/{column}/limit": 0}
            for column in map(_column, configured.optimizers):
                sizes |= {f"{arm}/{column}": configured.learners, f"{arm}/{column}/learning_rate": 0}
        return sizes

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, quantities = self.settings(), {}
        seed, sizes = evaluation.TEST_SEED + context.seed, (settings.learners, settings.selection_learners)
        populations = self._populations or self._build(settings, context.dataset)
        for arm in self.arms(context.trainings):
            training = context.trainings[arm]
            for column, members in populations.items():
                kind = next((name for name in settings.optimizers if _column(name) == column), None)
                optimizer = KINDS[kind]() if kind else training.inner_optimizer
                parts = context.dataset, members, training.treatment, optimizer
                examiner = self.kept(training, column, functools.partial(architectures.Examiner, *parts))
                if kind:
                    accuracies, chosen = architectures.by_constant_rate(
                        examiner, settings.optimizers[kind], sizes[0], seed, sizes[1]
                    )
                else:
                    schedule = training.hyperparameters.values()
                    accuracies, chosen = architectures.by_learned_schedule(
                        examiner, schedule, sizes[0], seed, settings.limits, sizes[1]
                    )
                quantities[f"{arm}/{column}"] = accuracies
                quantities[f"{arm}/{column}/{'learning_rate' if kind else 'limit'}"] = chosen
        return quantities

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        cells = {tuple(key.split("/")): values for key, values in table.items() if key.count("/") == 1}
        arms, columns = (list(dict.fromkeys(names)) for names in zip(*cells))
        values = [[statistics.units(cells[arm, column])[0].mean() for column in columns] for arm in arms]
        caption = (
            "Mean test accuracy of fresh networks of each column's kind, taught by each row's teacher: with its learned "
            "schedule, or in the columns 'constant' with another optimiser at the rate that is best on validation data."
        )
        plots.matrix(figures.path(base_dir, "architectures"), np.array(values), arms, columns, caption=caption)

    def _build(self, settings, dataset):
        """`{column: Population}`, on which no arm's scope has a say; `UserError` if a family or an option is unknown."""
        families = settings.columns | {_column(name): settings.optimizer_families for name in settings.optimizers}
        return {
            column: self.population(families=chosen, image_shape=dataset.image_shape, classes=dataset.num_classes)
            for column, chosen in families.items()
        }


def _column(optimizer):
    return f"constant_{optimizer}"
