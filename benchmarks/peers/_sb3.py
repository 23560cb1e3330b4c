"""Steps a second of stable-baselines3's A2C on Breakout, with its own environments and network.

python benchmarks/peers/_sb3.py ENVIRONMENTS LENGTH UPDATES
"""

import sys
import time

import ale_py
import gymnasium
from stable_baselines3 import A2C
from stable_baselines3.common import callbacks, env_util, vec_env


class Clock(callbacks.BaseCallback):
    """Starts after a third of the steps."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.start = steps, None

    def _on_step(self):
        if self.start is None and self.num_timesteps >= self.steps // 3:
            self.start, self.first = time.perf_counter(), self.num_timesteps
        return True


def main():
    environments, length, updates = map(int, sys.argv[1:])
    gymnasium.register_envs(ale_py)
    made = env_util.make_atari_env("BreakoutNoFrameskip-v4", n_envs=environments, seed=0)
    made = vec_env.VecFrameStack(made, 4)
    steps = environments * length * updates
    clock = Clock(steps)
    A2C("CnnPolicy", made, n_steps=length, ent_coef=0.01, vf_coef=0.25, seed=0, device="cpu").learn(steps, callback=clock)
    print((steps - clock.first) / (time.perf_counter() - clock.start))


if __name__ == "__main__":
    main()
