"""An experiment of teaching: arms on the same learners and real batches, tested with fresh learners, the first one exported.

Beside what every experiment's outcome.json has (`experiment.experiment`):

    {"accuracy": {arm: [learners]}, "curve": {arm: [learners][T + 1]}, "diverged": [arms],
     "stored_floats": {arm: how many numbers its lesson is made from}, where the treatment says so,
     "best": {exported arm: {"step": n, "validation_accuracy": a, "accuracy": [learners]}}}

    export/<outer steps>/    the exported arm as it ended
    export_best/<step>/      the same as it was where it validated best
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from tf_gtn import arguments
from tf_gtn.data import Dataset
from tf_gtn.experiment import analyses, experiment, runs
from tf_gtn.models import learners
from tf_gtn.reporting import claims, statistics
from tf_gtn.runtime import checkpoints, progress
from tf_gtn.runtime.best import Best
from tf_gtn.teaching import evaluation, export, figures, saved_models, warm_start
from tf_gtn.teaching.training import Training

Learner = Annotated[str, arguments.OneOf(learners.REGISTRY, "learner")]


@dataclasses.dataclass(frozen=True)
@arguments.checked("teaching.Evaluation")
class Evaluation:
    """How many fresh learners judge, on how many test images after each inner step (on all after the last), and which
    architectures no learner distribution may hold."""

    validation_learners: arguments.Count = 10
    test_learners: arguments.Count = 20
    curve_images: arguments.Count = 1000
    held_out: tuple[Learner, ...] = ("depthwise", "conv_plain", "conv_batchnorm", "mlp_plain")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context(analyses.Context):
    """The trained arms of one seed, `{arm: Training}`.

    Attributes:
      dataset: what they learned.
      evaluators: `{arm: Evaluator}`, with traces.
      exports: `{arm: path}` of the arm that was exported, if any.
      settings: how learners are tested.
      recall: as in `evaluation.Evaluator.accuracies`.
    """

    dataset: Dataset
    evaluators: Mapping[str, evaluation.Evaluator]
    exports: Mapping[str, str]
    settings: Evaluation
    recall: Callable | None = None


@dataclasses.dataclass(kw_only=True)
class Comparison(experiment.Experiment):
    """What is compared and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: outer runs of each arm, from the run's seed on.
      analyses: names of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `reporting.claims.compare`; quantities are arms, by their test accuracies, and `<analysis>/<quantity>`.
      callbacks: who listens to the training of each seed.
      warm_start: what every seed's treatments and learned hyperparameters begin from: the folder of another run, where an arm
        begins from the arm of its name in the newest checkpoint, or an export, where all arms begin alike; None: they are drawn
        anew.
      export_dtype: what an export stores weights and codes in, "float32" or "float16".
    """

    warm_start: str | None = None
    export_dtype: export.Dtype = "float32"

    SYSTEM: ClassVar[str] = "teaching"
    NAME: ClassVar[str] = "teaching.Comparison"
    LENGTH: ClassVar[tuple[str, ...]] = (
        *("OUTER_STEPS", "teaching.outer_steps.total", "teaching.Training.outer_steps"),
        "outer_steps",  # of a call from Python
    )
    UNITS: ClassVar[str] = "fresh learners of one outer run"
    TABLES: ClassVar[tuple[str, ...]] = ("accuracy",)
    NEEDED: ClassVar[tuple[str, ...]] = ("curve", "diverged")
    NUMBERS: ClassVar[tuple[str, ...]] = (*experiment.NUMBERS, "seconds", "diverged")

    def given(self, dataset: Dataset, settings: Evaluation, make: Callable[[int], Training]) -> "Comparison":
        """What is learned, how it is tested, and `seed -> Training`; returns itself."""
        self.settings = settings  # pyrefly: ignore[read-only]  # the class has a default of it
        self.dataset, self._make = dataset, make
        self._evaluators: dict[str, evaluation.Evaluator] = {}  # of the first seed, with their traces
        return self

    def arm(self, seed: int) -> Training:
        return self._make(seed)

    def check_start(self, base_dir: str, trainings: Mapping[str, Training]) -> None:
        if start := self._warm_start(base_dir):
            start.values(trainings)

    def train(self, run: runs.SeedRun) -> dict[str, float]:
        if run.among.chief and (start := self._warm_start(run.folder)):
            start.load(run.trainings)
            progress.say(f"begins from {start.path}")
        return super().train(run)

    def _warm_start(self, folder):
        """The run that the training in a folder begins from; None: there is none, or the folder has checkpoints already."""
        if self.warm_start is None or (folder and checkpoints.steps(os.path.expanduser(folder))):
            return None
        return warm_start.WarmStart(f"{self.NAME}.warm_start", self.warm_start)

    def expected(self, trainings: Mapping[str, Training]) -> dict[str, claims.Quantity]:
        return claims.stand_ins(dict.fromkeys(self.arms, self.settings.test_learners), self.seeds)

    def validate(self, run: runs.SeedRun, name: str, training: Training) -> dict[str, Any]:
        evaluator = self._evaluator(name, training)
        sample = self.settings.validation_learners, evaluation.VALIDATION_SEED
        accuracies = evaluator.accuracies(self.dataset.validation, *sample)
        mean, (low, high) = statistics.mean_and_interval(accuracies, statistics.SHARE)
        return {"validation_accuracy": mean, "validation_low": low, "validation_high": high}

    def best(self, trainings: Mapping[str, Training]) -> dict[str, Best]:
        return {name: Best("validation_accuracy", training.trainable_variables) for name, training in trainings.items()}

    def images(self, name: str, training: Training) -> dict[str, Any]:
        return figures.images(name, training)

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        test, sample = self.dataset.test, (self.settings.test_learners, evaluation.TEST_SEED + run.seed)
        curve_split = test.take(np.arange(min(len(test), self.settings.curve_images)))
        curves, accuracies = {}, {}
        for name, training in run.trainings.items():
            evaluator = self._evaluator(name, training)
            curves[name] = evaluator.accuracies(curve_split, *sample, after=evaluator.every_step)
            whole = len(curve_split) == len(test)
            accuracies[name] = curves[name][:, -1] if whole else evaluator.accuracies(test, *sample)
        self._exports: dict[str, str] = {}
        best = {}
        if exported := next((name for name, training in run.healthy.items() if export.exportable(training)), None):
            training, folder = run.trainings[exported], os.path.join(run.folder, "export")
            self._exports[exported] = export_gtn(
                training, folder, accuracies[exported], run.configuration, dtype=self.export_dtype
            )
            if exported in run.best and run.best[exported].step:
                best[exported] = self._best(run, exported, accuracies[exported], sample)
        figures.draw_arms(run.folder, run.trainings)
        diverged = [name for name in run.trainings if name not in run.healthy]
        stored = {name: getattr(training.treatment, "stored_floats", None) for name, training in run.trainings.items()}
        return {"accuracy": accuracies, "curve": curves, "diverged": diverged, "best": best, "stored_floats": stored}

    def _best(self, run, name, accuracies, sample):
        """Exports what validated best and tests it with the same learners; `accuracies` are those of the last step."""
        training, best = run.trainings[name], run.best[name]
        step, folder = int(best.step), os.path.join(run.folder, "export_best")
        if step == training.outer_steps:
            saved_models.copy(self._exports[name], folder, step, replace=True)
        else:
            with best.in_place():
                accuracies = self._evaluator(name, training).accuracies(self.dataset.test, *sample)
                export_gtn(training, folder, accuracies, run.configuration, step, self.export_dtype)
        return {"step": step, "validation_accuracy": float(best.value), "accuracy": accuracies}

    def context(self, run: runs.SeedRun) -> Context:
        evaluators = {name: self._evaluator(name, training) for name, training in run.healthy.items()}
        system = {"dataset": self.dataset, "evaluators": evaluators, "exports": self._exports, "settings": self.settings}
        return Context(trainings=run.healthy, seed=run.seed, folder=run.folder, **system)

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        return {
            name: claims.Quantity([None if name in o["diverged"] else o["accuracy"][name] for o in outcomes], statistics.SHARE)
            for name in self.arms
        }

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        metrics: dict[str, Any] = {name: _summary(q.values) for name, q in quantities.items()}
        for name in self.arms:
            if any(bests := [o.get("best", {}).get(name) for o in outcomes]):  # earlier versions kept none
                steps = [best and best["step"] for best in bests]
                metrics[name]["best"] = {**_summary([best and best["accuracy"] for best in bests]), "outer_steps": steps}
            if stored := outcomes[0].get("stored_floats", {}).get(name):
                metrics[name]["stored_floats"] = stored
        per_step = {name: statistics.median([o["seconds_per_step"][name] for o in outcomes]) for name in self.arms}
        steps = outcomes[0]["outer_steps"]
        metrics |= {"seconds_per_step": per_step, "outer_steps": steps}
        metrics["seconds"] = {name: None if s is None else s * steps[name] for name, s in per_step.items()}
        return metrics | {"diverged": {name: sum(name in o["diverged"] for o in outcomes) for name in self.arms}}

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        if healthy := [name for name in self.arms if not metrics["diverged"][name]]:
            figures.draw_comparison(base_dir, healthy, outcomes, metrics["seconds_per_step"])

    def _evaluator(self, name, training):
        if name not in self._evaluators:
            self._evaluators[name] = evaluation.Evaluator.of(training)
        return self._evaluators[name]


def _summary(accuracies):
    """The summary of a quantity of accuracies, its mean called `test_accuracy`."""
    summary = statistics.summary(accuracies, statistics.SHARE)
    return {"test_accuracy": summary.pop("mean"), **summary}


def export_gtn(
    trained: Training,
    directory: str,
    accuracies: Sequence[float] | np.ndarray,
    configuration: str,
    step: int | None = None,
    dtype: export.Dtype = "float32",
) -> str:
    """Exports into `directory` under the number of outer steps taken, `step` or, if None, all of them; returns the path."""
    step = trained.outer_steps if step is None else step
    mean, interval = statistics.mean_and_interval(accuracies, statistics.SHARE)
    accuracy = {"mean": mean, "ci95": interval, "learners": len(accuracies)}
    meta = export.metadata(trained, configuration, accuracy)
    meta["training"]["outer_steps"] = step
    return export.save(trained, directory, step, meta, dtype)
