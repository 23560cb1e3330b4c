"""Experience as arrays: whole episodes, and n steps of environments that go on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_gtn.core import stacking
from tf_gtn.rl import environments

Act = Callable[[int, np.ndarray], np.ndarray]
"""`(t, observations [B, ...]) -> actions [B]`."""


class Episodes(NamedTuple):
    """One episode of each of B environments, padded to the longest of them, L steps.

    Attributes:
      observations: `[L + 1, B, ...]`; the last of an episode is where it ended.
      actions, rewards: `[L, B]`.
      taken: `[L, B]`, 1 where the episode was still going, else 0.
      discounts: `[L, B]`, 0 where it ended by its rules, else 1.
      returns: `[B]`, undiscounted and unclipped.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    taken: np.ndarray
    discounts: np.ndarray
    returns: np.ndarray

    @property
    def steps(self) -> int:
        return int(self.taken.sum())

    def returns_to_go(self, discount: float, values: np.ndarray) -> np.ndarray:
        """`[L, B]`: R_t = r_t + discount R_{t+1}; where an episode was cut off, its last observation's value follows.

        `values` [L + 1, B]: of the observations.
        """
        returns, following = np.zeros_like(self.rewards), np.zeros_like(self.rewards[0])
        for t in reversed(range(len(self.rewards))):
            goes_on = self.taken[t + 1] if t + 1 < len(self.rewards) else np.zeros_like(following)
            following = np.where(goes_on > 0, following, values[t + 1])
            following = self.rewards[t] + discount * self.discounts[t] * following
            returns[t] = following * self.taken[t]
        return returns


def episodes_of(environment: environments.VectorEnvironment, act: Act, seed: int) -> Episodes:
    """Runs every environment for one episode from a reset with `seed`; `act(t, observations [B, ...]) -> actions [B]`."""
    environment.seed(seed)
    now = environment.reset()
    going = np.ones(environment.batch_size, bool)
    observations, rows, returns = [now.observation], [], np.zeros(environment.batch_size, np.float32)
    while going.any():
        action = np.asarray(act(len(rows), now.observation))
        now = environment.step(action)
        rows.append((action, now.reward, going.astype(np.float32), now.discount))
        observations.append(now.observation)
        ended = now.is_last()
        returns = np.where(going & ended, environment.scores, returns)
        going = going & ~ended
    actions, rewards, taken, discounts = (np.stack(column) for column in zip(*rows))
    return Episodes(np.stack(observations), actions, rewards, taken, discounts, returns)


def returns_of(environment: environments.VectorEnvironment, act: Act, seed: int) -> np.ndarray:
    """Undiscounted returns `[B]` of an episode of each environment, or of a game of several lives; nothing else is kept."""
    environment.seed(seed)
    now, t = environment.reset(), 0
    going, returns = np.ones(environment.batch_size, bool), np.zeros(environment.batch_size, np.float32)
    while going.any():
        now = environment.step(np.asarray(act(t, now.observation)))
        returns = np.where(going & environment.finished, environment.scores, returns)
        going, t = going & ~environment.finished, t + 1
    return returns


class Arena:
    """Where populations of taught policies play: as many environments as they need, made when first needed."""

    def __init__(self, make_environment: environments.Make) -> None:
        """`make_environment`: `count, seed -> VectorEnvironment`."""
        self._make, self._environments, self._acts = make_environment, {}, {}
        probe = make_environment(1, 0)
        self.observation_shape, self.actions = tuple(probe.observation_spec().shape), probe.actions
        self.name, self.scale = probe.name, probe.scale
        probe.close()

    def play(
        self, learner: stacking.Stacked, taught: tuple[dict, dict], episodes: int, seed: Sequence[int], greedy: bool = False
    ) -> Episodes:
        """`Episodes` of N policies with `episodes` environments each, the first policy's first.

        Args:
          learner: a `core.stacking.Stacked` of observations -> logits.
          taught: `(params, state)` of it.
          episodes: of each policy.
          seed: integers; environments and actions follow from it.
          greedy: whether the likeliest action is taken instead of a sampled one.
        """
        count, rng = learner.count * episodes, np.random.default_rng(seed)
        if count not in self._environments:
            self._environments[count] = self._make(count, 0)
        if (learner, episodes) not in self._acts:
            self._acts[learner, episodes] = self._acting(learner, episodes)
        act = self._acts[learner, episodes]

        def choose(t, observations):
            shape = (learner.count, episodes, self.actions)
            noise = np.zeros(shape) if greedy else rng.gumbel(size=shape)  # a sample is the argmax with such noise
            return act(*taught, observations, noise.astype(np.float32)).numpy()

        return episodes_of(self._environments[count], choose, int(rng.integers(2**31)))

    def _acting(self, learner, episodes):
        def act(params, state, observations, noise):
            observations = tf.reshape(observations, [learner.count, episodes, *self.observation_shape])
            return tf.reshape(tf.argmax(learner(params, state, observations)[0] + noise, -1), [-1])

        return tf.function(act, autograph=False)
