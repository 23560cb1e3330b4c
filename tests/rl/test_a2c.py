"""The A2C update by hand on a two-state MDP, and its policy gradient against the exact one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tf_gtn.rl  # noqa: F401 - before tf-agents

from tf_agents.networks import sequential  # isort: skip
from tf_agents.specs import tensor_spec  # isort: skip
from tf_agents.trajectories import time_step as ts  # isort: skip
from tf_agents.trajectories import trajectory  # isort: skip

import tensorflow_probability as tfp  # isort: skip

from tf_gtn.rl import a2c  # isort: skip

FIRST, MID, LAST = 0, 1, 2
SPEC = tensor_spec.TensorSpec([2], tf.float64, "observation")
STEPS = ts.time_step_spec(SPEC)
ACTIONS = tensor_spec.BoundedTensorSpec([], tf.int64, 0, 1, "action")


def tables(logits, values):
    """Networks that look up logits [2, 2] and values [2] of a one-hot state."""
    dense = lambda kernel: tf.keras.layers.Dense(  # noqa: E731
        kernel.shape[1], use_bias=False, dtype="float64", kernel_initializer=tf.keras.initializers.Constant(kernel)
    )
    categorical = tf.keras.layers.Lambda(lambda x: tfp.distributions.Categorical(logits=x, dtype=tf.int64), dtype="float64")
    squeeze = tf.keras.layers.Lambda(lambda x: tf.squeeze(x, -1), dtype="float64")
    actor = sequential.Sequential([dense(np.asarray(logits, float)), categorical], SPEC)
    value = sequential.Sequential([dense(np.asarray(values, float)[:, None]), squeeze], SPEC)
    for network in (actor, value):
        network.create_variables()
    return actor, value


def agent(length, logits=((0.3, -0.2), (0.1, 0.9)), values=(0.5, -0.4), rate=0.1, **settings):
    actor, value = tables(logits, values)
    return a2c.A2CAgent(STEPS, ACTIONS, actor, value, tf.keras.optimizers.SGD(rate), length, **settings)


def experience(states, actions, rewards, discounts, types):
    """`states` and `types` [B, n + 1], the others [B, n]."""
    pad = lambda x: np.concatenate([x, np.zeros_like(np.asarray(x)[:, :1])], 1)  # noqa: E731
    types = np.asarray(types, np.int32)
    return trajectory.Trajectory(
        step_type=tf.constant(types),
        observation=tf.one_hot(states, 2, dtype=tf.float64),
        action=tf.constant(pad(actions), tf.int64),
        policy_info=(),
        next_step_type=tf.constant(np.concatenate([types[:, 1:], types[:, :1]], 1)),
        reward=tf.constant(pad(rewards), tf.float32),
        discount=tf.constant(pad(discounts), tf.float32),
    )


def test_returns_bootstrap_where_an_episode_was_cut_off_and_at_the_end():
    values = tf.constant([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    rewards = tf.constant([[10.0, 20.0, 30.0], [10.0, 20.0, 30.0]])
    # First row: cut off after the second step, whose next value is 3. Second row: ended there.
    ends = tf.constant([[False, True, False]] * 2)
    discounts = tf.constant([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    returns = a2c.n_step_returns(rewards, discounts, ends, values, 0.5)
    np.testing.assert_allclose(returns[0], [10 + 0.5 * (20 + 0.5 * 3), 20 + 0.5 * 3, 30 + 0.5 * 4])
    np.testing.assert_allclose(returns[1], [10 + 0.5 * 20, 20, 30 + 0.5 * 4])


def test_the_update_by_hand():
    """Three steps of one environment: s0 -a1-> s1, cut off there; the boundary; then s0 -a0-> s1 goes on."""
    gamma, entropy_cost, value_cost, rate = 0.9, 0.05, 0.25, 0.1
    logits, values = np.array([[0.3, -0.2], [0.1, 0.9]]), np.array([0.5, -0.4])
    a2c_agent = agent(3, logits, values, rate, discount=gamma, entropy_cost=entropy_cost, value_cost=value_cost)
    data = experience([[0, 1, 0, 1]], [[1, 0, 0]], [[2.0, 0.0, -1.0]], [[1, 1, 1]], [[FIRST, LAST, FIRST, MID]])
    loss_info = a2c_agent.train(data)

    probabilities = np.exp(logits[0]) / np.exp(logits[0]).sum()  # both steps that count are in state 0
    returns = np.array([2 + gamma * values[1], -1 + gamma * values[1]])
    advantages = returns - values[0]
    actions = np.array([1, 0])
    policy = -(np.log(probabilities[actions]) * advantages).mean()
    entropy = -(probabilities * np.log(probabilities)).sum()
    assert float(loss_info.extra.policy) == pytest.approx(policy, rel=1e-6)
    assert float(loss_info.extra.value) == pytest.approx((advantages**2).mean(), rel=1e-6)
    assert float(loss_info.extra.entropy) == pytest.approx(entropy, rel=1e-6)
    total = policy + value_cost * (advantages**2).mean() - entropy_cost * entropy
    assert float(loss_info.loss) == pytest.approx(total, rel=1e-6)

    value_gradient = value_cost * -2 * advantages.mean()
    new_values = a2c_agent.value_network.trainable_variables[0].numpy()[:, 0]
    np.testing.assert_allclose(new_values, [values[0] - rate * value_gradient, values[1]], rtol=1e-6)
    onehot = np.eye(2)[actions]
    gradient = -((onehot - probabilities) * advantages[:, None]).mean(0)
    gradient += entropy_cost * probabilities * (np.log(probabilities) + entropy)
    new_logits = a2c_agent.actor_network.trainable_variables[0].numpy()
    np.testing.assert_allclose(new_logits, [logits[0] - rate * gradient, logits[1]], rtol=1e-6)


def test_the_expected_policy_gradient_is_that_of_the_expected_return():
    """All 8 action sequences of three steps in an MDP that ends then, weighted by their probabilities."""
    step = lambda state, action: state ^ action  # noqa: E731 - action 1 changes the state
    reward = np.array([[1.0, -0.5], [0.2, 2.0]])

    def play(actions):
        states, rewards = [0], []
        for action in actions:
            rewards.append(reward[states[-1], action])
            states.append(step(states[-1], action))
        return states, rewards

    def probability(logits, states, actions):
        table = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return np.prod([table[s, a] for s, a in zip(states, actions)])

    def expected_return(logits):
        return sum(probability(logits, (p := play(a))[0], a) * sum(p[1]) for a in itertools.product((0, 1), repeat=3))

    logits = np.array([[0.3, -0.2], [0.1, 0.9]])
    a2c_agent = agent(3, logits, discount=1.0, entropy_cost=0.0, value_cost=0.0)
    sequences = list(itertools.product((0, 1), repeat=3))
    played = [play(a) for a in sequences]
    data = experience(
        [states for states, _ in played],
        sequences,
        [rewards for _, rewards in played],
        [[1, 1, 0]] * 8,
        [[FIRST, MID, MID, LAST]] * 8,
    )
    weights = tf.constant([probability(logits, states, a) for (states, _), a in zip(played, sequences)])
    kernel = a2c_agent.actor_network.trainable_variables[0]
    with tf.GradientTape() as tape:
        loss = a2c_agent.loss(data, weights).loss
    gradient = -3 * tape.gradient(loss, kernel).numpy()  # the loss is a mean over three steps
    expected = np.zeros((2, 2))
    for place in itertools.product((0, 1), repeat=2):
        nudge = np.zeros((2, 2))
        nudge[place] = 1e-5
        expected[place] = (expected_return(logits + nudge) - expected_return(logits - nudge)) / 2e-5
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_an_update_that_is_not_finite_is_left_out():
    a2c_agent = agent(1)
    before = [v.numpy() for v in a2c_agent.trained_variables]
    a2c_agent.train(experience([[0, 1]], [[1]], [[np.nan]], [[1]], [[FIRST, MID]]))
    assert int(a2c_agent.skipped) == int(a2c_agent.consecutively_skipped) == 1
    for one, two in zip(before, a2c_agent.trained_variables):
        np.testing.assert_array_equal(one, two)
    a2c_agent.train(experience([[0, 1]], [[1]], [[1.0]], [[1]], [[FIRST, MID]]))
    assert int(a2c_agent.skipped) == 1 and int(a2c_agent.consecutively_skipped) == 0


def test_the_gradient_is_clipped():
    data = experience([[0, 1]], [[1]], [[1000.0]], [[1]], [[FIRST, MID]])
    free, clipped = agent(1), agent(1, gradient_clipping=0.5)
    before = clipped.trained_variables[0].numpy(), clipped.trained_variables[1].numpy()
    norm = float(clipped.train(data).extra.gradient_norm)
    assert norm == pytest.approx(float(free.train(data).extra.gradient_norm)) and norm > 100
    moved = np.sqrt(sum(((v.numpy() - b) ** 2).sum() for v, b in zip(clipped.trained_variables, before)))
    assert moved == pytest.approx(0.1 * 0.5, rel=1e-5)
