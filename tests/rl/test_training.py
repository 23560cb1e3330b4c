"""Agents as runs: the same numbers when resumed, scores, policies saved and loaded."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.rl import agents, environments, networks, rollouts, synthetic, training

from tf_agents.trajectories import time_step as ts  # isort: skip - after tf_gtn.rl


def environment(count, seed, draw=False):
    return environments.make(count, seed, max_episode_steps=30, scale=(1.5, 1.5, 0.15, 1.5), draw=draw)


def a2c(seed=0, **settings):
    agent = agents.make_a2c(
        environment, [seed, 1], networks.fully_connected, agents.optimizer(learning_rate=0.01), unroll_length=3
    )
    return training.A2C(agent, environment, seed, 10, environments=4, unroll_length=3, restart_every=5, **settings)


def test_a_resumed_run_goes_on_from_the_same_states():
    whole = a2c()
    expected = [{k: float(v) for k, v in whole.step(i).items()} for i in range(9)]
    first = a2c()
    for i in range(7):  # past a restart, in the middle of episodes
        first.step(i)
    second = a2c(seed=0)
    for mine, other in zip(second.variables, first.variables, strict=True):
        mine.assign(other)
    resumed = [{k: float(v) for k, v in second.step(i).items()} for i in (7, 8)]
    np.testing.assert_equal(resumed, expected[7:])


def test_reinforce_resumes_and_scores():
    def make():
        adam = agents.optimizer(learning_rate=0.01)
        agent = agents.make_reinforce(environment, [0, 1], networks.fully_connected, adam, 0.99, 0.0, 0.2, None)
        return training.Reinforce(agent, environment, 0, 10, environments=3, optimizer=adam)

    whole = make()
    expected = [{k: float(v) for k, v in whole.step(i).items()} for i in range(3)]
    assert expected[0]["environment_steps"] == pytest.approx(3 * expected[0]["return"], rel=1e-5)
    first, resumed = make(), make()
    for i in range(2):
        first.step(i)
    for mine, other in zip(resumed.variables, first.variables, strict=True):
        mine.assign(other)
    assert {k: float(v) for k, v in resumed.step(2).items()} == expected[2]
    before, episodes = [v.numpy() for v in resumed._agent_variables()], rollouts.episodes_of
    with pytest.MonkeyPatch.context() as patch:
        for count, reward in enumerate((np.nan, 1e30), 1):  # a loss that is not finite; one whose gradient is not
            patch.setattr(rollouts, "episodes_of", lambda *a, r=reward: (p := episodes(*a))._replace(rewards=p.rewards * r))
            resumed.step(3)
            assert int(resumed.skipped) == int(resumed.consecutively_skipped) == count
            for old, variable in zip(before, resumed._agent_variables(), strict=True):
                np.testing.assert_array_equal(old, variable)
    assert np.isfinite(float(resumed.step(3)["loss"]))
    assert (int(resumed.skipped), int(resumed.consecutively_skipped)) == (2, 0)


def test_greedy_returns_and_pictures():
    agent = a2c(seed=1)
    assert agent.returns(4, 1, 0).shape == (4, 1) and agent.returns(2, 3, 0).shape == (2, 3)
    assert agent.frames(0, count=3).shape[0] == 3


def test_a_saved_policy_is_the_greedy_one(tmp_path):
    agent = a2c()
    for _ in range(2):  # again, in its place
        agent.save_policy(str(tmp_path / "policy"))
    assert os.listdir(tmp_path) == ["policy"]
    loaded = tf.saved_model.load(str(tmp_path / "policy"))
    observations = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    now = ts.restart(tf.constant(observations), 5)
    np.testing.assert_array_equal(loaded.action(now, ()).action, agent.agent.policy.action(now).action)


def test_shared_and_separate_encoders():
    probe = environment(1, 0)
    for shared, kernels in ((True, 3), (False, 4)):
        _, actor, value = networks.actor_and_value(probe, networks.fully_connected, [0, 1], shared)
        weights = networks.unique(actor.trainable_variables, value.trainable_variables)
        assert sum(len(v.shape) == 2 for v in weights) == kernels
    again = networks.actor_and_value(probe, networks.fully_connected, [0, 1], False)[1]
    for one, two in zip(actor.trainable_variables, again.trainable_variables):
        np.testing.assert_array_equal(one, two)


def test_unknown_names():
    with pytest.raises(errors.UserError, match="rmsprop"):
        agents.optimizer("rmsprob")


class TestSynthetic:
    def make(self, seed=0):
        return synthetic.SyntheticEnvironment(
            environment, seed, 4, pairs=2, updates=3, unroll_length=2, environments=3, episodes=1
        )

    def test_every_agent_learns_in_its_own_mdp(self):
        environment = self.make()
        flat = tf.convert_to_tensor(environment._flat)
        policies = environment._taught(tf.stack([flat, flat + 0.5]), tf.constant([1, 2]))[0]
        same = environment._taught(tf.stack([flat, flat]), tf.constant([1, 2]))[0]
        for path, value in policies.items():
            np.testing.assert_allclose(value[0], same[path][0], rtol=1e-5, atol=1e-6)
            if path.endswith("kernel"):
                assert not np.allclose(value[1], same[path][1], atol=1e-6), "the other MDP taught the same"

    def test_the_step_follows_the_better_members(self):
        """Mirrored pairs and centred ranks: sum of rank times noise / (members sigma); Adam's first step has its sign."""
        environment, seed = self.make(), [0, 0]
        flat = environment._flat.numpy()
        noise = tf.random.stateless_normal([2, *flat.shape], seed)
        noise = tf.concat([noise, -noise], 0)
        members = flat + 0.1 * noise
        agents_ = environment._taught(members, tf.constant(seed))
        returns = environment._arena.play(environment._policy(4), agents_, 1, seed).returns
        ranks = np.array([(np.sum(returns < r) + 0.5 * np.sum(returns == r)) / 4 - 0.5 for r in returns])
        assert np.ptp(ranks) > 0, "all members are equally good: nothing is tested"
        ascent = noise.numpy().T @ ranks / (4 * 0.1)
        metrics = environment.step(0)
        assert float(metrics["return"]) == pytest.approx(returns.mean())
        assert float(metrics["gradient_norm"]) == pytest.approx(np.linalg.norm(ascent), rel=1e-4)
        clear = np.abs(ascent) > 1e-3
        np.testing.assert_array_equal(np.sign(environment._flat.numpy() - flat)[clear], np.sign(ascent)[clear])

    def test_the_same_numbers_again(self):
        first, second = self.make(), self.make()
        assert float(first.step(0)["return"]) == float(second.step(0)["return"])
        np.testing.assert_array_equal(first._flat.numpy(), second._flat.numpy())
