"""The few-shot literature's convolutional network (Leap, appendix F)."""

import keras

from tf_gtn import errors

HEAD = "head"  # the last layer's name


def four_modules(image_shape, classes, filters=64, modules=4, momentum=0.9, dtype="float32"):
    """Modules of a 3x3 convolution, BatchNorm, ReLU and 2x2 max pooling, then a linear layer (Leap, appendix F: 64, four).

    `momentum` of BatchNorm's running statistics is not given; Keras' 0.99 would not leave its start in 100 steps.
    """
    errors.at_least_one("convolutional.four_modules", filters=filters, modules=modules)
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
