"""Trains an advantage actor-critic agent: CartPole, Atari games and whatever else a run file names.

    python -m binaries.train_a2c --base_dir=runs/cartpole_a2c --gin_file=gin/rl/cartpole_a2c.gin
    python -m binaries.train_a2c --base_dir=runs/pong --gin_file=gin/rl/atari_pong.gin

Tests the greedy policy, saves it for tf-agents, draws score by environment steps. The same command again resumes.
"""

from tf_gtn.experiment import program as app


def main(run):
    from tf_gtn.rl import experiment  # needs tf-agents

    experiment.main(run, "train_a2c")


def run():
    app.run(main, system="tf_gtn.rl.experiment")


if __name__ == "__main__":
    run()
