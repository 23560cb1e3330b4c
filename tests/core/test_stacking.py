"""Networks side by side against the same networks one by one."""

import keras
import numpy as np
import tensorflow as tf

from tf_gtn.core import SGD, Functional, stacking, supervised
from tf_gtn.models import perceptrons


def test_each_network_is_what_it_is_alone():
    learner = Functional(perceptrons.perceptron(3, 2, units=(5,)))
    stacked = stacking.Stacked(learner, 4)
    params, state = stacked.initial_values(tf.constant([1, 2]))
    inputs = tf.random.stateless_normal([4, 6, 3], [3, 4])
    outputs, _ = stacked(params, state, inputs)
    for n in range(4):
        alone, _ = learner(*tf.nest.map_structure(lambda x: x[n], (params, state)), inputs[n])  # noqa: B023 - used at once
        np.testing.assert_allclose(outputs[n], alone, rtol=1e-6)
    assert np.ptp([outputs[n].numpy().mean() for n in range(4)]) > 0.01, "all networks are the same one"


def test_a_step_on_the_sum_of_losses_is_each_ones_own():
    learner, optimizer = Functional(perceptrons.perceptron(3, 2, units=(5,))), SGD(0.3, 0.0)
    stacked, hyper = stacking.Stacked(learner, 3), {"learning_rate": 0.3, "momentum": 0.0}
    values = stacked.initial_values(tf.constant([1, 2]))
    inputs, labels = tf.random.stateless_normal([3, 6, 3], [3, 4]), tf.random.stateless_normal([3, 6, 2], [5, 6])

    def squared(labels, outputs):
        return tf.reduce_sum(tf.reduce_mean(tf.math.squared_difference(labels, outputs), [-2, -1]))

    def stepped(network, values, inputs, labels):
        start = supervised.initial_state(optimizer, *values)
        return supervised.update(network, optimizer, start, inputs, labels, hyper, squared)[0]["params"]

    together = stepped(stacked, values, inputs, labels)
    for n in range(3):
        values_of_network = tf.nest.map_structure(lambda x: x[n], values)  # noqa: B023 - used at once
        for path, value in stepped(learner, values_of_network, inputs[n], labels[n]).items():
            np.testing.assert_allclose(together[path][n], value, rtol=1e-5, atol=1e-7)


def test_batch_norm_statistics_are_each_ones_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(momentum=0.0)])
    stacked = stacking.Stacked(Functional(model), 2)
    inputs = tf.stack([tf.ones([4, 3]), tf.range(12.0)[:, None][:4] * tf.ones([4, 3])])
    _, state = stacked(*stacked.initial_values(tf.constant([1, 2])), inputs, training=True)
    mean = next(value for path, value in state.items() if path.endswith("moving_mean"))
    np.testing.assert_allclose(mean, tf.reduce_mean(inputs, 1))
