"""Layers that Keras has not."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def channel_means(inputs: tf.Tensor) -> tf.Tensor:
    """`[..., channels]` -> the mean of each channel `[channels]`.

    As a matrix product: TensorFlow's sum over all but the last axis takes twice as long on a CPU, and its gradients, sums and
    tiles again, longer still.
    """
    flat = tf.reshape(inputs, [-1, inputs.shape[-1]])
    count = tf.shape(flat)[0]
    if flat.dtype.size < 4:  # a half's 1 / count may be too small for it
        return tf.reduce_mean(flat, 0)
    return tf.reshape(tf.matmul(tf.fill([1, count], 1 / tf.cast(count, flat.dtype)), flat), [-1])


def add_to_channels(inputs: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """`[..., channels]` + `[channels]`, by `bias_add`: its gradients cost nothing and one quick sum.

    Reshaped, because Grappler's remapper takes a convolution or product with a bias and LeakyReLU for something to fuse, and
    fails where the sum before the LeakyReLU is needed too ("fanout ... exist for missing node").
    """
    flat = tf.reshape(inputs, [-1, 1, inputs.shape[-1]])
    return tf.reshape(tf.nn.bias_add(flat, offset), tf.shape(inputs))


@keras.saving.register_keras_serializable(package="tf_gtn")
class MeanOnlyBatchNormalization(keras.layers.Layer):
    """Subtracts each channel's mean over the batch and adds a learned offset; leaves the variance alone.

    Salimans & Kingma (2016), section 4: the companion of weight normalisation. The moving mean is
    `momentum * moving mean + (1 - momentum) * batch mean`; with `momentum=0` it is the last batch's ("The BatchNorm momentum
    for the learner was set to 0", GTN paper, A.1), and as a functional state it is differentiable.
    """

    def __init__(
        self, momentum: float = 0.0, beta_initializer: Any = "zeros", moving_mean_initializer: Any = "zeros", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = (input_shape[-1],)
        self.beta = self.add_weight(shape=channels, initializer=self.beta_initializer, name="beta")
        self.moving_mean = self.add_weight(
            shape=channels, initializer=self.moving_mean_initializer, trainable=False, name="moving_mean"
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[..., channels]` -> the same shape."""
        if training:
            mean = channel_means(inputs)
            self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
        else:
            mean = tf.convert_to_tensor(self.moving_mean)
        return add_to_channels(inputs, tf.convert_to_tensor(self.beta) - mean)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
        }


@keras.saving.register_keras_serializable(package="tf_gtn")
class BasisImages(keras.layers.Layer):
    """Sums of basis images, one for each entry of the input: `[n, k]` -> `[n, H, W, C]`, `input @ bases / sqrt(k)`.

    The root makes a pixel of k unit Gaussian bases and entries a unit Gaussian, and a step of an optimiser that changes every
    basis by as much changes a pixel no further than if it were learned itself.
    """

    def __init__(self, image_shape: Sequence[int], bases_initializer: Any = "random_normal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.bases_initializer = keras.initializers.get(bases_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        entries = input_shape[-1]
        assert entries is not None
        self.scale = entries**-0.5
        self.bases = self.add_weight(
            shape=(entries, *self.image_shape), initializer=self.bases_initializer, name="bases", trainable=True
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[n, k]` -> `[n, H, W, C]`."""
        return tf.tensordot(inputs * tf.cast(self.scale, inputs.dtype), tf.convert_to_tensor(self.bases), 1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return input_shape[0], *self.image_shape

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.bases_initializer)
        return {**super().get_config(), "image_shape": self.image_shape, "bases_initializer": initializer}
