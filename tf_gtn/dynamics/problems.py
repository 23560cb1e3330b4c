"""The three families of tasks (learning dynamics paper, sections 3.1, 4.1, 5.1), drawn in a graph from seeds."""

import dataclasses
from typing import Annotated

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Linear")
class Linear:
    """y = W x + noise, x standard normal.

    Attributes:
      size: Nx = Ny; 2 or 5 in the paper.
      noise: standard deviation of the noise.
      scale: alpha of MN(0, alpha^2 I, alpha^2 I), where an entry's standard deviation is alpha^2 (section 3.2.5).
      spectrum: singular values that replace those drawn; empty: they stay.
      uniform: (s_min, s_max): singular values are drawn from there instead; empty: they stay.
    """

    size: arguments.Count = 2
    noise: arguments.NotNegative = 0.01
    scale: arguments.Positive = 1.0
    spectrum: tuple[float, ...] = ()
    uniform: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.spectrum and (len(self.spectrum) != self.size or self.uniform):
            raise errors.UserError(f"a spectrum has a value for each of {self.size} modes, and excludes `uniform`; got {self}")
        if self.uniform and not (len(self.uniform) == 2 and 0 <= self.uniform[0] < self.uniform[1]):
            raise errors.UserError(f"`uniform` is a smallest and a larger singular value; got {self.uniform}")

    @property
    def widths(self) -> tuple[int, int]:
        """(Nx, Ny)."""
        return self.size, self.size

    def tasks(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """`[count, Ny, Nx]` matrices as a function of `seed` (integer [2])."""
        seed, other = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        drawn = tf.random.stateless_normal((count, self.size, self.size), seed, stddev=self.scale**2)
        if not (self.spectrum or self.uniform):
            return drawn
        _, left, right = tf.linalg.svd(drawn)
        if self.spectrum:
            s = tf.broadcast_to(tf.constant(self.spectrum, tf.float32), (count, self.size))
        else:
            s = tf.random.stateless_uniform((count, self.size), other, *self.uniform)
        return tf.einsum("nik,nk,njk->nij", left, s, right)

    def batch(self, tasks: tf.Tensor, count: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`(x [n, count, Nx], y [n, count, Ny])` for each of n tasks."""
        inputs, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        x = tf.random.stateless_normal((tasks.shape[0], count, self.size), inputs)
        y = tf.einsum("nij,ntj->nti", tasks, x)
        return x, y + tf.random.stateless_normal(tf.shape(y), noise, stddev=self.noise)


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Fourier")
class Fourier:
    """y = sum_k a_k sin(2 pi k x + phi_k) + noise, x uniform over [-0.5, 0.5] (equation 9).

    Attributes:
      amplitudes: a_1, a_2, ...
      noise: standard deviation of the noise (not given in the paper).
    """

    amplitudes: tuple[float, ...] = (1.0,) * 5
    noise: arguments.NotNegative = 0.01

    @property
    def widths(self) -> tuple[int, int]:
        """(Nx, Ny)."""
        return 1, 1

    def tasks(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """`[count, K]` phases."""
        return tf.random.stateless_uniform((count, len(self.amplitudes)), seed, 0.0, 2 * np.pi)

    def values(self, tasks: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """g(x) `[n, count]` of points `[n, count]` or `[count]`."""
        x = tf.broadcast_to(x, (tasks.shape[0], x.shape[-1]))
        frequencies = 2 * np.pi * tf.range(1, len(self.amplitudes) + 1, dtype=tf.float32)
        waves = tf.sin(x[..., None] * frequencies + tasks[:, None])
        return tf.linalg.matvec(waves, tf.constant(self.amplitudes, tf.float32))

    def batch(self, tasks: tf.Tensor, count: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`(x [n, count, 1], y [n, count, 1])`."""
        inputs, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        x = tf.random.stateless_uniform((tasks.shape[0], count), inputs, -0.5, 0.5)
        y = self.values(tasks, x)
        return x[..., None], (y + tf.random.stateless_normal(tf.shape(y), noise, stddev=self.noise))[..., None]


Regression = Linear | Fourier


@dataclasses.dataclass(frozen=True)
@arguments.checked("dynamics.Bandit")
class Bandit:
    """Contexts with one good action each.

    Attributes:
      contexts, actions: Kc and Ka.
      p_correct, p_incorrect: chances of a unit reward.
    """

    contexts: arguments.Count = 5
    actions: Annotated[int, arguments.at_least(2)] = 5
    p_correct: arguments.Share = 0.8
    p_incorrect: arguments.Share = 0.2

    def __post_init__(self) -> None:
        if not self.p_incorrect < self.p_correct:
            raise errors.UserError(f"a bandit's good action is better than the others: p_incorrect < p_correct; got {self}")

    def conflicting(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """`[count, contexts]` correct actions, no two contexts the same (section 5.1.1)."""
        if self.actions < self.contexts:
            raise errors.UserError(f"contexts in conflict need as many actions; got {self}")
        noise = tf.random.stateless_uniform((count, self.actions), seed)
        return tf.argsort(noise, -1)[:, : self.contexts]

    def independent(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        """The same, each context's drawn by itself (section 5.2.1)."""
        return tf.random.stateless_uniform((count, self.contexts), seed, 0, self.actions, tf.int32)

    def reward(self, is_correct: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Rewards 0 or 1 for a boolean tensor."""
        chance = tf.where(is_correct, self.p_correct, self.p_incorrect)
        return tf.cast(tf.random.stateless_uniform(tf.shape(is_correct), seed) < chance, tf.float32)

    def expected_reward(self, q: tf.Tensor) -> tf.Tensor:
        """E[r] where the correct action is taken with chance q (equation 12)."""
        return q * self.p_correct + (1 - q) * self.p_incorrect
