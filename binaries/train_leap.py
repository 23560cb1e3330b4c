"""Learns initialisations by Leap and the methods beside it, and learns new tasks from them.

    python -m binaries.train_leap --base_dir=runs/omniglot --gin_file=gin/leap/omniglot_small.gin
    python -m binaries.train_leap --base_dir=runs/atari --gin_file=gin/leap/atari_small.gin

Draws errors by number of pretraining tasks and training curves, or scores. The same command again resumes.
"""

from tf_gtn.config import gin_config
from tf_gtn.experiment import experiment, program
from tf_gtn.transfer import gin_names


def main(run: program.Run) -> None:
    if gin_config.parameters_set("rl.Leap"):
        from tf_gtn.rl import gin_names as games  # needs tf-agents

        chosen = games.leap_games()
    else:
        chosen = gin_names.transfer(run)
    metrics = experiment.run(run, "train_leap", chosen)
    if metrics is None:
        return
    for name, summary in metrics.items():
        if "/" in name:
            print(f"{name}: {summary['mean']:.4g}")
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, rooms={"rl": "tf_gtn.rl.gin_names"}, experiments=("transfer.Experiment", "rl.Leap"))


if __name__ == "__main__":
    run()
