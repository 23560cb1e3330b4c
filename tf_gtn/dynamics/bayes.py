"""What Bayes' rule makes of the same observations, with the right prior (sections 3.2.6 and 4.2.5)."""

import numpy as np
import tensorflow as tf

from tf_gtn.dynamics import problems


def linear_posterior_means(x: tf.Tensor, y: tf.Tensor, noise: float, scale: float = 1.0) -> tf.Tensor:
    """The posterior mean of W before each observation and after the last (equation 7, which gives W's transpose).

    Args:
      x: `[n, T, Nx]`.
      y: `[n, T, Ny]`.
      noise: standard deviation of y.
      scale: alpha of the prior MN(0, alpha^2 I, alpha^2 I).

    Returns:
      `[T + 1, n, Ny, Nx]`.
    """
    x, y = (tf.cast(v, tf.float64) for v in (x, y))

    def summed(products):
        total = tf.cumsum(products, 1)
        return tf.concat([tf.zeros_like(total[:, :1]), total], 1)

    gram = summed(tf.einsum("nti,ntj->ntij", x, x))
    cross = summed(tf.einsum("nti,ntj->ntij", x, y))
    ridge = (noise / scale**2) ** 2 * tf.eye(x.shape[-1], dtype=tf.float64)
    mean = tf.linalg.matrix_transpose(tf.linalg.solve(gram + ridge, cross))
    return tf.transpose(mean, [1, 0, 2, 3])


class Phases:
    """The table of all functions with phases on a grid: `bins ** K` of them, equally likely (section 4.2.5)."""

    def __init__(self, problem: problems.Fourier, bins: int = 16) -> None:
        """`problem`: a `problems.Fourier`; frequencies without amplitude have no axis in the table."""
        self._problem = problem
        self._there = [k for k, a in enumerate(problem.amplitudes) if a]
        axis = 2 * np.pi * (np.arange(bins) + 0.5) / bins
        grid = np.meshgrid(*[axis] * len(self._there), indexing="ij")
        self.phases = np.stack([g.ravel() for g in grid], -1).astype(np.float32)  # [bins ** K, K]

    def values(self, x: np.ndarray) -> np.ndarray:
        """`[functions, N]` at points `[N]`."""
        frequencies = 2 * np.pi * (np.array(self._there) + 1)
        amplitudes = np.array([self._problem.amplitudes[k] for k in self._there])
        waves = np.zeros((len(self.phases), len(x)), np.float32)
        for k in range(len(self._there)):
            waves += amplitudes[k] * np.sin(x[None] * frequencies[k] + self.phases[:, k : k + 1])
        return waves

    def posterior_means(self, x: np.ndarray, y: np.ndarray, points: np.ndarray, noise: float) -> np.ndarray:
        """Mean functions `[T + 1, N]` at `points` after 0, 1, ... T observations `x`, `y` `[T]`.

        `noise`: standard deviation that the observer counts with: the data's, and what the grid leaves over.
        """
        at_points, log_likelihood = self.values(np.asarray(points)), np.zeros(len(self.phases), np.float64)
        means = [at_points.mean(0)]
        at_x = self.values(np.asarray(x))
        for t in range(len(x)):
            log_likelihood -= 0.5 * ((y[t] - at_x[:, t]) / noise) ** 2
            weights = np.exp(log_likelihood - log_likelihood.max())
            means.append((weights / weights.sum()) @ at_points)
        return np.stack(means)
