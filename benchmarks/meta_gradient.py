"""One meta-gradient in tf_gtn, PyTorch and JAX: the same work from the same weights, interleaved, on two threads.

    python -m benchmarks.meta_gradient                  # all sizes
    python -m benchmarks.meta_gradient --size=8x8 --rounds=9

Every contender is a process of its own that waits for its turn. Checkpointing is on in all of them: each inner step is
recomputed on the way back. Their losses and gradients are compared first. Prints a line of JSON a size: median seconds and
their quartiles, peak resident set size, seconds of the first call (trace and compilation), and the ratio of tf_gtn's
best median to the best of each peer. PyTorch and JAX live in `.bench/`, which `make bench` sets up; one that is not there is
left out.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile

import numpy as np

from benchmarks._workers import PEERS, ROOT, Worker

CONV2 = {"learner": "conv2", "steps": 8, "batch": 128}
SIZES = {
    "8x8": {**CONV2, "image": [8, 8, 1], "filters": [32, 64], "units": 64, "steps": 16, "batch": 64},
    "28x28": {**CONV2, "image": [28, 28, 1], "filters": [64, 128], "units": 128},
    "28x28_32": {**CONV2, "image": [28, 28, 1], "filters": [64, 128], "units": 128, "steps": 32},
    "32x32": {**CONV2, "image": [32, 32, 3], "learner": "conv5", "filters": [64, 128, 128, 128, 128], "units": None},
}
ROUNDS = {"8x8": 15, "28x28": 5, "28x28_32": 1, "32x32": 2}
COMPARED_STEPS = {"conv2": 2, "conv5": 1}
TOLERANCE = 1e-4
_compared = {}  # what `differences` found, by problem


def contenders(problem, config):
    """`{name: command}`; the first makes the problem's file.

    At 8x8 tf_gtn also runs with one thread an operation and two operations at a time. Beyond, JAX has its convolutions by
    patches alone, since with XLA's own a call takes minutes there, and none at T = 32, where they take one.
    """
    small = config["image"][0] == 8
    ours = [sys.executable, "-m", "benchmarks.peers._tf_gtn", problem, json.dumps(config)]
    made = {"tf_gtn": [*ours, "2"]} | ({"tf_gtn_one_thread": [*ours, "1"]} if small else {})
    for peer, script, variants in (
        ("pytorch", "_pytorch.py", ("contiguous", "channels_last")),
        ("jax", "_jax.py", ("convolution", "patches") if small else () if config["steps"] > 16 else ("patches",)),
    ):
        python = ROOT / ".bench" / peer / "bin" / "python"
        if python.exists():
            made |= {f"{peer}_{v}": [str(python), str(PEERS / script), problem, v] for v in variants}
    return made


def largest_difference(first, second):
    """Of two gradients: the largest relative error of a part, in the Euclidean norm."""
    scale = max(np.linalg.norm(value) for value in first.values())
    return float(max(np.linalg.norm(second[n] - v) / max(np.linalg.norm(v), 1e-3 * scale) for n, v in first.items()))


def differences(config):
    """How far each contender's loss and gradient are from tf_gtn's, over one or two inner steps of batches of 8.

    Not over all: a max pooling or LeakyReLU near its kink may go the other way by rounding, and such a flip grows with T.
    """
    config = {**config, "steps": COMPARED_STEPS[config["learner"]], "batch": 8}
    if str(config) in _compared:  # sizes that differ in T alone
        return copy.deepcopy(_compared[str(config)])
    with tempfile.TemporaryDirectory() as folder:
        problem, losses, gradients = f"{folder}/problem.npz", {}, {}
        for contender, command in contenders(problem, config).items():
            worker = Worker(command)
            losses[contender] = worker.ask(f"save {folder}/{contender}.npz")["loss"]
            worker.close()
            with np.load(f"{folder}/{contender}.npz", allow_pickle=False) as file:
                gradients[contender] = dict(file)
    _compared[str(config)] = {
        contender: {
            "loss_difference": abs(loss - losses["tf_gtn"]),
            "gradient_difference": largest_difference(gradients["tf_gtn"], gradients[contender]),
        }
        for contender, loss in losses.items()
    }
    return copy.deepcopy(_compared[str(config)])


def measure(name, rounds):
    config, workers, found = SIZES[name], {}, {}
    agreement = differences(config)
    with tempfile.TemporaryDirectory() as folder:
        for contender, command in contenders(f"{folder}/problem.npz", config).items():
            found[contender] = agreement[contender]
            workers[contender] = Worker(command)
            first = workers[contender].ask("run")
            found[contender] |= {"first_call_seconds": first["seconds"], "loss": first["loss"], "seconds": []}
        for _ in range(rounds):
            for contender, worker in workers.items():
                found[contender]["seconds"].append(worker.ask("run")["seconds"])
        for contender, worker in workers.items():
            found[contender] |= worker.ask("memory")
            worker.close()
    return found


def summary(name, rounds, found):
    for entry in found.values():
        seconds = entry.pop("seconds")
        entry["median_seconds"] = statistics.median(seconds)
        entry["quartiles"] = list(np.quantile(seconds, (0.25, 0.75)))
    best = {}
    for contender, entry in found.items():
        library = next(name for name in ("tf_gtn", "pytorch", "jax") if contender.startswith(name))
        best[library] = min(entry["median_seconds"], best.get(library, np.inf))
    ours = best.pop("tf_gtn")
    ratios = {f"ratio_to_{peer}": ours / seconds for peer, seconds in best.items()}
    if "tf_gtn_one_thread" in found:
        ours = found["tf_gtn"]["median_seconds"]
        ratios |= {f"ratio_to_{peer}_with_default_threads": ours / seconds for peer, seconds in best.items()}
    agree = all(max(e["loss_difference"], e["gradient_difference"]) <= TOLERANCE for e in found.values())
    line = {"benchmark": "meta_gradient", "size": name, "rounds": rounds, **ratios, "agree": agree, "contenders": found}
    return json.loads(json.dumps(line), parse_float=lambda text: float(f"{float(text):.4g}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    for name in options.size or SIZES:
        rounds = options.rounds or ROUNDS[name]
        print(json.dumps(summary(name, rounds, measure(name, rounds))), flush=True)


if __name__ == "__main__":
    main()
