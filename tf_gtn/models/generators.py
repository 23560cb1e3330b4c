"""Generators: latent code and label in, image out."""

from collections.abc import Sequence

import keras

from tf_gtn import arguments, registries
from tf_gtn.models import layers

REGISTRY = registries.Registry("generator")
"""`{name: function (image_shape, classes, latent, ...) -> keras.Model}`."""


@REGISTRY.register("conditional")
@arguments.checked("generators.conditional")
def conditional(
    image_shape: Sequence[int],
    classes: int,
    latent: arguments.Count = 128,
    units: arguments.Count = 1024,
    channels: arguments.Count = 128,
    filters: arguments.Count = 64,
    dtype: str = "float32",
) -> keras.Model:
    """The seed's generator: two fully connected and two convolutional layers, conditional on a one-hot label.

    FC `units`, FC `channels` * H/4 * W/4, upsampled conv `filters`, upsampled conv to the image's channels, 2 tanh
    (GTN paper, A.1: 1024, 128, 64, tanh; upsampling, 2 and BatchNorm's place are not stated there). BatchNorm with batch
    statistics stands before each LeakyReLU; its momentum is 0, so that its state is one batch's statistics.

    Args:
      image_shape: (H, W, C); sizes that 4 does not divide are cropped from the next larger one.
      classes: length of the one-hot label.
      latent: length of the latent code.
      units, channels, filters: widths.
      dtype: of the weights and the computation.

    Returns:
      A model of `{"noise": [n, latent], "label": [n, classes]}` -> `[n, H, W, C]` in [-2, 2].
    """
    noise = keras.Input((latent,), name="noise", dtype=dtype)
    label = keras.Input((classes,), name="label", dtype=dtype)
    x = keras.layers.Concatenate(name="noise_label", dtype=dtype)([noise, label])
    image, _ = _images(x, image_shape, units, channels, filters, dtype)
    return keras.Model({"noise": noise, "label": label}, image, name="generator")


@REGISTRY.register("residual")
@arguments.checked("generators.residual")
def residual(
    image_shape: Sequence[int],
    classes: int,
    latent: arguments.Count = 128,
    filters: arguments.Count = 16,
    kernel_size: arguments.Count = 5,
    correction: arguments.Positive = 0.1,
    dtype: str = "float32",
) -> keras.Model:
    """Sums of learned basis images, and what two convolutions make of a sum to correct it (ours, not the paper's).

    The code's entries and the label weigh basis images (`layers.BasisImages`); so the images can begin as given ones
    (`treatments.GTN.begin_from`). The first convolution's channels are moved by a linear map of code and label, and
    `correction` times the second one is added to the sum.

    Args:
      image_shape: (H, W, C).
      classes: length of the one-hot label.
      latent: length of the latent code, and number of basis images beside those of the classes.
      filters: channels between the convolutions.
      kernel_size: height and width of both, in pixels.
      correction: factor of what is added.
      dtype: of the weights and the computation.

    Returns:
      A model of `{"noise": [n, latent], "label": [n, classes]}` -> `[n, H, W, C]`.
    """
    noise = keras.Input((latent,), name="noise", dtype=dtype)
    label = keras.Input((classes,), name="label", dtype=dtype)
    x = keras.layers.Concatenate(name="noise_label", dtype=dtype)([noise, label])
    unit = keras.initializers.RandomNormal(stddev=1.0)
    sums = layers.BasisImages(image_shape, bases_initializer=unit, name="basis_images", dtype=dtype)(x)
    convolution = {"padding": "same", "kernel_initializer": "he_normal", "dtype": dtype}
    made = keras.layers.Conv2D(filters, kernel_size, name="conv_1", **convolution)(sums)
    moved = keras.layers.Dense(filters, name="channels", dtype=dtype)(x)
    moved = keras.layers.Reshape((1, 1, filters), name="reshape", dtype=dtype)(moved)
    made = keras.layers.Add(name="add_channels", dtype=dtype)([made, moved])
    made = keras.layers.LeakyReLU(negative_slope=0.1, name="conv_1_relu", dtype=dtype)(made)
    made = keras.layers.Conv2D(image_shape[-1], kernel_size, name="conv_2", **convolution)(made)
    made = keras.layers.Rescaling(correction, name="correction", dtype=dtype)(made)
    image = keras.layers.Add(name="sum", dtype=dtype)([sums, made])
    return keras.Model({"noise": noise, "label": label}, image, name="generator")


@REGISTRY.register("xy")
@arguments.checked("generators.xy")
def xy(
    image_shape: Sequence[int],
    classes: int,
    latent: arguments.Count = 128,
    units: arguments.Count = 1024,
    channels: arguments.Count = 128,
    filters: arguments.Count = 64,
    temperature: float = 1.0,
    dtype: str = "float32",
) -> keras.Model:
    """A generator of images with their soft labels from the code alone ("dark knowledge": GTN paper, appendix F, figure 4).

    The layers of `conditional`; a softmax layer on the first fully connected one makes the label. The paper does not say
    where its label comes from.

    Args:
      image_shape, classes, latent, units, channels, filters, dtype: as for `conditional`.
      temperature: divides the logits of the label.

    Returns:
      A model of `{"noise": [n, latent]}` -> `{"image": [n, H, W, C], "label": [n, classes]}`.
    """
    noise = keras.Input((latent,), name="noise", dtype=dtype)
    image, hidden = _images(noise, image_shape, units, channels, filters, dtype)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal", name="label_logits", dtype=dtype)(hidden)
    logits = keras.layers.Rescaling(1 / temperature, name="temperature", dtype=dtype)(logits)
    label = keras.layers.Softmax(name="label", dtype=dtype)(logits)
    return keras.Model({"noise": noise}, {"image": image, "label": label}, name="generator")


@arguments.checked("generators.pairs")
def pairs(
    image_shape: Sequence[int],
    classes: int,
    latent: arguments.Count = 64,
    units: tuple[arguments.Count, ...] = (256, 256),
    output_scale: float = 2.0,
    dtype: str = "float32",
) -> keras.Model:
    """A generator of vectors with real-valued targets from the code alone: states and what a policy's outputs should be there.

    Fully connected layers with LeakyReLU (GTN paper, appendix H does not describe the CartPole generator).

    Args:
      image_shape: (n,), the length of a vector.
      classes: how many outputs.
      latent: length of the latent code.
      units: widths of the hidden layers.
      output_scale: vectors and targets lie within plus or minus this.
      dtype: of the weights and the computation.

    Returns:
      A model of `{"noise": [n, latent]}` -> `{"image": [n, *image_shape], "label": [n, classes]}`.
    """
    (length,) = image_shape
    noise = x = keras.Input((latent,), name="noise", dtype=dtype)
    for i, width in enumerate(units):
        x = keras.layers.Dense(width, kernel_initializer="he_normal", name=f"dense_{i + 1}", dtype=dtype)(x)
        x = keras.layers.LeakyReLU(negative_slope=0.1, name=f"dense_{i + 1}_relu", dtype=dtype)(x)

    def output(name, width):
        values = keras.layers.Dense(width, activation="tanh", name=f"{name}_tanh", dtype=dtype)(x)
        return keras.layers.Rescaling(output_scale, name=name, dtype=dtype)(values)

    return keras.Model(
        {"noise": noise}, {"image": output("image", length), "label": output("label", classes)}, name="generator"
    )


def _images(x, image_shape, units, channels, filters, dtype):
    """Codes [n, k] -> images [n, H, W, C], and the activations of the first layer [n, units]."""
    height, width, depth = image_shape
    rows, columns = -(-height // 4), -(-width // 4)

    def normalized(x, name):
        x = keras.layers.BatchNormalization(momentum=0.0, name=f"{name}_norm", dtype=dtype)(x)
        return keras.layers.LeakyReLU(negative_slope=0.1, name=f"{name}_relu", dtype=dtype)(x)

    kernel = {"kernel_initializer": "he_normal", "use_bias": False, "dtype": dtype}
    hidden = normalized(keras.layers.Dense(units, name="dense_1", **kernel)(x), "dense_1")
    x = normalized(keras.layers.Dense(channels * rows * columns, name="dense_2", **kernel)(hidden), "dense_2")
    x = keras.layers.Reshape((rows, columns, channels), name="reshape", dtype=dtype)(x)
    x = keras.layers.UpSampling2D(name="up_1", dtype=dtype)(x)
    x = normalized(keras.layers.Conv2D(filters, 3, padding="same", name="conv_1", **kernel)(x), "conv_1")
    x = keras.layers.UpSampling2D(name="up_2", dtype=dtype)(x)
    x = keras.layers.Conv2D(depth, 3, padding="same", kernel_initializer="he_normal", name="conv_2", dtype=dtype)(x)
    x = keras.layers.Activation("tanh", name="tanh", dtype=dtype)(x)
    x = keras.layers.Rescaling(2.0, name="scale", dtype=dtype)(x)
    if (4 * rows, 4 * columns) != (height, width):
        x = keras.layers.Cropping2D(((0, 4 * rows - height), (0, 4 * columns - width)), name="crop", dtype=dtype)(x)
    return x, hidden
