"""Trains unrolled GANs, plain ones beside them, and measures what they cover.

    python -m binaries.train_unrolled_gan --base_dir=runs/ring --gin_file=gin/gan/ring.gin

Exports the generators, draws heat maps and captured modes. The same command again resumes.
"""

from tf_gtn.experiment import experiment, program
from tf_gtn.gan import gin_names


def main(run: program.Run) -> None:
    gans = gin_names.gans(run)
    metrics = experiment.run(run, "train_unrolled_gan", gans)
    if metrics is None:
        return
    for name in gans.arms:
        measured = (f"{key} {value['mean']:.3g}" for key, value in metrics[name].items() if isinstance(value, dict))
        print(f"{name}: {', '.join(measured)}")
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, experiments=("gan.Experiment",))


if __name__ == "__main__":
    run()
