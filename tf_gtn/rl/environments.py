"""Gymnasium's environments for tf-agents: many at once, seeded, ends told from cut-offs.

Gymnasium's vector environments do the work: NumPy physics for CartPole, threads for Atari, processes or one after another for
everything else. As in tf-agents, the step after an episode's last one resets and ignores the action.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import gymnasium
import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from tf_gtn import arguments, errors

WORKERS = ("together", "processes")
_A_STEP = {"CartPole": (0, 1), "Acrobot": (-1, 0), "MountainCar": (-1, 0)}  # least and largest reward


class VectorEnvironment(py_environment.PyEnvironment):
    """A Gymnasium vector environment with discrete actions as a batched `PyEnvironment`.

    An episode that ends by its own rules (`terminated`) has discount 0 at its last step; one that is cut off (`truncated`) has
    discount 1 there, so that an agent bootstraps from its last observation.

    Attributes:
      actions: how many there are.
      name: of what it is.
      score_bounds: `(low, high)` beyond which no score can lie; infinite where that is not known.
      scale: what observations are divided by, or None.
      scores: `[B]`, the sum of the rewards so far, unclipped, of an episode, or of a game of several lives.
      finished: `[B]` boolean, whether the step just taken was the last one that a score counts.
    """

    def __init__(
        self,
        environment: gymnasium.vector.VectorEnv,
        seed: int,
        name: str,
        scale: float | Sequence[float] | np.ndarray | None = None,
        clip_rewards: float | None = None,
        transform: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Wraps `environment` (`gymnasium.vector.VectorEnv`, next-step autoreset).

        Args:
          environment: it is closed with this one.
          seed: of the first reset.
          name: of what it is.
          scale: what float observations are divided by, a number or one for each component.
          clip_rewards: the largest absolute reward, or None.
          transform: optional function of a batch of observations, before all else.

        Raises:
          UserError: the actions are not discrete, or the environment does not reset at the next step.
        """
        if not isinstance(environment.single_action_space, gymnasium.spaces.Discrete):
            raise errors.UserError(f"actions must be discrete; got {environment.single_action_space}")
        mode = environment.metadata.get("autoreset_mode")
        if mode != gymnasium.vector.AutoresetMode.NEXT_STEP:
            raise errors.UserError(f"the environments must reset at the step after the last one; their mode is {mode}")
        if not isinstance(environment.single_observation_space, gymnasium.spaces.Box):
            raise errors.UserError(f"observations must be arrays; got {environment.single_observation_space}")
        super().__init__(handle_auto_reset=False)
        self.score_bounds: tuple[float, float] = (-np.inf, np.inf)
        self.name, self._environment, self._seed = name, environment, int(seed)
        self._clip, self._transform = clip_rewards, transform
        self.scale = None if scale is None else np.asarray(scale, np.float32)
        shape = environment.single_observation_space.shape
        if self.scale is not None and self.scale.shape not in ((), shape):
            raise errors.UserError(
                f"observations of {name} are {list(shape)}; their scale has {list(self.scale.shape)} numbers"
            )
        sample = self._observed(np.zeros(environment.observation_space.shape, environment.observation_space.dtype))
        self._observation_spec = array_spec.ArraySpec(sample.shape[1:], sample.dtype, "observation")
        last = int(environment.single_action_space.n) - 1
        self._action_spec = array_spec.BoundedArraySpec((), np.int64, 0, last, "action")
        self.actions = last + 1
        self._ended, self.finished = (np.zeros(environment.num_envs, bool) for _ in range(2))
        self.scores = np.zeros(environment.num_envs, np.float32)

    @property
    def batched(self) -> bool:
        return True

    @property
    def batch_size(self) -> int:
        return self._environment.num_envs

    def observation_spec(self) -> array_spec.ArraySpec:
        return self._observation_spec

    def action_spec(self) -> array_spec.BoundedArraySpec:
        return self._action_spec

    def seed(self, seed: int) -> None:
        """What the next reset begins from."""
        self._seed = int(seed)

    def render(self, mode: str = "rgb_array") -> np.ndarray | None:
        """A picture of the first environment as it stands, `[H, W, 3]` bytes; None where it was not made to be drawn."""
        del mode
        frames = self._environment.render() if self._environment.render_mode == "rgb_array" else None
        return None if frames is None else np.asarray(frames[0])

    def close(self) -> None:
        self._environment.close()

    def _call(self, method, *args, **settings):
        """What the environment's method returns; raises `UserError` if one of its processes is gone."""
        try:
            return getattr(self._environment, method)(*args, **settings)
        except (BrokenPipeError, EOFError, ConnectionResetError):
            with contextlib.suppress(Exception):
                self._environment.close(terminate=True)
            raise errors.UserError(
                f"a process of the environment {self.name} died; the same command goes on from the last checkpoint"
            ) from None

    def _reset(self):
        observation, _ = self._call("reset", seed=self._seed)
        self._ended, self.finished = (np.zeros_like(self._ended) for _ in range(2))
        self.scores = np.zeros_like(self.scores)
        return ts.restart(self._observed(observation), self.batch_size)

    def _step(self, action):
        observation, reward, terminated, truncated, info = self._call("step", np.asarray(action))
        reward = np.asarray(reward, np.float32)
        self.scores = np.where(self.finished, np.float32(0), self.scores + reward)
        if self._clip is not None:
            reward = np.clip(reward, -self._clip, self._clip)
        last = np.logical_or(terminated, truncated)
        step_type = np.where(self._ended, ts.StepType.FIRST, np.where(last, ts.StepType.LAST, ts.StepType.MID))
        discount = np.where(terminated, np.float32(0), np.float32(1))
        self._ended, self.finished = last, self._finished(last, truncated, info)
        return ts.TimeStep(step_type.astype(np.int32), reward, discount, self._observed(observation))

    def _finished(self, last, truncated, info):
        del truncated, info
        return last

    def _observed(self, observation):
        if self._transform is not None:
            observation = self._transform(observation)
        return observation if self.scale is None else (observation / self.scale).astype(np.float32)


Make = Callable[..., VectorEnvironment]
"""`(count, seed) -> VectorEnvironment` of so many environments, and with `draw=True` of such as can be drawn."""


@arguments.checked("rl.environment")
def make(
    count: int,
    seed: int,
    name: str = "CartPole-v1",
    max_episode_steps: arguments.Count | None = None,
    scale: float | Sequence[float] | None = None,
    clip_rewards: arguments.Positive | None = None,
    workers: Annotated[str, arguments.OneOf(WORKERS, "kind of workers")] = "together",
    draw: bool = False,
) -> VectorEnvironment:
    """`count` environments of a Gymnasium name.

    Args:
      count: how many.
      seed: of the first reset.
      name: such as CartPole-v1 or Acrobot-v1.
      max_episode_steps: where an episode is cut off; None: where Gymnasium does.
      scale, clip_rewards: see `VectorEnvironment`.
      workers: "together" in this process, vectorised where Gymnasium has it so; "processes": each in one of its own.
      draw: whether `render` gives pictures.

    Raises:
      UserError: there is no such environment, or it does not fit.
    """
    try:
        spec = gymnasium.spec(name)
    except gymnasium.error.Error:
        raise errors.unknown("environment", name, gymnasium.registry) from None
    mode = "async" if workers == "processes" else "sync" if spec.vector_entry_point is None else "vector_entry_point"
    settings: dict[str, Any] = {"max_episode_steps": max_episode_steps} if max_episode_steps is not None else {}
    if draw:
        settings["render_mode"] = "rgb_array"
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # pygame, which draws, looks for a sound card
    context = {"vector_kwargs": {"context": "forkserver"}} if mode == "async" else {}  # TensorFlow's threads survive no fork
    environment = gymnasium.make_vec(name, count, vectorization_mode=mode, **context, **settings)
    vector_environment = VectorEnvironment(environment, seed, name, scale, clip_rewards)
    steps = max_episode_steps or spec.max_episode_steps
    if spec.name in _A_STEP and steps:
        least, largest = _A_STEP[spec.name]
        vector_environment.score_bounds = float(steps * least), float(steps * largest)
    return vector_environment
