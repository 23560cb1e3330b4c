"""A small space for quick use: plain convolutional networks and perceptrons, as choices by name.

As text: `depth=2,filters=16,kernel=3,pool=max,head=flatten,units=64,normalization=batch,activation=relu`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tf_gtn import errors
from tf_gtn.nas import slots

CHOICES: dict[str, tuple[Any, ...]] = {
    "depth": (0, 1, 2, 3, 4),  # convolutions; 0: a perceptron
    "filters": (4, 8, 16, 32),  # of the first, doubled once at the third
    "kernel": (1, 3, 5),
    "pool": ("none", "max", "average", "stride"),  # at every second convolution
    "head": ("flatten", "mean"),
    "units": (0, 16, 64, 256),  # of a hidden layer; 0: none
    "normalization": ("none", "batch", "layer"),
    "activation": ("relu", "tanh", "leaky_relu", "gelu"),
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One value of each choice."""

    depth: int
    filters: int
    kernel: int
    pool: str
    head: str
    units: int
    normalization: str
    activation: str

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in dataclasses.asdict(self).items())


@dataclasses.dataclass(frozen=True)
class Plain(slots.Slots):
    """The space; see `space.Space`."""

    architecture = Architecture
    choices = CHOICES

    def parse(self, text: str) -> Architecture:
        """The architecture that a text describes; `UserError` if it is not one of this space."""
        words = {name: value for name, _, value in (word.partition("=") for word in text.split(","))}
        if list(words) != list(CHOICES):
            raise errors.UserError(f"{text!r} is no plain architecture: {','.join(f'{name}=...' for name in CHOICES)}")
        values = {}
        for name, options in CHOICES.items():
            matches = [option for option in options if str(option) == words[name]]
            if not matches:
                raise errors.unknown(f"value of {name}", words[name], [str(option) for option in options])
            values[name] = matches[0]
        return Architecture(**values)

    def build(
        self, architecture: Architecture, image_shape: Sequence[int], classes: int, dtype: str = "float32"
    ) -> keras.Sequential:
        """A Keras model of images `[n, H, W, C]` -> logits `[n, classes]`."""
        a, layers = architecture, [keras.Input(image_shape, dtype=dtype, name="images")]

        def hidden(layer, name):
            layers.append(layer)
            if a.normalization == "batch":
                layers.append(keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=dtype))
            if a.normalization == "layer":
                layers.append(keras.layers.LayerNormalization(name=f"{name}_norm", dtype=dtype))
            layers.append(keras.layers.Activation(a.activation, name=f"{name}_{a.activation}", dtype=dtype))

        for i in range(a.depth):
            name, smaller = f"conv_{i + 1}", i % 2 == 1
            strides = 2 if smaller and a.pool == "stride" else 1
            filters = a.filters * (2 if i >= 2 else 1)
            hidden(keras.layers.Conv2D(filters, a.kernel, strides=strides, padding="same", name=name, dtype=dtype), name)
            if smaller and a.pool in ("max", "average"):
                pool = keras.layers.MaxPooling2D if a.pool == "max" else keras.layers.AveragePooling2D
                layers.append(pool(2, padding="same", name=f"pool_{i + 1}", dtype=dtype))
        mean = a.head == "mean" and a.depth
        head = keras.layers.GlobalAveragePooling2D if mean else keras.layers.Flatten
        layers.append(head(name="head", dtype=dtype))
        if a.units:
            hidden(keras.layers.Dense(a.units, name="dense", dtype=dtype), "dense")
        return keras.Sequential([*layers, keras.layers.Dense(classes, name="logits", dtype=dtype)], name="plain")
