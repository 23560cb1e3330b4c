"""More data from a generator without curriculum than it was trained to make (GTN paper, appendix G, figures 5 and 6)."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, pictures
from tf_gtn.teaching import evaluation, presentations, protocols, realism, treatments
from tf_gtn.teaching.analyses import bases, plots
from tf_gtn.teaching.training import Training

SHOWN = 200  # images of a sample


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.endless")
class Settings:
    """How much more.

    Attributes:
      arms: whose batches are drawn anew; `()` for all such.
      factors: of the trained batch size at the trained number of steps, and of that number at the trained batch size;
        1 among them.
      learners: fresh learners per factor; 0 for `teaching.Evaluation.test_learners`.
    """

    arms: tuple[str, ...] = ()
    factors: tuple[arguments.Count, ...] = (1, 2, 4, 8)
    learners: arguments.Whole = 0

    def __post_init__(self) -> None:
        if 1 not in self.factors or len(self.factors) < 2:
            raise errors.UserError(f"analyses.endless.factors takes 1 and larger ones; got {self.factors!r}")


@analyses.register("endless")
class Endless(bases.OfArms, bases.OfShares):
    """Quantities `<arm>/batch_<B>` and `<arm>/steps_<T>`: test accuracies of fresh learners."""

    of = Training
    Settings = Settings

    need = "arms whose batches are drawn anew (real data, or a curriculum of order 'none'), not fixed codes"

    def fits(self, training: Training, named: bool) -> bool:
        return presentations.is_endless(training)

    def check(self, trainings: Mapping[str, Training], settings: Any) -> None:
        super().check(trainings, settings)
        if not any(_generates(trainings[arm]) for arm in self.arms(trainings)):
            raise errors.UserError(
                f"analyses.endless takes {self.need}; of the arms {', '.join(trainings)}, no generator is trained without "
                "curriculum"
            )

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        configured, sizes = self.settings(), {}
        for arm in self.arms(trainings):
            for dimension, trained in zip(("steps", "batch"), presentations.shape(trainings[arm].treatment)):
                for factor in configured.factors:
                    sizes[f"{arm}/{dimension}_{factor * trained}"] = configured.learners or settings.test_learners
        return sizes

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, quantities = self.settings(), {}
        count = settings.learners or context.settings.test_learners
        for arm in self.arms(context.trainings):
            training = context.trainings[arm]
            steps, batch = presentations.shape(training.treatment)
            for dimension, trained in (("batch", batch), ("steps", steps)):
                for factor in sorted(settings.factors):
                    key = ("steps", 1) if factor == 1 else (dimension, factor)
                    make = functools.partial(presentations.enlarged, training, **{dimension: factor})
                    evaluator = self.kept(training, key, make)
                    quantities[f"{arm}/{dimension}_{factor * trained}"] = evaluator.accuracies(
                        context.dataset.test, count, evaluation.TEST_SEED + context.seed
                    )
            if _generates(training) and not isinstance(training.treatment, protocols.Watching):
                images, _ = realism.images(training.treatment)
                pictures.sheet(
                    figures.path(context.folder, f"endless_samples_{arm}"),
                    images.reshape(-1, *images.shape[2:])[:SHOWN],
                    caption="A sample of images generated without curriculum (GTN paper, figures 6 and 13).",
                )
        return quantities

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """The most data above the trained amount, for each arm; and real data above generated data with the most steps."""
        specs, most = [], {}
        for arm, sizes in _by_arm(table).items():
            for dimension, values in sizes.items():
                least, largest = min(values), max(values)
                paper = f"increases (figure 5{'a' if dimension == 'batch' else 'b'})"
                specs.append((f"{arm}/{dimension}_{largest}", "above", f"{arm}/{dimension}_{least}", paper))
                most[arm] = f"{arm}/steps_{largest}"
        if "real" in most:
            others = [key for arm, key in most.items() if arm != "real"]
            specs += [(most["real"], "above", other, "p < 0.05 with many steps (figure 5b)") for other in others]
            least = {arm: f"{arm}/steps_{min(sizes['steps'])}" for arm, sizes in _by_arm(table).items()}
            paper = "p < 0.05 with little data (appendix G)"
            specs += [(key, "above", least["real"], paper) for arm, key in least.items() if arm != "real"]
        return self.compare(specs, table)

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
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
        plots.lines(figures.path(base_dir, "endless"), panels, "test accuracy", integer=False, caption=caption)


def runs_over(columns: Sequence[np.ndarray]) -> np.ndarray:
    """For each x an array [seeds, learners] -> `[learners, k]` of the only seed, or the means `[seeds, k]` of several."""
    return np.stack([column[0] if len(column) == 1 else column.mean(1) for column in columns], 1)


def _generates(training):
    return isinstance(training.treatment, treatments.GTN)


def _by_arm(table):
    """`{arm: {"batch" or "steps": {size: [for each seed]}}}`."""
    by_arm = {}
    for key, values in table.items():
        arm, rest = key.split("/")
        dimension, size = rest.split("_")
        by_arm.setdefault(arm, {}).setdefault(dimension, {})[int(size)] = values
    return by_arm
