"""An experiment of agents: several arms trained from the same seeds, tested in the real environment.

Beside what every experiment leaves in a seed's folder (`experiment.experiment`):

    outcome.json    {"return": {arm: [returns]}, "environment_steps": {arm: n}, "architectures": {name: [returns]},
                     "steps": {number: [returns]}, "steps_to_solve": {arm: n}}, null where the arm diverged
    export/<version>/    the first GTN, as a SavedModel
    policies/<arm>/      each agent's greedy policy, as tf-agents' PolicySaver writes it
"""

import contextlib
import dataclasses
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.experiment import experiment, runs
from tf_gtn.models import perceptrons
from tf_gtn.reporting import claims, statistics
from tf_gtn.rl import figures, policy_gtn, training
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.teaching import export

_TEST, _VALIDATION = 2_000_003, 1_000_001  # seeds that no training draws from


@dataclasses.dataclass(frozen=True)
@arguments.checked("rl.Evaluation")
class Evaluation:
    """How arms are tested: by how many policies or episodes, and in which way.

    Attributes:
      validation: fresh policies of a GTN, or episodes of an agent, at every validation.
      test: the same at the end.
      solved: the return that counts as solved, for `steps_to_solve`; None: there is no such quantity.
      greedy: whether agents take the likeliest action, else sampled ones. GTNs' policies are greedy.
      architectures: `{name: settings of models.perceptron}`, policies that the GTN was not trained with.
      steps: numbers of inner steps to try.
    """

    validation: arguments.Count = 20
    test: arguments.Count = 100
    solved: float | None = None
    greedy: bool = True
    architectures: dict[str, dict] = dataclasses.field(default_factory=dict)
    steps: tuple[arguments.Whole, ...] = ()


@dataclasses.dataclass(kw_only=True)
@arguments.checked("rl.Experiment")
class Agents(experiment.Experiment):
    """What is trained and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: runs of each arm, from the run's seed on.
      analyses: of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `reporting.claims.compare`; quantities are arms, `architectures/<name>`, `steps/<number>` and
        `steps_to_solve/<arm>`: environment steps from which on all validations are at least `rl.Evaluation.solved`
        (null if there are none).
    """

    arms: tuple[str, ...] = ("gtn",)

    SYSTEM: ClassVar[str] = "rl"
    NAME: ClassVar[str] = "rl.Experiment"
    UNITS: ClassVar[str] = "policies or episodes of one outer run"
    EACH: ClassVar[str] = "episodes"
    TABLES: ClassVar[tuple[str, ...]] = ("return", "architectures", "steps", "steps_to_solve")
    NUMBERS: ClassVar[tuple[str, ...]] = (*experiment.NUMBERS, "seconds", "environment_steps")

    def given(
        self,
        settings: Evaluation,
        make: Callable[[int], Any],
        score_bounds: Callable[[Sequence[str]], tuple[float, float]],
    ) -> "Agents":
        """How arms are tested, `seed -> training`, and `arms -> (low, high)` of their scores at most; returns itself."""
        self.settings = settings  # pyrefly: ignore[read-only]  # the class has a default of it
        self._make, self._score_bounds = make, score_bounds
        return self

    def arm(self, seed: int) -> Any:
        return self._make(seed)

    def check(self, trainings: Mapping[str, Any]) -> None:
        settings, self._score_range = self.settings, self._score_bounds(self.arms)
        gtn = next((t for t in trainings.values() if isinstance(t, policy_gtn.PolicyGTN)), None)
        if not any(isinstance(trained, training.Agent) for trained in trainings.values()):
            arguments.no_effect("rl.Evaluation", settings, ("greedy",), "where no arm is an agent: GTNs' policies are greedy")
        if gtn is None:
            if settings.architectures or settings.steps:
                raise errors.UserError("rl.Evaluation.architectures and steps are for a GTN; none of the arms is one")
            return
        for name, layers in settings.architectures.items():
            try:
                perceptrons.perceptron(gtn.arena.observation_shape[0], gtn.arena.actions, **layers)
            except (TypeError, ValueError) as error:
                reason = str(error).splitlines()[0][:150]
                raise errors.UserError(f"rl.Evaluation.architectures: {name!r} is no perceptron: {reason}") from None

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims.Quantity]:
        settings = self.settings
        tested = [
            *self.arms,
            *(f"architectures/{name}" for name in settings.architectures),
            *(f"steps/{number}" for number in settings.steps),
        ]
        solving = self.arms if settings.solved is not None else ()
        sizes = dict.fromkeys(tested, settings.test) | {f"steps_to_solve/{name}": 0 for name in solving}
        return claims.stand_ins(sizes, self.seeds)

    def validate(self, run: runs.SeedRun, name: str, training: Any) -> dict[str, Any]:
        return {"validation_return": float(self._returns(training, self.settings.validation, _VALIDATION + run.seed).mean())}

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        settings, healthy = self.settings, run.healthy
        tested = {
            name: self._returns(trained, settings.test, _TEST + run.seed) if name in healthy else None
            for name, trained in run.trainings.items()
        }
        outcome = {
            "return": tested,
            "environment_steps": {name: int(t.environment_steps.numpy()) for name, t in run.trainings.items()},
            "architectures": dict.fromkeys(settings.architectures),
            "steps": dict.fromkeys(map(str, settings.steps)),
            "steps_to_solve": {},
        }
        if settings.solved is not None:
            rows = metrics_lib.read(run.folder)
            for name in run.trainings:
                outcome["steps_to_solve"][name] = _steps_to_solve(rows, name, settings.solved) if name in healthy else None
        name = next((name for name, t in run.trainings.items() if isinstance(t, policy_gtn.PolicyGTN)), None)
        if name in healthy:
            outcome |= self._of_gtn(run, healthy[name], tested[name])
        for name, trained in healthy.items():
            if isinstance(trained, training.Agent):
                with _quietly():
                    trained.save_policy(os.path.join(run.folder, "policies", name))
                    figures.strip(run.folder, name, trained.frames(_TEST + run.seed))
        return outcome

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        named = super().quantities(outcomes)
        return {name.removeprefix("return/"): quantity for name, quantity in named.items()}

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.NOT_NEGATIVE if quantity.startswith("steps_to_solve/") else self._score_range

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        tables = {
            f"{table}/{name}": [o[table][name] for o in outcomes]
            for table in ("architectures", "steps")
            for name in outcomes[0][table]
        }
        figures.draw(base_dir, self.arms, experiment.rows(base_dir, outcomes), tables, self._score_range)

    def in_words(self, metrics: Mapping[str, Any]) -> list[str]:
        """One line per arm."""
        by_arm = {name: metrics[name] for name in self.arms}
        diverged = {name: int(np.isnan(np.array(result["values"], float)).sum()) for name, result in by_arm.items()}
        return [
            f"{name}: "
            + (f"diverged in {diverged[name]} of" if diverged[name] else f"mean return {result['mean']:.1f} over")
            + f" {len(result['values'])} {result['over']}"
            for name, result in by_arm.items()
        ]

    def _returns(self, trained, count, seed):
        options = {} if self.settings.greedy or not isinstance(trained, training.Agent) else {"greedy": False}
        return trained.returns(count, 1, seed, **options)[:, 0]

    def _of_gtn(self, run, gtn, tested):
        """Exports a GTN, and tries it with other policies and numbers of steps."""
        settings, seed = self.settings, _TEST + run.seed
        mean, interval = statistics.mean_and_interval(tested, self._score_range)
        score = {"mean": mean, "ci95": interval, "learners": settings.test}
        meta = export.metadata(gtn, run.configuration, score=score)
        export.save(gtn, os.path.join(run.folder, "export"), gtn.outer_steps, meta)
        (length,), actions = gtn.arena.observation_shape, gtn.arena.actions
        policies = {name: perceptrons.perceptron(length, actions, **layers) for name, layers in settings.architectures.items()}
        return {
            "architectures": {name: gtn.returns(settings.test, 1, seed, policy)[:, 0] for name, policy in policies.items()},
            "steps": {str(steps): gtn.returns(settings.test, 1, seed, steps=steps)[:, 0] for steps in settings.steps},
        }


def _steps_to_solve(rows, name, solved):
    """Environment steps from which on every validation was at least `solved`; None if the last one was not."""
    steps, values = figures.columns(rows, name, "validation_return")
    below = np.flatnonzero(values < solved)
    first = below[-1] + 1 if len(below) else 0
    return float(steps[first]) if first < len(steps) else None


@contextlib.contextmanager
def _quietly():
    """Without TensorFlow's remarks on tf-agents' names and types, which a user can do nothing about."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
