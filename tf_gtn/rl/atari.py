"""Atari games by name, through ale-py's threaded vector environment; the ROMs come with its wheel."""

import ale_py
import gymnasium
import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from ale_py.vector_env import AtariVectorEnv

from tf_gtn import arguments, errors
from tf_gtn.rl import environments


class AtariEnvironment(environments.VectorEnvironment):
    """Atari games, whose scores are of all lives; a picture is the newest frame of the first one."""

    def _finished(self, last, truncated, info):
        return last & (truncated | (info["lives"] == 0))

    def render(self, mode: str = "rgb_array") -> np.ndarray:
        del mode
        newest = self.current_time_step().observation[0]
        return newest[..., -3:] if self._environment.single_observation_space.shape[-1] == 3 else newest[..., -1]


@arguments.checked("rl.atari")
def make(
    count: int,
    seed: int,
    game: str = "breakout",
    color: bool = False,
    frames: arguments.Count = 4,
    size: arguments.Count = 84,
    frame_skip: arguments.Count = 4,
    sticky_actions: arguments.Share = 0.0,
    clip_rewards: arguments.Positive | None = None,
    noops: arguments.Whole = 30,
    episodic_life: bool = False,
    max_frames: arguments.Count = 108_000,
    draw: bool = False,
) -> AtariEnvironment:
    """`count` games; observations are bytes `[size, size, frames]`, or `[size, size, 3 frames]` in colour.

    Args:
      count: how many.
      seed: of the first reset.
      game: the ROM's name, such as space_invaders.
      color: RGB instead of grey. Leap's appendix H: 84 x 84 x 3, which is one frame in colour.
      frames: how many of the newest are in an observation.
      size: height and width.
      frame_skip: frames that an action holds for.
      sticky_actions: chance that the action before is taken again.
      clip_rewards: the largest absolute reward, or None; scores are never clipped.
      noops: at most so many idle frames at an episode's start.
      episodic_life: whether a lost life ends an episode for the agent; the game goes on.
      max_frames: where an episode is cut off.
      draw: there are pictures in any case: the newest frame.

    Raises:
      UserError: there is no such game.
    """
    del draw
    if game not in games():
        raise errors.unknown("game", game, games())
    environment = AtariVectorEnv(
        game,
        count,
        grayscale=not color,
        stack_num=frames,
        img_height=size,
        img_width=size,
        frameskip=frame_skip,
        repeat_action_probability=sticky_actions,
        noop_max=noops,
        life_loss_info=episodic_life,  # what ale-py calls episodic_life begins a new game with every life
        max_num_frames_per_episode=max_frames,
        reward_clipping=False,
    )
    return AtariEnvironment(environment, seed, game, clip_rewards=clip_rewards, transform=_channels_last)


def games(most_actions: int | None = None) -> list[str]:
    """Names of the games for one player, or of those with so many actions at most (Leap, appendix H: 10)."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    names = sorted({spec.kwargs["game"] for spec in gymnasium.registry.values() if spec.namespace == "ALE"})
    if most_actions is None:
        return names

    def actions(game):
        ale = ALEInterface()
        ale.loadROM(roms.get_rom_path(game))
        return len(ale.getMinimalActionSet())

    return [game for game in names if actions(game) <= most_actions]


def _channels_last(frames):
    """[B, frames, H, W] or [B, frames, H, W, 3] -> [B, H, W, channels], the newest frame last."""
    if frames.ndim == 4:
        return np.moveaxis(frames, 1, -1)
    moved = np.moveaxis(frames, 1, 3)
    return moved.reshape(*moved.shape[:3], -1)
