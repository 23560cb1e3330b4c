"""How one meta-gradient's time and memory grow: with inner steps T, with the learner's parameters, with the batch.

    python -m benchmarks.growth

Each point is a process of its own, `checkpoint_every=1`. Draws .bench/growth.png and prints one JSON line: for each series
its points, seconds and peak GB, the exponent b of seconds ~ x^b over the upper half of the points, and GB for each doubling
of x.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

BASE = {"image": [8, 8, 1], "learner": "conv2", "filters": [32, 64], "units": 64, "steps": 16, "batch": 64}
SERIES = {
    "inner steps": {n: {**BASE, "steps": n} for n in (16, 32, 64, 128, 256, 512)},
    # mlp of two layers of w units: 64 w + w^2 + 10 w parameters and the normalisation's
    "parameters": {
        w * w + 78 * w + 20: {**BASE, "learner": "mlp", "filters": None, "units": w} for w in (64, 256, 1024, 2048, 3200)
    },
    "batch": {n: {**BASE, "batch": n} for n in (32, 64, 128, 256, 512)},
}


def measure(config, rounds=2):
    """In this process: seconds (median, after the trace) and peak GB."""
    from benchmarks import _problems as problems

    training, seconds = problems.fixed(**config), []
    for index in range(rounds + 1):
        start = time.perf_counter()
        float(training.step(index)["loss"])
        if index:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def fit(points):
    x, seconds, gb = (np.array(column, float) for column in zip(*((n, p["seconds"], p["peak_gb"]) for n, p in points.items())))
    upper = len(x) // 2
    return {
        "points": points,
        "exponent": round(float(np.polyfit(np.log(x[upper:]), np.log(seconds[upper:]), 1)[0]), 3),
        "gb_per_doubling": round(float(np.polyfit(np.log2(x), gb, 1)[0]), 3),
    }


def _short(n):
    """11200 -> 11k, for the label of a tick."""
    return next((f"{n / unit:.2g}{letter}" for unit, letter in ((1e6, "M"), (1e3, "k")) if n >= unit), str(n))


def draw(path, found):
    from tf_gtn.reporting import drawing

    caption = "Seconds (left) and peak resident GB (right) of one meta-gradient, recomputed, as it grows."
    with drawing.to_png(path, caption, (7, 2.6 * len(found))) as figure:
        for row, (name, series) in zip(figure.subplots(len(found), 2), found.items()):
            for axes, what in zip(row, ("seconds", "peak_gb")):
                drawn, values = [int(n) for n in series["points"]], [point[what] for point in series["points"].values()]
                axes.plot(drawn, values, "o-")
                axes.set(xlabel=name, ylabel={"seconds": "seconds", "peak_gb": "peak GB"}[what])
                axes.set(xscale="log", yscale="log" if what == "seconds" else "linear")
                if what == "peak_gb":
                    axes.set_ylim(0, 1.1 * max(values))
                axes.minorticks_off()
                axes.set_xticks(drawn, [_short(n) for n in drawn], fontsize=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", default=".bench/growth.png")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(json.loads(options.child))))
        return
    found = {}
    for name, configs in SERIES.items():
        points = {}
        for n, config in configs.items():
            command = [sys.executable, "-m", "benchmarks.growth", "--child", json.dumps(config)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            seconds, peak = json.loads(out.splitlines()[-1])
            points[n] = {"seconds": round(seconds, 4), "peak_gb": round(peak, 3)}
        found[name] = fit(points)
    pathlib.Path(options.figure).parent.mkdir(exist_ok=True)
    draw(options.figure, found)
    print(json.dumps({"benchmark": "growth", **found}))


if __name__ == "__main__":
    main()
