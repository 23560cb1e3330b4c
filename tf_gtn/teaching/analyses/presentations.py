"""A learned order, and what is left of it when the codes come in another one."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from tf_gtn import arguments, errors
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, statistics
from tf_gtn.teaching import curricula, evaluation, presentations
from tf_gtn.teaching.analyses import bases
from tf_gtn.teaching.training import Training


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.presentations")
class Settings:
    """Which orders are tried.

    Attributes:
      arms: with a full curriculum; `()` for all that have one.
      orders: of the same codes at evaluation, "full" among them.
      learners: fresh learners per order; 0 for `teaching.Evaluation.test_learners`.
    """

    arms: tuple[str, ...] = ()
    orders: tuple[str, ...] = ("full", "reversed", "shuffled_batch", "all_shuffled")
    learners: arguments.Whole = 0

    def __post_init__(self) -> None:
        fixed = [name for name in curricula.ORDERS if name != "none"]
        for order in self.orders:
            if order not in fixed:
                raise errors.unknown("order of analyses.presentations.orders", order, fixed)
        if "full" not in self.orders or len(set(self.orders)) < max(2, len(self.orders)):
            raise errors.UserError(f"analyses.presentations.orders takes 'full' and others, each once; got {self.orders!r}")


@analyses.register("presentations")
class Presentations(bases.OfArms, bases.OfShares):
    """Quantities `<arm>/<order>`: test accuracies of fresh learners, the same ones in each order."""

    of = Training
    Settings = Settings

    need = "arms with a full curriculum"

    def fits(self, training: Training, named: bool) -> bool:
        return presentations.has_order(training)

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        configured = self.settings()
        count = configured.learners or settings.test_learners
        return {f"{arm}/{order}": count for arm in self.arms(trainings) for order in configured.orders}

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, quantities = self.settings(), {}
        for arm in self.arms(context.trainings):
            training = context.trainings[arm]
            for order in settings.orders:
                evaluator = self.kept(training, order, functools.partial(presentations.reordered, training, order))
                count = settings.learners or context.settings.test_learners
                quantities[f"{arm}/{order}"] = evaluator.accuracies(
                    context.dataset.test, count, evaluation.TEST_SEED + context.seed
                )
        return quantities

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """The learned order above each other one; the paper has no such number."""
        return self.compare(
            [(f"{key.split('/')[0]}/full", "above", key) for key in table if not key.endswith("/full")],
            table,
        )

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        groups = {}
        for key, values in table.items():
            arm, order = key.split("/")
            groups.setdefault(arm, {})[order] = statistics.units(values)[0]
        caption = "Test accuracy when the trained codes come in another order than the learned one; mean and 95% interval."
        figures.bars(figures.path(base_dir, "presentations"), groups, "test accuracy", caption)
