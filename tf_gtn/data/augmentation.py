"""Augmentation of images while training, as a pure function of a seed; gradients flow to floating images.

A pixel from outside an image is 0: black in raw images, the training images' mean in normalised ones.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Annotated

import tensorflow as tf

from tf_gtn import arguments, errors

KINDS = ("color", "crop", "cutout", "flip", "scale", "rotate")
Kinds = Sequence[Annotated[str, arguments.OneOf(KINDS, "kind of augmentation")]]


def check(augment: Callable, where: str, images: tf.Tensor) -> None:
    """Tries an augmentation on some images; raises `UserError` unless it is a function that keeps their shape and type.

    `where`: the setting's name.
    """
    if not callable(augment):
        raise errors.UserError(f"{where} is a function (images, seed) -> images; got {augment!r}")
    try:
        inspect.signature(augment).bind(images, None)
    except TypeError as error:
        raise errors.UserError(f"{where} is a function (images, seed) -> images: {error}") from None
    augmented = tf.convert_to_tensor(augment(images, tf.constant([0, 0])))
    if (augmented.shape, augmented.dtype) != (images.shape, images.dtype):
        got, wanted = (f"{x.dtype.name} {x.shape.as_list()}" for x in (augmented, images))
        raise errors.UserError(f"{where} must give images of the shape and type that it is given, {wanted}; it gave {got}")


def random_crop_flip(images: tf.Tensor, seed: tf.Tensor, padding: arguments.Whole = 4, flip: bool = True) -> tf.Tensor:
    """Pads with zeros, cuts out a window of the old size at random, and mirrors half of the images left to right.

    The usual augmentation of CIFAR10 (He et al., 2016, section 4.2). Each image has its own window.

    Args:
      images: `[N, H, W, C]` of any dtype; sizes may be unknown in `tf.function`.
      seed: int32 `[2]`; the result depends on it and `images` alone.
      padding: pixels added on each of the four sides.
      flip: whether to mirror.

    Returns:
      `[N, H, W, C]` of the same dtype.

    Raises:
      ValueError: images of another rank, or negative padding.
    """
    images = _batch(images)
    if padding < 0:
        raise ValueError(f"padding is a number of pixels, at least 0; got {padding}")

    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    seeds = tf.unstack(tf.random.split(seed, 3))
    top, left = (tf.random.stateless_uniform([count, 1], s, 0, 2 * padding + 1, tf.int32) for s in seeds[:2])
    columns = tf.range(width)[tf.newaxis]
    if flip:
        mirrored = tf.random.stateless_uniform([count, 1], seeds[2], 0, 2, tf.int32) == 1
        columns = tf.where(mirrored, width - 1 - columns, columns)  # [N, W]
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    rows = tf.gather(padded, top + tf.range(height)[tf.newaxis], axis=1, batch_dims=1)  # [N, H, W + 2 padding, C]
    return tf.ensure_shape(tf.gather(rows, left + columns, axis=2, batch_dims=1), images.shape)


def cutout(images: tf.Tensor, seed: tf.Tensor, size: int) -> tf.Tensor:
    """Images `[N, H, W, C]` with a square of zeros somewhere in each, or reaching over its edge (DeVries and Taylor, 2017).

    Args:
      images: of any dtype.
      seed: int32 `[2]`.
      size: side of the square, in pixels.
    """
    images = _batch(images)
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    centers = tf.random.stateless_uniform(tf.stack([2, count, 1, 1]), seed)
    rows = tf.abs(tf.cast(tf.range(height), tf.float32)[None, :, None] + 0.5 - centers[0] * tf.cast(height, tf.float32))
    columns = tf.abs(tf.cast(tf.range(width), tf.float32)[None, None, :] + 0.5 - centers[1] * tf.cast(width, tf.float32))
    inside = (rows <= size / 2) & (columns <= size / 2)
    return tf.where(inside[..., None], tf.zeros_like(images), images)


@arguments.checked("augmentation.differentiable")
def differentiable(images: tf.Tensor, seed: tf.Tensor, kinds: Kinds = KINDS) -> tf.Tensor:
    """Changes a batch by one kind of augmentation, which is drawn for the batch; how far is drawn for each image.

    The kinds of differentiable Siamese augmentation (Zhao and Bilen, 2021):
      color: brightness moved by up to half of the image's standard deviation, then saturation times 0 to 2, then contrast
        times 0.5 to 1.5.
      crop: moved by up to an eighth of height and width, in whole pixels.
      cutout: a square of half the height set to 0.
      flip: half of the images mirrored left to right.
      scale: height and width each times 1 / 1.2 to 1.2, about the centre.
      rotate: by up to 15 degrees, about the centre.

    Args:
      images: `[N, H, W, C]` of any dtype; N may be unknown in `tf.function`. Integers are rounded, within 0 and 255.
      seed: int32 `[2]`; the result depends on it, `images` and `kinds` alone.
      kinds: those to choose from.

    Returns:
      `[N, H, W, C]` of the same dtype.

    Raises:
      UserError: no kind, or one that isn't known.
      ValueError: images of another rank.
    """
    images = _batch(images)
    if not kinds:
        raise errors.UserError(f"augmentation.differentiable.kinds are some of {', '.join(KINDS)}; got none")
    first, second = tf.unstack(tf.random.split(seed, 2))
    x = images if images.dtype.is_floating else tf.cast(images, tf.float32)
    chosen = tf.random.stateless_uniform([], first, 0, len(kinds), tf.int32)
    branches = [lambda kind=kind: tf.ensure_shape(_CHANGES[kind](x, second), images.shape) for kind in kinds]
    x = tf.switch_case(chosen, branches)
    return x if images.dtype.is_floating else tf.cast(tf.clip_by_value(tf.round(x), 0, 255), images.dtype)


def _batch(images):
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(f"images are [N, H, W, C]; got {images.shape}")
    return images


def _uniform(images, seed, count, low=0.0, high=1.0):
    """`count` tensors [N, 1, 1], of one number for each image."""
    shape = tf.stack([count, tf.shape(images)[0], 1, 1])
    return tf.unstack(tf.random.stateless_uniform(shape, seed, low, high, images.dtype))


def _color(images, seed):
    brightness, saturation, contrast = (u[..., None] for u in _uniform(images, seed, 3))
    images += (brightness - 0.5) * tf.math.reduce_std(images, (1, 2, 3), keepdims=True)
    grey = tf.reduce_mean(images, -1, keepdims=True)
    images = grey + 2 * saturation * (images - grey)
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    return mean + (0.5 + contrast) * (images - mean)


def _crop(images, seed):
    height, width = (tf.cast(size, images.dtype) for size in tf.unstack(tf.shape(images)[1:3]))
    down, right = _uniform(images, seed, 2, -0.125, 0.125)
    return _mapped(images, 1.0, 0.0, 0.0, 1.0, tf.round(down * height), tf.round(right * width))


def _cutout(images, seed):
    return cutout(images, seed, images.shape[1] // 2)


def _flip(images, seed):
    (u,) = _uniform(images, seed, 1)
    return tf.where(u[..., None] < 0.5, images[:, :, ::-1], images)


def _scale(images, seed):
    heights, widths = (tf.pow(tf.cast(1.2, images.dtype), u) for u in _uniform(images, seed, 2, -1.0, 1.0))
    return _mapped(images, heights, 0.0, 0.0, widths)


def _rotate(images, seed):
    (angle,) = _uniform(images, seed, 1, -math.pi / 12, math.pi / 12)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _mapped(images, cosine, -sine, sine, cosine)


def _mapped(images, yy, yx, xy, xx, down=0.0, right=0.0):
    """Each pixel (y, x), counted from the centre, is the one at (yy y + yx x + down, xy y + xx x + right), interpolated.

    Of gathers, whose gradient is exact; that of `ImageProjectiveTransformV3` is the inverse map's.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    center_y, center_x = ((tf.cast(n, images.dtype) - 1) / 2 for n in (height, width))
    y = tf.cast(tf.range(height), images.dtype)[:, None] - center_y
    x = tf.cast(tf.range(width), images.dtype) - center_x
    rows, columns = (
        yy * y + yx * x + down + center_y,
        xy * y + xx * x + right + center_x,
    )
    top, left = tf.floor(rows), tf.floor(columns)
    flat = tf.reshape(images, (-1, height * width, images.shape[-1]))
    total = tf.zeros_like(images)
    for row, row_weight in ((top, 1 - (rows - top)), (top + 1, rows - top)):
        for column, column_weight in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            r, c = tf.cast(row, tf.int32), tf.cast(column, tf.int32)
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            place = tf.clip_by_value(r, 0, height - 1) * width + tf.clip_by_value(c, 0, width - 1)
            weight = tf.where(inside, row_weight * column_weight, 0)
            total += weight[..., None] * tf.gather(flat, place, axis=1, batch_dims=1)
    return total


_CHANGES = {"color": _color, "crop": _crop, "cutout": _cutout, "flip": _flip, "scale": _scale, "rotate": _rotate}
