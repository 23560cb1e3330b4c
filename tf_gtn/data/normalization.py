"""Raw images to mean 0 and variance 1 ("particularly important to normalize", GTN paper, A.1), and whitened if asked."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import errors

_LOW_CONTRAST = 0.25  # of the data set's standard deviation, which images divided by their range fall below
_FAR = 20  # standard deviations
MOST_NUMBERS = 12_288  # 64 x 64 x 3; twice the side takes 18 GB


def normalize(images: np.ndarray | tf.Tensor, mean: Sequence[float], std: Sequence[float]) -> tf.Tensor:
    """Raw images `[n, H, W]` or `[n, H, W, C]` of any number type -> float32 `[n, H, W, C]`, (images - mean) / std by channel.

    Args:
      images: on the scale of their source, such as 0..255.
      mean, std: one number per channel.
    """
    images = tf.cast(images, tf.float32)
    if images.shape.rank == 3:
        images = images[..., None]
    return (images - tf.constant(mean, tf.float32)) / tf.constant(std, tf.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """ZCA: the linear map of whole images to uncorrelated pixels of variance 1 that moves them least.

    Attributes:
      mean: float32 `[P]`, of training images with P = H * W * C numbers each.
      matrix: float32 `[P, P]`, symmetric.
      inverse: of `matrix`.
      strength: see `of`.
    """

    mean: np.ndarray | tf.Variable
    matrix: np.ndarray | tf.Variable
    inverse: np.ndarray
    strength: float

    @classmethod
    def of(cls, images: np.ndarray, mean: Sequence[float], std: Sequence[float], strength: float) -> "Whitening":
        """That of training images.

        Args:
          images: uint8 `[N, H, W, C]`, in memory or on disk.
          mean, std: of their channels, which come first.
          strength: what is added to the variance in every direction, as a fraction of the mean variance, above 0: more of it
            leaves rare patterns fainter.

        Raises:
          UserError: images of more than `MOST_NUMBERS` numbers.
        """
        size = int(np.prod(images.shape[1:]))
        if size > MOST_NUMBERS:
            raise errors.UserError(
                f"ZCA whitening needs a matrix of {size} x {size} numbers for images {list(images.shape[1:])}, which is too "
                f"much: give image_size, so that an image has at most {MOST_NUMBERS:,} numbers, or leave zca out"
            )
        total, products = np.zeros(size), np.zeros((size, size))
        for start in range(0, len(images), 4096):  # a whole set of floats might not fit
            with tf.init_scope():  # the first use may be in a graph
                part = normalize(images[start : start + 4096], mean, std).numpy().reshape(-1, size)
            total += part.sum(0, dtype=np.float64)
            products += part.T @ part
        center = total / len(images)
        variances, directions = np.linalg.eigh(products / len(images) - np.outer(center, center))
        variances = np.maximum(variances, 0)
        scales = 1 / np.sqrt(variances + strength * variances.mean())
        # One factor more, so that pixels have variance 1 on average.
        scales /= np.sqrt(np.mean(variances * scales**2))
        matrix, inverse = ((directions * s) @ directions.T for s in (scales, 1 / scales))
        return cls(center.astype(np.float32), matrix.astype(np.float32), inverse.astype(np.float32), strength)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images `[n, H, W, C]`, normalised by channel, whitened; N may be unknown."""
        flat = tf.reshape(images, [-1, self.mean.shape[0]])
        return _in_shape(tf.matmul(flat - self.mean, self.matrix), images)

    def undo(self, images: tf.Tensor) -> tf.Tensor:
        """The images that are whitened to these."""
        flat = tf.reshape(images, [-1, self.mean.shape[0]])
        return _in_shape(tf.matmul(flat, self.inverse) + self.mean, images)


def _in_shape(flat, images):
    return tf.ensure_shape(tf.reshape(flat, tf.shape(images)), images.shape)


def warn_of_other_range(
    images: np.ndarray | tf.Tensor, normalized: tf.Tensor, pixel_range: Sequence[float] | None, name: str
) -> None:
    """Warns if images are not on the scale of a data set, such as 0..1 or -1..1 where it has 0..255; an even image passes.

    Args:
      images, normalized: before and after `normalize`.
      pixel_range: (lowest, highest) of the data set's pixels; None: judged by its mean and standard deviation.
      name: the data set's.
    """
    images = tf.cast(images, tf.float32)
    low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if not low < high:  # also of no images at all
        return
    if pixel_range is not None:
        lowest, highest = pixel_range
        span = highest - lowest
        fits = low >= lowest - 0.01 * span and high <= highest + 0.01 * span and high > lowest + 0.1 * span
        wanted = f"lie in {lowest:g}..{highest:g}"
    else:
        deviation = float(tf.math.reduce_std(normalized))
        fits = deviation >= _LOW_CONTRAST and float(tf.reduce_max(tf.abs(normalized))) <= _FAR
        wanted = "have the mean and standard deviation of `metadata['normalization']`"
    if not fits:
        errors.warn(
            f"the images lie in {low:g}..{high:g}, those of {name} {wanted}: `normalize` takes images as their source has them"
        )
