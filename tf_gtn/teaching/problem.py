"""The lesson of one fresh learner as the inner process that estimators of the outer gradient see."""

import contextlib
import math
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tf_gtn.core import estimators, supervised
from tf_gtn.teaching import batches, inner_loop

if TYPE_CHECKING:
    from tf_gtn.teaching import training


class Problem:
    """The lesson of one fresh learner as a function of the outer parameters' values: a `Problem` of `core.estimators`."""

    def __init__(self, training: "training.Training", loop: inner_loop.InnerLoop, widths: tf.Tensor) -> None:
        self._training, self._loop, self._widths = training, loop, widths
        self.length = training.inner_steps

    def begin(self, values: list[tf.Tensor], seed: tf.Tensor) -> Any:
        """A fresh learner."""
        with self._at(values):
            return self._loop.initial_state(_split(seed)[0], self._widths)

    def xs(self, values: list[tf.Tensor], seed: tf.Tensor) -> dict:
        """What the inner steps take; `seed` is the learner's."""
        with self._at(values):
            return self._loop.xs(self._training.hyperparameters.values(), _split(seed)[1])

    def advance(
        self, values: list[tf.Tensor], state: Any, seed: tf.Tensor, start: int | tf.Tensor, steps: int | tf.Tensor, judge: str
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """`steps` inner steps from number `start` on; returns `(state, losses, inner losses [steps])`.

        `judge` is "every" (the real loss after each step, on a fresh batch each time: `losses` [steps]), "end" ([1]) or "none"
        ([0]).
        """
        training, reader = self._training, self._training._reader
        real = _split(seed)[2]

        is_whole_lesson = isinstance(steps, int) and steps == self.length

        def part(x):
            return x if is_whole_lesson else x[start : start + steps]

        def measure(state, params, sample):
            images, labels = reader.batch(params, sample)
            return supervised.cross_entropy(labels, self._loop.logits(state, images))

        measuring: dict[str, Any] = {}
        if judge == "every":
            samples = reader.sample((self.length, training._outer_batch), real)
            samples = tf.nest.map_structure(part, samples)
            measuring = {"measure": measure, "measure_params": reader.params(), "measure_xs": samples}
        xs = {**self.xs(values, seed), **self._augmentation(seed)}
        xs = tf.nest.map_structure(part, xs)
        with self._at(values):
            state, ys = self._loop.run(
                state, xs, recompute_every=training._recompute_every, augment=training.augment, **measuring
            )
        if judge == "every":
            losses = ys["measured"]
        elif judge == "end":
            losses = measure(state, reader.params(), reader.sample((training._outer_batch,), real))[tf.newaxis]
        else:
            losses = tf.zeros([0], ys["inner_loss"].dtype)
        return state, losses, ys["inner_loss"]

    def _augmentation(self, seed):
        """Seeds of how this learner gets the images, one for each step."""
        if self._training.augment is None:
            return {}
        own = tf.random.experimental.stateless_fold_in(_split(seed)[1], 1)
        return {"augment": tf.random.stateless_uniform((self.length, 2), own, minval=None, maxval=None, dtype=tf.int32)}

    def _at(self, values):
        """In it the outer variables have these values."""
        return keras.StatelessScope(list(zip(self._training.trainable_variables, values)))


class Lesson:
    """A lesson that several learners share: its batches and hyperparameters are made once, and differentiated once.

    Attributes:
      tensors: what the learners' gradients are taken by.
    """

    def __init__(self, problem: Problem, values: list[tf.Tensor], seed: tf.Tensor) -> None:
        """Makes it of the outer parameters' `values`; `seed` decides what of it is random."""
        self._values = values
        memory = batches.MEMORY if problem._training._recompute_every else math.inf  # 0 keeps everything
        with tf.GradientTape(watch_accessed_variables=False) as self._tape:
            self._tape.watch(values)
            with problem._at(values):
                self._xs = problem._loop.with_batches(problem.xs(values, seed), memory)
        self.tensors = [x for x in tf.nest.flatten(self._xs) if x.dtype.is_floating]

    def problem(self, training: "training.Training", loop: inner_loop.InnerLoop, widths: tf.Tensor) -> "Problem":
        """One learner's inner problem, with `tensors` for outer parameters."""
        return _Taught(training, loop, widths, self._xs)

    def gradients(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Gradients by the outer parameters, from those by `tensors`."""
        return estimators.dense_gradients(self._tape, self.tensors, self._values, gradients)


class _Taught(Problem):
    """One learner of a lesson, as a function of the lesson's floating tensors."""

    def __init__(self, training, loop, widths, xs):
        super().__init__(training, loop, widths)
        self._xs = xs

    def xs(self, values, seed):
        del seed
        remaining = iter(values)
        return tf.nest.map_structure(lambda x: next(remaining) if x.dtype.is_floating else x, self._xs)

    def _at(self, values):
        del values
        return contextlib.nullcontext()


def _split(seed):
    """Seeds of the learner, of its lesson and of the real batches that judge it."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, 3))
