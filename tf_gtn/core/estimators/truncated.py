"""Backpropagation through a window of the unroll."""

import dataclasses
from typing import Annotated, Any

import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core.estimators import full
from tf_gtn.core.estimators import problem as problems

PLACES = ("end", "random")


@dataclasses.dataclass(frozen=True)
@arguments.checked("estimators.Truncated")
class Truncated(problems.Memoryless):
    """Unrolls to the window's end e and backpropagates through the last `window` steps only; the state before is a constant.

    With `place` "end" e = T: truncated backpropagation. With "random" e is uniform in {window, ..., T} at every outer step:
    RaT-BPTT (Feng, Vedantam & Kempe 2024, "Embarrassingly Simple Dataset Distillation").

    The objective is what the window sees: for "last" the meta-loss after step e, so in expectation over e the plain mean of
    those after steps window, ..., T; for "every" the mean of the meta-losses in the window, so in expectation a weighted mean,
    where step t = 1, ..., T counts by the number of windows that hold it, min(t, T + 1 - t, window, T + 1 - window).

    A window that reaches from step 0 to T makes it `Full`, whose gradient also goes through `begin`.

    Attributes:
      window: inner steps that are differentiated.
      place: "end" or "random".

    Raises:
      UserError: `window` is below 1, or `place` is unknown.
    """

    window: arguments.Count = 8
    place: Annotated[str, arguments.OneOf(PLACES, "estimators.Truncated.place")] = "end"

    name = "truncated"
    backpropagates = True

    def estimate(
        self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any
    ) -> problems.Estimate:
        if self.window >= problem.length:
            return full.Full().estimate(problem, values, seed, loss, state)
        judge = problems.judge(loss)
        start = problem.length - self.window
        if self.place == "random":
            place_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            start = tf.random.stateless_uniform([], place_seed, 0, start + 1, tf.int32)
        values = [tf.convert_to_tensor(v) for v in values]
        before, _, _ = problem.advance(values, problem.begin(values, seed), seed, 0, start, "none")
        before = tf.nest.map_structure(tf.stop_gradient, before)

        def window(values):
            _, losses, inner_losses = problem.advance(values, before, seed, start, self.window, judge)
            return tf.reduce_mean(losses), inner_losses[-1]

        value, gradients, inner_loss = problems.gradient(window, values)
        return problems.Estimate(value, gradients, inner_loss, state)
