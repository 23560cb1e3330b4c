"""A part of a study. It looks at one kind of learner on one kind of problem and gives

    {"steps": [T], "labels": [K], "q": [T][K], "low": [T][K], "high": [T][K],    mean and interval over runs
     "to": {threshold: [K]},                                              median steps to reach it, null where never
     "numbers": {name: number or null}}                                   those that its attribute `numbers` names

beside what its own figures need: `loss` [T]; `values`, the curves by singular value, {"s": [G], "q": [T][G], "to": {threshold:
[G]}, "beyond": [G], "prior": ...}; `stages`; `table`. Each is made by gin in a scope of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.dynamics import instruments, problems
from tf_gtn.reporting import statistics

THRESHOLDS = (0.5, 0.8, 0.95)
NUMBERS = ("ratio", "censored", "ratio_low", "ratio_high", "ratio_to_half", "ratio_to_own_end")  # of every part
TASKS, PROBES = 11, 12  # second numbers of seeds
_LEARNED = 0.25  # the q that a part must reach in the end for its course to mean anything


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


def summary(
    steps: Sequence[int] | np.ndarray,
    q: np.ndarray,
    labels: Sequence[str],
    interpolate: bool = False,
    each: int = 1,
    **numbers: Any,
) -> dict[str, Any]:
    """The results that every part has, from curves `q` `[T, runs, K]`.

    Args:
      steps: [T].
      labels: of the K parts of a task.
      interpolate: see `instruments.steps_to`.
      each: runs that belong together; intervals are over groups of so many.
      **numbers: further ones.
    """
    steps = np.asarray(steps)
    groups = q.reshape(len(q), -1, each, q.shape[-1]).mean(2)
    low, high = statistics.interval(np.moveaxis(groups, 1, 0)) if groups.shape[1] > 1 else (groups[:, 0], groups[:, 0])
    curves: dict[str, Any] = {"steps": steps, "labels": list(labels), "q": q.mean(1), "low": low, "high": high}
    curves["to"] = {c: np.median(instruments.steps_to(q, steps, c, interpolate), 0) for c in THRESHOLDS}
    share = np.where(q[-1] >= _LEARNED, q / np.maximum(q[-1], _LEARNED), 0.0)  # figure A5
    to_end = instruments.steps_to(share, steps, 0.8, interpolate)
    half, most = (instruments.steps_to(q, steps, c, interpolate) for c in (0.5, 0.8))
    interval = instruments.ratio_interval(most[:, -1], most[:, 0], each)
    ratios = {
        **instruments.ratio(most[:, -1], most[:, 0]),
        **dict(zip(("ratio_low", "ratio_high"), interval)),
        "ratio_to_half": instruments.ratio(half[:, -1], half[:, 0])["ratio"],
        "ratio_to_own_end": instruments.ratio(to_end[:, -1], to_end[:, 0])["ratio"],
    }
    return {**curves, "numbers": {**ratios, **numbers}}


def by_value(
    steps: Sequence[int] | np.ndarray, q: np.ndarray, tasks: tf.Tensor, interpolate: bool = False, end: float = np.inf
) -> dict[str, Any]:
    """Curves `q` `[T, n, K]` of linear tasks by singular value (figures 1, 3, 5), in ten groups.

    `end` of the prior parts them: five groups of matrices all within, and five of the modes `beyond`.
    """
    s = instruments.modes_of(tasks)[1].numpy()
    within = np.broadcast_to(s.max(1, keepdims=True) <= end, s.shape)
    chosen = [mask for mask in (within, s > end) if mask.any()]
    grouped = [instruments.by_value(q[:, mask], s[mask], 10 // len(chosen)) for mask in chosen]
    values, curves = np.concatenate([v for v, _ in grouped]), np.concatenate([c for _, c in grouped], 1)
    to = {c: instruments.steps_to(curves, steps, c, interpolate) for c in THRESHOLDS}
    return {"s": values, "q": curves, "to": to, "beyond": values > end}


def prior(problem: problems.Linear, seed: int) -> dict[str, Any]:
    """A sample of singular values `[1000, K]`, from the largest on, and the 95th percentile of all (figure 2)."""
    values = instruments.modes_of(problem.tasks(20_000, tf.constant([seed, TASKS])))[1].numpy()
    return {"sample": values[:1000], "percentile": np.percentile(values, 95)}


def check_values(name: str, problem: Any, values: Any) -> None:
    """Raises `UserError` unless a part of `problem` can be looked at on `values` as well."""
    if values is None:
        return
    linear = isinstance(problem, problems.Linear) and isinstance(values, problems.Linear)
    if not linear or (values.size, values.noise) != (problem.size, problem.noise):
        raise errors.UserError(f"{name}.values is a dynamics.Linear of its problem's size and noise; got {values!r}")


def check_network(name: str, network: Callable[..., Any], sizes: tuple[int, int], kind: type) -> None:
    """Raises `UserError` unless a function of inputs and outputs makes a `kind`."""
    model = network(*sizes)
    if not isinstance(model, kind):
        raise errors.UserError(f"{name}.network makes a {kind.__name__} of inputs and outputs; got {type(model).__name__}")


def sizes(problem: Any) -> tuple[int, int]:
    return (problem.size, problem.size) if isinstance(problem, problems.Linear) else (1, 1)


def labels(problem: Any) -> list[str]:
    """Names of the parts of a task: singular values where they are given, frequencies, or places in the order of learning."""
    if isinstance(problem, problems.Linear):
        return [f"s = {s:g}" for s in problem.spectrum] or [f"mode {k + 1}" for k in range(problem.size)]
    if isinstance(problem, problems.Fourier):
        return [f"frequency {k + 1}" for k in range(len(problem.amplitudes))]
    return [f"context {k + 1}" for k in range(problem.contexts)]
