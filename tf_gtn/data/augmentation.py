"""Augmentation of real images while training, as a pure function of a seed."""

import tensorflow as tf

from tf_gtn import arguments


def random_crop_flip(images: tf.Tensor, seed: tf.Tensor, padding: arguments.Whole = 4, flip: bool = True) -> tf.Tensor:
    """Pads with zeros, cuts out a window of the old size at random, and mirrors half of the images left to right.

    The usual augmentation of CIFAR10 (He et al., 2016, section 4.2). A zero is black in raw images, and the training
    images' mean in normalised ones. Each image has its own window. Gradients flow to floating images.

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
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(f"images are [N, H, W, C]; got {images.shape}")
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
