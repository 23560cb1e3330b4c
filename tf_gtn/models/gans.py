"""Generators and discriminators of the unrolled GAN paper (Metz et al. 2017, appendices A to C, convolutions put right)."""

from collections.abc import Sequence

import keras

from tf_gtn import arguments, errors

SLOPE = 0.3  # of LeakyReLU: appendices B and C


@arguments.checked("gans.ring_generator")
def ring_generator(
    sample_shape: Sequence[int] = (2,),
    noise: arguments.Count = 256,
    units: tuple[arguments.Count, ...] = (128, 128),
    gain: float = 0.8,
    dtype: str = "float32",
) -> keras.Sequential:
    """Noise -> points: two ReLU layers and a projection, orthogonal weights scaled by 0.8 (appendix A)."""
    _check(sample_shape, 1, "ring_generator")
    (numbers,) = sample_shape
    return _perceptron(noise, units, numbers, gain, None, "generator", dtype)


@arguments.checked("gans.ring_discriminator")
def ring_discriminator(
    sample_shape: Sequence[int] = (2,),
    units: tuple[arguments.Count, ...] = (128,),
    gain: float = 0.8,
    scale: float = 4.0,
    dtype: str = "float32",
) -> keras.Sequential:
    """Points, divided by 4, -> logit: one ReLU layer (appendix A; its width is not given there)."""
    _check(sample_shape, 1, "ring_discriminator")
    (numbers,) = sample_shape
    return _perceptron(numbers, units, 1, gain, scale, "discriminator", dtype)


def _check(shape, rank, name):
    if len(shape) != rank:
        raise errors.UserError(f"{name} is for samples of {rank} axes; the source's are {list(shape)}")


def _perceptron(inputs, units, outputs, gain, scale, name, dtype):
    weights = {"kernel_initializer": keras.initializers.Orthogonal(gain), "dtype": dtype}
    layers = [keras.Input((inputs,), dtype=dtype)]
    if scale is not None:
        layers.append(keras.layers.Rescaling(1 / scale, name="scale", dtype=dtype))
    for i, width in enumerate(units):
        layers.append(keras.layers.Dense(width, activation="relu", name=f"dense_{i + 1}", **weights))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, name="outputs", **weights)], name=name)


@arguments.checked("gans.rnn_generator")
def rnn_generator(
    image_shape: Sequence[int], noise: arguments.Count = 256, units: arguments.Count = 256, dtype: str = "float32"
) -> keras.Model:
    """Noise -> images in [-1, 1], a column a step of an LSTM whose first state the noise makes (appendix B).

    All weights Glorot's, the forget gate's bias 1.
    """
    _check(image_shape, 3, "rnn_generator")
    height, width, depth = image_shape
    x = keras.Input((noise,), dtype=dtype)
    hidden = keras.layers.Dense(units, activation="relu", name="first_state", dtype=dtype)(x)
    steps = keras.layers.RepeatVector(width, name="steps", dtype=dtype)(
        keras.layers.Rescaling(0.0, name="no_input", dtype=dtype)(x)
    )
    lstm = keras.layers.LSTM(
        units, recurrent_initializer="glorot_uniform", return_sequences=True, unroll=True, name="lstm", dtype=dtype
    )
    zeros = keras.layers.Rescaling(0.0, name="first_cell", dtype=dtype)(hidden)
    columns = lstm(steps, initial_state=[hidden, zeros])
    columns = keras.layers.Dense(height * depth, activation="tanh", name="column", dtype=dtype)(columns)
    images = keras.layers.Permute((2, 1, 3), name="images", dtype=dtype)(
        keras.layers.Reshape((width, height, depth), name="split", dtype=dtype)(columns)
    )
    return keras.Model(x, images, name="generator")


@arguments.checked("gans.conv_discriminator")
def conv_discriminator(
    image_shape: Sequence[int],
    filters: tuple[arguments.Count, ...] = (16, 32, 32),
    normalization: bool = True,
    dtype: str = "float32",
) -> keras.Sequential:
    """Images -> logit: 3x3 convolutions of stride 2, BatchNorm, LeakyReLU, a projection (B: 16, 32, 32; C: 64, 128, 256).

    Where BatchNorm follows there are no biases: their gradient is 0 but for rounding, Adam makes whole steps of that, and the
    gradient through ten such steps is 1e12 (seen).
    """
    _check(image_shape, 3, "conv_discriminator")
    layers = [keras.Input(image_shape, dtype=dtype)]
    for i, width in enumerate(filters):
        options = {"use_bias": not normalization, "name": f"conv_{i + 1}", "dtype": dtype}
        layers.append(keras.layers.Conv2D(width, 3, strides=2, padding="same", **options))
        layers += _activation(f"conv_{i + 1}", normalization, dtype)
    layers += [keras.layers.Flatten(name="flatten", dtype=dtype), keras.layers.Dense(1, name="logit", dtype=dtype)]
    return keras.Sequential(layers, name="discriminator")


@arguments.checked("gans.conv_generator")
def conv_generator(
    image_shape: Sequence[int],
    noise: arguments.Count = 256,
    filters: tuple[arguments.Count, ...] = (512, 256, 128, 64),
    normalization: bool = True,
    dtype: str = "float32",
) -> keras.Sequential:
    """Noise -> images in [-1, 1]: a fully connected layer, transposed 3x3 convolutions of stride 2, a last one (appendix C).

    `filters`: of the first image and of each transposed convolution; sizes that do not come out even are cropped.
    """
    _check(image_shape, 3, "conv_generator")
    height, width, depth = image_shape
    factor = 2 ** (len(filters) - 1)
    rows, columns = -(-height // factor), -(-width // factor)
    bias, units = {"use_bias": not normalization}, rows * columns * filters[0]
    layers = [keras.Input((noise,), dtype=dtype), keras.layers.Dense(units, name="dense", dtype=dtype, **bias)]
    layers += _activation("dense", normalization, dtype)
    layers.append(keras.layers.Reshape((rows, columns, filters[0]), name="reshape", dtype=dtype))
    for i, count in enumerate(filters[1:]):
        options = {**bias, "name": f"conv_{i + 1}", "dtype": dtype}
        layers.append(keras.layers.Conv2DTranspose(count, 3, strides=2, padding="same", **options))
        layers += _activation(f"conv_{i + 1}", normalization, dtype)
    layers.append(keras.layers.Conv2D(depth, 3, padding="same", activation="tanh", name="last", dtype=dtype))
    crop = (factor * rows - height, factor * columns - width)
    if crop != (0, 0):
        layers.append(keras.layers.Cropping2D(((0, crop[0]), (0, crop[1])), name="crop", dtype=dtype))
    return keras.Sequential(layers, name="generator")


def _activation(name, normalization, dtype):
    norm = [keras.layers.BatchNormalization(momentum=0.0, name=f"{name}_norm", dtype=dtype)] if normalization else []
    return [*norm, keras.layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_relu", dtype=dtype)]
