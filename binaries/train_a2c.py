"""Trains an advantage actor-critic agent: CartPole, Atari games and whatever else a run file names.

    python -m binaries.train_a2c --base_dir=runs/cartpole_a2c --gin_file=gin/rl/cartpole_a2c.gin
    python -m binaries.train_a2c --base_dir=runs/pong --gin_file=gin/rl/atari_pong.gin

Tests the greedy policy, saves it for tf-agents, draws score by environment steps. The same command again resumes.
"""

from tf_gtn.experiment import experiment, program


def main(run: program.Run) -> None:
    from tf_gtn.rl import gin_names  # needs tf-agents

    agents = gin_names.agents_experiment()
    metrics = experiment.run(run, "train_a2c", agents)
    if metrics is not None:
        for line in agents.in_words(metrics):
            print(line)
        print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, system="tf_gtn.rl.gin_names", experiments=("rl.Experiment",))


if __name__ == "__main__":
    run()
