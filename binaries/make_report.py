"""Turns any set of runs into one self-contained report.html.

python -m binaries.make_report --base_dir=runs --run=runs/digits --run=runs/evaluation
"""

from absl import flags

from tf_gtn import errors
from tf_gtn.experiment import program
from tf_gtn.reporting import report


def add_flags() -> None:
    flags.DEFINE_multi_string("run", [], "The folder of a run; repeatable. By default --base_dir itself.")


def main(run: program.Run) -> None:
    runs = run.flags.run or [run.base_dir]
    if runs == [""]:
        raise errors.UserError("--run=DIR is needed: the folder of a finished run")
    path = f"{run.base_dir or '.'}/report.html"
    report.check(runs)
    if run.dry_run:
        return
    report.write(path, runs)
    print(path)


def run() -> None:
    program.run(main, add_flags, needs_gin=False)


if __name__ == "__main__":
    run()
