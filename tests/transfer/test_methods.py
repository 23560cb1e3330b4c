"""Ways to an initialisation: each outer step by hand, what is learned and what drawn anew, learning a new task."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Functional, supervised
from tf_gtn.models import convolutional
from tf_gtn.transfer import continual, leap, methods
from tf_gtn.transfer import method as method_module

INNER = methods.Inner(steps=3, batch_size=6, optimizer=SGD(0.1, 0.0))


@pytest.fixture(scope="module")
def network():
    return Functional(convolutional.four_modules((8, 8, 1), 4, filters=3, modules=2))


def make(name, network, tasks, **settings):
    common = {"outer_steps": 2, "batch": 2, "encoder_only": False, "patience": 0}
    common = [settings.pop(key, default) for key, default in common.items()]
    return getattr(methods, name)(network, tasks, 2, INNER, 0, *common, **settings)


def by_hand(method, increment_of):
    """The state after outer step 0."""
    state, increments, models = method.state(), [], []
    for n in range(2):
        chosen, fresh, data = tf.unstack(tf.random.experimental.stateless_split(tf.constant([0, n]), 3))
        task = tf.random.stateless_uniform([], chosen, 0, 2, tf.int32)
        start = method.start(state, fresh)
        params, model = start
        points = []
        for t in range(INNER.steps + 1):
            images, labels = method.tasks.batch(task, 6, tf.stack([data[0], data[1] + t]))
            with tf.GradientTape() as tape:
                tape.watch(params)
                outputs, model = method.network(params, model, images, training=True)
                loss = supervised.cross_entropy(labels, outputs)
            gradient = tape.gradient(loss, params)
            points.append((params, loss, gradient, model))
            params = {p: v - 0.1 * gradient[p] for p, v in params.items()}
        judged = method.tasks.batch(task, 6, tf.stack([data[0], data[1] - 1]), held_out=True)
        increments.append(increment_of(points, judged))
        models.append(points[-1][3])
    return {p: v - 0.1 * (increments[0][p] + increments[1][p]) / 2 for p, v in state["params"].items()}, models


@pytest.mark.parametrize(
    "kind", [methods.Leap, methods.Finetuning, methods.NoPretraining, continual.HAT, continual.ProgressiveNets]
)
def test_a_seed_draws_every_weight_of_its_own(kind, network, tasks):
    """Also those that each task has; constants such as biases are the same in all."""
    states = [kind(network, tasks, 2, INNER, seed, 1).state() for seed in (0, 1)]
    drawn = 0
    for first, second in zip(*map(tf.nest.flatten, states)):
        if len(np.unique(first)) > 2:
            drawn += 1
            assert not np.isclose(first, second).any()
    own = states[0].get("heads") or states[0].get("own") or {}
    for value in tf.nest.flatten(own):  # [tasks, ...]
        if len(np.unique(value)) > 2:
            assert not np.isclose(value[0], value[1]).any()
    assert drawn >= 2


def test_reptile_by_hand(network, tasks):
    method = make("Reptile", network, tasks)
    expected, models = by_hand(method, lambda points, _: {p: v - points[-1][0][p] for p, v in points[0][0].items()})
    method.step(0)
    for path, value in method.state()["params"].items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-4, atol=1e-6)
    for path, value in method.state()["model"].items():  # BatchNorm's running statistics move in the meta-state
        np.testing.assert_allclose(value, (models[0][path] + models[1][path]) / 2, rtol=1e-4, atol=1e-6)


def test_leap_of_energy_without_the_loss_is_reptile(network, tasks):
    one = make("Leap", network, tasks, manifold=leap.Manifold(2, False, False))
    two = make("Reptile", network, tasks)
    for method in (one, two):
        method.step(0)
    for path, value in one.state()["params"].items():
        np.testing.assert_allclose(value, two.state()["params"][path], rtol=1e-5, atol=1e-7)


def test_first_order_maml_by_hand(network, tasks):
    method = make("FirstOrderMAML", network, tasks)

    def increment(points, judged):
        params, _, _, model = points[-1]
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = supervised.cross_entropy(judged[1], network(params, model, judged[0], training=True)[0])
        return tape.gradient(loss, params)

    expected, _ = by_hand(method, increment)
    method.step(0)
    for path, value in method.state()["params"].items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-4, atol=1e-6)


def test_maml_goes_through_the_inner_steps(network, tasks):
    """Its gradient is that of the loss after them, the inner losses left out: a tape over everything by hand."""
    method = make("MAML", network, tasks, meta_batch_size=1)
    before = method.state()
    chosen, fresh, data = tf.unstack(tf.random.experimental.stateless_split(tf.constant([0, 0]), 3))
    task = tf.random.stateless_uniform([], chosen, 0, 2, tf.int32)
    start, model = method.start(before, fresh)
    with tf.GradientTape() as outer:
        outer.watch(start)
        params = start
        for t in range(INNER.steps):
            images, labels = tasks.batch(task, 6, tf.stack([data[0], data[1] + t]))
            with tf.GradientTape() as tape:
                tape.watch(params)
                outputs, model = network(params, model, images, training=True)
                loss = supervised.cross_entropy(labels, outputs)
            gradient = tape.gradient(loss, params)
            params = {p: v - 0.1 * gradient[p] for p, v in params.items()}
        images, labels = tasks.batch(task, 6, tf.stack([data[0], data[1] - 1]), held_out=True)
        loss = supervised.cross_entropy(labels, network(params, model, images, training=True)[0])
    gradient = outer.gradient(loss, start)
    method.step(0)
    for path, value in method.state()["params"].items():
        np.testing.assert_allclose(value, before["params"][path] - 0.1 * gradient[path], rtol=1e-3, atol=1e-6)


def test_finetuning_keeps_a_last_layer_for_each_task(network, tasks):
    method = make("Finetuning", network, tasks, learning_rate=0.05, meta_batch_size=1)
    before = method.state()
    method.step(0)
    after = method.state()
    assert {p.split("/")[-2] for p in after["heads"]} == {"head"} and not set(after["heads"]) & set(after["params"])
    tf.nest.map_structure(lambda a, b: np.testing.assert_(np.abs(a - b).max() > 0), before["params"], after["params"])
    (one, _), (two, _), (again, _) = (method.start(after, tf.constant(s)) for s in ([1, 1], [2, 2], [1, 1]))
    for path in after["heads"]:
        if path.endswith("kernel"):
            assert np.abs(one[path] - two[path]).max() > 0
        np.testing.assert_array_equal(one[path], again[path])


def test_an_encoder_alone_can_be_learned(network, tasks):
    method = make("Leap", network, tasks, encoder_only=True)
    assert not any("head" in path for path in method.state()["params"])
    method.step(0)
    assert np.isfinite([float(tf.reduce_sum(v)) for v in method.state()["params"].values()]).all()


def test_no_pretraining_stays_as_it_was_drawn(network, tasks):
    method = make("NoPretraining", network, tasks)
    before = method.state()
    method.step(0)
    tf.nest.map_structure(np.testing.assert_array_equal, before, method.state())


def test_learning_a_new_task(network, tasks):
    method = make("NoPretraining", network, tasks)
    learning = methods.Learning(method, tasks, methods.Inner(steps=60, batch_size=12, optimizer=SGD(0.1, 0.0)))
    learned, again = learning(2, 5), learning(2, 5)
    assert learned["curve"].shape == (60,) and learned["area"] == pytest.approx(learned["curve"].mean())
    assert learned["curve"][-10:].mean() < learned["curve"][:10].mean()
    assert 0 <= learned["error"] <= 1 and float(learned["error"]) == float(again["error"])


def test_a_task_stops_when_it_is_good_enough(network, tasks, monkeypatch):
    """Two points in a row without an error are enough, so three losses of four are left."""
    monkeypatch.setattr(method_module, "wrong", lambda *_: tf.constant(0.0))
    good = dataclasses.replace(INNER, stop_error=0.02, stop_batches=2)
    lengths = []
    for inner in (INNER, good):
        method = methods.Reptile(network, tasks, 2, inner, 0, 1)
        trained = method._train(method.start(method.state(), tf.constant([1, 1])), tf.constant(0), tf.constant([2, 2]))
        lengths.append(len(trained["losses"]))
    assert lengths == [4, 3]
    with pytest.raises(errors.UserError, match="held-out images"):
        methods.Learning(method, tasks, good)


def test_patience_keeps_the_best_and_stops(network, tasks):
    method = make("Reptile", network, tasks, patience=2, outer_steps=5)
    states = []
    for index, error in enumerate((0.5, 0.3, 0.4, 0.35, 0.1)):
        method.step(index)
        states.append(method.state())
        if index < 4:
            method.judged(error)
    tf.nest.map_structure(np.testing.assert_array_equal, states[4], states[3])  # its fifth step is none
    tf.nest.map_structure(np.testing.assert_array_equal, method.learned(), states[1])
    (before, *_), (after, *_) = (tf.nest.flatten(states[n]["params"]) for n in (1, 3))
    assert np.abs(before - after).max() > 0
    other = make("Reptile", network, tasks, patience=2, outer_steps=5)
    other.restart(method)
    tf.nest.map_structure(np.testing.assert_array_equal, other.learned(), states[1])


def test_cosine():
    inner = methods.Inner(steps=10, optimizer=SGD(0.2, 0.0), cosine=True)
    rates = [float(inner.hyper(tf.constant(t))["learning_rate"]) for t in (0, 5, 10)]
    np.testing.assert_allclose(rates, [0.2, 0.1, 0.0], atol=1e-7)


def test_mistakes(network, tasks):
    for settings in ({"outer_steps": 0}, {"batch": 0}):
        with pytest.raises(errors.UserError):
            make("Leap", network, tasks, **settings)
    with pytest.raises(errors.UserError, match="3 tasks"):
        methods.Leap(network, tasks, 4, INNER, 0, 1)
    with pytest.raises(errors.UserError):
        methods.Inner(steps=0)
    with pytest.raises(errors.UserError, match="at least 16"):
        convolutional.four_modules((8, 8, 1), 4)
