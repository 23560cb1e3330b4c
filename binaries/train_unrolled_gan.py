"""Trains unrolled GANs, plain ones beside them, and measures what they cover.

    python -m binaries.train_unrolled_gan --base_dir=runs/ring --gin_file=gin/gan/ring.gin

Exports the generators, draws heat maps and captured modes. The same command again resumes.
"""

from tf_gtn.experiment import program as app
from tf_gtn.gan import experiment


def main(run):
    metrics = experiment.run(run, "train_unrolled_gan")
    if metrics is None:
        return
    for name, found in metrics.items():
        measured = (f"{key} {value['mean']:.3g}" for key, value in found.items() if isinstance(value, dict))
        print(f"{name}: {', '.join(measured)}")
    print(f"report: {run.base_dir}/report.html")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
