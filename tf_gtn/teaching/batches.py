"""The batches of a whole lesson, made before a learner takes its steps.

A generator is run once for many steps together, by `tf.vectorized_map`: products and convolutions of all steps become one,
while BatchNorm keeps each step's statistics to itself. That takes less time than a call per step, and the backward pass needs
no second forward pass of the generator. Its activations are kept for the backward pass as far as `MEMORY` reaches; longer
lessons are made in parts, whose activations are computed again.
"""

import math
from typing import Any

import tensorflow as tf

from tf_gtn.core import unrolling
from tf_gtn.teaching import protocols

MEMORY = 512e6
"""Bytes that the activations of a generator may take."""


def make(treatment: protocols.Treatment, xs: Any, memory: float = MEMORY) -> tuple[tf.Tensor, tf.Tensor]:
    """The images `[T, B, H, W, C]` and labels `[T, B, classes]` of T inner steps; differentiable.

    Args:
      treatment: one that does not watch the learner.
      xs: of the treatment, `[T, ...]`, or a slice of it.
      memory: bytes that activations may take.
    """
    params = treatment.params()

    def together(params, state, xs):
        return state, tf.vectorized_map(lambda x: treatment.batch(params, x), xs)

    length = tf.nest.flatten(xs)[0].shape[0]
    steps = max(1, int(memory // activation_bytes(treatment, params, xs)))
    if length is None or length <= steps:
        return together(params, (), xs)[1]
    count = math.ceil(length / steps)
    parts = next(count for count in range(count, length + 1) if length % count == 0)  # all of one length
    _, made = unrolling.unroll(together, params, (), tf.nest.map_structure(lambda x: _split(x, parts), xs))
    return tf.nest.map_structure(_join, made)


def activation_bytes(treatment: protocols.Treatment, params: Any, xs: Any) -> int:
    """What one step's batch takes while it is made: all that its graph's operations give, but for constants."""

    def batch(params, x):
        return treatment.batch(params, x)

    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), params)
    of_step = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), xs)
    graph = tf.function(batch, autograph=False).get_concrete_function(specs, of_step).graph
    outputs = [output for operation in graph.get_operations() if operation.type != "Const" for output in operation.outputs]
    return sum(x.shape.num_elements() * x.dtype.size for x in outputs if x.shape.is_fully_defined() and x.dtype.is_floating)


def _split(x, parts):
    return tf.reshape(x, [parts, -1, *x.shape[1:]])


def _join(x):
    return tf.reshape(x, [-1, *x.shape[2:]])
