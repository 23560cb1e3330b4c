"""What sampling an architecture at every outer step costs, against one fixed architecture of the mean widths.

    python -m benchmarks.sampling

Interleaved in one process, after every template was traced. Prints one JSON line: median seconds an outer step, and their
ratios.
"""

import json
import statistics
import time

from benchmarks import _problems as problems

FIXED = {"filters": ((24, 24), (48, 48)), "units": (48, 48)}
SAMPLED = {"filters": ((16, 32), (32, 64)), "units": (32, 64)}


def main(rounds=40):
    trainings = {
        "fixed": problems.gtn(widths=FIXED),
        "sampled": problems.gtn(widths=SAMPLED),
        "sampled_one_template": problems.gtn(widths=SAMPLED, splits=1),
    }
    for training in trainings.values():
        waiting, index = set(range(len(training.population.templates))), 0
        while waiting:  # until every template has been drawn, and so traced
            waiting.discard(training.population.draw([training.seed, index]).template)
            training.step(index)
            index += 1
    seconds = {name: [] for name in trainings}
    for index in range(1000, 1000 + rounds):
        for name, training in trainings.items():
            start = time.perf_counter()
            float(training.step(index)["loss"])
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        json.dumps(
            {
                "benchmark": "sampling",
                "rounds": rounds,
                "median_seconds": {k: round(v, 4) for k, v in median.items()},
                "ratio": round(median["sampled"] / median["fixed"], 3),
                "ratio_one_template": round(median["sampled_one_template"] / median["fixed"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
