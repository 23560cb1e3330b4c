"""How good the identity is in the place of the Jacobians that Leap leaves out (Leap, appendix D, figure 4)."""

from collections.abc import Callable

import tensorflow as tf

from tf_gtn.core import functional


def of_layer(
    network: functional.Functional,
    start: tuple[dict, dict],
    batch: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    steps: int,
    learning_rate: float,
    path: str,
    loss_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    whole: bool = True,
) -> tf.Tensor:
    """d(a layer's kernel after i steps of SGD) / d(the same kernel at the start), for i from 1 to `steps`.

    The paper does not say which of two it means:

    - `whole`: the layer's block of the network's Jacobian; what its change does to other layers comes back through them;
    - else the layer's own chain, prod (I - alpha H) with the layer's block of each Hessian: the other layers go their way
      whatever it does.

    Args:
      network: a `core.Functional` of plain weights.
      start: `(params, model state)`.
      batch: `t -> (inputs, labels)`.
      steps, learning_rate: of plain SGD.
      path: the kernel's, with n numbers.
      loss_fn: `(labels, outputs) -> scalar`.
      whole: see above.

    Returns:
      `[steps, n, n]`; column k of a matrix is what a change of number k becomes.
    """
    params, model = start
    shape = params[path].shape
    size = shape.num_elements()
    moved = [path] if not whole else list(params)
    unit = tf.reshape(tf.eye(size, dtype=params[path].dtype), (size, *shape))
    tangents = {p: unit if p == path else tf.zeros((size, *params[p].shape), params[p].dtype) for p in moved}

    @tf.function(autograph=False)
    def step(params, model, tangents, t):
        inputs, labels = batch(t)

        def gradient(values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs, after = network({**params, **values}, model, inputs, training=True)
                loss = loss_fn(labels, outputs)
            return tape.gradient(loss, values), after

        def product(tangent):  # H v by two reverse passes
            values = {p: params[p] for p in moved}
            with tf.GradientTape() as tape:
                tape.watch(values)
                gradients, _ = gradient(values)
                inner = tf.add_n([tf.reduce_sum(gradients[p] * tangent[p]) for p in moved])
            return tape.gradient(inner, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        products = tf.map_fn(product, tangents, parallel_iterations=1)
        tangents = {p: tangents[p] - learning_rate * products[p] for p in moved}
        gradients, after = gradient(dict(params))
        return {p: v - learning_rate * gradients[p] for p, v in params.items()}, after, tangents

    jacobians = []
    for t in range(steps):
        params, model, tangents = step(params, model, tangents, tf.constant(t))
        jacobians.append(tf.transpose(tf.reshape(tangents[path], (size, size))))
    return tf.stack(jacobians)


def relative_precision(jacobian: tf.Tensor) -> tf.Tensor:
    """rho = ||I - J||_1 / ||J||_1 in the Schatten 1-norm, of `[..., n, n]` (appendix D)."""
    identity = tf.eye(jacobian.shape[-1], dtype=jacobian.dtype)

    def norm(matrix):
        return tf.reduce_sum(tf.linalg.svd(matrix, compute_uv=False), -1)

    return norm(identity - jacobian) / norm(jacobian)
