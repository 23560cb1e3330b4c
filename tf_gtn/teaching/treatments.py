"""Treatments: where the batches of the inner loop come from (GTN paper, section 3.3).

`protocols.Treatment` says what one is; `REGISTRY` has the functions that make those without a generator, by name. Those whose
images are kept themselves are in `pixels`.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import data, errors, registries
from tf_gtn.core import functional
from tf_gtn.data import reader
from tf_gtn.models import layers
from tf_gtn.teaching import curricula, protocols, starts

REGISTRY = registries.Registry("treatment", reserved=("gtn",))
"""`{name: function (dataset, inner_steps, batch_size, seed, ...) -> Treatment}`, with two integers for a seed."""


def curriculum_of(treatment: protocols.Treatment) -> curricula.Curriculum | None:
    """The curriculum of a treatment that has one."""
    return treatment.curriculum if isinstance(treatment, GTN) else None


class GTN:
    """Batches from a generator that is trained together with its curriculum.

    A generator that gives `{"image", "label"}` makes its own soft labels (the XY generator, GTN paper, appendix F).
    """

    name = "gtn"

    def __init__(
        self, generator: keras.Model, curriculum: curricula.Curriculum, seed: tf.Tensor, weight_norm: bool = True
    ) -> None:
        """Draws the generator's weights anew.

        Args:
          generator: Keras model of `{"noise", "label"}`, or `{"noise"}`, -> images or `{"image", "label"}`, with batch
            statistics where it has BatchNorm.
          curriculum: gives `{"noise", "label"}` for each inner step.
          seed: integer tensor [2].
          weight_norm: whether the generator's kernels are weight-normalised.
        """
        if curriculum.logits is not None and isinstance(generator.output, dict):
            raise errors.UserError("a generator that makes its own labels leaves learned labels (curriculum) without effect")
        self.curriculum = curriculum
        self.generator = functional.Functional(generator, weight_norm)
        params, self._state = self.generator.initial_values(seed)
        self._params = tf.nest.map_structure(lambda value: keras.Variable(value, dtype=value.dtype, name="generator"), params)

    @property
    def inner_steps(self) -> int:
        return self.curriculum.inner_steps

    @property
    def variables(self) -> list[keras.Variable]:
        return tf.nest.flatten(self._params) + self.curriculum.variables

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return tf.nest.flatten(self._params) + self.curriculum.trainable_variables

    @property
    def stored_floats(self) -> int:
        """How many numbers its lesson is made from: plain weights and codes."""
        kept = [*self.params().values(), *self.curriculum.variables]
        return sum(math.prod(value.shape) for value in kept)

    def presented(self, **use: Any) -> "GTN":
        """The same generator and codes for another use: see `Curriculum.presented`."""
        presented = copy.copy(self)  # the same variables
        presented.curriculum = self.curriculum.presented(**use)
        return presented

    def params(self) -> Any:
        """The generator's plain weights: joined once for all inner steps."""
        return self.generator.weights(tf.nest.map_structure(tf.convert_to_tensor, self._params))

    def begin_from(self, images: np.ndarray) -> None:
        """Sets codes and basis images: their sums are as near to given images as the codes' length allows.

        The images of a class begin as their mean and, by the codes, the first principal components of all classes' differences
        from their means.

        Args:
          images: `[N, B, H, W, C]` of mean 0 and variance 1, one for each code.

        Raises:
          UserError: the generator has no basis images, or there are no codes.
        """
        layer = next((x for x in self.generator.model.layers if isinstance(x, layers.BasisImages)), None)
        curriculum = self.curriculum
        if layer is None or curriculum.noise is None or curriculum.labels is None:
            raise errors.UserError(
                "a GTN begins from images where its generator has basis images (the generator residual) and its codes are "
                "fixed (teaching.curriculum.order is not 'none'); this one begins from noise"
            )
        vectors, labels = np.reshape(images, (curriculum.labels.size, -1)), curriculum.labels.ravel()
        means = np.stack([vectors[labels == c].mean(0) if c in labels else vectors.mean(0) for c in range(curriculum.classes)])
        codes, bases = starts.factors(vectors - means[labels], curriculum.latent)
        curriculum.noise.assign(codes.reshape(curriculum.noise.shape))
        weights = self.params()
        weights[self.generator.key(layer.bases)] = tf.reshape(np.concatenate([bases, means]) / layer.scale, layer.bases.shape)
        params = tf.nest.flatten(self.generator.split(weights))
        for variable, value in zip(tf.nest.flatten(self._params), params, strict=True):
            variable.assign(value)

    def from_export(self, weights: dict[str, np.ndarray], lesson: dict[str, np.ndarray], order: str) -> list[np.ndarray]:
        """What `variables` are where `params()` are these plain weights, and the codes are those of `Curriculum.codes`.

        Raises:
          UserError: a weight is not there, or has another shape; or as `Curriculum.codes`.
        """
        shapes = {key: list(value.shape) for key, value in self.params().items()}
        for key in sorted({*shapes, *weights}):
            given = list(weights[key].shape) if key in weights else None
            if given != shapes.get(key):
                raise errors.UserError(f"its generator's {key} is {given or 'not there'}, not {shapes.get(key, 'there')}")
        params = self.generator.split({key: tf.convert_to_tensor(weights[key]) for key in shapes})
        return [value.numpy() for value in tf.nest.flatten(params)] + self.curriculum.codes(lesson, order)

    def xs(self, seed: tf.Tensor) -> Any:
        return self.curriculum.xs(seed)

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return self.synthesise(params, self._state, x, batch_statistics=True)

    def synthesise(self, weights: dict, state: dict, x: Any, batch_statistics: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """`{"noise", "label"}` -> images and labels, from plain weights and BatchNorm statistics or with the batch's own."""
        output, _ = self.generator.apply_weights(weights, state, self._inputs(x), training=batch_statistics)
        if isinstance(output, dict):
            return output["image"], output["label"]
        return output, x.get("target", x["label"])

    def generate(self, noise: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Images for `noise` [n, latent] and `label` [n, classes], each by itself.

        BatchNorm uses the statistics of the whole curriculum here, so that an image does not depend on its neighbours in
        the batch; within the curriculum itself each batch uses its own, as in training.
        """
        weights = GTN.params(self)  # a closed loop's has the teacher's besides
        x = {"noise": noise, "label": label}
        return self.synthesise(weights, self.population_state(weights), x, batch_statistics=False)[0]

    def population_state(self, weights: dict) -> dict:
        """BatchNorm statistics of the curriculum: the mean over its batches."""
        xs = self.xs(tf.zeros([2], tf.int32))
        total = tf.nest.map_structure(tf.zeros_like, self._state)
        for t in range(self.inner_steps):
            x = self._inputs(tf.nest.map_structure(lambda x: x[t], xs))  # noqa: B023 - used at once
            _, state = self.generator.apply_weights(weights, self._state, x, training=True)
            total = tf.nest.map_structure(lambda a, b: a + b / self.inner_steps, total, state)
        return total

    def _inputs(self, x):
        return {name: x[name] for name in self.generator.model.input}


class Real:
    """Random mini-batches of the real training data; only the inner optimiser's hyperparameters are learned."""

    name = "real"
    trainable_variables = variables = ()

    def __init__(self, dataset: data.Dataset, inner_steps: int, batch_size: int) -> None:
        self._reader = reader.Reader(dataset, dataset.train)
        self._shape, self.inner_steps = (inner_steps, batch_size), inner_steps

    @property
    def stored_floats(self) -> int:
        """How many numbers the training images have."""
        return self._reader.size * math.prod(self._reader.dataset.image_shape)

    def presented(self, inner_steps: int | None = None, batch_size: int | None = None) -> "Real":
        """The same data in other numbers of steps and examples."""
        presented = copy.copy(self)
        presented.inner_steps = inner_steps or self.inner_steps
        presented._shape = presented.inner_steps, batch_size or self._shape[1]
        return presented

    def params(self) -> Any:
        return {"real": self._reader.params()}

    def xs(self, seed: tf.Tensor) -> Any:
        return self._reader.sample(self._shape, seed)

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return self._reader.batch(params["real"], x)


@REGISTRY.register("real")
def _real(dataset, inner_steps, batch_size, seed):
    del seed
    return Real(dataset, inner_steps, batch_size)


class Fixed:
    """Given images in a given order, the same ones for every learner: a choice of real ones, averages, or an export's.

    They are kept in variables that are not trained, so that a resumed run has them too.
    """

    trainable_variables = ()

    def __init__(self, name: str, images: Any, labels: Any) -> None:
        """`images` [T, B, H, W, C] of mean 0 and variance 1, `labels` [T, B, classes]."""
        self.name, self.inner_steps = name, len(images)
        self._xs = {
            key: keras.Variable(value, trainable=False, name=f"{name}_{key}")
            for key, value in (("image", images), ("label", labels))
        }

    @property
    def variables(self) -> list[keras.Variable]:
        return list(self._xs.values())

    @property
    def stored_floats(self) -> int:
        """How many numbers its images have."""
        return math.prod(self._xs["image"].shape)

    @property
    def images(self) -> tf.Tensor:
        """[T, B, H, W, C]"""
        return tf.convert_to_tensor(self._xs["image"])

    def params(self) -> Any:
        return {}

    def xs(self, seed: tf.Tensor) -> Any:
        del seed
        return tf.nest.map_structure(tf.convert_to_tensor, self._xs)

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        del params
        return x["image"], x["label"]


def batches(
    treatment: protocols.Treatment, seed: int = 0, steps: Sequence[int] | np.ndarray | None = None
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields `(images, labels)` of a lesson, step by step; of one that watches the learner, as before its first look.

    `seed` decides what is random in them; `steps` are the inner steps, from 0, that are made: all unless given.
    """
    params, xs, memory = treatment.params(), treatment.xs(tf.constant([seed, 0])), protocols.first_memory(treatment)
    if steps is not None:
        xs = tf.nest.map_structure(lambda x: tf.gather(x, steps), xs)
    for x in zip(*map(tf.unstack, tf.nest.flatten(xs))):
        yield treatment.batch(params, tf.nest.pack_sequence_as(xs, x), *memory)
