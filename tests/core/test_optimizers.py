"""Inner optimisers against Keras' own and by hand; hyperparameters in range."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import core
from tf_gtn.core import optimizers, supervised

GRADIENTS = np.random.default_rng(0).normal(size=(5, 3))


def run(optimizer, hyper):
    params = {"a": tf.constant([1.0, -2.0, 0.5], tf.float64)}
    slots = optimizer.init(params)
    for gradient in GRADIENTS:
        params, slots = optimizer.update({"a": tf.constant(gradient)}, slots, params, hyper)
    return params["a"].numpy(), slots


@pytest.mark.parametrize(
    "mine, hyper, theirs",
    [
        (optimizers.RMSProp(), {"learning_rate": 0.1, "decay": 0.8}, lambda: keras.optimizers.RMSprop(0.1, rho=0.8)),
        (
            optimizers.Adam(),
            {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9},
            lambda: keras.optimizers.Adam(0.1, beta_1=0.7, beta_2=0.9),
        ),
    ],
)
def test_as_keras(mine, hyper, theirs):
    variable = keras.Variable([1.0, -2.0, 0.5], dtype="float64")
    optimizer = theirs()
    for gradient in GRADIENTS:
        optimizer.apply([tf.constant(gradient)], [variable])
    # Keras' Adam adds epsilon before the bias correction of the second moment: a difference of the order of epsilon.
    np.testing.assert_allclose(run(mine, hyper)[0], variable.numpy(), rtol=1e-5)


def test_sgd_is_equation_1():
    """theta_T = theta_0 - sum_t alpha sum_{t' <= t} beta^(t - t') grad_t'."""
    alpha, beta = 0.1, 0.6
    theta = np.array([1.0, -2.0, 0.5])
    for t in range(len(GRADIENTS)):
        theta = theta - alpha * sum(beta ** (t - s) * GRADIENTS[s] for s in range(t + 1))
    np.testing.assert_allclose(run(optimizers.SGD(), {"learning_rate": alpha, "momentum": beta})[0], theta, rtol=1e-12)


def test_lars_is_sgd_on_gradients_as_long_as_their_weights():
    """Three tensors: one of length 5, one shorter than 0.3, one whose gradient is zero."""
    params = {"long": tf.constant([3.0, 4.0], tf.float64), "short": tf.constant([0.0, 0.1], tf.float64)}
    params["dead"] = tf.constant([[2.0]], tf.float64)
    gradients = {"long": tf.constant([0.0, 2.0], tf.float64), "short": tf.constant([6.0, 8.0], tf.float64)}
    gradients["dead"] = tf.constant([[0.0]], tf.float64)
    optimizer, hyper = optimizers.LARS(), {"learning_rate": 0.1, "momentum": 0.5}
    once, slots = optimizer.update(gradients, optimizer.init(params), params, hyper)
    np.testing.assert_allclose(once["long"], [3, 4 - 0.1 * 5], rtol=1e-8)
    np.testing.assert_allclose(once["short"], [-0.1 * 0.3 * 0.6, 0.1 - 0.1 * 0.3 * 0.8], rtol=1e-8)
    twice, _ = optimizer.update(gradients, slots, once, hyper)
    np.testing.assert_allclose(twice["long"], [3, 3.5 - 0.1 * (0.5 * 5 + np.hypot(3, 3.5))], rtol=1e-8)
    assert twice["dead"].numpy() == [[2.0]]


def test_lars_takes_as_long_steps_whatever_the_scale_of_a_loss():
    for scale in (1e-2, 1.0, 1e3):
        params = {"a": tf.constant([1.0, -2.0, 0.5], tf.float64)}
        after, _ = optimizers.LARS().update(
            {"a": scale * tf.constant(GRADIENTS[0])},
            optimizers.LARS().init(params),
            params,
            {"learning_rate": 0.1, "momentum": 0.0},
        )
        np.testing.assert_allclose(tf.norm(after["a"] - params["a"]), 0.1 * tf.norm(params["a"]), rtol=1e-3)


@pytest.mark.parametrize("optimizer", [optimizers.SGD(), optimizers.LARS(), optimizers.RMSProp(), optimizers.Adam()])
def test_meta_gradient_of_every_hyperparameter_by_differences(optimizer):
    hyper = {name: tf.constant(np.linspace(0.2, 0.7, 4)) for name in optimizer.hyperparameters}

    def final(hyper):
        theta = tf.constant([1.0, -2.0], tf.float64)

        def step(params, state, x):
            gradient = tf.sin(state["theta"]) + state["theta"]
            theta, slots = optimizer.update(gradient, state["slots"], state["theta"], x)
            return {"theta": theta, "slots": slots}, ()

        state, _ = core.unroll(step, (), {"theta": theta, "slots": optimizer.init(theta)}, hyper)
        return tf.reduce_sum(tf.square(state["theta"]))

    final = tf.function(final, autograph=False)
    with tf.GradientTape() as tape:
        tape.watch(hyper)
        loss = final(hyper)
    gradient = tape.gradient(loss, hyper)
    for name in hyper:
        for t in range(4):
            bump = np.eye(4)[t] * 1e-6
            numeric = (final({**hyper, name: hyper[name] + bump}) - final({**hyper, name: hyper[name] - bump})) / 2e-6
            np.testing.assert_allclose(gradient[name][t], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("optimizer", [optimizers.LARS(), optimizers.RMSProp(), optimizers.Adam()])
def test_dead_units_have_a_finite_meta_gradient(optimizer):
    scale = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        params, slots = tf.zeros([2]), optimizer.init(tf.zeros([2]))
        for _ in range(2):
            params, slots = optimizer.update(
                scale * tf.constant([0.0, 1.0]),
                slots,
                params,
                {name: value for name, (value, _) in optimizer.hyperparameters.items()},
            )
        loss = tf.reduce_sum(params)
    assert np.isfinite(tape.gradient(loss, scale))


@pytest.mark.parametrize("optimizer", [optimizers.SGD(), optimizers.RMSProp(), optimizers.Adam()])
@pytest.mark.parametrize("per_step", [True, False])
def test_hyperparameters_start_right_and_stay_in_range(optimizer, per_step):
    hyper = core.Hyperparameters(optimizer, 3, per_step, dtype="float64")
    for name, (value, _) in optimizer.hyperparameters.items():
        np.testing.assert_allclose(hyper.values()[name], [value] * 3, rtol=1e-6)
    for raw in (-1e3, -3.0, 3.0, 1e3):
        for variable in hyper.variables:
            variable.assign(tf.fill(variable.shape, tf.constant(raw, tf.float64)))
        for name, (_, interval) in optimizer.hyperparameters.items():
            got = hyper.values()[name].numpy()
            assert (got >= 0).all() and (interval == optimizers.POSITIVE or (got < 1).all())
    assert [v.shape for v in hyper.variables] == [(3,) if per_step else ()] * len(hyper.variables)


@pytest.mark.parametrize(
    "optimizer, message",
    [
        (optimizers.SGD(learning_rate=0.0), "learning_rate starts at 0.0"),
        (optimizers.SGD(momentum=1.0), "momentum starts at 1.0"),
        (optimizers.Adam(beta_1=-0.1), "beta_1 starts at -0.1"),
    ],
)
def test_hyperparameters_out_of_range_are_named(optimizer, message):
    with pytest.raises(ValueError, match=message):
        core.Hyperparameters(optimizer, 3)


def test_the_gradient_of_a_step_has_a_derivative_by_soft_labels():
    """d (logits' gradient) / d labels of the cross-entropy, against finite differences; TensorFlow's own loss leaves it out."""
    logits, direction = tf.constant([[0.3, -1.0, 0.5]], tf.float64), tf.constant([[1.0, 2.0, -0.7]], tf.float64)

    def slope(labels):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = supervised.cross_entropy(labels, logits)
        return tf.reduce_sum(tape.gradient(loss, logits) * direction)

    labels = tf.constant([[0.2, 0.3, 0.5]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(labels)
        value = slope(labels)
    gradient = tape.gradient(value, labels).numpy()[0]
    for i, step in enumerate(1e-4 * np.eye(3)):
        numeric = float(slope(labels + step) - slope(labels - step)) / 2e-4
        np.testing.assert_allclose(gradient[i], numeric, rtol=1e-8)
    assert np.abs(gradient).min() > 0.1
