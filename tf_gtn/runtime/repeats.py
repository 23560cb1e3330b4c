"""An experiment over several seeds: the outcome of each lies in its folder, and is not made again.

The first seed's run lies in `base_dir`, that of the k-th further one in `base_dir/repeats/<k>`, each with its `outcome.json`.
One of several seeds in which everything diverged has an outcome as well: the others' results are not lost with it.
An outcome that is damaged, or whose metrics.jsonl is not what it was, is made again from the checkpoints. So are figures and
exports that were lost; the outcome's numbers stay.
"""

import gc
import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, json_values, loop, progress
from tf_gtn.runtime import metrics as metrics_lib

OUTCOME = "outcome.json"
_LOGS, _FILES = "logs", "files"  # in an outcome: {folder of a metrics.jsonl: its digest}, {figure or export: its checksum}
_ALL_DIVERGED = "nothing_left"  # in an outcome: whether all trainings diverged
_KINDS = ("figures", "export", "export_best", "policies", "initializations")  # folders of such files


def outcomes(
    run: Any, seeds: int, trainings: Mapping[str, Any], make: Callable, run_seed: Callable, keys: Sequence[str]
) -> list[dict[str, Any]]:
    """The outcome of every seed, from the run's own on.

    Args:
      run: an `experiment.runs.Run`.
      seeds: how many.
      trainings: `make(run.seed)`, which a program builds before it is ready.
      make: `seed -> {name: training}`.
      run_seed: `(folder, seed, trainings) -> outcome`, numbers and texts; it trains these. Further seeds get trainings that are
        made anew, unless these can `restart`: then the first ones become those, and keep their traces.
      keys: what an outcome has.

    Returns the outcomes as JSON has them, none in processes beside the chief. Raises `loop.Diverged` if no training of any seed
    went to its end.
    """
    finished: list[dict[str, Any]] = []
    for k in range(seeds):
        folder, seed = base_dirs.repeat(run.base_dir, k), run.seed + k
        outcome: Any = _read(folder, keys) if run.among.chief else None
        if not run.among.share(outcome is not None and not _lost_files(folder, outcome)):
            began = time.time()
            if seeds > 1:
                progress.say(f"seed {seed} ({k + 1} of {seeds})")
            if k:
                trainings = _renewed(trainings, make(seed))
            measured: Any = run_seed(folder, seed, trainings)
            if run.among.chief:
                measured = measured if outcome is None else outcome  # it has the seconds, too
                proof = {_LOGS: _logs(folder), _FILES: _files(folder, began)}
                all_diverged = all(loop.stuck(training) for training in trainings.values())
                outcome = json_values.plain({**measured, **proof, _ALL_DIVERGED: all_diverged}, "outcome")
                files.write_json(os.path.join(folder, OUTCOME), outcome)
            gc.collect()
        elif run.among.chief:
            steps = max(t.outer_steps for t in trainings.values())
            which = f" with seed {seed}" if seeds > 1 else ""
            progress.say(f"all {steps} outer steps were taken already{which}")
        if run.among.chief:
            finished.append(outcome)
    if finished and all(outcome.get(_ALL_DIVERGED) for outcome in finished):
        raise loop.Diverged(f"no training of any of the {seeds} seeds went to its end: a lower learning rate may help")
    return finished


def _read(folder, keys):
    """The outcome in a folder; None if there is none, or it has to be made again."""
    path = os.path.join(folder, OUTCOME)
    if not tf.io.gfile.exists(path):
        return None
    try:
        outcome = files.read_json(path, keys)
        for log, digest in outcome.get(_LOGS, {}).items():
            if metrics_lib.digest(os.path.join(folder, log)) != digest:
                raise files.Damaged(path, f"was made with another {os.path.join(folder, log, 'metrics.jsonl')}")
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


def _files(folder, since):
    """`{path within the folder: checksum}` of the figures and exports that a seed wrote, from `since` on."""
    checksums = {}
    for kind in _KINDS:
        for place, _, names in tf.io.gfile.walk(os.path.join(folder, kind)):
            for path in (os.path.join(place, name) for name in names):
                if tf.io.gfile.stat(path).mtime_nsec >= (since - 1) * 1e9:
                    checksums[os.path.relpath(path, folder)] = zlib.crc32(files.read(path))
    return dict(sorted(checksums.items()))


def _lost_files(folder, outcome):
    """Whether a figure or an export of the seed is damaged or gone, and can be made again."""
    name = ""
    try:
        for name, checksum in outcome.get(_FILES, {}).items():
            if zlib.crc32(files.read(path := os.path.join(folder, name))) != checksum:
                raise files.Damaged(path, "is not as it was written")
    except files.Damaged as error:
        checkpoints = os.path.join(folder, "checkpoints")
        if not tf.io.gfile.isdir(checkpoints) or not tf.io.gfile.listdir(checkpoints):
            progress.say(f"{error.wrong}, and no checkpoint is left to make it again")
            return False
        files.again(error)
        if name.startswith("figures") and tf.io.gfile.isdir(analyses := os.path.join(folder, "analyses")):
            tf.io.gfile.rmtree(analyses)  # some of them draw
        return True
    return False


def _renewed(trainings, fresh):
    for name, other in fresh.items():
        if isinstance(other, loop.Restartable):
            trainings[name].restart(other)
        else:
            trainings[name] = other
    return trainings
