"""Trains a GTN, tests it with fresh learners, and exports it.

    python -m binaries.train_gtn --base_dir=runs/gtn --gin_file=gin/teaching/digits.gin
    python -m binaries.train_gtn --base_dir=runs/short --gin_file=gin/teaching/digits.gin --gin_bindings='OUTER_STEPS = 20'

The same command again resumes.
"""

from tf_gtn.config import gin_config
from tf_gtn.experiment import experiment, program
from tf_gtn.teaching import gin_names

TAKEN = ("callbacks", "warm_start")  # settings of an experiment that hold for one GTN too


def main(run: program.Run) -> None:
    for other, its_program in (("teaching.Comparison", "compare_treatments"), ("teaching.Tuning", "tune_gtn")):
        if unused := [name for name in gin_config.parameters_set(other) if name not in TAKEN]:
            print(f"train_gtn trains one GTN, without the file's {', '.join(unused)}: those are for {its_program}")
    comparison = gin_names.comparison(run, arms=("gtn",), seeds=1, analyses=(), claims=())
    metrics = experiment.run(run, "train_gtn", comparison, scoped=False)
    if metrics is not None:
        tested = metrics["gtn"]
        print(f"few-step test accuracy of {len(tested['values'])} fresh learners: {tested['test_accuracy']:.4f}")
        print(f"the run is in {run.base_dir}, its SavedModel in export/ if the GTN could be exported")


def run() -> None:
    program.run(main, distributed=True, experiments=("teaching.Comparison", "teaching.Tuning"))


if __name__ == "__main__":
    run()
