"""Trains the arms of an experiment side by side and compares them: sources of training data, curricula, estimators, ...

    python -m binaries.compare_treatments --base_dir=runs/digits --gin_file=gin/teaching/digits.gin

Tests each arm with fresh learners, does the configured analyses, exports the first arm that can be, and writes results.json and
report.html. The same command again resumes.
"""

from tf_gtn.experiment import experiment, program
from tf_gtn.reporting import report, results
from tf_gtn.teaching import gin_names


def main(run: program.Run) -> None:
    if experiment.run(run, "compare_treatments", gin_names.comparison(run)) is None:
        return
    print(report.summary(results.read(run.base_dir)))
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, distributed=True, experiments=("teaching.Comparison",))


if __name__ == "__main__":
    run()
