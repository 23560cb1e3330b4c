"""Peak memory of one meta-gradient against the number of inner steps T, in processes of their own.

    python -m benchmarks.memory
    python -m benchmarks.memory --size=28

Prints one JSON line: peak resident set size in GB by `recompute_every` and T, and the ratio of the largest T to the smallest.
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
    parser.add_argument("--steps", type=int, nargs="*", default=[16, 128, 512])
    parser.add_argument("--stored_steps", type=int, nargs="*", default=[16, 128], help="of recompute_every = 0")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        steps, recompute_every = options.child
        print(measure(options.size, int(steps), recompute_every if recompute_every == "auto" else int(recompute_every)))
        return
    found = {"benchmark": "memory", "size": options.size}
    for recompute_every in ("auto", "1", "0"):
        all_steps, peaks = options.stored_steps if recompute_every == "0" else options.steps, []
        for steps in all_steps:
            command = [sys.executable, "-m", "benchmarks.memory", f"--size={options.size}"]
            command += ["--child", str(steps), recompute_every]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            peaks.append(round(float(out.split()[-1]), 3))
        found[f"peak_gb_{recompute_every}"] = dict(zip(all_steps, peaks))
        found[f"ratio_{recompute_every}"] = round(peaks[-1] / peaks[0], 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
