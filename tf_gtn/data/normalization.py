"""Raw images to mean 0 and variance 1 ("particularly important to normalize", GTN paper, A.1)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import errors

_LOW_CONTRAST = 0.25  # of the data set's standard deviation, which images divided by their range fall below
_FAR = 20  # standard deviations


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
