"""Raw images to mean 0 and variance 1 ("particularly important to normalize", GTN paper, A.1)."""

import tensorflow as tf


def normalize(images, mean, std):
    """Raw images `[n, H, W]` or `[n, H, W, C]` of any number type -> float32 `[n, H, W, C]`, (images - mean) / std a channel.

    Args:
      images: on the scale of their source, such as 0..255.
      mean, std: one number a channel.
    """
    images = tf.cast(images, tf.float32)
    if images.shape.rank == 3:
        images = images[..., None]
    return (images - tf.constant(mean, tf.float32)) / tf.constant(std, tf.float32)
