"""HAT and Progressive Nets: gradients by hand, what is protected, who reads whom, and that they learn."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import SGD, Functional
from tf_gtn.models import convolutional
from tf_gtn.transfer import continual, methods

INNER = methods.Inner(steps=3, batch_size=6, optimizer=SGD(0.1, 0.0))


@pytest.fixture(scope="module")
def network():
    return Functional(convolutional.four_modules((8, 8, 1), 4, filters=3, modules=2, momentum=0.5))


@pytest.fixture(scope="module")
def hat(network, tasks):
    return continual.HAT(network, tasks, 2, INNER, 0, 3, 2)


@pytest.fixture(scope="module")
def columns(network, tasks):
    return continual.ProgressiveNets(network, tasks, 2, INNER, 0, 3, 2)


def images(count=5):
    return tf.random.stateless_normal((count, 8, 8, 1), [1, 2])


def test_the_gates_gradient_is_compensated_for_the_scale():
    embeddings = tf.constant([[0.0, 0.5, -1.0]])
    scale, largest, price = tf.constant(3.0), 20.0, tf.constant([[0.1, 0.0, 0.2]])
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        gates = continual._open(embeddings, scale, price, largest)
        loss = tf.reduce_sum(gates * [[1.0, 2.0, -1.0]])
    e = embeddings.numpy()
    np.testing.assert_allclose(gates, 1 / (1 + np.exp(-3 * e)), rtol=1e-5)
    true = (np.array([[1.0, 2.0, -1.0]]) + price.numpy()) * 3 * gates * (1 - gates)  # of loss and price by e
    compensated = true * 20 * (np.cosh(3 * e) + 1) / (3 * (np.cosh(e) + 1))
    np.testing.assert_allclose(tape.gradient(loss, embeddings), compensated, rtol=1e-4)


def test_what_another_task_uses_alone_stays(hat):
    state = hat.state()
    gates = np.full((2, 2, 3), -6.0, np.float32)
    gates[1, 0, 0] = gates[1, 1, 1] = 6.0  # task 1 uses channel 0 of module 1 and channel 1 of module 2
    state = {**state, "own": {**state["own"], "hat/gates": tf.constant(gates)}, "seen": tf.constant([0.0, 1.0])}
    network, params, model = hat.visited(state, tf.constant(0))
    params = {**params, "hat/gates": tf.zeros([2, 3])}
    with tf.GradientTape() as tape:
        tape.watch(params)
        outputs, _ = network(params, model, images(), training=True)
        loss = tf.reduce_sum(outputs**2)
    moved = {path.split("/", 1)[-1] if path.startswith("four") else path: g for path, g in tape.gradient(loss, params).items()}
    first, second = (next(g.numpy() for p, g in moved.items() if f"conv_{k}" in p) for k in (1, 2))
    assert np.all(first[..., 0] == 0) and np.abs(first[..., 1:]).min(-1).max() > 0
    assert np.all(second[:, :, 0, 1] == 0)  # used at both ends
    assert np.abs(second[:, :, 1:, 1]).max() > 0 and np.abs(second[:, :, 0, 0]).max() > 0
    gamma = next(g.numpy() for p, g in moved.items() if "norm_2/gamma" in p)
    assert gamma[1] == 0 and np.abs(gamma[[0, 2]]).max() > 0


def test_its_scale_rises_within_the_steps_and_ends_at_the_largest(hat):
    network, params, model = hat.begin(hat.state(), tf.constant([5, 6]), 3)
    params = {**params, "hat/gates": tf.fill([2, 3], 0.1)}
    seen = []
    functional = hat._gated
    hat._gated = lambda weights, model, inputs, training: (
        seen.append(inputs[1]),
        functional(weights, model, inputs, training),
    )[1]
    try:
        for _ in range(4):
            _, model = network(params, model, images(), training=True)
        network(params, model, images())
    finally:
        hat._gated = functional
    gates = [float(gate[0, 0]) for gate in seen]
    scales = [1 / 400, (400 + 1 / 400) / 2, 400, 400, 400]
    np.testing.assert_allclose(gates, 1 / (1 + np.exp(-0.1 * np.array(scales))), rtol=1e-4)


def test_an_outer_step_learns_the_tasks_that_it_draws(hat, columns):
    for method in (hat, columns):
        before = method.state()
        metrics = method.step(0)
        after = method.state()
        assert np.isfinite(float(metrics["loss"])) and 1 <= after["seen"].numpy().sum() <= 2
        visited = after["seen"].numpy().astype(bool)
        for one, two in zip(tf.nest.flatten(before["own"]), tf.nest.flatten(after["own"]), strict=True):
            np.testing.assert_array_equal(one[~visited], two[~visited])
        heads = [v for v in tf.nest.flatten(after["own"]) if v.shape[-1] == 4]
        old = [v for v in tf.nest.flatten(before["own"]) if v.shape[-1] == 4]
        assert all(np.abs(a[visited] - b[visited]).max() > 0 for a, b in zip(heads, old)) and heads


def test_a_column_reads_those_that_were_learned_and_not_itself(columns):
    state = columns.state()

    def outputs(seen, changed=None, task=None):
        weights = state["own"]
        if changed is not None:
            weights = tf.nest.map_structure(
                lambda v: v + 0.3 * tf.reshape(tf.one_hot(changed, 2, dtype=v.dtype), (2, *[1] * (len(v.shape) - 1))), weights
            )
        now = {"own": weights, "seen": tf.constant(seen)}
        network, params, model = columns.begin(now, tf.constant([5, 6]), 3) if task is None else columns.visited(now, task)
        if task is not None:
            params = {p: v[task] for p, v in state["own"]["params"].items()}
            model = {p: v[task] for p, v in state["own"]["model"].items()}
        return network(params, model, images())[0].numpy()

    np.testing.assert_array_equal(outputs([1.0, 0.0]), outputs([1.0, 0.0], changed=1))
    assert np.abs(outputs([1.0, 0.0]) - outputs([1.0, 0.0], changed=0)).max() > 1e-3
    np.testing.assert_array_equal(outputs([1.0, 1.0], task=0), outputs([1.0, 1.0], changed=0, task=0))
    assert np.abs(outputs([1.0, 1.0], task=0) - outputs([1.0, 1.0], changed=1, task=0)).max() > 1e-3


@pytest.mark.parametrize("name", ["HAT", "ProgressiveNets"])
def test_new_tasks_are_learned_beside_the_others(name, tasks):
    wide = Functional(convolutional.four_modules((8, 8, 1), 4, filters=12, modules=2, momentum=0.5))
    method = getattr(continual, name)(wide, tasks, 2, INNER, 0, 3, 2)
    learning = methods.Learning(method, tasks, methods.Inner(steps=60, batch_size=12, optimizer=SGD(0.1, 0.0)))
    state = tf.nest.map_structure(lambda v: v.numpy(), method.state())
    learned = learning(2, 0)
    assert learned["curve"][-10:].mean() < 0.6 * learned["curve"][:10].mean(), learned["curve"]
    tf.nest.map_structure(np.testing.assert_array_equal, state, method.state())
