"""More data from a generator without curriculum than it was trained to make (GTN paper, appendix G, figures 5 and 6)."""

import dataclasses
import functools

import numpy as np

from tf_gtn import errors
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, pictures
from tf_gtn.teaching import evaluation, presentations, protocols, realism, treatments
from tf_gtn.teaching.training import Training

SHOWN = 200  # images of a sample


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much more.

    Attributes:
      arms: whose batches are drawn anew; none for all such.
      factors: of the trained batch size at the trained number of steps, and of that number at the trained batch size;
        1 among them.
      learners: fresh learners of each; 0 for `teaching.Evaluation.test_learners`.
    """

    arms: tuple[str, ...] = ()
    factors: tuple[int, ...] = (1, 2, 4, 8)
    learners: int = 0

    def __post_init__(self):
        errors.above_zero("analyses.endless", factors=self.factors)
        if 1 not in self.factors or len(self.factors) < 2:
            raise errors.UserError(f"analyses.endless.factors takes 1 and larger ones; got {self.factors!r}")


@analyses.register("endless")
class Endless(analyses.OfArms, analyses.OfShares):
    """Quantities `<arm>/batch_<B>` and `<arm>/steps_<T>`: test accuracies of fresh learners."""

    of = Training
    Settings = Settings

    need = "arms whose batches are drawn anew (real data, or a curriculum of order 'none'), not fixed codes"

    def fits(self, training, named):
        return presentations.is_endless(training)

    def check(self, trainings, settings):
        super().check(trainings, settings)
        if not any(_generates(trainings[arm]) for arm in self.arms(trainings)):
            raise errors.UserError(
                f"analyses.endless takes {self.need}; of the arms {', '.join(trainings)}, no generator is trained without "
                "curriculum"
            )

    def sizes(self, trainings, settings):
        own, found = self.settings(), {}
        for arm in self.arms(trainings):
            for what, trained in zip(("steps", "batch"), presentations.shape(trainings[arm].treatment)):
                for factor in own.factors:
                    found[f"{arm}/{what}_{factor * trained}"] = own.learners or settings.test_learners
        return found

    def measure(self, context):
        settings, found = self.settings(), {}
        count = settings.learners or context.settings.test_learners
        for arm in self.arms(context.trainings):
            training = context.trainings[arm]
            steps, batch = presentations.shape(training.treatment)
            for what, trained in (("batch", batch), ("steps", steps)):
                for factor in sorted(settings.factors):
                    key = ("steps", 1) if factor == 1 else (what, factor)
                    make = functools.partial(presentations.enlarged, training, **{what: factor})
                    evaluator = self.kept(training, key, make)
                    found[f"{arm}/{what}_{factor * trained}"] = evaluator.accuracies(
                        context.dataset.test, count, evaluation.TEST_SEED + context.seed
                    )
            if _generates(training) and not isinstance(training.treatment, protocols.Watching):
                images, _ = realism.images(training.treatment)
                pictures.sheet(
                    figures.path(context.folder, f"endless_samples_{arm}"),
                    images.reshape(-1, *images.shape[2:])[:SHOWN],
                    caption="A sample of images generated without curriculum (GTN paper, figures 6 and 13).",
                )
        return found

    def claims(self, table):
        """The most data above the trained amount, for each arm; and real data above generated data with the most steps."""
        specs, most = [], {}
        for arm, sizes in _by_arm(table).items():
            for what, values in sizes.items():
                least, largest = min(values), max(values)
                paper = f"increases (figure 5{'a' if what == 'batch' else 'b'})"
                specs.append((f"{arm}/{what}_{largest}", "above", f"{arm}/{what}_{least}", paper))
                most[arm] = f"{arm}/steps_{largest}"
        if "real" in most:
            others = [key for arm, key in most.items() if arm != "real"]
            specs += [(most["real"], "above", other, "p < 0.05 with many steps (figure 5b)") for other in others]
            least = {arm: f"{arm}/steps_{min(sizes['steps'])}" for arm, sizes in _by_arm(table).items()}
            paper = "p < 0.05 with little data (appendix G)"
            specs += [(key, "above", least["real"], paper) for arm, key in least.items() if arm != "real"]
        return self.compare(specs, table)

    def draw(self, base_dir, table):
        panels = {"batch size of the inner loop": {}, "inner steps": {}}
        for arm, sizes in _by_arm(table).items():
            for label, values in zip(panels, (sizes["batch"], sizes["steps"])):
                x = sorted(values)
                runs = [values[size] for size in x]  # [k] of seeds, each of learners
                rows = runs_over([np.asarray(run, np.float64) for run in runs])
                panels[label][arm] = (x, rows)
        caption = (
            "Test accuracy with larger batches at the trained number of steps (left) and with more steps at the trained batch "
            "size (right); the smallest of each is what was trained with. Mean and 95% interval (GTN paper, figure 5)."
        )
        figures.lines(figures.path(base_dir, "endless"), panels, "test accuracy", integer=False, caption=caption)


def runs_over(columns):
    """For each x an array [seeds, learners] -> `[learners, k]` of the only seed, or the means `[seeds, k]` of several."""
    return np.stack([column[0] if len(column) == 1 else column.mean(1) for column in columns], 1)


def _generates(training):
    return isinstance(training.treatment, treatments.GTN)


def _by_arm(table):
    """`{arm: {"batch" or "steps": {size: [for each seed]}}}`."""
    found = {}
    for key, values in table.items():
        arm, rest = key.split("/")
        what, size = rest.split("_")
        found.setdefault(arm, {}).setdefault(what, {})[int(size)] = values
    return found
