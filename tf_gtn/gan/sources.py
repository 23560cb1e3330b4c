"""What a GAN learns: a `Source`, such as `data.mixtures.Mixture`, and real images as one."""

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from tf_gtn import arguments, data, errors


class Source(Protocol):
    """Where real samples come from.

    Attributes:
      sample_shape: of one sample.
    """

    @property
    def sample_shape(self) -> tuple[int, ...]: ...

    def sample(self, shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
        """Samples `[*shape, *sample_shape]` as a function of `seed` (integer [2]), in a graph."""
        ...


class Images:
    """The training images of a data set in [-1, 1] (unrolled GAN paper, appendices B and C), or several as the channels of one.

    Attributes:
      dataset: a `data.Dataset`.
      stacked: images on top of each other; 3 of ten classes make 1,000 modes.
      sample_shape: `(H, W, C)`.
    """

    @arguments.checked("gan.Images")
    def __init__(self, dataset: data.Dataset, stacked: arguments.Count = 1) -> None:
        """`UserError` unless images that are stacked are grey."""
        if stacked > 1 and dataset.image_shape[-1] != 1:
            raise errors.UserError(
                f"only grey images are stacked; got {stacked} of {dataset.name} with {dataset.image_shape[-1]} channels"
            )
        self.dataset, self.stacked = dataset, stacked
        self.sample_shape: tuple[int, ...] = (*dataset.image_shape[:2], dataset.image_shape[2] * stacked)
        self._images = tf.constant(dataset.train.images)

    def sample(self, shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
        """Images `[*shape, H, W, C]` as a function of `seed` (integer [2])."""
        index = tf.random.stateless_uniform((*shape, self.stacked), seed, 0, len(self.dataset.train), tf.int32)
        images = tf.gather(self._images, index)  # [*shape, stacked, H, W, C]
        rank = len(shape)
        order = [*range(rank), rank + 1, rank + 2, rank, rank + 3]
        return scaled(tf.reshape(tf.transpose(images, order), (*shape, *self.sample_shape)), self.dataset)


def scaled(images: Any, dataset: data.Dataset) -> tf.Tensor:
    """Raw images of a data set -> [-1, 1], black to white."""
    low, high = dataset.pixel_range
    return (tf.cast(images, tf.float32) - low) * (2 / (high - low)) - 1


def raw(samples: Any, dataset: data.Dataset) -> tf.Tensor:
    """[-1, 1] -> the scale of the data set's images, what is outside cut off."""
    low, high = dataset.pixel_range
    return (tf.clip_by_value(samples, -1, 1) + 1) * ((high - low) / 2) + low
