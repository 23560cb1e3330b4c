"""A run's numbers by outer step.

<base_dir>/metrics.jsonl   {"step": n, ...} a line, no step twice; what depends on the clock has `seconds` in its name
<base_dir>/summaries/      the same for TensorBoard
"""

import json
import math
import os

import numpy as np
import tensorflow as tf

from tf_gtn.run import base_dir as base_dirs


class MetricsWriter:
    """Writes metrics.jsonl and the summaries; equal runs give equal bytes, also when one of them was stopped and resumed."""

    def __init__(self, base_dir, resume_step=0):
        """Opens the file to go on after `resume_step`: drops later lines, and what a kill left of a line."""
        path = _path(base_dir)
        kept = [line for line in read(base_dir) if line["step"] <= resume_step]
        if tf.io.gfile.exists(path):
            base_dirs.write_text(path, "".join(map(_line, kept)))
        self._resumed = self._last = kept[-1]["step"] if kept else -1
        self._file = tf.io.gfile.GFile(path, "a")
        self._summaries = tf.summary.create_file_writer(os.path.join(base_dir, "summaries"))

    def write(self, step, **values):
        """Appends the values of an outer step: numbers, NumPy or TensorFlow scalars, strings; NaN and infinity become null.

        A step that the file had when it was opened is left as it is.

        Raises:
          ValueError: this step, or a later one, was written already.
        """
        step = int(step)
        if step <= self._resumed:
            return
        if step <= self._last:
            raise ValueError(f"metrics of step {step} after those of step {self._last}")
        self._last = step
        values = {name: _scalar(name, value) for name, value in values.items()}
        self._file.write(_line({"step": step, **values}))
        self._file.flush()
        with self._summaries.as_default(step=step):
            for name, value in values.items():
                if not isinstance(value, str):
                    tf.summary.scalar(name, float("nan") if value is None else value)
        self._summaries.flush()

    def close(self):
        self._file.close()
        self._summaries.close()


def read(base_dir):
    """The lines of metrics.jsonl as dicts, by step; without those that a kill, or a run still going on, left unfinished."""
    if not tf.io.gfile.exists(_path(base_dir)):
        return []
    with tf.io.gfile.GFile(_path(base_dir), "rb") as file:
        lines = [_parsed(line) for line in file.read().split(b"\n")]
    return sorted({line["step"]: line for line in lines if line}.values(), key=lambda line: line["step"])


def _path(base_dir):
    return os.path.join(base_dir, "metrics.jsonl")


def _line(values):
    return json.dumps(values, allow_nan=False) + "\n"


def _parsed(line):
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) and isinstance(values.get("step"), int) else None


def _scalar(name, value):
    """A JSON value; floats with the 9 digits that tell any two float32 apart, None for those that JSON lacks."""
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.ndim:
        raise ValueError(f"{name} takes a scalar; got {value!r}")
    if array.dtype.kind in "biu":
        return array.item()
    return float(f"{float(array):.9g}") if math.isfinite(float(array)) else None
