"""An experiment over several seeds: what each one found lies in its folder, and is not looked for again.

The first seed's run lies in `base_dir`, that of the k-th further one in `base_dir/repeats/<k>`, each with its `outcome.json`.
"""

import gc
import json
import os

import tensorflow as tf

from tf_gtn.run import base_dir as base_dirs
from tf_gtn.run.findings import results

OUTCOME = "outcome.json"


def outcomes(run, seeds, trainings, make, one):
    """The outcome of every seed, from the run's own on.

    Args:
      run: the `app.Run`.
      seeds: how many.
      trainings: `make(run.seed)`, which a program builds before it is ready.
      make: `seed -> {name: training}`.
      one: `(folder, seed, trainings) -> outcome`, numbers and texts; it trains what it is given. Further seeds get trainings
        made anew, unless these can `restart`: then the first ones become those, and keep their traces.

    Returns:
      A list of outcomes as JSON has them; empty in processes beside the chief.
    """
    found = []
    for k in range(seeds):
        folder, seed = base_dirs.repeat(run.base_dir, k), run.seed + k
        path = os.path.join(folder, OUTCOME)
        if not run.among.share(run.among.chief and tf.io.gfile.exists(path)):
            if seeds > 1:
                print(f"seed {seed} ({k + 1} of {seeds})", flush=True)
            if k:
                trainings = _again(trainings, make(seed))
            outcome = one(folder, seed, trainings)
            if run.among.chief:
                base_dirs.write_text(path, json.dumps(results.plain(outcome, "outcome")))
            gc.collect()
        elif run.among.chief:
            steps = max(t.outer_steps for t in trainings.values())
            which = f" with seed {seed}" if seeds > 1 else ""
            print(f"all {steps} outer steps were taken already{which}")
        if run.among.chief:
            with tf.io.gfile.GFile(path) as file:
                found.append(json.load(file))
    return found


def _again(trainings, fresh):
    for name, other in fresh.items():
        if hasattr(other, "restart"):
            trainings[name].restart(other)
        else:
            trainings[name] = other
    return trainings
