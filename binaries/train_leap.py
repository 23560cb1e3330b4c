"""Learns initialisations by Leap and the methods beside it, and learns new tasks from them.

    python -m binaries.train_leap --base_dir=runs/omniglot --gin_file=gin/leap/omniglot_small.gin
    python -m binaries.train_leap --base_dir=runs/atari --gin_file=gin/leap/atari_small.gin

Draws errors by number of pretraining tasks and training curves, or scores. The same command again resumes.
"""

from tf_gtn.experiment import program as app
from tf_gtn.transfer import experiment
from tf_gtn.transfer import gin_names as build


def main(run):
    metrics = build.program(experiment.run)(run, "train_leap")
    if metrics is None:
        return
    for name, found in metrics.items():
        if "/" in name:
            print(f"{name}: {found['mean']:.4g}")
    print(f"report: {run.base_dir}/report.html")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
