"""The exported GTN against real data on architectures that it never saw."""

from tf_gtn import errors
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, statistics
from tf_gtn.teaching import export, held_out, loading
from tf_gtn.teaching.training import Training

_STATEMENT = (
    "The GTN teaches {}, which it never saw, better than real data in the same steps, with the best of 36 settings of "
    "plain SGD by validation accuracy"
)


@analyses.register("held_out")
class HeldOut(analyses.OfShares):
    """Of the architectures `teaching.Evaluation.held_out`: `<architecture>/gtn`, `/real`, `/limits`, `/real_setting_...`."""

    of = Training

    others = ("/real_setting_learning_rate",)

    def check(self, trainings, settings):
        if not any(export.exportable(training) for training in trainings.values()):
            raise errors.UserError(
                f"analyses.held_out takes a GTN that can be exported; none of the arms has: {', '.join(trainings)}"
            )

        if not settings.held_out:
            raise errors.UserError("analyses.held_out has nothing to test on: teaching.Evaluation.held_out is empty")

    def sizes(self, trainings, settings):
        own = dict.fromkeys(("gtn", "real", "limits"), settings.test_learners)
        own |= {f"real_setting_{what}": 0 for what in ("learning_rate", "momentum", "linear_decay")}
        return {f"{name}/{what}": size for name in settings.held_out for what, size in own.items()}

    def measure(self, context):
        if not context.exports:  # what can be exported diverged
            names = [f"{name}/{kind}" for name in context.settings.held_out for kind in ("gtn", "real")]
            return dict.fromkeys(names)
        ((_, path),) = context.exports.items()
        gtn, count = loading.load(path), context.settings.test_learners
        found = {
            name: held_out.compare(gtn, context.dataset, name, count, context.seed, recall=context.recall)
            for name in context.settings.held_out
        }
        return (
            {f"{name}/{kind}": one[kind] for name, one in found.items() for kind in ("gtn", "real", "limits")}
            | {
                f"{name}/real_setting_{what}": one["real_setting"][i]
                for name, one in found.items()
                for i, what in enumerate(("learning_rate", "momentum"))
            }
            | {f"{name}/real_setting_linear_decay": float(one["real_setting"][2] == "linear") for name, one in found.items()}
        )

    def claims(self, table):
        """The GTN's lesson against real data on architectures it was not trained for ("agnostic", GTN paper, section 1)."""
        names = analyses.first_parts(table)
        made = self.compare([(f"{name}/gtn", "above", f"{name}/real") for name in names], table)
        return [claim | {"id": f"held_out_{name}", "statement": _STATEMENT.format(name)} for name, claim in zip(names, made)]

    def draw(self, base_dir, table):
        groups = {
            name: {kind: statistics.units(table[f"{name}/{kind}"])[0] for kind in ("gtn", "real")}
            for name in analyses.first_parts(table)
        }
        figures.bars(figures.path(base_dir, "held_out"), groups, "test accuracy")
