"""What is measured of a learner at work: how much of each part of its task's structure it has, q, and when.

q is 1 where a part is learned and 0 where nothing is. Parts are singular modes, Fourier modes, or contexts.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike


def effective_spectrum(estimate: tf.Tensor, modes: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """diag(U^T W_hat V) (learning dynamics paper, equations 3 and 5).

    Args:
      estimate: `[..., Ny, Nx]`, the linear function that a network is.
      modes: `(U [..., Ny, K], s [..., K], V [..., Nx, K])` of the target, as of `modes_of`.

    Returns:
      `[..., K]`.
    """
    left, _, right = modes
    return tf.einsum("...ik,...ij,...jk->...k", left, estimate, right)


def modes_of(target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`(U, s, V)` of matrices `[..., Ny, Nx]`, s from the largest on."""
    s, left, right = tf.linalg.svd(target)
    return left, s, right


def linear_part(inputs: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The matrix `[..., Ny, Nx]` that maps probes `[(...,) N, Nx]` to outputs `[..., N, Ny]` with the least squares (3.2.3)."""
    return tf.linalg.matrix_transpose(tf.linalg.pinv(inputs) @ outputs)


def fourier_projection(estimate: tf.Tensor, target: tf.Tensor, count: int) -> tf.Tensor:
    """Re(g_hat g*) / |g|^2 of the first `count` frequencies (equation 10).

    Args:
      estimate, target: `[..., N]`, values at `probes(N)`.
      count: K; frequencies 1 to K.

    Returns:
      `[..., K]`; 0 where the target has nothing at a frequency and the estimate neither, otherwise infinite or NaN there.
    """
    estimated, wanted = (tf.signal.rfft(x)[..., 1 : count + 1] for x in (estimate, target))
    return tf.math.real(estimated * tf.math.conj(wanted)) / tf.square(tf.abs(wanted))


def probes(count: int = 40) -> np.ndarray:
    """Equispaced points over one period, `[count]`, centred (footnote 1)."""
    points = np.linspace(-0.5, 0.5, count + 1)[:-1]
    return (points - points.mean()).astype(np.float32)


def ranked(curves: ArrayLike, steps: ArrayLike | None = None) -> np.ndarray:
    """q_c as q_k: contexts from the one with the greatest mean over time on (equation 14).

    `curves` `[T, ..., K]` -> the same, ordered along the last axis, each run by itself. Where looks are not evenly spaced,
    `steps` [T] says when they were; between two of them q is a straight line.
    """
    curves = np.asarray(curves)
    mean = curves.mean(0) if steps is None else np.trapezoid(curves, np.asarray(steps, float), axis=0)
    order = np.argsort(-mean, axis=-1, kind="stable")
    return np.take_along_axis(curves, np.broadcast_to(order, curves.shape), -1)


def steps_to(curves: ArrayLike, steps: ArrayLike, threshold: float = 0.8, interpolate: bool = False) -> np.ndarray:
    """The first of `steps` [T] at which q > threshold, for curves `[T, ...]`; infinity where it never is: censored.

    With `interpolate`, where the straight line between two steps crosses it, as few steps (those of an episode) need.
    """
    curves, steps = np.asarray(curves, float), np.asarray(steps, float)
    above = curves > threshold
    index = above.argmax(0)
    first = steps[index]
    if interpolate:
        before = np.maximum(index - 1, 0)
        high, low = (np.take_along_axis(curves, i[None], 0)[0] for i in (index, before))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(index > 0, (threshold - low) / (high - low), 1.0)
        first = steps[before] + share * (first - steps[before])
    return np.where(above.any(0), first, np.inf)


def ratio(slow: ArrayLike, fast: ArrayLike) -> dict[str, float]:
    """How many times as long the slow part takes: medians over runs `[n]` of steps, those that never got there among them.

    A fast part that is there from the start counts as one step.

    Returns:
      `{"ratio", "censored"}`: infinite if the slow one's median is, NaN if the fast one's is; the share of runs in which the
      slow part was not reached.
    """
    slow, fast = np.asarray(slow, float), np.asarray(fast, float)
    late, early = float(np.median(slow)), float(np.median(fast)) or 1.0
    median_ratio = np.nan if np.isinf(early) else np.inf if np.isinf(late) else late / early
    return {"ratio": median_ratio, "censored": float(np.isinf(slow).mean())}


def ratio_interval(
    slow: ArrayLike, fast: ArrayLike, each: int = 1, resamples: int = 1000, seed: int = 3
) -> tuple[float, float]:
    """95% percentile interval of `ratio` by the bootstrap over runs `[n]`; (NaN, NaN) below five, or where it can be NaN.

    `each`: so many runs in a row belong together, such as those of one teacher, and are drawn together.
    """
    slow, fast = (np.asarray(x, float).reshape(-1, each) for x in (slow, fast))
    if len(slow) < 5:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(0, len(slow), (resamples, len(slow)))
    ratios = np.array([ratio(slow[rows].ravel(), fast[rows].ravel())["ratio"] for rows in drawn])
    if np.isnan(ratios).any():
        return np.nan, np.nan
    low, high = np.percentile(ratios, (2.5, 97.5), method="nearest")
    return float(low), float(high)


def by_value(curves: ArrayLike, values: ArrayLike, groups: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Curves of singular modes by their singular values (figures 1, 3, 5), for each of several equally large groups.

    A group's q is its mean effective value by its mean value: where values are close to 0, the mean of q itself is noise.

    Args:
      curves: q of modes, `[T, N]`.
      values: `[N]`.
      groups: at most so many.

    Returns:
      `(mean value of each group [G], its curves [T, G])`, from the smallest value on.
    """
    curves, values = np.asarray(curves, float), np.asarray(values, float)
    order = np.array_split(np.argsort(values, kind="stable"), max(1, min(groups, len(values))))
    means, effective = np.array([values[g].mean() for g in order]), curves * values
    return means, np.stack([effective[:, g].mean(1) for g in order], 1) / means
