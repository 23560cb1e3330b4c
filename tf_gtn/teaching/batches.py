"""The batches of a whole lesson, made before a learner takes its steps.

A generator is run once for many steps together, by `tf.vectorized_map`: products and convolutions of all steps become one,
while BatchNorm keeps each step's statistics to itself. That takes less time than a call per step, and the backward pass needs
no second forward pass of the generator. Its activations are kept for the backward pass where `MEMORY` is enough for them;
longer lessons are made in parts, whose activations are computed again.
"""

import math
from typing import Any

import tensorflow as tf

from tf_gtn.core import unrolling
from tf_gtn.teaching import protocols

MEMORY = 1e9
"""Bytes that the activations of a generator may take."""
PART = 64e6
"""Bytes of a part's, where they are computed again: larger parts are hardly quicker on 8x8 images, and slower on 28x28."""


def make(treatment: protocols.Treatment, xs: Any, memory: float = MEMORY) -> tuple[tf.Tensor, tf.Tensor]:
    """The images `[T, B, H, W, C]` and labels `[T, B, classes]` of T inner steps; differentiable.

    Args:
      treatment: one that does not watch the learner.
      xs: of the treatment, `[T, ...]`, or a slice of it.
      memory: bytes that activations may take; each part of a lesson that takes more may take up to `PART`.
    """
    params, length = treatment.params(), tf.nest.flatten(xs)[0].shape[0]

    def together(params, state, xs):
        return state, tf.vectorized_map(lambda x: treatment.batch(params, x), xs)

    size = step_bytes(treatment, params, xs)
    if length is None or length * size <= memory:
        return together(params, (), xs)[1]
    steps = max(1, int(PART // size))
    parts = next(count for count in range(math.ceil(length / steps), length + 1) if length % count == 0)  # all of one length
    _, made = unrolling.unroll(together, params, (), tf.nest.map_structure(lambda x: _split(x, parts), xs))
    return tf.nest.map_structure(_join, made)


def step_bytes(treatment: protocols.Treatment, params: Any, xs: Any) -> int:
    """At most so much is kept of one step for the backward pass."""
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), params)
    of_step = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), xs)
    traced = tf.function(lambda params, x: treatment.batch(params, x), autograph=False)
    return max(1, unrolling.activation_bytes(traced.get_concrete_function(specs, of_step).graph))


def _split(x, parts):
    return tf.reshape(x, [parts, -1, *x.shape[1:]])


def _join(x):
    return tf.reshape(x, [-1, *x.shape[2:]])
