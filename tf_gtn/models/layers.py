"""Layers that Keras has not."""

import keras


@keras.saving.register_keras_serializable(package="tf_gtn")
class MeanOnlyBatchNormalization(keras.layers.Layer):
    """Subtracts each channel's mean over the batch and adds a learned offset; leaves the variance alone.

    Salimans & Kingma (2016), section 4: the companion of weight normalisation. The moving mean is
    `momentum * moving mean + (1 - momentum) * batch mean`; with `momentum=0` it is the last batch's ("The BatchNorm momentum
    for the learner was set to 0", GTN paper, A.1), and as a functional state it is differentiable.
    """

    def __init__(self, momentum=0.0, beta_initializer="zeros", moving_mean_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)

    def build(self, input_shape):
        channels = (input_shape[-1],)
        self.beta = self.add_weight(shape=channels, initializer=self.beta_initializer, name="beta")
        self.moving_mean = self.add_weight(
            shape=channels, initializer=self.moving_mean_initializer, trainable=False, name="moving_mean"
        )

    def call(self, inputs, training=False):
        """`[..., channels]` -> the same shape."""
        if training:
            mean = keras.ops.mean(inputs, axis=tuple(range(len(inputs.shape) - 1)))
            self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
        else:
            mean = keras.ops.convert_to_tensor(self.moving_mean)
        return inputs - mean + self.beta

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
        }
