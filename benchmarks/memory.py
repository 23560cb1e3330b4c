"""Peak memory of one meta-gradient against the number of inner steps T, in processes of their own.

    python -m benchmarks.memory
    python -m benchmarks.memory --size=28

Prints one JSON line: peak resident set size in GB by T for `checkpoint_every` 1 and 0, and the ratio of the largest T to the
smallest.
"""

import argparse
import json
import resource
import subprocess
import sys


def measure(size, steps, recompute_every):
    """Runs two outer steps in this process; returns GB."""
    from benchmarks import _problems as problems

    training = problems.gtn(size, steps, recompute_every)
    for index in range(2):
        float(training.step(index)["loss"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8, choices=(8, 28))
    parser.add_argument("--steps", type=int, nargs="*", default=[16, 64, 128])
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(measure(options.size, *options.child))
        return
    peaks = {}
    for recompute_every in (1, 0):
        for steps in options.steps:
            command = [
                sys.executable,
                "-m",
                "benchmarks.memory",
                f"--size={options.size}",
                "--child",
                str(steps),
                str(recompute_every),
            ]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            peaks.setdefault(recompute_every, {})[steps] = round(float(out.split()[-1]), 3)
    first, last = options.steps[0], options.steps[-1]
    print(
        json.dumps(
            {
                "benchmark": "memory",
                "size": options.size,
                "peak_gb_recomputed": peaks[1],
                "peak_gb_stored": peaks[0],
                "ratio_recomputed": round(peaks[1][last] / peaks[1][first], 3),
                "ratio_stored": round(peaks[0][last] / peaks[0][first], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
