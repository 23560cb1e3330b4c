"""A run's numbers by outer step.

<base_dir>/metrics.jsonl   {"step": n, ...} a line, no step twice; what depends on the clock has `seconds` in its name
<base_dir>/summaries/      the same for TensorBoard, made of metrics.jsonl anew when a run goes on; what else was in it is lost
"""

import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.scalar import summary_v2

from tf_gtn.runtime import files, holding

_REMEDY = "put it back, or remove it with the checkpoints and outcome.json beside it to take its steps again"


class MetricsWriter:
    """Writes metrics.jsonl and the summaries; equal runs give equal bytes, also when one of them was stopped and resumed.

    Attributes:
      summaries: the `tf.summary` writer.
    """

    def __init__(self, base_dir: str, resume_step: int = 0) -> None:
        """Opens the file to go on after `resume_step`: drops later lines, and what a kill left of a line."""
        self._path = _path(base_dir)
        content = _until(_content(base_dir), resume_step)
        rows = _rows(self._path, content)
        if tf.io.gfile.exists(self._path):
            files.write(self._path, content)
        self._resumed = self._last = rows[-1]["step"] if rows else -1
        with files.writing(self._path):
            self._file = tf.io.gfile.GFile(self._path, "a")
        summaries = os.path.join(base_dir, "summaries")
        if tf.io.gfile.isdir(summaries):
            tf.io.gfile.rmtree(summaries)  # it has steps that are taken again
        self.summaries = tf.summary.create_file_writer(files.folder(summaries))
        for row in rows:
            self._summarise(**row)

    def write(self, step: int, **values: Any) -> dict[str, Any]:
        """Appends the values of an outer step: numbers, NumPy or TensorFlow scalars, strings; NaN and infinity become null.

        A step that the file had when it was opened is left as it is. Returns the values as JSON has them. Raises `ValueError`
        if this step, or a later one, was written already.
        """
        step, values = int(step), {name: _scalar(name, value) for name, value in values.items()}
        if step <= self._resumed:
            return values
        if step <= self._last:
            raise ValueError(f"metrics of step {step} after those of step {self._last}")
        self._last = step
        holding.check()
        line = _line({"step": step, **values})
        with files.writing(self._path, len(line)):
            self._file.write(line)
            self._file.flush()
        self._summarise(step, **values)
        self.summaries.flush()
        return values

    def _summarise(self, step, **values):
        summary = summary_v2.scalar_pb("", 0.0)
        del summary.value[:]
        for name, value in values.items():
            if not isinstance(value, str):
                summary.MergeFrom(summary_v2.scalar_pb(name, float("nan") if value is None else value))
        with self.summaries.as_default():  # one operation for all values, since a resume makes many steps
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)

    def close(self) -> None:
        self._file.close()
        self.summaries.close()


def read(base_dir: str) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl as dicts, by step; without a last one that a kill, or a run still going on, left unfinished.

    Raises `files.Damaged` if another line can't be read: a gap in the numbers would be taken for a result.
    """
    content = _content(base_dir)
    return _rows(_path(base_dir), content[: content.rfind(b"\n") + 1])


def column(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and values `([k], [k])` of one quantity of `read`'s lines, without those that lack it."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return np.array([step for step, _ in points]), np.array([value for _, value in points])


def last_step(base_dir: str) -> int:
    """The last step of which metrics.jsonl has a line; 0 if there is none."""
    return max((_step(line) or 0 for line in _content(base_dir).split(b"\n")), default=0)


def digest(base_dir: str, step: int | None = None) -> int:
    """A checksum of the lines up to a step, or of all: what a checkpoint, or an outcome, counts as logged."""
    content = _content(base_dir)
    return zlib.crc32(content if step is None else _until(content, step))


def _path(base_dir):
    return os.path.join(base_dir, "metrics.jsonl")


def _line(values):
    return json.dumps(values, allow_nan=False) + "\n"


def _content(base_dir):
    return files.read(_path(base_dir), _REMEDY) if tf.io.gfile.exists(_path(base_dir)) else b""


def _until(content, step):
    """The file's content up to its last whole line of such a step or an earlier one, with whatever is before that."""
    lines = content.split(b"\n")[:-1]
    while lines and not (_step(lines[-1]) is not None and _step(lines[-1]) <= step):
        lines.pop()
    return b"".join(line + b"\n" for line in lines)


def _rows(path, content):
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        if _step(line) is None:
            raise files.Damaged(path, f"can't be read in line {number}", _REMEDY)
        rows.append(json.loads(line))
        if len(rows) > 1 and rows[-2]["step"] >= rows[-1]["step"]:
            raise files.Damaged(path, f"has step {rows[-1]['step']} after step {rows[-2]['step']} in line {number}", _REMEDY)
    return rows


def _step(line):
    """The step of a line; None if it is not whole."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = values.get("step") if isinstance(values, dict) else None
    return step if isinstance(step, int) else None


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
