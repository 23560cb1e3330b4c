"""Classification tasks of one shape, side by side in one tensor, read in a graph."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, data, errors

_ROTATIONS = 36  # of 10 degrees each ("36 uniformly spaced rotations", appendix F)


class Tasks:
    """Tasks with the same number of images per class; the number of the one that is read may be a tensor.

    What they hold is in variables, so that a further seed's tasks can take their place (`become`) in graphs that are traced.

    Attributes:
      names: one per task.
      classes: of the task that has most; a task uses the first so many outputs of a network.
      image_shape: `(H, W, C)`.
    """

    def __init__(
        self,
        names: Iterable[str],
        images: np.ndarray,
        held_out: int,
        counts: Sequence[int] | None = None,
        rotated: bool = False,
    ) -> None:
        """Keeps the images as bytes.

        Args:
          names: of the tasks.
          images: uint8 `[tasks, classes, samples, H, W, C]`.
          held_out: the last so many samples of each class, which no training sees.
          counts: classes of each task, where it is not all of them.
          rotated: turn each training image by a random multiple of 10 degrees; held-out images stay upright.
        """
        _, self.classes, samples, *shape = images.shape
        if not 1 <= held_out < samples:
            raise errors.UserError(f"of {samples} images of a class 1 to {samples - 1} are held out; got {held_out}")
        self.names, self.image_shape, self._train_samples = tuple(names), tuple(shape), samples - held_out
        counts = [self.classes] * len(images) if counts is None else list(counts)
        trained = np.concatenate(
            [task_images[:count, : self._train_samples].ravel() for task_images, count in zip(images, counts)]
        )
        scale = np.array([trained.mean(), trained.std()], np.float32)
        # The scale as bits: `unroll` takes no step that reads a floating variable, which could be one that learns.
        self._images, self._counts, self._scale, self._rotated = (
            *(tf.Variable(v, trainable=False) for v in (images, np.array(counts, np.int32), scale.view(np.int32))),
            rotated,
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mean(self) -> tf.Tensor:
        """Of the training images' pixels, 0 to 255."""
        return tf.bitcast(self._scale, tf.float32)[0]

    @property
    def std(self) -> tf.Tensor:
        """Of the same."""
        return tf.bitcast(self._scale, tf.float32)[1]

    def become(self, other: "Tasks") -> None:
        """Holds what `other` of the same form does."""
        self.names = other.names
        for variable, source in ((self._images, other._images), (self._counts, other._counts), (self._scale, other._scale)):
            variable.assign(source)

    def with_last(self, task: int) -> "Tasks":
        """The same tasks, number `task` at the end."""
        order = [k for k in range(len(self)) if k != task] + [task]
        names, held_out = [self.names[k] for k in order], self._images.shape[2] - self._train_samples
        return Tasks(names, self._images.numpy()[order], held_out, self._counts.numpy()[order], self._rotated)

    def batch(
        self, task: int | tf.Tensor, size: int, seed: tf.Tensor, held_out: bool = False, augmented: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """So many random images `[size, H, W, C]` of a task and their one-hot labels, as a function of `seed` (integer [2]).

        `augmented`: whether training images are turned, if the tasks are made so.
        """
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        low, high = (self._train_samples, self._images.shape[2]) if held_out else (0, self._train_samples)
        label = tf.random.stateless_uniform([size], seeds[0], 0, tf.gather(self._counts, task), tf.int32)
        sample = tf.random.stateless_uniform([size], seeds[1], low, high, tf.int32)
        images = tf.gather_nd(self._images, tf.stack([tf.fill([size], task), label, sample], -1))
        images = self._normalized(images)
        if self._rotated and augmented and not held_out:
            turns = tf.random.stateless_uniform([size], seeds[2], 0, _ROTATIONS, tf.int32)
            images = _turned(images, tf.cast(turns, tf.float32) * (2 * np.pi / _ROTATIONS))
        return images, tf.one_hot(label, self.classes)

    def held_out(self, task: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """All images of a task that no training sees, and their one-hot labels."""
        count = tf.gather(self._counts, task)
        images = self._images[task][:count, self._train_samples :]
        labels = tf.repeat(tf.range(count), self._images.shape[2] - self._train_samples)
        return self._normalized(tf.reshape(images, (-1, *self.image_shape))), tf.one_hot(labels, self.classes)

    def _normalized(self, images):
        return (tf.cast(images, tf.float32) - self.mean) / self.std


@arguments.checked("transfer.alphabets")
def of_alphabets(
    alphabets: Mapping[str, np.ndarray],
    classes: arguments.Count = 20,
    held_out: arguments.Count = 5,
    seed: int = 0,
    rotated: bool = False,
) -> Tasks:
    """One alphabet per task, `classes` random characters of each; smaller alphabets are left out (Leap, appendix F).

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


@arguments.checked("transfer.data_sets")
def of_data_sets(
    data_sets: Mapping[str, data.Dataset], samples: arguments.Count = 100, held_out: arguments.Count = 20, seed: int = 0
) -> Tasks:
    """One data set per task (Multi-CV; Leap, appendix G): as many images of each class, those held out from its test images.

    All images are taken to 0 to 255, since one mean and standard deviation is all tasks'.

    Args:
      data_sets: `{name: data.Dataset}` of one image shape.
      samples: images of each class, held-out ones among them; all that the rarest class has if those are fewer.
      held_out: of these.
      seed: of the choice.

    Raises:
      UserError: the images have several shapes.
    """
    rng = np.random.default_rng(seed)
    data_sets = {name: dataset.in_full_range() for name, dataset in data_sets.items()}
    shapes = {name: dataset.image_shape for name, dataset in data_sets.items()}
    if len(set(shapes.values())) > 1:
        raise errors.UserError(f"tasks have images of one shape, by image_size; got {shapes}")
    learned = min(min(np.bincount(dataset.train.labels)) for dataset in data_sets.values())
    judged = min(min(np.bincount(dataset.test.labels)) for dataset in data_sets.values())
    train_samples, held_out = min(samples - held_out, int(learned)), min(held_out, int(judged))
    counts = [dataset.num_classes for dataset in data_sets.values()]
    shape = next(iter(shapes.values()))
    images = np.zeros((len(counts), max(counts), train_samples + held_out, *shape), np.uint8)
    for task_images, dataset in zip(images, data_sets.values()):
        for label in range(dataset.num_classes):
            chosen = []
            for split, count in ((dataset.train, train_samples), (dataset.test, held_out)):
                chosen.append(split.images[rng.permutation(np.flatnonzero(split.labels == label))[:count]])
            task_images[label] = np.concatenate(chosen)
    return Tasks(data_sets, images, held_out, counts)


def inverted(dataset: data.Dataset) -> data.Dataset:
    """Black on white."""
    return _changed(dataset.in_full_range(), lambda images: 255 - images)


def turned(dataset: data.Dataset) -> data.Dataset:
    """By a quarter turn."""
    return _changed(dataset, lambda images: np.rot90(images, axes=(1, 2)))


def textured(dataset: data.Dataset) -> data.Dataset:
    """Before a smooth random pattern of its own for each image, from a fixed seed."""

    def change(images):
        rng = np.random.default_rng(len(images))
        small = rng.uniform(0, 255, (len(images), 4, 4, images.shape[-1])).astype(np.float32)
        pattern = tf.image.resize(small, images.shape[1:3], "bicubic").numpy()
        return np.clip(np.maximum(images, 0.6 * pattern), 0, 255).astype(np.uint8)

    return _changed(dataset.in_full_range(), change)


def in_color(dataset: data.Dataset) -> data.Dataset:
    """Grey images with three equal channels; others as they are."""
    return _changed(dataset, lambda images: np.repeat(images, 3, -1) if images.shape[-1] == 1 else images)


VARIANTS = {"plain": lambda dataset: dataset, "inverted": inverted, "turned": turned, "textured": textured}


def _changed(dataset, change):
    splits = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    new = {name: dataclasses.replace(split, images=change(split.images)) for name, split in splits.items()}
    return dataclasses.replace(dataset, **new, mean=None, std=None)


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
