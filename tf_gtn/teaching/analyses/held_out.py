"""The exported GTN against real data on architectures that it never saw."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tf_gtn import arguments, errors
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, statistics
from tf_gtn.teaching import export, held_out, loading
from tf_gtn.teaching.analyses import bases
from tf_gtn.teaching.training import Training

_STATEMENT = (
    "The GTN teaches {}, which it never saw, better than real data in the same steps, with the best of {} settings of "
    "plain SGD{} by validation accuracy"
)


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.held_out")
class Settings:
    """How many fresh learners.

    Attributes:
      learners: that are tested; 0 for `teaching.Evaluation.test_learners`.
      selection_learners: others, which choose real data's setting by validation accuracy.
    """

    learners: arguments.Whole = 0
    selection_learners: arguments.Count = 6


@analyses.register("held_out")
class HeldOut(bases.OfShares):
    """Of the architectures `teaching.Evaluation.held_out`: `<architecture>/gtn`, `/real`, `/limits`, `/real_setting_...`.

    For learners of LARS also `/real_setting_lars`, whether that was best for real data.
    """

    of = Training
    Settings = Settings

    others = ("/real_setting_learning_rate",)

    def check(self, trainings: Mapping[str, Training], settings: Any) -> None:
        if not any(export.exportable(training) for training in trainings.values()):
            raise errors.UserError(
                f"analyses.held_out takes a GTN that can be exported; none of the arms has: {', '.join(trainings)}"
            )

        if not settings.held_out:
            raise errors.UserError("analyses.held_out has nothing to test on: teaching.Evaluation.held_out is empty")

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        sizes = dict.fromkeys(("gtn", "real", "limits"), self.settings().learners or settings.test_learners)
        chosen = ["learning_rate", "momentum", "linear_decay"]
        chosen += ["lars"] if any(export.optimizer_name(t) == "lars" for t in trainings.values()) else []
        sizes |= {f"real_setting_{what}": 0 for what in chosen}
        return {f"{name}/{what}": size for name in settings.held_out for what, size in sizes.items()}

    def measure(self, context: Any) -> Mapping[str, Any]:
        if not context.exports:  # what can be exported diverged
            names = [f"{name}/{kind}" for name in context.settings.held_out for kind in ("gtn", "real")]
            return dict.fromkeys(names)
        ((_, path),) = context.exports.items()
        gtn, settings = loading.load(path), self.settings()
        count = settings.learners or context.settings.test_learners
        by_architecture = {
            name: held_out.compare(
                gtn, context.dataset, name, count, context.seed, settings.selection_learners, recall=context.recall
            )
            for name in context.settings.held_out
        }
        return (
            {
                f"{name}/{kind}": compared[kind]
                for name, compared in by_architecture.items()
                for kind in ("gtn", "real", "limits")
            }
            | {
                f"{name}/real_setting_{what}": compared["real_setting"][i]
                for name, compared in by_architecture.items()
                for i, what in enumerate(("learning_rate", "momentum"))
            }
            | {
                f"{name}/real_setting_linear_decay": float(compared["real_setting"][2] == "linear")
                for name, compared in by_architecture.items()
            }
            | {
                f"{name}/real_setting_lars": float(compared["real_optimizer"] == "lars")
                for name, compared in by_architecture.items()
                if gtn.metadata.get("optimizer") == "lars"
            }
        )

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """The GTN's lesson against real data on architectures it was not trained for ("agnostic", GTN paper, section 1)."""
        names = analyses.first_parts(table)
        compared, sgd = (
            self.compare([(f"{name}/gtn", "above", f"{name}/real") for name in names], table),
            len(held_out.SETTINGS),
        )
        tried = dict.fromkeys(names, (sgd, "")) | {
            name: (sgd + len(held_out.LARS_SETTINGS), " and LARS") for name in names if f"{name}/real_setting_lars" in table
        }
        return [
            claim | {"id": f"held_out_{name}", "statement": _STATEMENT.format(name, *tried[name])}
            for name, claim in zip(names, compared)
        ]

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        groups = {
            name: {kind: statistics.units(table[f"{name}/{kind}"])[0] for kind in ("gtn", "real")}
            for name in analyses.first_parts(table)
        }
        figures.bars(figures.path(base_dir, "held_out"), groups, "test accuracy")
