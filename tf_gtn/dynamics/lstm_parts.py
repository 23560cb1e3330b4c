"""Parts of a study that are LSTM meta-learners, and inner curves at stages of their outer training."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import optimizers
from tf_gtn.dynamics import bandits, instruments, meta_learners, part, problems
from tf_gtn.runtime import files, loop
from tf_gtn.runtime import metrics as metrics_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class _MetaTrained:
    """The settings and the training that all meta-learners share.

    Attributes:
      problem: what they are looked at on.
      optimizer: the outer one, of `optimizers`.
      network: `@dynamics.LSTM`, a function of inputs and outputs.
      instances: independently trained ones.
      updates: of the outer optimiser.
      batch_size: episodes per update.
      final_rate: where the learning rate ends by a cosine, as a fraction of where it begins.
      length: T.
      episodes: looked at; q is their mean.
      stages: how often they are looked at, evenly spaced.
    """

    problem: Any
    optimizer: optimizers.Optimizer
    network: Callable[..., Any] = meta_learners.LSTM
    instances: arguments.Count = 3
    updates: arguments.Count = 5000
    batch_size: arguments.Count = 200
    final_rate: arguments.Share = 1.0
    length: arguments.Count = 20
    episodes: arguments.Count = 1000
    stages: arguments.Count = 5

    def check(self) -> None:
        part.check_network(f"dynamics.{type(self).__name__}", self.network, (1, 1), meta_learners.LSTM)

    @property
    def numbers(self) -> tuple[str, ...]:
        return (*part.NUMBERS, "episodes", "final_loss")

    def _trained(self, episodes, look, folder):
        """Trains an instance for each of `episodes`, side by side as a run, named by its seed.

        `look(training, its place)` gives q `[T, K]`. Returns curves `[instances, stages, T, K]`, losses, updates, trainings.
        """
        seeds, episodes = zip(*episodes, strict=True)
        iterations = max(1, self.updates // self.stages // 10)
        outer_steps = -(-self.updates // iterations)
        every = max(1, outer_steps // self.stages)
        sizes = outer_steps, iterations, self.batch_size, self.final_rate
        trainings = {
            f"instance_{seed}": meta_learners.MetaTraining(of_seed, self.optimizer, seed, *sizes)
            for seed, of_seed in zip(seeds, episodes, strict=True)
        }
        places = {name: place for place, name in enumerate(trainings)}
        files.folder(folder)

        def path(name, outer_step):
            return os.path.join(folder, f"{name}-{outer_step:05d}.npy")

        def validate(name, trained):
            q = look(trained, places[name])
            files.write_array(path(name, int(trained.taken.numpy())), q.astype(np.float32))
            return {"q_first": float(q[-1, 0]), "q_last": float(q[-1, -1])}

        loop.train(trainings, folder, validate, log_every=every, checkpoint_every=every, validate_every=every)
        stuck = [name for name, trained in trainings.items() if loop.stuck(trained)]
        if stuck:
            raise loop.Diverged(f"{', '.join(stuck)} of {folder} diverged: a lower learning rate of the optimizer may help")
        steps = sorted({*range(every, outer_steps + 1, every), outer_steps})
        remedy = f"put it back, or remove the folder {folder} to make this part again"
        curves = np.stack([[files.read_array(path(name, k), remedy) for k in steps] for name in trainings])
        last = metrics_lib.read(folder)[-1]
        losses = [np.nan if last[f"{name}/loss"] is None else last[f"{name}/loss"] for name in trainings]
        return curves, losses, np.array(steps) * iterations, list(trainings.values())

    def _results(self, curves, losses, at):
        """The results of a part, with inner curves at stages of outer training (figures 14 to 16)."""
        steps, mean = np.arange(self.length), curves.mean(0)
        numbers = {"episodes": self.updates * self.batch_size, "final_loss": float(np.mean(losses))}
        results = part.summary(steps, np.moveaxis(curves[:, -1], 0, 1), part.labels(self.problem), True, **numbers)
        to = [instruments.steps_to(q, steps, 0.8, interpolate=True) for q in mean]
        return {**results, "stages": {"episodes": np.asarray(at) * self.batch_size, "q": mean, "to": to}}


def _size(problem):
    return problem.size if isinstance(problem, problems.Linear) else len(problem.amplitudes)


@dataclasses.dataclass(frozen=True, kw_only=True)
@arguments.checked("dynamics.MetaLearner")
class MetaLearner(_MetaTrained):
    """LSTM meta-learners for regression (figures 3, 5, 9, 14, 15, A1, A3 to A7).

    Attributes:
      trained_on: what they are trained on; None: `problem` without its spectrum.
      fixed_task: always one task: a Learner with an LSTM's parameters (figures A4, A6), looked at after its last step.
      values: `@dynamics.Linear()` of many singular values, on which they are looked at as well (figures 2, 3, 5, A1, A3).
      problem, optimizer, network, instances, updates, batch_size, final_rate, length, episodes, stages: as of all.
    """

    trained_on: Any = None
    fixed_task: bool = False
    values: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.problem, problems.Linear | problems.Fourier):
            raise errors.UserError(f"dynamics.MetaLearner is for regression; got {self.problem!r}")
        alike = type(self.trained_on) is type(self.problem)
        if self.trained_on is not None and not (alike and _size(self.trained_on) == _size(self.problem)):
            raise errors.UserError(
                f"dynamics.MetaLearner.trained_on is of its problem's kind and size; got {self.trained_on!r}"
            )
        if self.fixed_task:
            arguments.no_effect("dynamics.MetaLearner", self, ("trained_on", "values"), "with a fixed task")
        part.check_values("dynamics.MetaLearner", self.problem, self.values)

    @property
    def numbers(self) -> tuple[str, ...]:
        return (*part.NUMBERS, "episodes", *([] if self.fixed_task else ["final_loss"]))

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        return self._of_one_task(seed, folder) if self.fixed_task else self._of_many(seed, folder)

    def _of_many(self, seed, folder):
        trained_on = self.trained_on
        if trained_on is None:
            linear = isinstance(self.problem, problems.Linear)
            trained_on = dataclasses.replace(self.problem, spectrum=()) if linear else self.problem
        episodes = [(seed + n, meta_learners.Regression(trained_on, self.length, self.network)) for n in range(self.instances)]
        looked_at = meta_learners.Regression(self.problem, self.length, self.network)  # the same LSTM in another world
        tasks = self.problem.tasks(self.episodes, tf.constant([seed, part.TASKS]))

        def look(trained, place):
            del place
            return looked_at.many_curves(trained.params, tasks, seed).mean(1)

        curves, losses, at, trained = self._trained(episodes, look, folder)
        results: dict[str, Any] = self._results(curves, losses, at)
        results["loss"] = np.mean([looked_at.losses(each.params, tasks, tf.constant([seed, 0])) for each in trained], 0)
        if self.values is not None:
            looked_at = meta_learners.Regression(self.values, self.length, self.network)
            tasks = self.values.tasks(self.episodes, tf.constant([seed, part.TASKS]))
            q = np.mean([looked_at.many_curves(each.params, tasks, seed) for each in trained], 0)
            prior = part.prior(trained_on, seed)
            results["values"] = part.by_value(results["steps"], q, tasks, True, prior["percentile"]) | {"prior": prior}
        return results

    def _of_one_task(self, seed, folder):
        """Curves over training, of the network after its last step."""
        seeds = [seed + n for n in range(self.instances)]
        tasks = [self.problem.tasks(1, tf.constant([seed_of_task, part.TASKS])) for seed_of_task in seeds]
        regressions = [meta_learners.Regression(self.problem, self.length, self.network, task) for task in tasks]

        def look(trained, place):
            many = tf.repeat(tasks[place], 100, 0)
            q = regressions[place].curves(trained.params, many, tf.constant([seed, part.PROBES]), last=True)
            return q.numpy().mean(1)

        curves, _, at, _ = self._trained(zip(seeds, regressions, strict=True), look, folder)
        episodes = self.updates * self.batch_size
        return part.summary(at, np.moveaxis(curves[:, :, 0], 0, 1), part.labels(self.problem), episodes=episodes)


@dataclasses.dataclass(frozen=True, kw_only=True)
@arguments.checked("dynamics.BanditMetaLearner")
class BanditMetaLearner(_MetaTrained):
    """LSTM meta-learners of bandits by REINFORCE, one for all contexts or one per context (figures 13, 16).

    Attributes:
      coupled: one for all contexts; else meta-learners of a single context, put together.
      entropy_cost, discount, expected_rewards: of REINFORCE, see `bandits.Episodes`.
      problem, optimizer, network, instances, updates, batch_size, final_rate, length, episodes, stages: as of all.
    """

    length: arguments.Count = 100
    episodes: arguments.Count = 2000
    coupled: bool = True
    entropy_cost: arguments.NotNegative = 0.0
    discount: arguments.Share = 1.0
    expected_rewards: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.problem, problems.Bandit):
            raise errors.UserError(f"dynamics.BanditMetaLearner is for bandits; got {self.problem!r}")

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        contexts = self.problem.contexts
        problem = self.problem if self.coupled else dataclasses.replace(self.problem, contexts=1)
        options = self.length, self.network, self.entropy_cost, self.discount, self.expected_rewards
        episodes = [(seed + n, bandits.Episodes(problem, *options)) for n in range(self.instances)]

        def look(trained, place):
            curves, chunk = tf.function(episodes[place][1].curves, autograph=False), 200
            count = self.episodes if self.coupled else self.episodes * contexts
            correct = problem.independent(count, tf.constant([seed, part.TASKS]))
            q = [curves(trained.params, correct[k : k + chunk], tf.constant([seed, k])).numpy() for k in range(0, count, chunk)]
            q = np.concatenate(q, 1)
            return instruments.ranked(q if self.coupled else bandits.separate(q, contexts, seed)).mean(1)

        curves, losses, at, _ = self._trained(episodes, look, folder)
        return self._results(curves, losses, at)
