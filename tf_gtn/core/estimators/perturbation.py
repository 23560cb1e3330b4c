"""Antithetic pairs of perturbed outer parameters: their draws, a loop over them, and the slopes between them.

A structure over both signs has a leading axis `[2 * pairs]`: the pairs' positive members, then their negative ones.
Memory grows with pairs x outer parameters, never with pairs x inner process.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def draw(seed: tf.Tensor, values: list[tf.Tensor], pairs: int, sigma: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """The pairs of one call.

    Returns:
      `(noise, seeds)`: a tensor `[pairs, ...]` of N(0, sigma^2) for each of `values`, and the inner processes' seeds
      `[pairs, 2]`, which both members of a pair share.
    """
    noise_seed, inner_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    noise_seeds = tf.unstack(tf.random.experimental.stateless_split(noise_seed, len(values)), num=len(values))
    noise = [sigma * tf.random.stateless_normal([pairs, *v.shape], s, dtype=v.dtype) for v, s in zip(values, noise_seeds)]
    return noise, tf.random.experimental.stateless_split(inner_seed, pairs)


def both(noise: list[tf.Tensor], seeds: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Noise and seeds `[2 * pairs, ...]` of both signs."""
    return [tf.concat([n, -n], 0) for n in noise], tf.tile(seeds, [2, 1])


def points(values: list[tf.Tensor], noise: list[tf.Tensor]) -> list[tf.Tensor]:
    return [v + n for v, n in zip(values, noise)]


def slopes(losses: tf.Tensor, noise: list[tf.Tensor], sigma: float) -> list[tf.Tensor]:
    """A gradient of the smoothed loss a pair, (L(v + n) - L(v - n)) n / (2 sigma^2): list of `[pairs, ...]`.

    Args:
      losses: `[2 * pairs]`.
      noise: list of `[pairs, ...]`, what the losses are regressed on.
      sigma: standard deviation of a perturbation.
    """
    positive, negative = tf.split(losses, 2)
    scale = (positive - negative) / (2 * sigma**2)
    return [tf.reshape(tf.cast(scale, n.dtype), [-1] + [1] * (n.shape.rank - 1)) * n for n in noise]


def each(fn: Callable[[Any], Any], elements: Any) -> Any:
    """`tf.map_fn` over the leading axis, one element at a time, so that memory holds one inner process.

    `fn` is traced once, as a function that is not inlined: the sums of gradients inside stay out of the loop's frame, for
    the reason given in `unrolling`.
    """
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), elements)
    function = tf.function(fn, autograph=False, experimental_attributes={"_noinline": True}).get_concrete_function(spec)
    outputs = tf.nest.map_structure(lambda y: tf.TensorSpec(y.shape, y.dtype), function.structured_outputs)
    return tf.map_fn(function, elements, parallel_iterations=1, fn_output_signature=outputs)
