"""Tunes the hyperparameters of several arms, such as GTNs with and without weight normalisation, and compares all their trials.

    python -m binaries.tune_gtn --base_dir=runs/tuning --gin_file=gin/teaching/weight_norm_small.gin
    python -m binaries.tune_gtn --base_dir=runs/tuning --gin_file=gin/teaching/weight_norm_small.gin --join

The same command again resumes: finished trials stay. With --join further processes take trials of the run that the same command
without it began. It ends with results.json, a box plot of all trials and report.html. Needs the extra `tune`.
"""

from tf_gtn.experiment import program
from tf_gtn.reporting import report, results
from tf_gtn.teaching import gin_names, tuning


def main(run: program.Run) -> None:
    metrics = tuning.run(run, "tune_gtn", gin_names.tuned(run))
    if metrics is None:
        return
    for arm, search in metrics.items():
        print(f"{arm}: best loss {search['best']:.4g} in trial {search['best_trial']}, with")
        print("".join(f"  {line}\n" for line in tuning.best_bindings(search)), end="")
    print(report.summary(results.read(run.base_dir)))
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, joinable=True, experiments=("teaching.Comparison", "teaching.Tuning"))


if __name__ == "__main__":
    run()
