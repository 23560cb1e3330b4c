"""Parts of a study that are learners, or Bayes' rule; `lstm_parts` has meta-learners."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.dynamics import bandits, bayes, bridge, instruments, learners, part, problems
from tf_gtn.runtime import files, loop


@dataclasses.dataclass(frozen=True)
class Learner:
    """Networks trained on a single task each (figures 1, 7, 8, A1a, A2).

    Attributes:
      problem: `@dynamics.Linear()` or `@dynamics.Fourier()`.
      network: `@dynamics.perceptron`, a function of inputs and outputs.
      optimizer: of `optimizers`.
      runs: networks, each with a task of its own.
      steps: of training.
      checks: looks at it, evenly spaced.
      batch_size: examples a step.
      values: `@dynamics.Linear()` of many singular values, on whose tasks as many networks are trained (figures 1, A1, A2).
      paper_steps: the paper's length; the share of runs whose last part is not there by then is `censored_in_paper_steps`.
    """

    problem: object
    optimizer: object
    network: object = learners.perceptron
    runs: int = 10
    steps: int = 4000
    checks: int = 200
    batch_size: int = 100
    values: object = None
    paper_steps: int | None = None

    def __post_init__(self):
        errors.all_at_least_one("dynamics.Learner", self)
        if not isinstance(self.problem, problems.Linear | problems.Fourier):
            raise errors.UserError(f"dynamics.Learner is for regression; got {self.problem!r}")
        part.check_values("dynamics.Learner", self.problem, self.values)

    def check(self):
        part.check_network("dynamics.Learner", self.network, part.sizes(self.problem), keras.Model)

    @property
    def numbers(self):
        return (*part.NUMBERS, "final_loss", *([] if self.paper_steps is None else ["censored_in_paper_steps"]))

    def measure(self, seed, folder):
        del folder
        tasks = [p.tasks(self.runs, tf.constant([seed, part.TASKS])) for p in (self.problem, self.values) if p is not None]
        model = self.network(*part.sizes(self.problem))
        made = learners.Learners(self.problem, tf.concat(tasks, 0), model, self.optimizer, self.batch_size, seed)
        curves = made.curves(self.steps, self.checks)
        steps, q, loss = curves["steps"], curves["q"][:, : self.runs], curves["loss"][:, : self.runs].mean(1)
        numbers = {"final_loss": float(loss[-1])}
        if self.paper_steps is not None:
            reached = instruments.steps_to(q[..., -1], steps)
            numbers["censored_in_paper_steps"] = float((reached > self.paper_steps).mean())
        found = {**part.summary(steps, q, part.labels(self.problem), **numbers), "loss": loss}
        if self.values is not None:
            found["values"] = part.by_value(steps, curves["q"][:, self.runs :], tasks[1])
        return found


@dataclasses.dataclass(frozen=True)
class Bayes(part.NothingToCheck):
    """The Bayes-optimal observer with the right prior (figures 6, 11).

    Attributes:
      problem: `@dynamics.Linear()` with a spectrum, or `@dynamics.Fourier()`.
      length: observations.
      episodes: over which q is averaged.
      bins: of the table of phases, an axis (section 4.2.5: 16).
      noise: standard deviation that the observer of functions counts with; the table's grid leaves more than the data's.
    """

    problem: object
    length: int = 20
    episodes: int = 100
    bins: int = 16
    noise: float = 0.2

    def __post_init__(self):
        errors.all_at_least_one("dynamics.Bayes", self)
        if isinstance(self.problem, problems.Linear):
            errors.check_effect("dynamics.Bayes", self, ("bins", "noise"), "on a dynamics.Linear")

    numbers = part.NUMBERS

    def measure(self, seed, folder):
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
            found = instruments.fourier_projection(
                tf.constant(np.stack(means, 1), tf.float32), target, len(self.problem.amplitudes)
            )
            q = found.numpy()
        q = q.mean(1, keepdims=True)  # the mean curve is what the paper looks at
        return part.summary(np.arange(self.length + 1), q, part.labels(self.problem), True)


@dataclasses.dataclass(frozen=True)
class BanditLearner(part.NothingToCheck):
    """REINFORCE on a contextual bandit, coupled or separate contexts, for each of several settings (figure 12).

    Attributes:
      problem: `@dynamics.Bandit()`.
      optimizer: of `optimizers`.
      coupled: whether contexts share a bias.
      deviations: of the initial weights, one setting each.
      batch_sizes: examples an update, one setting each; 0: the expected gradient, without noise.
      runs: of each setting ("50 training runs").
      steps: at most.
      checks: looks, evenly spaced on a logarithmic axis.
    """

    problem: object
    optimizer: object
    coupled: bool = True
    deviations: tuple = (1 / 5**0.5,)
    batch_sizes: tuple = (200,)
    runs: int = 50
    steps: int = 100_000
    checks: int = 120

    def __post_init__(self):
        errors.all_at_least_one("dynamics.BanditLearner", self)

    @property
    def numbers(self):
        settings = [f"ratio_{deviation:g}_{batch}" for deviation in self.deviations for batch in self.batch_sizes]
        return (*part.NUMBERS, *settings, "largest_ratio")

    def measure(self, seed, folder):
        del folder
        at = np.unique(np.concatenate([[0], np.geomspace(1, self.steps, self.checks).round()]).astype(int))
        table, first = [], None
        for deviation in self.deviations:
            for batch in self.batch_sizes:
                made = bandits.Learners(self.problem, self.runs, self.optimizer, seed, self.coupled, deviation, batch or None)
                found = part.summary(at, instruments.ranked(made.curves(at), at), part.labels(self.problem))
                first = first or found
                table.append({"deviation": deviation, "batch_size": batch, **found["numbers"]})
                first["numbers"][f"ratio_{deviation:g}_{batch}"] = found["numbers"]["ratio"]
        finite = [row["ratio"] for row in table if np.isfinite(row["ratio"])]
        first["numbers"]["largest_ratio"] = max(finite) if finite else float("inf")
        return {**first, "table": table}


@dataclasses.dataclass(frozen=True)
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

    problem: object
    taught: bool = True
    tasks: int = 3
    outer_steps: int = 1000
    inner_steps: int = 20
    batch_size: int = 20
    learners: int = 5

    def __post_init__(self):
        errors.all_at_least_one("dynamics.Taught", self)

    numbers = (*part.NUMBERS, "final_loss")

    def measure(self, seed, folder):
        files.folder(folder)
        tasks = self.problem.tasks(self.tasks, tf.constant([seed, part.TASKS]))
        trainings = {
            f"task_{n}": bridge.LinearGTN(
                self.problem, tasks[n], seed + n, self.outer_steps, self.taught, self.inner_steps, self.batch_size
            )
            for n in range(self.tasks)
        }
        loop.train(trainings, folder, log_every=10, checkpoint_every=200)
        found = [trained.curves(self.learners, seed) for trained in trainings.values()]
        q, loss = (np.concatenate([part[i] for part in found], 1) for i in range(2))
        return part.summary(
            np.arange(len(q)), q, part.labels(self.problem), True, self.learners, final_loss=float(loss[-1].mean())
        )
