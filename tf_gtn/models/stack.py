"""A chain of layers in the making, as the learners' architectures are: weights, normalisation, activation, over and over."""

from collections.abc import Sequence
from typing import Annotated

import keras

from tf_gtn import arguments
from tf_gtn.models import layers

KAIMING = "he_normal"  # with LeakyReLU 0.1: GTN paper, A.1

NORMALIZATIONS = {
    "mean_only": lambda name, dtype: [layers.MeanOnlyBatchNormalization(name=name, dtype=dtype)],
    "batch": lambda name, dtype: [keras.layers.BatchNormalization(momentum=0.0, name=name, dtype=dtype)],
    "layer": lambda name, dtype: [keras.layers.LayerNormalization(name=name, dtype=dtype)],
    "none": lambda name, dtype: [],
}

ACTIVATIONS = ("leaky_relu", "relu", "elu", "gelu", "silu", "tanh")
"""All leave 0 at 0, as sampled widths need it."""
Activation = Annotated[str, arguments.OneOf(ACTIVATIONS, "activation")]
Normalization = Annotated[str, arguments.OneOf(NORMALIZATIONS, "normalization")]


class Stack:
    """A Sequential in the making; every hidden layer is weights, normalisation, activation."""

    @arguments.checked("models.Stack")
    def __init__(
        self,
        image_shape: Sequence[int],
        normalization: Normalization,
        dtype: str,
        activation: Activation = "leaky_relu",
        initializer: str = KAIMING,
    ) -> None:
        self._layers = [keras.Input(image_shape, dtype=dtype)]
        self._normalization, self._dtype = normalization, dtype
        self._activation, self._initializer = activation, initializer
        self._count = {}

    def add(self, layer: keras.layers.Layer) -> "Stack":
        self._layers.append(layer)
        return self

    def conv(self, filters: int, size: int = 3, strides: int = 1) -> "Stack":
        return self._hidden("conv", lambda **kw: keras.layers.Conv2D(filters, size, strides=strides, padding="same", **kw))

    def dense(self, units: int) -> "Stack":
        return self._hidden("dense", lambda **kw: keras.layers.Dense(units, **kw))

    def pool(self) -> "Stack":
        return self.add(keras.layers.MaxPooling2D(2, padding="same", name=self._name("pool"), dtype=self._dtype))

    def flatten(self) -> "Stack":
        return self.add(keras.layers.Flatten(name="flatten", dtype=self._dtype))

    def classifier(self, classes: int) -> keras.Sequential:
        self.add(keras.layers.Dense(classes, kernel_initializer=self._initializer, name="logits", dtype=self._dtype))
        return keras.Sequential(self._layers)

    def _hidden(self, kind, make):
        name = self._name(kind)
        self.add(
            make(kernel_initializer=self._initializer, use_bias=self._normalization == "none", name=name, dtype=self._dtype)
        )
        self._layers += NORMALIZATIONS[self._normalization](f"{name}_norm", self._dtype)
        if self._activation == "leaky_relu":
            return self.add(keras.layers.LeakyReLU(negative_slope=0.1, name=f"{name}_relu", dtype=self._dtype))
        return self.add(keras.layers.Activation(self._activation, name=f"{name}_{self._activation}", dtype=self._dtype))

    def _name(self, kind):
        self._count[kind] = self._count.get(kind, 0) + 1
        return f"{kind}_{self._count[kind]}"
