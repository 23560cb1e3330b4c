"""Parts of a study that are learners, or Bayes' rule; `lstm_parts` has meta-learners."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import optimizers
from tf_gtn.dynamics import bandits, bayes, bridge, instruments, learners, part, problems
from tf_gtn.runtime import files, loop


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Learner")
class Learner:
    """Networks trained on a single task each (figures 1, 7, 8, A1a, A2).

    Attributes:
      problem: `@dynamics.Linear()` or `@dynamics.Fourier()`.
      network: `@dynamics.perceptron`, a function of inputs and outputs.
      optimizer: of `optimizers`.
      runs: networks, each with a task of its own.
      steps: of training.
      checks: looks at it, evenly spaced.
      batch_size: examples per step.
      values: `@dynamics.Linear()` of many singular values, on whose tasks as many networks are trained (figures 1, A1, A2).
      paper_steps: the paper's length; the share of runs whose last part is not there by then is `censored_in_paper_steps`.
    """

    problem: Any
    optimizer: optimizers.Optimizer
    network: Callable[..., Any] = learners.perceptron
    runs: arguments.Count = 10
    steps: arguments.Count = 4000
    checks: arguments.Count = 200
    batch_size: arguments.Count = 100
    values: Any = None
    paper_steps: arguments.Count | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.problem, problems.Linear | problems.Fourier):
            raise errors.UserError(f"dynamics.Learner is for regression; got {self.problem!r}")
        part.check_values("dynamics.Learner", self.problem, self.values)

    def check(self) -> None:
        part.check_network("dynamics.Learner", self.network, part.sizes(self.problem), keras.Model)

    @property
    def numbers(self) -> tuple[str, ...]:
        return (*part.NUMBERS, "final_loss", *([] if self.paper_steps is None else ["censored_in_paper_steps"]))

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        del folder
        tasks = [p.tasks(self.runs, tf.constant([seed, part.TASKS])) for p in (self.problem, self.values) if p is not None]
        model = self.network(*part.sizes(self.problem))
        networks = learners.Learners(self.problem, tf.concat(tasks, 0), model, self.optimizer, self.batch_size, seed)
        curves = networks.curves(self.steps, self.checks)
        steps, q, loss = curves["steps"], curves["q"][:, : self.runs], curves["loss"][:, : self.runs].mean(1)
        numbers = {"final_loss": float(loss[-1])}
        if self.paper_steps is not None:
            reached = instruments.steps_to(q[..., -1], steps)
            numbers["censored_in_paper_steps"] = float((reached > self.paper_steps).mean())
        results = {**part.summary(steps, q, part.labels(self.problem), **numbers), "loss": loss}
        if self.values is not None:
            results["values"] = part.by_value(steps, curves["q"][:, self.runs :], tasks[1])
        return results


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Bayes")
class Bayes(part.NothingToCheck):
    """The Bayes-optimal observer with the right prior (figures 6, 11).

    Attributes:
      problem: `@dynamics.Linear()` with a spectrum, or `@dynamics.Fourier()`.
      length: observations.
      episodes: over which q is averaged.
      bins: of the table of phases, per axis (section 4.2.5: 16).
      noise: standard deviation that the observer of functions counts with; the table's grid leaves more than the data's.
    """

    problem: Any
    length: arguments.Count = 20
    episodes: arguments.Count = 100
    bins: arguments.Count = 16
    noise: arguments.Positive = 0.2

    numbers: ClassVar[tuple[str, ...]] = part.NUMBERS

    def __post_init__(self) -> None:
        if isinstance(self.problem, problems.Linear):
            arguments.no_effect("dynamics.Bayes", self, ("bins", "noise"), "on a dynamics.Linear")

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        del folder
        tasks = self.problem.tasks(self.episodes, tf.constant([seed, part.TASKS]))
        x, y = self.problem.batch(tasks, self.length, tf.constant([seed, part.PROBES]))
        if isinstance(self.problem, problems.Linear):
            means = bayes.linear_posterior_means(x, y, self.problem.noise, self.problem.scale)
            modes = instruments.modes_of(tf.cast(tasks, tf.float64))
            q = (instruments.effective_spectrum(means, modes) / modes[1]).numpy()
        else:
            table, points = bayes.Phases(self.problem, self.bins), instruments.probes()
            means = [table.posterior_means(x[i, :, 0].numpy(), y[i, :, 0].numpy(), points, self.noise) for i in range(len(x))]
            target = self.problem.values(tasks, tf.constant(points))
            estimate = tf.constant(np.stack(means, 1), tf.float32)
            q = instruments.fourier_projection(estimate, target, len(self.problem.amplitudes)).numpy()
        q = q.mean(1, keepdims=True)  # the mean curve is what the paper looks at
        return part.summary(np.arange(self.length + 1), q, part.labels(self.problem), True)


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.BanditLearner")
class BanditLearner(part.NothingToCheck):
    """REINFORCE on a contextual bandit, coupled or separate contexts, for each of several settings (figure 12).

    Attributes:
      problem: `@dynamics.Bandit()`.
      optimizer: of `optimizers`.
      coupled: whether contexts share a bias.
      deviations: of the initial weights, one setting each.
      batch_sizes: examples per update, one setting each; 0: the expected gradient, without noise.
      runs: of each setting ("50 training runs").
      steps: at most.
      checks: looks, evenly spaced on a logarithmic axis.
    """

    problem: Any
    optimizer: optimizers.Optimizer
    coupled: bool = True
    deviations: tuple[arguments.NotNegative, ...] = (1 / 5**0.5,)
    batch_sizes: tuple[arguments.Whole, ...] = (200,)
    runs: arguments.Count = 50
    steps: arguments.Count = 100_000
    checks: arguments.Count = 120

    @property
    def numbers(self) -> tuple[str, ...]:
        settings = [f"ratio_{deviation:g}_{batch}" for deviation in self.deviations for batch in self.batch_sizes]
        return (*part.NUMBERS, *settings, "largest_ratio")

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        del folder
        at = np.unique(np.concatenate([[0], np.geomspace(1, self.steps, self.checks).round()]).astype(int))
        table: list[dict[str, Any]] = []
        first: dict[str, Any] = {}
        for deviation in self.deviations:
            for batch in self.batch_sizes:
                policies = bandits.Learners(
                    self.problem, self.runs, self.optimizer, seed, self.coupled, deviation, batch or None
                )
                results = part.summary(at, instruments.ranked(policies.curves([*at]), at), part.labels(self.problem))
                first = first or results
                table.append({"deviation": deviation, "batch_size": batch, **results["numbers"]})
                first["numbers"][f"ratio_{deviation:g}_{batch}"] = results["numbers"]["ratio"]
        finite = [row["ratio"] for row in table if np.isfinite(row["ratio"])]
        first["numbers"]["largest_ratio"] = max(finite) if finite else float("inf")
        return {**first, "table": table}


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Taught")
class Taught(part.NothingToCheck):
    """A linear learner taught by a GTN, or by real batches with a learned schedule (no paper has it): q within the lesson.

    Attributes:
      problem: `@dynamics.Linear()` with a spectrum.
      taught: by a GTN; else on real batches.
      tasks: GTNs, each of a task of its own.
      outer_steps: of each.
      inner_steps, batch_size: of a lesson.
      learners: fresh ones, looked at in the end.
    """

    problem: Any
    taught: bool = True
    tasks: arguments.Count = 3
    outer_steps: arguments.Count = 1000
    inner_steps: arguments.Count = 20
    batch_size: arguments.Count = 20
    learners: arguments.Count = 5

    numbers: ClassVar[tuple[str, ...]] = (*part.NUMBERS, "final_loss")

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        files.folder(folder)
        tasks = self.problem.tasks(self.tasks, tf.constant([seed, part.TASKS]))
        trainings = {
            f"task_{n}": bridge.LinearGTN(
                self.problem, tasks[n], seed + n, self.outer_steps, self.taught, self.inner_steps, self.batch_size
            )
            for n in range(self.tasks)
        }
        loop.train(trainings, folder, log_every=10, checkpoint_every=200)
        curves = [trained.curves(self.learners, seed) for trained in trainings.values()]
        q, loss = (np.concatenate([of_task[i] for of_task in curves], 1) for i in range(2))
        return part.summary(
            np.arange(len(q)), q, part.labels(self.problem), True, self.learners, final_loss=float(loss[-1].mean())
        )
