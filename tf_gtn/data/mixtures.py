"""Mixtures of Gaussians in the plane: a ring and a grid, with samples drawn in a graph."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_gtn import errors


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

    def sample(self, shape, seed):
        """Points `[*shape, 2]` as a function of `seed` (integer [2])."""
        which, where = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        index = tf.random.stateless_uniform(shape, which, 0, len(self.centers), tf.int32)
        noise = tf.random.stateless_normal((*shape, 2), where, stddev=self.deviation)
        return tf.gather(tf.constant(self.centers, tf.float32), index) + noise


def ring(modes=8, radius=2.0, deviation=0.02):
    """Centres at angles 2 pi i / modes (unrolled GAN paper, appendix A: 8, radius 2, 0.02)."""
    if modes < 1:
        raise errors.UserError(f"a ring has at least one mode; got {modes}")
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], 1), deviation)


def grid(side=5, spacing=1.0, deviation=0.02):
    """side x side centres around the origin."""
    if side < 1:
        raise errors.UserError(f"a grid has at least one mode a side; got {side}")
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), deviation)
