"""Inference by optimisation: the code whose image is nearest to a given one (unrolled GAN paper, section 3.3.1)."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_gtn import legacy_keras


def reconstruct(
    generate: Callable[[tf.Tensor], tf.Tensor],
    targets: tf.Tensor,
    latent: int,
    seed: tf.Tensor | Sequence[int],
    starts: int = 3,
    iterations: int = 100,
) -> tuple[tf.Tensor, tf.Tensor]:
    """z = argmin ||G(z) - x||^2 (equation 13) by L-BFGS from several random starts, all images at once; the best start stays.

    Args:
      generate: noise `[m, latent]` -> samples `[m, ...]`, differentiable, each row by itself.
      targets: `[n, ...]`.
      latent: length of the noise.
      seed: integer [2], of the starts, which are the same for every generator.
      starts: how many ("3 random starts", section 3.3.1).
      iterations: of L-BFGS, at most.

    Returns:
      `(nearest [n, ...], errors [n])`: mean squared errors over pixels.

    Raises:
      UserError: TensorFlow Probability is not installed, or `tf.keras` was used as Keras 3 before.
    """
    legacy_keras.use("gan")
    import tensorflow_probability as tfp  # after that, and slow to import

    targets = tf.convert_to_tensor(targets)
    repeated = tf.repeat(targets, starts, 0)
    axes = list(range(1, len(targets.shape)))

    @tf.function(autograph=False)
    def value_and_gradients(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            error = tf.reduce_sum(tf.math.squared_difference(generate(z), repeated), axes)
        return error, tape.gradient(error, z)

    start = tf.random.stateless_normal((len(repeated), latent), seed, dtype=targets.dtype)
    optimum = tfp.optimizer.lbfgs_minimize(value_and_gradients, start, max_iterations=iterations, tolerance=1e-5)
    squared_errors = tf.reshape(optimum.objective_value, [-1, starts])
    best = tf.argmin(tf.where(tf.math.is_finite(squared_errors), squared_errors, squared_errors.dtype.max), 1, tf.int32)
    rows = tf.range(len(targets)) * starts + best
    pixels = tf.cast(tf.reduce_prod(targets.shape[1:]), targets.dtype)
    return generate(tf.gather(optimum.position, rows)), tf.gather(optimum.objective_value, rows) / pixels
