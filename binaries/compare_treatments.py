"""Trains the arms of an experiment side by side and compares them: sources of training data, curricula, estimators, ...

    python -m binaries.compare_treatments --base_dir=runs/digits --gin_file=gin/teaching/digits.gin

Tests each arm with fresh learners, does the configured analyses, exports the first arm that can be, and writes results.json and
report.html. The same command again resumes.
"""

from tf_gtn.experiment import program as app
from tf_gtn.reporting import report, results
from tf_gtn.teaching import experiment as comparison


def main(run):
    if comparison.run(run, "compare_treatments", comparison.Comparison()) is None:
        return
    print(report.summary(results.read(run.base_dir)))
    print(f"report: {run.base_dir}/report.html")


def run():
    app.run(main, distributed=True)


if __name__ == "__main__":
    run()
