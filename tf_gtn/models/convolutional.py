"""The few-shot literature's convolutional network (Leap, appendix F)."""

from collections.abc import Sequence

import keras

from tf_gtn import arguments, errors

HEAD = "head"  # the last layer's name


@arguments.checked("convolutional.four_modules")
def four_modules(
    image_shape: Sequence[int],
    classes: int,
    filters: arguments.Count = 64,
    modules: arguments.Count = 4,
    momentum: float = 0.9,
    dtype: str = "float32",
) -> keras.Sequential:
    """Modules of a 3x3 convolution, BatchNorm, ReLU and 2x2 max pooling, then a linear layer (Leap, appendix F: 64, four).

    `momentum` of BatchNorm's running statistics is not given; Keras' 0.99 would not leave its start in 100 steps.
    """
    if min(image_shape[:2]) < 2**modules:
        raise errors.UserError(
            f"{modules} modules halve an image {modules} times: it is at least {2**modules} pixels wide; got {image_shape}"
        )
    layers = [keras.Input(image_shape, dtype=dtype)]
    for k in range(modules):
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{k + 1}", dtype=dtype),
            keras.layers.BatchNormalization(momentum=momentum, name=f"norm_{k + 1}", dtype=dtype),
            keras.layers.ReLU(name=f"relu_{k + 1}", dtype=dtype),
            keras.layers.MaxPooling2D(2, name=f"pool_{k + 1}", dtype=dtype),
        ]
    layers += [keras.layers.Flatten(name="flatten", dtype=dtype), keras.layers.Dense(classes, name=HEAD, dtype=dtype)]
    return keras.Sequential(layers, name="four_modules")
