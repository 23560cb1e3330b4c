"""Looks at what learners, meta-learners and Bayes' rule learn first.

    python -m binaries.run_dynamics --base_dir=runs/linear --gin_file=gin/dynamics/linear_small.gin

Parts that are done stay done; the same command goes on.
"""

from tf_gtn.dynamics import figures, gin_names
from tf_gtn.experiment import experiment, program


def main(run: program.Run) -> None:
    metrics = experiment.run(run, "run_dynamics", gin_names.Experiment())
    if metrics is None:
        return
    for name, part in metrics.items():
        if part is None:
            print(f"{name}: diverged")
            continue
        setting = " (its first setting)" if len(part.get("table", ())) > 1 else ""
        print(f"{name}{setting}: {figures.ratio_in_words(part)} The last is not reached in {part['censored']:.0%} of the runs.")
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, experiments=("dynamics.Experiment",))


if __name__ == "__main__":
    run()
