"""The lesson of one fresh learner as the inner process that estimators of the outer gradient see."""

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tf_gtn.core import supervised
from tf_gtn.teaching import inner_loop

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

    def advance(
        self, values: list[tf.Tensor], state: Any, seed: tf.Tensor, start: int | tf.Tensor, steps: int | tf.Tensor, judge: str
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """`steps` inner steps from number `start` on; returns `(state, losses, inner losses [steps])`.

        `judge` is "every" (the real loss after each step, on a fresh batch each time: `losses` [steps]), "end" ([1]) or "none"
        ([0]).
        """
        training, reader = self._training, self._training._reader
        _, lesson, real = _split(seed)

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
        with self._at(values):
            xs = tf.nest.map_structure(part, self._loop.xs(training.hyperparameters.values(), lesson))
            state, ys = self._loop.run(state, xs, recompute_every=training._recompute_every, **measuring)
        if judge == "every":
            losses = ys["measured"]
        elif judge == "end":
            losses = measure(state, reader.params(), reader.sample((training._outer_batch,), real))[tf.newaxis]
        else:
            losses = tf.zeros([0], ys["inner_loss"].dtype)
        return state, losses, ys["inner_loss"]

    def _at(self, values):
        """In it the outer variables have these values."""
        return keras.StatelessScope(list(zip(self._training.trainable_variables, values)))


def _split(seed):
    """Seeds of the learner, of its lesson and of the real batches that judge it."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, 3))
