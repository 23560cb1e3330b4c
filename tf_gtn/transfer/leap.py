"""Leap's meta-gradient, accumulated while a task is trained, and the length of the way (Leap, appendices A and C).

A task's way is the points (theta_i, f(theta_i)) that an optimiser passes. Leap pulls the initialisation along it, so that the
ways of all tasks get shorter. Nothing is kept but the point before, so memory does not grow with the number of steps.
"""

import dataclasses

import tensorflow as tf

from tf_gtn import errors


@dataclasses.dataclass(frozen=True)
class Manifold:
    """In what a way is measured.

    Attributes:
      power: p of equation 7: 1 for the length, 2 for the energy.
      loss: whether the loss is a coordinate; else the parameters alone.
      stabilizer: never follow a step's gradient uphill: -|df| in the place of df (appendix C).
    """

    power: int = 1
    loss: bool = True
    stabilizer: bool = True

    def __post_init__(self):
        if self.power not in (1, 2):
            raise errors.UserError(f"transfer.Manifold.power is 1, the length, or 2, the energy; got {self.power}")
        if self.stabilizer and not self.loss:
            raise errors.UserError("transfer.Manifold.stabilizer has no effect without the loss as a coordinate")

    def increment(self, before, gradient, loss_before, after, loss_after):
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
        direction = moved
        if self.loss:
            change = loss_after - loss_before
            squared += tf.square(change)
            signed = -tf.abs(change) if self.stabilizer else change
            direction = tf.nest.map_structure(lambda m, g: m + signed * g, moved, gradient)
        scale = -tf.math.rsqrt(tf.maximum(squared, 1e-30)) if self.power == 1 else -tf.ones_like(squared)
        return tf.nest.map_structure(lambda d: scale * d, direction), squared


def train(network, optimizer, start, batch, steps, manifold, loss_fn, hyper=None):
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

    Returns:
      `{"params", "model", "increment", "length", "energy", "losses" [steps + 1]}`.
    """
    constant = {name: value for name, (value, _) in optimizer.hyperparameters.items()}

    def look(params, model, t):
        inputs, labels = batch(t)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(params))
            outputs, model = network(params, model, inputs, training=True)
            loss = loss_fn(labels, outputs)
        return loss, tape.gradient(loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO), model

    def update(params, slots, gradient, t):
        return optimizer.update(gradient, slots, params, hyper(t) if hyper is not None else constant)

    params, model = start
    total = {
        "increment": tf.nest.map_structure(tf.zeros_like, params),
        "length": tf.zeros([], tf.nest.flatten(params)[0].dtype),
        "energy": tf.zeros([], tf.nest.flatten(params)[0].dtype),
    }
    loss, gradient, model = look(params, model, tf.constant(0))
    losses = tf.TensorArray(loss.dtype, size=steps + 1, element_shape=[]).write(0, loss)

    def body(t, params, slots, model, loss, gradient, total, losses):
        after, slots = update(params, slots, gradient, t)
        loss_after, gradient_after, model = look(after, model, t + 1)
        if manifold is not None:
            own, squared = manifold.increment(params, gradient, loss, after, loss_after)
            total = {
                "increment": tf.nest.map_structure(tf.add, total["increment"], own),
                "length": total["length"] + tf.sqrt(squared),
                "energy": total["energy"] + squared,
            }
        return t + 1, after, slots, model, loss_after, gradient_after, total, losses.write(t + 1, loss_after)

    state = (tf.constant(0), params, optimizer.init(params), model, loss, gradient, total, losses)
    _, params, _, model, _, _, total, losses = tf.while_loop(
        lambda t, *_: t < steps, body, state, parallel_iterations=1, maximum_iterations=steps
    )
    return {"params": params, "model": model, **total, "losses": losses.stack()}


def reptile(start, params):
    """Reptile's meta-gradient theta_0 - theta_K, all steps included."""
    return tf.nest.map_structure(lambda a, b: a - b, start, params)


def first_order_maml(network, trained, batch, loss_fn):
    """MAML's meta-gradient without second derivatives: the gradient at the trained parameters on a batch of the task's own."""
    inputs, labels = batch
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten(trained["params"]))
        outputs, _ = network(trained["params"], trained["model"], inputs, training=True)
        loss = loss_fn(labels, outputs)
    return tape.gradient(loss, trained["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)


def relative_precision(jacobian):
    """rho = ||I - J||_1 / ||J||_1 in the Schatten 1-norm, of `[..., n, n]` (appendix D)."""
    identity = tf.eye(jacobian.shape[-1], dtype=jacobian.dtype)

    def norm(matrix):
        return tf.reduce_sum(tf.linalg.svd(matrix, compute_uv=False), -1)

    return norm(identity - jacobian) / norm(jacobian)
