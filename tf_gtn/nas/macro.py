"""The space of NAS-Bench-Macro (Su et al. 2021, "Prioritized architecture sampling with Monte-Carlo tree search").

As text 8 digits, one a layer: 0 identity (a 1x1 convolution where the size changes), 1 an inverted residual block of kernel 3
and expansion 3, 2 one of kernel 5 and expansion 6 (blocks of MobileNetV2, Sandler et al. 2018). The stem is a 3x3 convolution.
Layers 1, 3 and 6 halve the image and double the channels. A 1x1 convolution, global average pooling and a classifier follow.
"""

import dataclasses
import re
from collections.abc import Sequence

import keras

from tf_gtn import arguments, errors
from tf_gtn.nas import slots

LAYERS = ("layer_1", "layer_2", "layer_3", "layer_4", "layer_5", "layer_6", "layer_7", "layer_8")
HALVING = ("layer_1", "layer_3", "layer_6")
BLOCKS = {"1": (3, 3), "2": (5, 6)}  # kernel, expansion


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The digit of each layer."""

    layer_1: str
    layer_2: str
    layer_3: str
    layer_4: str
    layer_5: str
    layer_6: str
    layer_7: str
    layer_8: str

    def __str__(self) -> str:
        return "".join(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Macro")
class Macro(slots.Slots):
    """The space; see `space.Space`.

    Attributes:
      filters: of the stem (the benchmark: 32); the later ones are 2, 4 and 8 times as many.
      head: channels before the pooling (the benchmark: 1280).
    """

    filters: arguments.Count = 32
    head: arguments.Count = 1280

    architecture = Architecture
    choices = dict.fromkeys(LAYERS, ("0", *BLOCKS))

    def parse(self, text: str) -> Architecture:
        """The architecture that a text describes; `UserError` if it is not one of this space."""
        if not re.fullmatch("[012]{8}", text):
            raise errors.UserError(f"{text!r} is no architecture of NAS-Bench-Macro: 8 digits 0, 1 or 2, such as 01201201")
        return Architecture(*text)

    def build(
        self, architecture: Architecture, image_shape: Sequence[int], classes: int, dtype: str = "float32"
    ) -> keras.Model:
        """A Keras model of images `[n, H, W, C]` -> logits `[n, classes]`."""
        layers, filters = _Layers(dtype), self.filters
        images = keras.Input(image_shape, dtype=dtype, name="images")
        x = layers.conv("stem", images, filters, 3)
        for name in LAYERS:
            digit, strides = getattr(architecture, name), 1
            if name in HALVING:
                filters, strides = 2 * filters, 2
            if digit != "0":
                x = layers.block(name, x, filters, strides, *BLOCKS[digit])
            elif strides == 2:
                x = layers.conv(name, x, filters, 1, strides)
        x = layers.conv("head", x, self.head, 1)
        x = keras.layers.GlobalAveragePooling2D(name="pool", dtype=dtype)(x)
        return keras.Model(images, keras.layers.Dense(classes, name="logits", dtype=dtype)(x), name="macro")


class _Layers:
    """Makes convolutions with BatchNorm and ReLU6, and blocks of them."""

    def __init__(self, dtype):
        self._dtype = dtype

    def conv(self, name, x, filters, kernel, strides=1, relu=True):
        how = {"strides": strides, "padding": "same", "use_bias": False, "name": name, "dtype": self._dtype}
        if filters is None:
            x = keras.layers.DepthwiseConv2D(kernel, depthwise_initializer="he_normal", **how)(x)
        else:
            x = keras.layers.Conv2D(filters, kernel, kernel_initializer="he_normal", **how)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=self._dtype)(x)
        return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu", dtype=self._dtype)(x) if relu else x

    def block(self, name, x, filters, strides, kernel, expansion):
        inner = self.conv(f"{name}_expand", x, expansion * x.shape[-1], 1)
        inner = self.conv(f"{name}_depthwise", inner, None, kernel, strides)
        outputs = self.conv(f"{name}_project", inner, filters, 1, relu=False)
        if strides == 2:
            return outputs
        return keras.layers.Add(name=f"{name}_add", dtype=self._dtype)([x, outputs])
