"""What the workers of `benchmarks.meta_gradient` share; needs NumPy alone, since each peer has an environment of its own.

A worker is given a problem's file and answers a line of JSON to each line on its standard input:

    run               {"seconds", "loss"} of one meta-gradient
    save PATH         the same, with the gradients in an .npz
    memory            {"peak_gb"} of this process so far
"""

import json
import resource
import sys
import time

import numpy as np

BELOW_ONE = 1 - 1e-6  # of the momentum's sigmoid
BATCH_NORM_EPSILON = 1e-3
SLOPE = 0.1  # of LeakyReLU


class Problem:
    """One meta-gradient's numbers.

    Attributes:
      config: `{"image": [H, W, C], "learner": "conv2" or "conv5", "steps", "batch", ...}`.
      outer: `{name: array}`, what the gradient is taken by: the generator's weights, the codes, the raw hyperparameters.
      learner: `{name: array}`, where the learner's weights start.
      data: labels of the synthetic batches, and the real batches.
    """

    def __init__(self, path):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        self.config = json.loads(str(arrays.pop("config")))
        self.outer, self.learner, self.data = ({} for _ in range(3))
        for name, value in arrays.items():
            kind, _, rest = name.partition(":")
            getattr(self, kind)[rest] = value


def serve(run):
    """Answers until the input ends; `run() -> (loss, {name: gradient})` returns when everything is computed."""
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "memory":
            answer = {"peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)}
        else:
            start = time.perf_counter()
            loss, gradients = run()
            answer = {"seconds": time.perf_counter() - start, "loss": float(loss)}
            if command == "save":
                np.savez(path, **{name: np.asarray(value) for name, value in gradients.items()})
        print(json.dumps(answer), flush=True)
