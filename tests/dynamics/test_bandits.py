"""Bandits: known policies, the policy gradient by its expectation, coupling, and separate meta-learners."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import SGD
from tf_gtn.dynamics import bandits, meta_learners, problems

SMALL = functools.partial(meta_learners.LSTM, units=5)


def learners(**settings):
    return bandits.Learners(problems.Bandit(3, 3), 2, SGD(0.5, 0.0), **settings)


def test_q_of_a_known_policy():
    policies = learners()
    logits = np.log(np.array([[0.7, 0.2, 0.1]] * 3))
    bias = np.random.default_rng(0).normal(size=(2, 1, 3))
    params = {"weights": tf.constant(logits - bias, tf.float32), "bias": tf.constant(bias, tf.float32)}
    expected = np.array([0.7, 0.2, 0.1])[policies.correct.numpy()]
    np.testing.assert_allclose(policies.q(params), expected, rtol=1e-5)


def test_reinforce_is_the_expected_gradient_on_average():
    noisy, exact = learners(batch_size=200_000), learners(batch_size=None)
    gradients = []
    for policies in (noisy, exact):
        params = policies._start
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = policies.loss(params, tf.constant([0, 1]))
        gradients.append(tape.gradient(loss, params))
    for name in gradients[0]:
        np.testing.assert_allclose(gradients[0][name], gradients[1][name], atol=4e-3)
        assert np.abs(gradients[1][name]).max() > 0.01


def test_the_expected_gradient_is_that_of_finite_differences():
    policies = learners(batch_size=None)
    params = policies._start
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = policies.loss(params, None)
    gradient = tape.gradient(loss, params)["bias"].numpy()
    nudge = np.zeros((2, 1, 3), np.float32)
    nudge[1, 0, 2] = 1e-2
    ends = [float(policies.loss({**params, "bias": params["bias"] + sign * nudge}, None)) for sign in (1, -1)]
    assert gradient[1, 0, 2] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=1e-2)


def test_separate_learners_share_nothing():
    policies = learners(coupled=False, batch_size=None)
    assert policies._start["bias"].shape == policies._start["weights"].shape  # each its own
    curves = policies.curves([0, 50, 2000])
    assert curves.shape == (3, 2, 3) and curves[-1].min() > 0.9 > curves[0].max()
    np.testing.assert_allclose(policies.curves([0, 2000])[-1], curves[-1], rtol=1e-5)


def test_a_context_is_probed_by_forks():
    of = bandits.Episodes(problems.Bandit(2, 3), 4, SMALL)
    params, _ = of.lstm.functional.initial_values(tf.constant([0, 1]))
    correct = of.problem.independent(6, [0, 1])
    seed = tf.constant([0, 2])
    curves, episode = of.curves(params, correct, seed), of.play(params, correct, seed)
    assert curves.shape == (4, 6, 2)
    _, logits = of._look(
        params, tf.nest.map_structure(lambda x: x[2], episode["known"]["state"]), tf.fill([6], 1), episode["known"]["last"][2]
    )
    np.testing.assert_allclose(curves[2, :, 1], tf.gather(tf.nn.softmax(logits), correct[:, 1], batch_dims=1), rtol=1e-5)
    assert episode["reward"].shape == (4, 6) and set(np.unique(episode["reward"])) <= {0.0, 1.0}


def test_separate_meta_learners_move_when_their_context_comes():
    length, runs, contexts = 6, 50, 2
    curves = np.repeat(np.arange(length)[:, None, None] / 10.0, runs * contexts, 1)  # q is how often it was seen
    separated = bandits.separate(curves, contexts, seed=0)
    assert separated.shape == (length, runs, contexts)
    np.testing.assert_allclose(separated.sum(-1) * 10, np.repeat(np.arange(length)[:, None], runs, 1))  # one context a step


def test_returns_are_discounted_sums_of_what_comes():
    of = bandits.Episodes(problems.Bandit(2, 3), 4, SMALL, discount=0.5)
    rewards = np.array([[1.0], [0.0], [2.0], [4.0]], np.float32)
    np.testing.assert_allclose(of.discounts @ rewards, [[1 + 0.25 * 2 + 0.125 * 4], [0.5 * 2 + 0.25 * 4], [2 + 0.5 * 4], [4]])
    whole = bandits.Episodes(problems.Bandit(2, 3), 4, SMALL).discounts
    np.testing.assert_array_equal(whole @ rewards, np.cumsum(rewards[::-1], 0)[::-1])


@pytest.mark.parametrize("discount", [0.0, 0.8])
def test_expected_rewards_leave_the_gradient_and_take_its_noise(discount):
    gradients = []
    for expected in (False, True):
        of = bandits.Episodes(problems.Bandit(2, 3), 3, SMALL, discount=discount, expected_rewards=expected)
        params, _ = of.lstm.functional.initial_values(tf.constant([0, 1]))
        params = {name: 4 * value for name, value in params.items()}  # far from indifference, where gradients are small

        @tf.function
        def gradient(seed, of=of, params=params):
            with tf.GradientTape() as tape:
                tape.watch(params)
                loss = of.loss(params, 20_000, seed)
            return tape.gradient(loss, params["lstm/kernel"])

        gradients.append(np.stack([gradient(tf.constant([3, n])) for n in range(60)]))
    noisy, quiet = gradients
    error = 5 * np.sqrt((noisy.var(0) + quiet.var(0)) / 60)
    assert (np.abs(noisy.mean(0) - quiet.mean(0)) < error).all()
    assert np.abs(quiet.mean(0)).max() > error.max()
    assert quiet.var(0).sum() < 0.5 * noisy.var(0).sum()
