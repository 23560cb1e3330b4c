"""Lessons whose images are kept themselves: a choice of real images, cluster centres, learned pixels, learned bases.

Learned ones begin from noise, or from images: those of `real_subset` or `k_means`.
"""

import math
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, data, errors
from tf_gtn.teaching import curricula, starts, treatments

_centres: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # {data set: {(T, B, seed): images}}


class Distilled:
    """Dataset distillation: the pixels themselves are the outer parameters (Wang et al. 2019; GTN paper, section 3.3)."""

    name = "distilled"

    def __init__(self, images: Any, classes: int, labels: curricula.Labels = "fixed", epochs: int = 1) -> None:
        """`images` [T / epochs, B, H, W, C] are the first ones, of classes in turn; `labels` as in `curricula.Curriculum`."""
        self.pixels = keras.Variable(images, name="pixels")
        batches, batch_size = self.pixels.shape[:2]
        self.inner_steps, self.epochs = batches * epochs, epochs
        self._one_hot = tf.one_hot(curricula.cycling_labels(batches, batch_size, classes), classes)
        self.logits = curricula.first_logits(self._one_hot) if labels == "learned" else None

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [self.pixels] + ([] if self.logits is None else [self.logits])

    variables = trainable_variables

    @property
    def stored_floats(self) -> int:
        """How many numbers its lesson is made from: pixels and, where they are learned, labels."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def params(self) -> Any:
        return {}

    def xs(self, seed: tf.Tensor) -> Any:
        del seed
        label = self._one_hot if self.logits is None else tf.nn.softmax(tf.convert_to_tensor(self.logits))
        return _repeated({"image": tf.convert_to_tensor(self.pixels), "label": label}, self.epochs)

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        del params
        return x["image"], x["label"]


class Bases:
    """Images that are sums of a few learned bases, with learned coefficients for each image.

    The same K bases [K, H, W, C] serve all classes and steps (the memory of Deng and Russakovsky 2022, one address per image).
    A sum is divided by the root of K, as `layers.BasisImages` does and for its reason: K bases that all move by as much as a
    learned pixel would move an image K times as far, and with 256 of them it does not stay finite.
    """

    name = "bases"

    def __init__(self, images: Any, classes: int, count: int, epochs: int = 1) -> None:
        """The `count` bases and their coefficients begin as those that `images` [T / epochs, B, H, W, C] come nearest by."""
        images = np.asarray(images)
        batches, batch_size, *self._image_shape = images.shape
        self.inner_steps, self.epochs = batches * epochs, epochs
        self._one_hot = tf.one_hot(curricula.cycling_labels(batches, batch_size, classes), classes)
        coefficients, bases = starts.factors(images.reshape(-1, math.prod(self._image_shape)), count)
        self._scale = len(bases) ** -0.5
        self.bases = keras.Variable(bases.reshape(-1, *self._image_shape) / self._scale, name="bases")
        self.coefficients = keras.Variable(coefficients.reshape(batches, batch_size, -1), name="coefficients")

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [self.bases, self.coefficients]

    variables = trainable_variables

    @property
    def stored_floats(self) -> int:
        """How many numbers its lesson is made from: bases and coefficients."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def params(self) -> Any:
        return {"bases": tf.convert_to_tensor(self.bases)}

    def xs(self, seed: tf.Tensor) -> Any:
        del seed
        return _repeated({"coefficients": tf.convert_to_tensor(self.coefficients), "label": self._one_hot}, self.epochs)

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.tensordot(x["coefficients"] * self._scale, params["bases"], 1), x["label"]


def _repeated(xs, epochs):
    return tf.nest.map_structure(lambda x: tf.tile(x, [epochs] + [1] * (len(x.shape) - 1)), xs)


def _batches(inner_steps, epochs, where):
    if inner_steps % epochs:
        raise errors.UserError(f"{where}.epochs must divide the {inner_steps} inner steps; got {epochs}")
    return inner_steps // epochs


def first_images(
    dataset: data.Dataset, inner_steps: int, batch_size: int, seed: Sequence[int], start: starts.Start
) -> np.ndarray:
    """Images `[T, B, H, W, C]` of mean 0 and variance 1 that learning begins from, of classes in turn."""
    if start == "noise":
        return tf.random.stateless_normal((inner_steps, batch_size, *dataset.image_shape), seed).numpy()
    make = {"real": real_subset, "k_means": k_means}[start]
    return make(dataset, inner_steps, batch_size, seed).images.numpy()


@treatments.REGISTRY.register("distilled")
@arguments.checked("teaching.distilled")
def distilled(
    dataset: data.Dataset,
    inner_steps: int,
    batch_size: int,
    seed: Sequence[int],
    start: starts.Start = "noise",
    labels: curricula.Labels = "fixed",
    epochs: arguments.Count = 1,
) -> Distilled:
    """Learned pixels.

    Args:
      dataset: says what images and classes there are.
      inner_steps, batch_size: T, B.
      seed: two integers.
      start: "noise", unit Gaussian pixels (GTN paper, section 3.3); "real", a random choice of real images; "k_means", cluster
        centres of each class, the best of the three.
      labels: "fixed" one-hot labels, or "learned" ones.
      epochs: how often each batch comes; it divides T.
    """
    images = first_images(dataset, _batches(inner_steps, epochs, "teaching.distilled"), batch_size, seed, start)
    return Distilled(images, dataset.num_classes, labels, epochs)


@treatments.REGISTRY.register("bases")
@arguments.checked("teaching.bases")
def bases(
    dataset: data.Dataset,
    inner_steps: int,
    batch_size: int,
    seed: Sequence[int],
    count: arguments.Count = 64,
    start: starts.Start = "k_means",
    epochs: arguments.Count = 1,
) -> Bases:
    """Learned bases: `count` of them, which begin from images as those of `distilled` do; `epochs` as there."""
    images = first_images(dataset, _batches(inner_steps, epochs, "teaching.bases"), batch_size, seed, start)
    return Bases(images, dataset.num_classes, count, epochs)


@treatments.REGISTRY.register("real_subset")
def real_subset(dataset: data.Dataset, inner_steps: int, batch_size: int, seed: Sequence[int]) -> treatments.Fixed:
    """A random choice of T * B training images, classes as even as they can be, none twice before all of a class were taken."""
    rng = np.random.default_rng(seed)
    labels = curricula.cycling_labels(inner_steps, batch_size, dataset.num_classes)
    index = np.zeros(labels.shape, int)
    for c in range(dataset.num_classes):
        members, places = _members(dataset, c), int((labels == c).sum())
        if not places:  # fewer images than classes
            continue
        rounds = [rng.permutation(members) for _ in range(-(-places // len(members)))]
        index[labels == c] = np.concatenate(rounds)[:places]
    images = dataset.normalize(dataset.train.images[index.ravel()])
    return treatments.Fixed(
        "real_subset", tf.reshape(images, (*labels.shape, *dataset.image_shape)), tf.one_hot(labels, dataset.num_classes)
    )


@treatments.REGISTRY.register("k_means")
def k_means(dataset: data.Dataset, inner_steps: int, batch_size: int, seed: Sequence[int]) -> treatments.Fixed:
    """Cluster centres of each class' training images (scikit-learn's k-means), as many as a class has places in T * B.

    Fewer where a class has fewer images; they come again then, in the same order. Those of a data set are found once, since
    several treatments may begin from them.
    """
    known, key = _centres.setdefault(dataset, {}), (inner_steps, batch_size, *np.ravel(seed))
    if key not in known:
        known[key] = _k_means(dataset, inner_steps, batch_size, seed)
    labels = curricula.cycling_labels(inner_steps, batch_size, dataset.num_classes)
    return treatments.Fixed("k_means", known[key], tf.one_hot(labels, dataset.num_classes))


def _k_means(dataset, inner_steps, batch_size, seed):
    from sklearn import cluster  # slow to import, and needed here alone

    labels = curricula.cycling_labels(inner_steps, batch_size, dataset.num_classes)
    pixels = dataset.normalize(dataset.train.images).numpy()
    images = np.zeros((*labels.shape, *dataset.image_shape), np.float32)
    rng = np.random.default_rng(seed)
    for c in range(dataset.num_classes):
        vectors = pixels[_members(dataset, c)].reshape(-1, int(np.prod(dataset.image_shape)))
        places = int((labels == c).sum())
        if not places:
            continue
        count = min(places, len(np.unique(vectors, axis=0)))
        algorithm = cluster.KMeans if len(vectors) * count < 2e5 else cluster.MiniBatchKMeans
        centres = algorithm(count, n_init=1, random_state=int(rng.integers(2**31))).fit(vectors).cluster_centers_
        images[labels == c] = rng.permutation(centres)[np.arange(places) % count].reshape(-1, *dataset.image_shape)
    return images


def _members(dataset, c):
    """Indices of the training images of a class; `UserError` if there are none."""
    indices = np.flatnonzero(dataset.train.labels == c)
    if not len(indices):
        raise errors.UserError(f"data set {dataset.name!r} has no training image of class {dataset.classes[c]}")
    return indices
