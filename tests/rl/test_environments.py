"""Gymnasium's environments as tf-agents sees them."""

import gymnasium
import numpy as np
import pytest

from tf_gtn import errors
from tf_gtn.rl import atari, environments


def play(environment, steps, seed=3):
    """`[(step type, reward, discount, observation)]` of random actions."""
    environment.seed(seed)
    rows, rng = [environment.reset()], np.random.default_rng(0)
    for _ in range(steps):
        rows.append(environment.step(rng.integers(0, environment.actions, environment.batch_size)))
    return rows


def test_bounds_of_scores():
    assert environments.make(1, 0).score_bounds == (0, 500)
    assert environments.make(1, 0, max_episode_steps=200).score_bounds == (0, 200)
    assert environments.make(1, 0, "Acrobot-v1").score_bounds == (-500, 0)


def test_cartpole_is_gymnasiums_own():
    environment = environments.make(2, 5, max_episode_steps=200)
    assert environment.batched and environment.batch_size == 2 and environment.actions == 2
    assert environment.observation_spec().shape == (4,) and environment.observation_spec().dtype == np.float32
    reference = gymnasium.make_vec("CartPole-v1", 2, max_episode_steps=200)
    expected, _ = reference.reset(seed=5)
    np.testing.assert_array_equal(environment.reset().observation, expected)
    for action in ([0, 1], [1, 1], [0, 0]):
        expected, *_ = reference.step(np.array(action))
        np.testing.assert_array_equal(environment.step(np.array(action)).observation, expected)


def test_an_end_has_no_future_and_a_cut_off_has_one():
    environment = environments.make(3, 0, max_episode_steps=12)
    cut, ended = 0, 0
    for before, now in zip(rows := play(environment, 200), rows[1:]):
        np.testing.assert_array_equal(now.is_first(), before.is_last())
        last = now.is_last()
        assert (now.discount[~last] == 1).all()
        fallen = np.abs(now.observation[:, 2]) > 12 * 2 * np.pi / 360
        np.testing.assert_array_equal(now.discount[last] == 0, fallen[last])
        cut, ended = cut + (last & ~fallen).sum(), ended + (last & fallen).sum()
        assert (now.reward[now.is_first()] == 0).all()
    assert cut > 3 and ended > 3


def test_scores_are_sums_of_rewards_before_clipping():
    environment = environments.make(2, 0, name="Acrobot-v1", max_episode_steps=7, clip_rewards=0.25)
    for now in play(environment, 7)[1:]:
        assert (now.reward == -0.25).all()
    assert now.is_last().all() and (environment.scores == -7).all()
    assert (environment.step(np.zeros(2, int)).reward == 0).all() and (environment.scores == 0).all()


def test_the_same_seed_gives_the_same_episode():
    environment = environments.make(2, 0)
    first, again, other = (play(environment, 30, seed) for seed in (4, 4, 5))
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one.observation, two.observation)
    assert not np.array_equal(first[0].observation, other[0].observation)


def test_processes_give_what_one_process_gives():
    settings = {"name": "Acrobot-v1", "max_episode_steps": 10}
    together, processes = (environments.make(2, 0, workers=workers, **settings) for workers in environments.WORKERS)
    for one, two in zip(play(together, 15), play(processes, 15)):
        np.testing.assert_array_equal(one.observation, two.observation)
        np.testing.assert_array_equal(one.step_type, two.step_type)
    processes.close()


def test_a_process_that_dies_is_reported():
    environment = environments.make(2, 0, name="Acrobot-v1", workers="processes")
    environment.reset()
    environment._environment.processes[0].kill()
    with pytest.raises(errors.UserError, match="a process of the environment Acrobot-v1 died"):
        for _ in range(50):
            environment.step(np.zeros(2, int))


def test_observations_are_scaled():
    plain, scaled = environments.make(2, 0), environments.make(2, 0, scale=(1.5, 1.5, 0.15, 1.5))
    np.testing.assert_allclose(scaled.reset().observation, plain.reset().observation / (1.5, 1.5, 0.15, 1.5), rtol=1e-6)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"name": "CartPol-v1"}, "CartPole-v1"),
        ({"name": "Pendulum-v1"}, "discrete"),
        ({"workers": "process"}, "processes"),
        ({"scale": (1.0, 2.0)}, r"\[4\]; their scale has \[2\]"),
        ({"max_episode_steps": 0}, "at least 1"),
    ],
)
def test_mistakes(settings, words):
    with pytest.raises(errors.UserError, match=words):
        environments.make(1, 0, **settings)


def test_atari_in_grey_and_in_color():
    grey, color = atari.make(2, 0, "pong"), atari.make(2, 0, "pong", color=True, frames=1)
    assert grey.observation_spec().shape == (84, 84, 4) and color.observation_spec().shape == (84, 84, 3)
    assert grey.actions == 6
    first, second = play(grey, 5), play(grey, 5)
    np.testing.assert_array_equal(first[-1].observation, second[-1].observation)
    # The newest frame is the last channel: what was the newest is the one before it a step later.
    np.testing.assert_array_equal(first[-1].observation[..., 2], first[-2].observation[..., 3])
    assert color.reset().observation.dtype == np.uint8 and np.ptp(color.reset().observation) > 50
    assert color.render().shape == (84, 84, 3) and grey.render().shape == (84, 84)


def test_atari_rewards_are_clipped_and_scores_not():
    environment = atari.make(4, 1, "space_invaders", clip_rewards=2.0)
    rewards = np.stack([now.reward for now in play(environment, 150)[1:]])
    assert rewards.max() == 2.0 and environment.scores.max() >= 5


def test_unknown_game():
    with pytest.raises(errors.UserError, match="breakout"):
        atari.make(1, 0, "brekout")


@pytest.mark.slow
def test_games_of_few_actions():
    names = atari.games(most_actions=4)
    assert "breakout" in names and "pong" not in names and set(names) < set(atari.games())


def test_a_lost_life_ends_an_episode_and_the_game_goes_on():
    environment, rng = atari.make(2, 0, "breakout", episodic_life=True), np.random.default_rng(0)
    environment.reset()
    ends, games, total, scores = 0, 0, 0.0, []
    while games < 3:
        now = environment.step(rng.integers(0, environment.actions, 2))
        ends, games = ends + now.is_last().sum(), games + environment.finished.sum()
        total += now.reward.sum()
        scores.extend(environment.scores[environment.finished])
        np.testing.assert_array_equal(now.discount, np.where(now.is_last(), 0, 1))
    assert 5 * games <= ends < 5 * games + 5  # five lives; the other game is still going
    assert sum(scores) <= total and environment.finished.any()


def test_a_games_return_is_of_all_lives():
    from tf_gtn.rl import rollouts

    returns = {}
    for lives in (False, True):
        environment = atari.make(4, 0, "breakout", episodic_life=lives)
        rng = np.random.default_rng(1)
        returns[lives] = rollouts.returns_of(environment, lambda t, o, rng=rng: rng.integers(0, 4, len(o)), 3)
    np.testing.assert_array_equal(returns[False], returns[True])  # the same actions, the same games
