"""What a study is made of. A part looks at one kind of learner on one kind of problem and gives

    {"steps": [T], "labels": [K], "q": [T][K], "low": [T][K], "high": [T][K],    mean and interval over runs
     "to": {threshold: [K]},                                              median steps to reach it, null where never
     "numbers": {name: number or null}}                                   those that its attribute `numbers` names

beside what its own figures need: `loss` [T]; `values`, the curves by singular value, {"s": [G], "q": [T][G], "to": {threshold:
[G]}, "beyond": [G], "prior": ...}; `stages`; `table`. Each is made by gin in a scope of its own.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.dynamics import bandits, bayes, bridge, instruments, learners, problems
from tf_gtn.reporting import statistics
from tf_gtn.runtime import files, loop

THRESHOLDS = (0.5, 0.8, 0.95)
NUMBERS = ("ratio", "censored", "ratio_low", "ratio_high", "ratio_to_half", "ratio_to_own_end")  # of every part
TASKS, PROBES = 11, 12  # second numbers of seeds
_LEARNED = 0.25  # where a part must end for its way there to mean anything


@runtime_checkable
class Part(Protocol):
    """What a study looks at.

    Attributes:
      numbers: names of the numbers that it gives.
    """

    @property
    def numbers(self) -> Sequence[str]: ...

    def check(self) -> None:
        """Raises `UserError` for what would go wrong; before anything is trained."""

    def measure(self, seed: int, folder: str) -> dict[str, Any]:
        """What it gives (see above); `folder` is its own, for checkpoints and curves."""


class NothingToCheck:
    """A part that is checked when it is made."""

    def check(self) -> None:
        """See `Part`."""


def summary(steps, q, labels, interpolate=False, each=1, **numbers):
    """What every part gives, from curves `[T, runs, K]`; intervals are over groups of `each` runs that belong together."""
    steps = np.asarray(steps)
    groups = q.reshape(len(q), -1, each, q.shape[-1]).mean(2)
    low, high = statistics.interval(np.moveaxis(groups, 1, 0)) if groups.shape[1] > 1 else (groups[:, 0], groups[:, 0])
    found = {"steps": np.asarray(steps), "labels": list(labels), "q": q.mean(1), "low": low, "high": high}
    found["to"] = {c: np.median(instruments.steps_to(q, steps, c, interpolate), 0) for c in THRESHOLDS}
    share = np.where(q[-1] >= _LEARNED, q / np.maximum(q[-1], _LEARNED), 0.0)  # figure A5
    own = instruments.steps_to(share, steps, 0.8, interpolate)
    half, most = (instruments.steps_to(q, steps, c, interpolate) for c in (0.5, 0.8))
    interval = instruments.ratio_interval(most[:, -1], most[:, 0], each)
    ratios = {
        **instruments.ratio(most[:, -1], most[:, 0]),
        **dict(zip(("ratio_low", "ratio_high"), interval)),
        "ratio_to_half": instruments.ratio(half[:, -1], half[:, 0])["ratio"],
        "ratio_to_own_end": instruments.ratio(own[:, -1], own[:, 0])["ratio"],
    }
    return {**found, "numbers": {**ratios, **numbers}}


def by_value(steps, q, tasks, interpolate=False, end=np.inf):
    """Curves `q` `[T, n, K]` of linear tasks by singular value (figures 1, 3, 5), in ten groups.

    `end` of the prior parts them: five groups of matrices all within, and five of the modes `beyond`.
    """
    s = instruments.modes_of(tasks)[1].numpy()
    within = np.broadcast_to(s.max(1, keepdims=True) <= end, s.shape)
    chosen = [mask for mask in (within, s > end) if mask.any()]
    made = [instruments.by_value(q[:, mask], s[mask], 10 // len(chosen)) for mask in chosen]
    values, curves = np.concatenate([v for v, _ in made]), np.concatenate([c for _, c in made], 1)
    to = {c: instruments.steps_to(curves, steps, c, interpolate) for c in THRESHOLDS}
    return {"s": values, "q": curves, "to": to, "beyond": values > end}


def prior(problem, seed):
    """A sample of singular values `[1000, K]`, from the largest on, and the 95th percentile of all (figure 2)."""
    values = instruments.modes_of(problem.tasks(20_000, tf.constant([seed, TASKS])))[1].numpy()
    return {"sample": values[:1000], "percentile": np.percentile(values, 95)}


def check_values(name, problem, values):
    """Whether a part of `problem` can be looked at on `values` as well."""
    if values is None:
        return
    linear = all(isinstance(each, problems.Linear) for each in (problem, values))
    if not linear or (values.size, values.noise) != (problem.size, problem.noise):
        raise errors.UserError(f"{name}.values is a dynamics.Linear of its problem's size and noise; got {values!r}")


def check_network(name, network, sizes, kind):
    """Whether a function of inputs and outputs makes what it should."""
    made = network(*sizes)
    if not isinstance(made, kind):
        raise errors.UserError(f"{name}.network makes a {kind.__name__} of inputs and outputs; got {type(made).__name__}")


def _sizes(problem):
    return (problem.size, problem.size) if isinstance(problem, problems.Linear) else (1, 1)


def labels(problem):
    """Names of the parts of a task: singular values where they are given, frequencies, or places in the order of learning."""
    if isinstance(problem, problems.Linear):
        return [f"s = {s:g}" for s in problem.spectrum] or [f"mode {k + 1}" for k in range(problem.size)]
    if isinstance(problem, problems.Fourier):
        return [f"frequency {k + 1}" for k in range(len(problem.amplitudes))]
    return [f"context {k + 1}" for k in range(problem.contexts)]


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
        check_values("dynamics.Learner", self.problem, self.values)

    def check(self):
        check_network("dynamics.Learner", self.network, _sizes(self.problem), keras.Model)

    @property
    def numbers(self):
        return (*NUMBERS, "final_loss", *([] if self.paper_steps is None else ["censored_in_paper_steps"]))

    def measure(self, seed, folder):
        del folder
        tasks = [p.tasks(self.runs, tf.constant([seed, TASKS])) for p in (self.problem, self.values) if p is not None]
        model = self.network(*_sizes(self.problem))
        made = learners.Learners(self.problem, tf.concat(tasks, 0), model, self.optimizer, self.batch_size, seed)
        curves = made.curves(self.steps, self.checks)
        steps, q, loss = curves["steps"], curves["q"][:, : self.runs], curves["loss"][:, : self.runs].mean(1)
        numbers = {"final_loss": float(loss[-1])}
        if self.paper_steps is not None:
            reached = instruments.steps_to(q[..., -1], steps)
            numbers["censored_in_paper_steps"] = float((reached > self.paper_steps).mean())
        found = {**summary(steps, q, labels(self.problem), **numbers), "loss": loss}
        if self.values is not None:
            found["values"] = by_value(steps, curves["q"][:, self.runs :], tasks[1])
        return found


@dataclasses.dataclass(frozen=True)
class Bayes(NothingToCheck):
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

    numbers = NUMBERS

    def measure(self, seed, folder):
        del folder
        tasks = self.problem.tasks(self.episodes, tf.constant([seed, TASKS]))
        x, y = self.problem.batch(tasks, self.length, tf.constant([seed, PROBES]))
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
        return summary(np.arange(self.length + 1), q, labels(self.problem), True)


@dataclasses.dataclass(frozen=True)
class BanditLearner(NothingToCheck):
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
        return (*NUMBERS, *settings, "largest_ratio")

    def measure(self, seed, folder):
        del folder
        at = np.unique(np.concatenate([[0], np.geomspace(1, self.steps, self.checks).round()]).astype(int))
        table, first = [], None
        for deviation in self.deviations:
            for batch in self.batch_sizes:
                made = bandits.Learners(self.problem, self.runs, self.optimizer, seed, self.coupled, deviation, batch or None)
                found = summary(at, instruments.ranked(made.curves(at), at), labels(self.problem))
                first = first or found
                table.append({"deviation": deviation, "batch_size": batch, **found["numbers"]})
                first["numbers"][f"ratio_{deviation:g}_{batch}"] = found["numbers"]["ratio"]
        finite = [row["ratio"] for row in table if np.isfinite(row["ratio"])]
        first["numbers"]["largest_ratio"] = max(finite) if finite else float("inf")
        return {**first, "table": table}


@dataclasses.dataclass(frozen=True)
class Taught(NothingToCheck):
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

    numbers = (*NUMBERS, "final_loss")

    def measure(self, seed, folder):
        files.folder(folder)
        tasks = self.problem.tasks(self.tasks, tf.constant([seed, TASKS]))
        trainings = {
            f"task_{n}": bridge.LinearGTN(
                self.problem, tasks[n], seed + n, self.outer_steps, self.taught, self.inner_steps, self.batch_size
            )
            for n in range(self.tasks)
        }
        loop.train(trainings, folder, log_every=10, checkpoint_every=200)
        found = [trained.curves(self.learners, seed) for trained in trainings.values()]
        q, loss = (np.concatenate([part[i] for part in found], 1) for i in range(2))
        return summary(np.arange(len(q)), q, labels(self.problem), True, self.learners, final_loss=float(loss[-1].mean()))
