"""Whole episodes and what follows from them."""

import numpy as np
import tensorflow as tf

from tf_gtn.core import Functional, stacking
from tf_gtn.models import perceptrons
from tf_gtn.rl import environments, rollouts


def test_episodes_end_where_they_end():
    environment = environments.make(4, 0, max_episode_steps=15)
    played = rollouts.episodes_of(environment, lambda t, observations: np.array([0, 0, t % 2, t % 2]), seed=1)
    lengths = played.taken.sum(0)
    assert (lengths[:2] < 13).all() and (lengths[2:] == 15).all(), "always to the left falls, to and fro does not"
    np.testing.assert_array_equal(played.returns, lengths)
    assert played.steps == lengths.sum() and len(played.observations) == len(played.rewards) + 1
    for b, length in enumerate(lengths.astype(int)):
        assert (played.taken[:length, b] == 1).all() and (played.taken[length:, b] == 0).all()
    assert played.discounts[int(lengths[0]) - 1, 0] == 0 and played.discounts[14, 2] == 1


def test_returns_to_go_by_hand():
    played = rollouts.Episodes(
        observations=np.zeros((4, 2, 1)),
        actions=np.zeros((3, 2)),
        rewards=np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 9.0]]),
        taken=np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]),
        discounts=np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]),  # the first ends by its rules, the second is cut off
        returns=np.zeros(2),
    )
    returns = played.returns_to_go(0.5, values=np.array([[7.0, 7.0], [7.0, 7.0], [7.0, 8.0], [7.0, 7.0]]))
    np.testing.assert_allclose(returns[:, 0], [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4])
    np.testing.assert_allclose(returns[:, 1], [1 + 0.5 * (2 + 0.5 * 8), 2 + 0.5 * 8, 0])


def test_each_policy_plays_its_own_episodes():
    arena = rollouts.Arena(lambda count, seed: environments.make(count, seed, max_episode_steps=20))
    learner = stacking.Stacked(Functional(perceptrons.perceptron(4, 2)), 3)
    params, state = learner.initial_values(tf.constant([1, 2]))
    # Biases that decide alone: the first always goes left, the second right, the third is left as it is.
    bias = next(path for path in params if path.endswith("outputs/bias"))
    params[bias] = tf.constant([[50.0, -50.0], [-50.0, 50.0], [0.0, 0.0]])
    played = arena.play(learner, (params, state), 2, [0, 1])
    going = played.taken > 0
    assert (played.actions[:, :2][going[:, :2]] == 0).all() and (played.actions[:, 2:4][going[:, 2:4]] == 1).all()
    sampled = played.actions[:, 4:][going[:, 4:]]
    assert 0 < sampled.mean() < 1
    again = arena.play(learner, (params, state), 2, [0, 1])
    np.testing.assert_array_equal(played.actions, again.actions)
    greedy = arena.play(learner, (params, state), 2, [0, 1], greedy=True)
    assert not np.array_equal(greedy.actions[: len(played.actions)], played.actions[: len(greedy.actions)])
