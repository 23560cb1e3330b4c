"""Leap's meta-gradient, accumulated while a task is trained, and the length of the way (Leap, appendices A and C).

A task's way is the points (theta_i, f(theta_i)) that an optimiser passes. Leap pulls the initialisation along it, so that the
ways of all tasks get shorter. Nothing is kept but the point before, so memory does not grow with the number of steps.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core import optimizers

Batches = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""`t -> (inputs, labels)`."""
Judge = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""`(labels, outputs) -> scalar`."""


@dataclasses.dataclass(frozen=True)
@arguments.checked("transfer.Manifold")
class Manifold:
    """In what a way is measured.

    Attributes:
      power: p of equation 7: 1 for the length, 2 for the energy.
      loss: whether the loss is a coordinate; else the parameters alone.
      stabilizer: never follow a step's gradient uphill: -|df| in the place of df (appendix C); without the loss as a
        coordinate, what that adds where the loss rises.
    """

    power: Annotated[int, arguments.between(1, 2)] = 1
    loss: bool = True
    stabilizer: bool = True

    def increment(
        self, before: Any, gradient: Any, loss_before: tf.Tensor, after: Any, loss_after: tf.Tensor
    ) -> tuple[Any, tf.Tensor]:
        """One segment's share of the meta-gradient (equation 8 over p, with Jacobians for the identity).

        Args:
          before, after: parameters theta_i and theta_{i+1}, nested.
          gradient: of the loss at `before`.
          loss_before, loss_after: scalars.

        Returns:
          `(increments, squared length)`: -(df grad f + dtheta) / ||segment||^(2 - p), like `before`, to go down along; the norm
          is of all parameters at once, and the loss if it is a coordinate. Without it, energy is Reptile's theta_0 - theta_K.
        """
        moved = tf.nest.map_structure(lambda a, b: b - a, before, after)
        squared = tf.add_n([tf.reduce_sum(tf.square(v)) for v in tf.nest.flatten(moved)])
        change = loss_after - loss_before
        share = change if self.loss else tf.zeros_like(change)
        if self.stabilizer:
            share -= 2 * tf.nn.relu(change)
        squared += tf.square(change) if self.loss else 0
        direction = tf.nest.map_structure(lambda m, g: m + share * g, moved, gradient)
        scale = -tf.math.rsqrt(tf.maximum(squared, 1e-30)) if self.power == 1 else -tf.ones_like(squared)
        return tf.nest.map_structure(lambda d: scale * d, direction), squared


def train(
    network: Callable[..., tuple],
    optimizer: optimizers.Optimizer,
    start: tuple[dict, dict],
    batch: Batches,
    steps: int,
    manifold: Manifold | None,
    loss_fn: Judge,
    hyper: Callable[[tf.Tensor], dict] | None = None,
    error_fn: Judge | None = None,
    enough: Callable[[dict, dict, tf.Tensor], tf.Tensor] | None = None,
    in_a_row: int = 1,
) -> dict[str, Any]:
    """Trains on one task and accumulates the meta-gradient on the way, in one pass; graph-safe.

    Args:
      network: a `core.Functional`.
      optimizer: of `core.optimizers`.
      start: `(params, model state)`.
      batch: `t -> (inputs, labels)`, for t from 0 to `steps`: the last point is judged too, or its segment would be lost.
      steps: integer, updates.
      manifold: a `Manifold`; None accumulates nothing.
      loss_fn: `(labels, outputs) -> scalar`.
      hyper: `t -> {name: scalar}` of the optimiser; by default its own values.
      error_fn: `(labels, outputs) -> scalar`, looked at on the way; by default the loss.
      enough: `(params, model, t) -> boolean scalar`; training stops after `in_a_row` points in a row where it is true.
      in_a_row: see `enough`.

    Returns:
      `{"params", "model", "increment", "length", "energy", "losses" [n + 1], "errors" [n + 1]}`, the latter two of each step's
      batch before its update, and of the last point; n is `steps`, or fewer if it was enough.
    """
    constant = {name: value for name, (value, _) in optimizer.hyperparameters.items()}

    def evaluate(params, model, t):
        inputs, labels = batch(t)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(params))
            outputs, model = network(params, model, inputs, training=True)
            loss = loss_fn(labels, outputs)
        gradient = tape.gradient(loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.stack([loss, loss if error_fn is None else error_fn(labels, outputs)]), gradient, model

    def update(params, slots, gradient, t):
        return optimizer.update(gradient, slots, params, hyper(t) if hyper is not None else constant)

    params, model = start
    total = {
        "increment": tf.nest.map_structure(tf.zeros_like, params),
        "length": tf.zeros([], tf.nest.flatten(params)[0].dtype),
        "energy": tf.zeros([], tf.nest.flatten(params)[0].dtype),
    }
    seen, gradient, model = evaluate(params, model, tf.constant(0))
    rows = tf.TensorArray(seen.dtype, size=steps + 1, element_shape=[2]).write(0, seen)

    def body(t, row, params, slots, model, seen, gradient, total, rows):
        after, slots = update(params, slots, gradient, t)
        seen_after, gradient_after, model = evaluate(after, model, t + 1)
        if manifold is not None:
            increment, squared = manifold.increment(params, gradient, seen[0], after, seen_after[0])
            total = {
                "increment": tf.nest.map_structure(tf.add, total["increment"], increment),
                "length": total["length"] + tf.sqrt(squared),
                "energy": total["energy"] + squared,
            }
        if enough is not None:
            row = tf.where(enough(after, model, t + 1), row + 1, 0)
        return t + 1, row, after, slots, model, seen_after, gradient_after, total, rows.write(t + 1, seen_after)

    state = (tf.constant(0), tf.constant(0), params, optimizer.init(params), model, seen, gradient, total, rows)
    taken, _, params, _, model, _, _, total, rows = tf.while_loop(
        lambda t, row, *_: (t < steps) & (row < in_a_row), body, state, parallel_iterations=1, maximum_iterations=steps
    )
    losses, errors = tf.unstack(rows.stack()[: taken + 1], axis=1)
    return {"params": params, "model": model, **total, "losses": losses, "errors": errors}
