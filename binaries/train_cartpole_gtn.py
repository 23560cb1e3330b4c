"""Trains a GTN whose one synthetic batch teaches a policy, beside an agent that learns in the environment itself.

    python -m binaries.train_cartpole_gtn --base_dir=runs/cartpole_gtn --gin_file=gin/rl/cartpole_gtn.gin

Tests fresh policies after their lesson, exports the GTN, draws score by environment steps. The same command again resumes.
"""

from tf_gtn.experiment import experiment, program


def main(run: program.Run) -> None:
    from tf_gtn.rl import gin_names  # needs tf-agents

    agents = gin_names.agents_experiment()
    metrics = experiment.run(run, "train_cartpole_gtn", agents)
    if metrics is not None:
        for line in agents.in_words(metrics):
            print(line)
        print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, system="tf_gtn.rl.gin_names", experiments=("rl.Experiment",))


if __name__ == "__main__":
    run()
