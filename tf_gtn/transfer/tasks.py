"""Classification tasks of one shape, side by side in one tensor, read in a graph."""

import numpy as np
import tensorflow as tf

from tf_gtn import errors

_ROTATIONS = 36  # of 10 degrees each ("36 uniformly spaced rotations", appendix F)


class Tasks:
    """Tasks with the same number of classes and images; which one is asked for may be a tensor.

    Attributes:
      names: one a task.
      classes: of each task.
      image_shape: `(H, W, C)`.
    """

    def __init__(self, names, images, held_out, mean=None, std=None, rotated=False):
        """Keeps the images as bytes.

        Args:
          names: of the tasks.
          images: uint8 `[tasks, classes, samples, H, W, C]`.
          held_out: the last so many samples of each class, which no training sees.
          mean, std: of pixels, 0 to 255; those of these tasks' training images unless given.
          rotated: turn each training image by a random multiple of 10 degrees; held-out images stay upright.
        """
        _, self.classes, samples, *shape = images.shape
        if not 1 <= held_out < samples:
            raise errors.UserError(f"of {samples} images of a class 1 to {samples - 1} are held out; got {held_out}")
        self.names, self.image_shape, self._kept = tuple(names), tuple(shape), samples - held_out
        self._images, self._rotated = tf.constant(images), rotated
        trained = images[:, :, : self._kept]
        self.mean = float(trained.mean()) if mean is None else mean
        self.std = float(trained.std()) if std is None else std

    def __len__(self):
        return len(self.names)

    def batch(self, task, size, seed, held_out=False):
        """So many random images `[size, H, W, C]` of a task and their one-hot labels, as a function of `seed` (integer [2])."""
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        low, high = (self._kept, self._images.shape[2]) if held_out else (0, self._kept)
        label = tf.random.stateless_uniform([size], seeds[0], 0, self.classes, tf.int32)
        sample = tf.random.stateless_uniform([size], seeds[1], low, high, tf.int32)
        images = tf.gather_nd(self._images, tf.stack([tf.fill([size], task), label, sample], -1))
        images = self._normalized(images)
        if self._rotated and not held_out:
            turns = tf.random.stateless_uniform([size], seeds[2], 0, _ROTATIONS, tf.int32)
            images = _turned(images, tf.cast(turns, tf.float32) * (2 * np.pi / _ROTATIONS))
        return images, tf.one_hot(label, self.classes)

    def held_out(self, task):
        """All images of a task that no training sees, and their one-hot labels."""
        images = self._images[task][:, self._kept :]
        labels = tf.repeat(tf.range(self.classes), images.shape[1])
        return self._normalized(tf.reshape(images, (-1, *self.image_shape))), tf.one_hot(labels, self.classes)

    def _normalized(self, images):
        return (tf.cast(images, tf.float32) - self.mean) / self.std


def of_alphabets(alphabets, classes=20, held_out=5, seed=0, rotated=False):
    """An alphabet a task, `classes` random characters of each; smaller alphabets are left out (Leap, appendix F).

    Args:
      alphabets: `{name: uint8 [characters, samples, H, W, C]}`.
      classes: "20 characters at random".
      held_out: "5 samples".
      seed: of the choice of characters and of the order of the alphabets.
      rotated: see `Tasks`.

    Raises:
      UserError: no alphabet has so many characters.
    """
    rng = np.random.default_rng(seed)
    large = sorted(name for name, images in alphabets.items() if len(images) >= classes)
    if not large:
        raise errors.UserError(f"no alphabet has {classes} characters")
    names = [large[i] for i in rng.permutation(len(large))]
    samples = min(alphabets[name].shape[1] for name in names)
    chosen = [alphabets[name][np.sort(rng.permutation(len(alphabets[name]))[:classes]), :samples] for name in names]
    return Tasks(names, np.stack(chosen), held_out, rotated=rotated)


def _turned(images, angles):
    """Each image about its middle, bilinear, what comes in is the edge's."""
    height, width = images.shape[1:3]
    cos, sin, y, x = tf.cos(angles), tf.sin(angles), (height - 1) / 2, (width - 1) / 2
    zero = tf.zeros_like(angles)
    transforms = tf.stack([cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, zero, zero], -1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
