"""Mixtures of Gaussians in the plane: a ring and a grid, with samples drawn in a graph."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import arguments


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians of one standard deviation.

    Attributes:
      centers: `[modes, 2]`.
      deviation: of every one, in both directions.
    """

    centers: np.ndarray
    deviation: float

    sample_shape = (2,)

    def sample(self, shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
        """Points `[*shape, 2]` as a function of `seed` (integer [2])."""
        which, where = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        index = tf.random.stateless_uniform(shape, which, 0, len(self.centers), tf.int32)
        noise = tf.random.stateless_normal((*shape, 2), where, stddev=self.deviation)
        return tf.gather(tf.constant(self.centers, tf.float32), index) + noise


@arguments.checked("data.ring")
def ring(modes: arguments.Count = 8, radius: float = 2.0, deviation: arguments.NotNegative = 0.02) -> Mixture:
    """Centres at angles 2 pi i / modes (unrolled GAN paper, appendix A: 8, radius 2, 0.02)."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], 1), deviation)


@arguments.checked("data.grid")
def grid(side: arguments.Count = 5, spacing: float = 1.0, deviation: arguments.NotNegative = 0.02) -> Mixture:
    """side x side centres around the origin."""
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), deviation)
