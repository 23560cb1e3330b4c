"""Trains a GTN whose one synthetic batch teaches a policy, beside an agent that learns in the environment itself.

    python -m binaries.train_cartpole_gtn --base_dir=runs/cartpole_gtn --gin_file=gin/rl/cartpole_gtn.gin

Tests fresh policies after their lesson, exports the GTN, draws score by environment steps. The same command again resumes.
"""

from tf_gtn.experiment import program as app


def main(run):
    from tf_gtn.rl import experiment  # needs tf-agents

    experiment.main(run, "train_cartpole_gtn")


def run():
    app.run(main, system="tf_gtn.rl.experiment")


if __name__ == "__main__":
    run()
