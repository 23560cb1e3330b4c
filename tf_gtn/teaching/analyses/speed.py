"""Accuracy by number of SGD steps, beside real data with the best rate for each (GTN paper, section 3.3: 9 times faster)."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors, watching
from tf_gtn.core import optimizers
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures
from tf_gtn.teaching import evaluation, held_out, presentations, treatments
from tf_gtn.teaching.analyses import bases, endless, plots
from tf_gtn.teaching.training import Training

BEST_REAL = "best_real"
_ALL_UP_TO = 32  # steps, for which all settings of real data are tried
_SURVIVORS = 12  # settings that are tried for a larger number


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.speed")
class Settings:
    """Of what and after which steps.

    Attributes:
      arms: whose lessons are used; `()` for all.
      steps: numbers of SGD steps.
      real_steps: further numbers, for real data alone.
      learners: fresh learners per number; 0 for `teaching.Evaluation.test_learners`.
      selection_learners: other fresh learners, which choose real data's setting for each number by validation accuracy: above
        32 steps among the dozen settings that validate best for the number before.
    """

    arms: tuple[str, ...] = ()
    steps: tuple[arguments.Count, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    real_steps: tuple[arguments.Count, ...] = ()
    learners: arguments.Whole = 0
    selection_learners: arguments.Count = 3

    def __post_init__(self) -> None:
        if not self.steps:
            raise errors.UserError("analyses.speed.steps takes at least one number of steps; got none")

    @property
    def of_real(self) -> list[int]:
        """All numbers for real data, from small to large."""
        return sorted({*self.steps, *self.real_steps})


@analyses.register("speed")
class Speed(bases.OfArms, bases.OfShares):
    """Quantities `<arm>/steps_<n>` and `best_real/steps_<n>`, test accuracies of fresh learners, and `<arm>/times_faster`.

    A lesson of T steps that goes on begins again, with the last step's rate and momentum. `best_real` is real data with the
    best of 36 settings for n steps: rate, momentum, constant or falling to zero (`held_out.SETTINGS`). `<arm>/times_faster` is
    how many times T steps `best_real` needs for the accuracy after T steps of the arm's lesson (`steps_needed`): where even the
    most steps measured are not enough, as many times as they are, which is too few.
    """

    of = Training
    Settings = Settings
    others = ("/times_faster",)
    need = "arms whose learners take steps of SGD with momentum"

    def fits(self, training: Training, named: bool) -> bool:
        return sorted(training.hyperparameters.values()) == ["learning_rate", "momentum"]

    def check(self, trainings: Mapping[str, Training], settings: Any) -> None:
        super().check(trainings, settings)
        if BEST_REAL in trainings:
            raise errors.UserError(f"analyses.speed calls real data at its best {BEST_REAL!r}: give the arm another name")
        sizes = {arm: presentations.shape(trainings[arm].treatment)[1] for arm in self.arms(trainings)}
        if len(set(sizes.values())) > 1:
            raise errors.UserError(
                f"analyses.speed compares arms of one batch size with real data in batches as large; got {sizes}: name some of "
                "them in analyses.speed.arms"
            )

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        configured, arms = self.settings(), self.arms(trainings)
        numbers = {arm: self._steps(trainings[arm]) for arm in arms} | {BEST_REAL: configured.of_real}
        count = configured.learners or settings.test_learners
        sizes = {f"{name}/steps_{n}": count for name, steps in numbers.items() for n in steps}
        return sizes | {f"{arm}/times_faster": 0 for arm in arms}

    def _steps(self, training):
        return sorted({*self.settings().steps, training.inner_steps})

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, quantities = self.settings(), {}
        count = settings.learners or context.settings.test_learners
        sample = context.dataset.test, count, evaluation.TEST_SEED + context.seed
        arms = self.arms(context.trainings)
        for arm in arms:
            training = context.trainings[arm]
            steps = self._steps(training)
            evaluator = self.kept(training, "repeated", lambda t=training, n=steps[-1]: presentations.repeated(t, n))
            accuracies = evaluator.accuracies(*sample, after=steps)
            quantities |= {f"{arm}/steps_{n}": accuracies[:, i] for i, n in enumerate(steps)}
        ranked = held_out.SETTINGS
        for n in watching.each(settings.of_real, "numbers of steps on real data"):
            tried = ranked if n <= _ALL_UP_TO else ranked[:_SURVIVORS]
            ranked, quantities[f"{BEST_REAL}/steps_{n}"] = self._best_real(
                context, context.trainings[arms[0]], n, sample, tried
            )
        real = [float(np.mean(quantities[f"{BEST_REAL}/steps_{n}"])) for n in settings.of_real]
        for arm in arms:
            length = context.trainings[arm].inner_steps
            accuracy = float(np.mean(quantities[f"{arm}/steps_{length}"]))
            quantities[f"{arm}/times_faster"] = steps_needed(settings.of_real, real, accuracy) / length
        return quantities

    def _best_real(self, context, training, steps, sample, tried):
        """The settings tried, from the one that validates best on, and its test accuracies after `steps` steps on real data."""
        batch_size = presentations.shape(training.treatment)[1]
        schedule = {name: tf.Variable(tf.zeros([steps])) for name in ("learning_rate", "momentum")}
        real = treatments.Real(context.dataset, steps, batch_size)
        evaluator = evaluation.Evaluator(
            context.dataset,
            training.population,
            real,
            optimizers.SGD(),
            lambda: {name: variable.read_value() for name, variable in schedule.items()},
        )

        def use(setting):
            for name, values in held_out.schedule(setting, steps).items():
                schedule[name].assign(values)

        def validated(setting):
            use(setting)
            judged = context.dataset.validation, self.settings().selection_learners, evaluation.VALIDATION_SEED
            return evaluator.accuracies(*judged).mean()

        key = f"speed, real data, {steps} steps"
        recall = context.recall or (lambda _, make: make())
        accuracies = [recall(f"{key}, {setting}", lambda s=setting: float(validated(s))) for setting in tried]
        ranked = tuple(tried[i] for i in np.argsort(np.negative(accuracies), kind="stable"))
        use(ranked[0])
        return ranked, evaluator.accuracies(*sample)

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """Real data needs as many steps as each arm, or more."""
        arms = [name for name in analyses.first_parts(table) if name != BEST_REAL]
        return self.compare([(f"{arm}/times_faster", "at_least", 1, "9 times (section 3.3, figure 2)") for arm in arms], table)

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        curves = {}
        for name in analyses.first_parts(table):
            steps = sorted(int(key.rsplit("_", 1)[1]) for key in table if key.startswith(f"{name}/steps_"))
            columns = [np.asarray(table[f"{name}/steps_{n}"], np.float64) for n in steps]
            curves[name] = (steps, endless.runs_over(columns))
        caption = (
            "Test accuracy of fresh learners by number of SGD steps: each arm's lesson, which begins again after its own "
            "number of steps, and real data with the best rate and momentum for each number. Mean and 95% interval."
        )
        plots.lines(figures.path(base_dir, "speed"), {"SGD steps": curves}, "test accuracy", integer=False, caption=caption)


def steps_needed(steps: Sequence[int], accuracies: Sequence[float], wanted: float) -> float:
    """After how many steps an accuracy is reached.

    Args:
      steps: numbers, from small to large.
      accuracies: after each.
      wanted: the accuracy.

    Returns:
      Between two numbers, their logarithms interpolated in proportion to the accuracy. The smallest number if that is enough
      already; the largest, as a lower bound, if not even that is.
    """
    if accuracies[0] >= wanted:
        return float(steps[0])
    for (low, below), (high, above) in itertools.pairwise(zip(steps, accuracies)):
        if below < wanted <= above:
            return float(low * (high / low) ** ((wanted - below) / (above - below)))
    return float(steps[-1])
