"""An experiment over several seeds: what each one found lies in its folder, and is not looked for again.

The first seed's run lies in `base_dir`, that of the k-th further one in `base_dir/repeats/<k>`, each with its `outcome.json`.
One that is damaged, or whose metrics.jsonl or exports are not what they were, is made again from the checkpoints.
"""

import gc
import os
import zlib

import tensorflow as tf

from tf_gtn.run import base_dir as base_dirs
from tf_gtn.run import files
from tf_gtn.run import metrics as metrics_lib
from tf_gtn.run.findings import results

OUTCOME = "outcome.json"
_LOGS = "logs"  # {folder of a metrics.jsonl: its digest} in an outcome
_FILES = "files"  # {file that others read: its checksum} in an outcome
_EXPORTS = ("export", "policies", "initializations")  # folders of those


def outcomes(run, seeds, trainings, make, one, keys):
    """The outcome of every seed, from the run's own on.

    Args:
      run: the `app.Run`.
      seeds: how many.
      trainings: `make(run.seed)`, which a program builds before it is ready.
      make: `seed -> {name: training}`.
      one: `(folder, seed, trainings) -> outcome`, numbers and texts; it trains what it is given. Further seeds get trainings
        made anew, unless these can `restart`: then the first ones become those, and keep their traces.
      keys: what an outcome has.

    Returns:
      A list of outcomes as JSON has them; empty in processes beside the chief.
    """
    found = []
    for k in range(seeds):
        folder, seed = base_dirs.repeat(run.base_dir, k), run.seed + k
        outcome = _finished(folder, keys) if run.among.chief else None
        if not run.among.share(outcome is not None):
            if seeds > 1:
                print(f"seed {seed} ({k + 1} of {seeds})", flush=True)
            if k:
                trainings = _again(trainings, make(seed))
            outcome = one(folder, seed, trainings)
            if run.among.chief:
                outcome = results.plain({**outcome, _LOGS: _logs(folder), _FILES: _exported(folder)}, "outcome")
                files.write_json(os.path.join(folder, OUTCOME), outcome)
            gc.collect()
        elif run.among.chief:
            steps = max(t.outer_steps for t in trainings.values())
            which = f" with seed {seed}" if seeds > 1 else ""
            print(f"all {steps} outer steps were taken already{which}")
        if run.among.chief:
            found.append(outcome)
    return found


def _finished(folder, keys):
    """The outcome in a folder; None if there is none, or it has to be made again."""
    path = os.path.join(folder, OUTCOME)
    if not tf.io.gfile.exists(path):
        return None
    try:
        outcome = files.read_json(path, keys)
        for log, digest in outcome.get(_LOGS, {}).items():
            if metrics_lib.digest(os.path.join(folder, log)) != digest:
                raise files.Damaged(path, f"was made with another {os.path.join(folder, log, 'metrics.jsonl')}")
        for name, checksum in outcome.get(_FILES, {}).items():
            if zlib.crc32(files.read(os.path.join(folder, name))) != checksum:
                raise files.Damaged(os.path.join(folder, name), "is not as it was written")
    except files.Damaged as error:
        files.again(error)
        return None
    return outcome


def _logs(folder):
    """Digests of the seed's own metrics.jsonl, and of those of what it learned afterwards."""
    held_out = os.path.join(folder, "held_out")
    names = tf.io.gfile.listdir(held_out) if tf.io.gfile.isdir(held_out) else []
    logs = ["", *(os.path.join("held_out", name.rstrip("/")) for name in sorted(names))]
    return {log: metrics_lib.digest(os.path.join(folder, log)) for log in logs}


def _exported(folder):
    """Checksums of what a seed leaves for others to read, by path."""
    walks = [tf.io.gfile.walk(os.path.join(folder, name)) for name in _EXPORTS]
    paths = [os.path.join(where, name) for walk in walks for where, _, names in walk for name in names]
    return {os.path.relpath(path, folder): zlib.crc32(files.read(path)) for path in sorted(paths)}


def _again(trainings, fresh):
    for name, other in fresh.items():
        if hasattr(other, "restart"):
            trainings[name].restart(other)
        else:
            trainings[name] = other
    return trainings
