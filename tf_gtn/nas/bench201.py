"""The space of NAS-Bench-201 (Dong and Yang 2020): cells of four nodes, each the sum of an operation on every earlier one.

As text six numbers, such as `(0, 2, 3, 2, 3, 1)`: the operation from node 0 to 1, 0 to 2, 0 to 3, 1 to 2, 1 to 3, 2 to 3. 0 is
identity, 1 nothing, 2 a 3x3 convolution, 3 a 1x1 convolution (each after a ReLU, before BatchNorm), 4 average pooling of 3x3.
The stem is a 3x3 convolution, three stages of `repeats` cells follow. Between stages a residual block halves the image and
doubles the channels.
"""

import dataclasses
import itertools
import re
from collections.abc import Sequence

import keras

from tf_gtn import arguments, errors
from tf_gtn.nas import slots

OPERATIONS = {0: "identity", 1: "none", 2: "conv_3x3", 3: "conv_1x1", 4: "average_3x3"}
EDGES = {f"edge_{a}_{b}": (a, b) for a, b in itertools.combinations(range(4), 2)}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The number of the operation on each edge of the cell."""

    edge_0_1: int
    edge_0_2: int
    edge_0_3: int
    edge_1_2: int
    edge_1_3: int
    edge_2_3: int

    def __str__(self) -> str:
        return str(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Bench201")
class Bench201(slots.Slots):
    """The space; see `space.Space`.

    Attributes:
      filters: of the first stage (the benchmark: 16).
      repeats: cells a stage (the benchmark: 5).
    """

    filters: arguments.Count = 16
    repeats: arguments.Count = 5

    architecture = Architecture
    choices = dict.fromkeys(EDGES, tuple(OPERATIONS))

    def parse(self, text: str) -> Architecture:
        """The architecture that a text describes; `UserError` if it is not one of this space."""
        if not re.fullmatch(r"\([0-4](, [0-4]){5}\)", text):
            raise errors.UserError(
                f"{text!r} is no architecture of NAS-Bench-201: six numbers from 0 to 4, such as (0, 2, 3, 2, 3, 1)"
            )
        return Architecture(*(int(number) for number in re.findall("[0-4]", text)))

    def build(
        self, architecture: Architecture, image_shape: Sequence[int], classes: int, dtype: str = "float32"
    ) -> keras.Model:
        """A Keras model of images `[n, H, W, C]` -> logits `[n, classes]`."""
        layers, filters = _Layers(dtype), self.filters
        images = keras.Input(image_shape, dtype=dtype, name="images")
        x = layers.conv("stem", images, filters, 3, relu=False)
        for stage in range(3):
            if stage:
                filters *= 2
                x = layers.reduction(f"reduce_{stage}", x, filters)
            for repeat in range(self.repeats):
                x = layers.cell(f"cell_{stage}_{repeat}", architecture, x, filters)
        x = keras.layers.BatchNormalization(momentum=0.9, name="last_norm", dtype=dtype)(x)
        x = keras.layers.ReLU(name="last_relu", dtype=dtype)(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool", dtype=dtype)(x)
        return keras.Model(images, keras.layers.Dense(classes, name="logits", dtype=dtype)(x), name="bench201")


class _Layers:
    """Makes the layers of cells."""

    def __init__(self, dtype):
        self._dtype = dtype

    def conv(self, name, x, filters, kernel, strides=1, relu=True, norm=True):
        if relu:
            x = keras.layers.ReLU(name=f"{name}_relu", dtype=self._dtype)(x)
        how = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal", "name": name, "dtype": self._dtype}
        x = keras.layers.Conv2D(filters, kernel, strides=strides, **how)(x)
        return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=self._dtype)(x) if norm else x

    def cell(self, name, architecture, x, filters):
        nodes = [x]
        for node in range(1, 4):
            parts = [
                self.operation(f"{name}_{edge}", OPERATIONS[getattr(architecture, edge)], nodes[start], filters)
                for edge, (start, end) in EDGES.items()
                if end == node
            ]
            nodes.append(parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_{node}", dtype=self._dtype)(parts))
        return nodes[-1]

    def operation(self, name, operation, x, filters):
        if operation == "none":  # keeps what leads there in the network, as the benchmark does
            return keras.layers.Rescaling(0.0, name=name, dtype=self._dtype)(x)
        if operation == "identity":
            return x
        if operation == "average_3x3":
            return keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name, dtype=self._dtype)(x)
        return self.conv(name, x, filters, int(operation[-1]))

    def reduction(self, name, x, filters):
        inner = self.conv(f"{name}_b", self.conv(f"{name}_a", x, filters, 3, 2), filters, 3)
        pool = keras.layers.AveragePooling2D(2, strides=2, padding="same", name=f"{name}_pool", dtype=self._dtype)(x)
        return keras.layers.Add(name=name, dtype=self._dtype)(
            [
                inner,
                self.conv(f"{name}_shortcut", pool, filters, 1, relu=False, norm=False),
            ]
        )
