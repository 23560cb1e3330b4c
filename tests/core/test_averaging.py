"""A mean over learners is that of their values, however many there are."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import averaging


def value(j):
    """A gradient through a loop, as an estimator takes it."""
    x = tf.constant([1.0, 2.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.while_loop(
            lambda t, _: t < 3, lambda t, y: (t + 1, y * x), (0, x * tf.cast(j + 1, x.dtype)), maximum_iterations=3
        )[1]
    return {"gradient": tape.gradient(y, x), "loss": tf.reduce_sum(y)}


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("strategy", [None, tf.distribute.OneDeviceStrategy("/cpu:0")], ids=["alone", "strategy"])
def test_mean(count, strategy):
    averaged = tf.function(lambda: averaging.mean(value, count, strategy), autograph=False)()
    values = [tf.function(value)(tf.constant(j)) for j in range(count)]
    assert averaged.keys() == {"gradient", "loss"}
    for key in averaged:
        np.testing.assert_allclose(averaged[key], np.mean([one[key] for one in values], 0), rtol=1e-14)


class Three(tf.distribute.OneDeviceStrategy):
    num_replicas_in_sync = 3


def test_replicas_take_equal_shares():
    with pytest.raises(ValueError, match="3 replicas can't share 4 equally"):
        averaging.mean(value, 4, Three("/cpu:0"))
