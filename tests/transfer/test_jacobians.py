"""Jacobians of a layer along SGD against finite differences, and rho of known ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import Functional
from tf_gtn.transfer import jacobians

PATH, STEPS, RATE = "network/hidden/kernel", 3, 0.3


@pytest.fixture(scope="module")
def problem():
    layers = [
        keras.Input((2,), dtype="float64"),
        keras.layers.Dense(3, "tanh", dtype="float64", name="hidden"),
        keras.layers.Dense(2, dtype="float64", name="out"),
    ]
    net, rng = Functional(keras.Sequential(layers, name="network")), np.random.default_rng(0)
    x, y = tf.constant(rng.normal(size=(STEPS, 6, 2))), tf.constant(rng.normal(size=(STEPS, 6, 2)))
    return net, net.initial_values(tf.constant([0, 1])), lambda t: (tf.gather(x, t), tf.gather(y, t))


def squared_error(labels, outputs):
    return tf.reduce_mean(tf.math.squared_difference(labels, outputs))


def trained(net, params, batch, others=None):
    """The kernel after every step; `others`: where the other weights are at each, whatever the kernel does."""
    kernels, ways = [], []
    for t in range(STEPS):
        if others is not None:
            params = {**others[t], PATH: params[PATH]}
        ways.append(params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = squared_error(batch(t)[1], net(params, {}, batch(t)[0], training=True)[0])
        gradient = tape.gradient(loss, params)
        params = {p: v - RATE * gradient[p] for p, v in params.items()}
        kernels.append(params[PATH].numpy().ravel())
    return np.array(kernels), ways


@pytest.mark.parametrize("whole", [True, False])
def test_they_are_finite_differences(problem, whole):
    net, (params, model), batch = problem
    computed = jacobians.of_layer(net, (params, model), batch, STEPS, RATE, PATH, squared_error, whole)
    _, ways = trained(net, params, batch)
    others, size, step = None if whole else ways, 6, 1e-5
    for k in range(size):
        change = tf.reshape(tf.one_hot(k, size, dtype=tf.float64) * step, params[PATH].shape)
        up, _ = trained(net, {**params, PATH: params[PATH] + change}, batch, others)
        down, _ = trained(net, {**params, PATH: params[PATH] - change}, batch, others)
        np.testing.assert_allclose(computed[:, :, k], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def test_the_two_conventions_differ(problem):
    one, two = (jacobians.of_layer(*problem, STEPS, RATE, PATH, squared_error, whole).numpy() for whole in (True, False))
    np.testing.assert_allclose(one[0], two[0])  # the first step's is the same
    assert np.abs(one[-1] - two[-1]).max() > 1e-3


def test_rho_of_a_known_jacobian():
    assert float(jacobians.relative_precision(tf.constant(np.diag([1.0, 0.5])))) == pytest.approx(0.5 / 1.5)
    assert float(jacobians.relative_precision(tf.eye(3))) == 0
