"""Leap: equation 8 against automatic differentiation, Reptile as its simplest case, theorem 1 on a toy, flat memory."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Adam, Functional
from tf_gtn.transfer import leap

STEPS = 4
CAPTURED = {"capture_output": True, "text": True, "check": True, "cwd": pathlib.Path(__file__).parents[2]}


def network():
    layers = [
        keras.Input((3,), dtype="float64"),
        keras.layers.Dense(4, "tanh", dtype="float64", name="hidden"),
        keras.layers.Dense(2, dtype="float64", name="out"),
    ]
    return Functional(keras.Sequential(layers))


def squared_error(labels, outputs):
    return tf.reduce_mean(tf.math.squared_difference(labels, outputs))


def problem(seed=0):
    rng = np.random.default_rng(seed)
    x, y = tf.constant(rng.normal(size=(STEPS + 1, 6, 3))), tf.constant(rng.normal(size=(STEPS + 1, 6, 2)))
    return lambda t: (x[t], y[t])


def way(net, optimizer, start, batch):
    """Every point with its loss and gradient, by hand."""
    params, slots, points = start, optimizer.init(start), []
    hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
    for t in range(STEPS + 1):
        inputs, labels = batch(t)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = squared_error(labels, net(params, {}, inputs, training=True)[0])
        gradient = tape.gradient(loss, params)
        points.append((params, loss, gradient))
        params, slots = optimizer.update(gradient, slots, params, hyper)
    return points


def pulled_forward(net, manifold, thetas, points, batch):
    """F-bar with its stabiliser: the frozen points psi_{i+1} against free ones theta_i (equations 7 and 8)."""
    total = 0.0
    for t, theta in enumerate(thetas):
        inputs, labels = batch(t)
        loss = squared_error(labels, net(theta, {}, inputs, training=True)[0])
        after, loss_after, _ = points[t + 1]
        squared = tf.add_n([tf.reduce_sum(tf.square(tf.stop_gradient(after[k]) - theta[k])) for k in theta])
        if manifold.loss:
            squared += tf.square(loss_after - loss)
        total += tf.sqrt(squared) if manifold.power == 1 else squared
        if manifold.stabilizer and loss_after > loss:
            scale = 1.0 if manifold.power == 2 else 0.5 * tf.stop_gradient(tf.math.rsqrt(squared))  # re-scaled (appendix C)
            total -= 2 * scale * tf.square(loss_after - loss)
    return total


KINDS = [(1, True, True), (1, True, False), (1, False, True), (2, True, True), (2, False, True), (2, False, False)]


@pytest.mark.parametrize("optimizer", [SGD(0.5, 0.0), SGD(2.0, 0.5), Adam(0.1)], ids=["sgd", "momentum", "adam"])
@pytest.mark.parametrize("power, loss, stabilizer", KINDS)
def test_equation_8_is_the_gradient_of_the_pulled_forward_objective(optimizer, power, loss, stabilizer):
    net, batch, manifold = network(), problem(), leap.Manifold(power, loss, stabilizer)
    start, _ = net.initial_values(tf.constant([0, 1]))
    points = way(net, optimizer, start, batch)
    thetas = [point[0] for point in points[:-1]]
    with tf.GradientTape() as tape:
        tape.watch(thetas)
        objective = pulled_forward(net, manifold, thetas, points, batch)
    gradients = tape.gradient(objective, thetas)
    trained = tf.function(lambda: leap.train(net, optimizer, (start, {}), batch, STEPS, manifold, squared_error))()
    for path, increment in trained["increment"].items():
        expected = sum(g[path] for g in gradients) / power  # Jacobians are the identity
        np.testing.assert_allclose(increment, expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(trained["losses"], [float(point[1]) for point in points], rtol=1e-10)
    for path, value in trained["params"].items():
        np.testing.assert_allclose(value, points[-1][0][path], rtol=1e-10)


def test_both_signs_of_a_step_are_among_them():
    """Else the stabiliser would not have been tested above."""
    net, batch = network(), problem()
    start, _ = net.initial_values(tf.constant([0, 1]))
    steps = [np.diff([float(p[1]) for p in way(net, o, start, batch)]) for o in (SGD(0.5, 0.0), SGD(2.0, 0.5), Adam(0.1))]
    assert np.min(steps) < 0 < np.max(steps)


def test_energy_without_the_loss_is_reptile_exactly():
    net, batch = network(), problem()
    start, _ = net.initial_values(tf.constant([0, 1]))
    trained = leap.train(net, SGD(0.5, 0.5), (start, {}), batch, STEPS, leap.Manifold(2, False, False), squared_error)
    for path, increment in trained["increment"].items():
        np.testing.assert_allclose(increment, start[path] - trained["params"][path], rtol=1e-10, atol=1e-15)


def test_length_and_energy_are_those_of_the_points():
    net, batch, optimizer = network(), problem(), SGD(0.5, 0.0)
    start, _ = net.initial_values(tf.constant([0, 1]))
    points = way(net, optimizer, start, batch)
    flat = np.stack([np.concatenate([*(v.numpy().ravel() for v in p.values()), [float(loss)]]) for p, loss, _ in points])
    segments = np.linalg.norm(np.diff(flat, axis=0), axis=1)
    trained = leap.train(net, optimizer, (start, {}), batch, STEPS, leap.Manifold(), squared_error)
    assert float(trained["length"]) == pytest.approx(segments.sum())
    assert float(trained["energy"]) == pytest.approx(np.square(segments).sum())


def test_theorem_1_on_a_toy():
    """Quadratic tasks with minima of their own: on the way from afar the expected length never rises, and the minima stay.

    Beyond, where Leap comes to rest, its condition on the inner steps does not hold: with Jacobians for the identity the
    resting place is not quite the shortest way's beginning.
    """
    minima = tf.constant([[1.0, 2.0], [3.0, -1.0], [2.0, 0.5]], tf.float64)
    curvature = tf.constant([[1.0, 3.0], [2.0, 1.0], [1.5, 2.0]], tf.float64)

    class Point:
        def __call__(self, params, model, inputs, training=False):
            return params["theta"], model

    def task(n):
        def loss_fn(_, theta):
            return 0.5 * tf.reduce_sum(curvature[n] * tf.square(theta - minima[n]))

        return loss_fn

    @tf.function
    def trained(theta, n, power):
        manifold = leap.Manifold(power)
        return leap.train(Point(), SGD(0.02, 0.0), ({"theta": theta}, {}), lambda t: (0.0, 0.0), 500, manifold, task(n))

    for power in (1, 2):
        theta, lengths = tf.constant([-3.0, 4.0], tf.float64), []
        for _ in range(8):
            found = [trained(theta, n, power) for n in range(3)]
            lengths.append(float(tf.add_n([f["length" if power == 1 else "energy"] for f in found])))
            for n in range(3):
                np.testing.assert_allclose(found[n]["params"]["theta"], minima[n], atol=1e-3)
            theta -= (1e-3 if power == 1 else 0.05) * tf.add_n([f["increment"]["theta"] for f in found]) / 3
        assert np.all(np.diff(lengths) <= 1e-9) and lengths[-1] < 0.7 * lengths[0]


def test_mistakes():
    with pytest.raises(errors.UserError):
        leap.Manifold(3)


PEAK = """
import resource, sys
from tf_gtn.runtime import quiet
quiet.import_tensorflow()
import keras, tensorflow as tf
from tf_gtn.core import SGD, Functional
from tf_gtn.transfer import leap
net = Functional(keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000, name="a"), keras.layers.Dense(2, name="b")]))
x, y = tf.random.stateless_normal([4, 1000], [0, 0]), tf.zeros([4, 2])
loss = lambda labels, outputs: tf.reduce_mean(tf.square(labels - outputs))
start = net.initial_values(tf.constant([0, 1]))
run = tf.function(lambda n: leap.train(net, SGD(1e-3, 0.0), start, lambda t: (x, y), n, leap.Manifold(), loss)["length"])
for n in (10, int(sys.argv[1])):
    run(tf.constant(n))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_steps():
    """A million weights: 990 more copies of them would be 4 GB."""
    few, many = (int(subprocess.run([sys.executable, "-c", PEAK, n], **CAPTURED).stdout.split()[-1]) for n in ("10", "1000"))
    assert many < 1.05 * few
