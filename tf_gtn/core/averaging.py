"""Means over several learners of an outer step, taken by one process or shared out among a strategy's replicas."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def mean(fn: Callable[[tf.Tensor], Any], count: int, strategy: tf.distribute.Strategy | None = None) -> Any:
    """The mean of `fn(j)` for j = 0, ..., count - 1.

    Args:
      fn: `j`, an int32 scalar tensor, -> nested structure of floating tensors of static shapes. Pure but for what it captures.
      count: how many there are.
      strategy: a `tf.distribute.Strategy`; each of its replicas takes an equal share, and all of them get the mean. One
        all-reduce of everything at once. None: all of them here, one after the other.

    Raises:
      ValueError: the replicas can't share `count` equally.
    """
    if strategy is None:
        return fn(tf.constant(0)) if count == 1 else tf.nest.map_structure(lambda x: x / count, _total(fn, 0, count))
    if count % strategy.num_replicas_in_sync:
        raise ValueError(f"{strategy.num_replicas_in_sync} replicas can't share {count} equally")
    share, structure = count // strategy.num_replicas_in_sync, []

    def replica():
        first = share * tf.distribute.get_replica_context().replica_id_in_sync_group
        total = _total(fn, first, share)
        structure[:] = [tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), total)]
        return tf.concat([tf.reshape(x, [-1]) for x in tf.nest.flatten(total)], 0)

    flat = strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica), axis=None) / count
    specs = tf.nest.flatten(structure[0])
    parts = tf.split(flat, [spec.shape.num_elements() for spec in specs])
    return tf.nest.pack_sequence_as(structure[0], [tf.reshape(part, spec.shape) for part, spec in zip(parts, specs)])


def _total(fn, first, count):
    """The sum of `fn(first), ..., fn(first + count - 1)`, one at a time."""
    if count == 1:
        return fn(tf.convert_to_tensor(first))
    # Not inlined, for the reason given in `unrolling`.
    function = tf.function(fn, autograph=False, experimental_attributes={"_noinline": True})
    function = function.get_concrete_function(tf.TensorSpec([], tf.int32))
    zeros = tf.nest.map_structure(lambda x: tf.zeros(x.shape, x.dtype), function.structured_outputs)

    def body(j, total):
        return j + 1, tf.nest.map_structure(tf.add, total, function(first + j))

    return tf.while_loop(lambda j, _: j < count, body, (0, zeros), parallel_iterations=1)[1]
