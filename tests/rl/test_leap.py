"""Leap on agents' encoders: the increment by hand, agents that begin anew, the outer step."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD
from tf_gtn.rl import agents, environments, leap, networks, training


def environment(count, seed, most=20, draw=False):
    return environments.make(count, seed, max_episode_steps=most, draw=draw)


def make(most=20, shared=True, updates=4):
    make_environment = functools.partial(environment, most=most)
    agent = agents.make_a2c(
        make_environment,
        [0, 1],
        functools.partial(networks.fully_connected, (6,)),
        agents.optimizer(learning_rate=0.05),
        shared,
        agent=leap.Agent,
        unroll_length=3,
    )
    return training.A2C(agent, make_environment, 0, updates, environments=2, unroll_length=3, restart_every=10)


@pytest.fixture(scope="module")
def run():
    return make()


def test_the_increment_by_hand(run):
    agent, points = run.agent, []
    seen = agent._on_the_way

    def noting(loss, gradients):
        seen(loss, gradients)
        encoder_gradients = [gradients[i] for i in agent._places]
        points.append(([tf.identity(v) for v in agent.encoder], encoder_gradients, loss))

    run.begin(3)
    agent._on_the_way = noting
    try:
        run._update, compiled = agent.train, run._update  # eagerly, to see the numbers
        for k in range(4):
            run.step(k)
    finally:
        run._update = compiled
        del agent._on_the_way
    assert len(agent.encoder) == 2 and agent.encoder[0].shape == (4, 6)
    expected, length = [np.zeros(v.shape, np.float32) for v in agent.encoder], 0.0
    for (before, gradient, loss), (after, _, loss_after) in itertools.pairwise(points):
        moved = [b - a for a, b in zip(before, after)]
        change = float(loss_after - loss)
        norm = np.sqrt(sum(float(tf.reduce_sum(m * m)) for m in moved) + change**2)
        expected = [e - (m - abs(change) * g) / norm for e, m, g in zip(expected, moved, gradient)]
        length += norm
    assert length > 0.1 and float(agent.length) == pytest.approx(length, rel=1e-4)
    for found, by_hand in zip(agent.increment, expected):
        np.testing.assert_allclose(found, by_hand, rtol=1e-3, atol=1e-5)


def test_an_agent_that_begins_again_leaves_nothing_behind(run):
    def play(seed, encoder):
        run.begin(seed, encoder)
        losses = [float(run.step(k)["loss"]) for k in range(3)]
        return losses, [v.numpy() for v in run.agent.increment]

    encoder = [tf.ones_like(v) * 0.1 for v in run.agent.encoder]
    first = play(5, encoder)
    assert play(6, encoder)[0] != first[0]
    again = play(5, encoder)
    assert again[0] == first[0]
    for one, two in zip(again[1], first[1]):
        np.testing.assert_array_equal(one, two)


def test_the_outer_step_goes_down_along_the_mean():
    runs = {most: make(most) for most in (10, 20)}

    def learn():
        return leap.Leap(runs, runs.get, 0, 5, updates=3, meta_batch_size=2, optimizer=SGD(0.1, 0.0))

    learned, increments = learn(), []
    before = [v.numpy() for v in learned.encoder]
    for name in runs:
        begin = runs[name].begin
        runs[name].begin = lambda *start, begin=begin: (increments.append([]), begin(*start))
    metrics = learned.step(0)
    assert len(increments) == 2 and np.isfinite(float(metrics["loss"])) and metrics["length"] > 0
    total = [sum(run.agent.increment[i].numpy() for run in runs.values()) / 2 for i in range(2)]
    for variable, old, increment in zip(learned.encoder, before, total):
        np.testing.assert_allclose(variable, old - 0.1 * increment, rtol=1e-5, atol=1e-6)
    assert int(learned.environment_steps.numpy()) == 2 * 4 * 3 * 2
    learned.step(1)
    resumed = learn()
    resumed.step(0)
    resumed.step(1)
    for one, two in zip(resumed.variables, learned.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_an_encoder_of_its_own_each_is_nothing_to_learn():
    with pytest.raises(errors.UserError, match="share"):
        make(shared=False)


def test_what_is_not_finite_is_no_part_of_the_way(run):
    run.begin(1)
    agent = run.agent
    zeros = [tf.zeros_like(v) for v in agent._trained]
    agent._on_the_way(tf.constant(1.0), zeros)
    agent._on_the_way(tf.constant(np.nan), zeros)
    agent._on_the_way(tf.constant(3.0), zeros)
    assert float(agent.length) == pytest.approx(2.0) and all(np.isfinite(v.numpy()).all() for v in agent.increment)
