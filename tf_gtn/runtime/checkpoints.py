"""Checkpoints of a run: `<base_dir>/checkpoints/ckpt-<step>.{index,data-*}`, the newest three, and the file `checkpoint`.

A checkpoint also holds the parameters that validated best (`best`), and a checksum of the lines of metrics.jsonl up to its
step: where they are others, or gone, it is passed over, and the steps since an earlier one are taken again.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import files, holding, progress
from tf_gtn.runtime import metrics as metrics_lib

_LOGGED = "metrics-jsonl"  # no arm has such a name
_STATE = "checkpoint"  # TensorFlow's file that names the newest


def steps(base_dir: str) -> list[int]:
    """The steps of the checkpoints that lie in a run's folder, whatever TensorFlow's file says; the newest first.

    Raises `UserError` if a file is in the place of their folder.
    """
    folder = os.path.join(base_dir, "checkpoints")
    if not tf.io.gfile.exists(folder):
        return []
    if not tf.io.gfile.isdir(folder):
        raise errors.UserError(f"{folder} is a file, and the folder of the checkpoints belongs there: move it away")
    matches = [re.fullmatch(r"ckpt-(\d+)\.index/?", name) for name in tf.io.gfile.listdir(folder)]
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def path(base_dir: str, step: int) -> str:
    """Of a checkpoint, as TensorFlow names it: that of its files without their endings."""
    return os.path.join(base_dir, "checkpoints", f"ckpt-{step}")


class Checkpoints:
    """Saves and restores named lists of variables together with the number of finished steps."""

    def __init__(
        self,
        base_dir: str,
        variables: Mapping[str, Sequence[Any]],
        keep: int = 3,
        added: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Writes nothing yet.

        Args:
          base_dir: the run's folder.
          variables: `{name: [variables]}`, Keras' or TensorFlow's.
          keep: how many to keep.
          added: further ones, which checkpoints of earlier versions lack: they stay as they are then.
        """
        self._added, variables = added or {}, {**variables, **(added or {})}
        self._base_dir, self._folder, self._keep = base_dir, os.path.join(base_dir, "checkpoints"), keep
        self._step, self._logged = tf.Variable(0, dtype=tf.int64), tf.Variable(0, dtype=tf.int64)
        values = {name: [v.value if isinstance(v, keras.Variable) else v for v in group] for name, group in variables.items()}
        self._parts = {"step": self._step, **values, _LOGGED: self._logged}
        self._checkpoint = tf.train.Checkpoint(**self._parts)
        self._bytes = sum(v.dtype.size * v.shape.num_elements() for group in values.values() for v in group)
        self._manager = None

    def save(self, step: int) -> None:
        """Saves under `step`, the number of finished steps."""
        holding.check()
        self._step.assign(step)
        self._logged.assign(metrics_lib.digest(self._base_dir, step))
        if self._manager is None:
            self._manager = tf.train.CheckpointManager(self._checkpoint, self._folder, max_to_keep=self._keep)
        with files.writing(self._path(step), self._bytes):
            self._manager.save(checkpoint_number=step)

    def restore(self, checkpoint_every: int = 1) -> int:
        """Restores the newest checkpoint that can be read and fits metrics.jsonl; returns its step, 0 if there is none.

        One that is passed over is named on stderr. Raises `UserError` if there are checkpoints and none of them will do; or if
        there is none, although metrics.jsonl goes beyond `checkpoint_every`, after which there was one.
        """
        saved_steps = steps(self._base_dir)
        if not saved_steps:
            self._none_lost(checkpoint_every)
            return 0
        readable = False
        for position, step in enumerate(saved_steps):
            path = self._path(step)
            try:
                missing = self._missing(path)
                parts = {name: part for name, part in self._parts.items() if name not in missing}
                (tf.train.Checkpoint(**parts) if missing else self._checkpoint).restore(path).assert_consumed()
            except Exception as error:  # a broken file can raise anything
                reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
                progress.say(f"the checkpoint {path} can't be read and is passed over ({reason})", file=sys.stderr)
                continue
            readable = True
            if _LOGGED not in missing and int(self._logged) != metrics_lib.digest(self._base_dir, step):
                progress.say(f"{self._metrics} is not as it was at step {step}: {path} is passed over", file=sys.stderr)
                continue
            for name in missing - {_LOGGED}:  # nor what a newer one that was passed over had
                for variable in self._added[name]:
                    variable.assign(tf.zeros_like(variable))
            self._name_newest(saved_steps[position:])
            return step
        if readable:
            raise errors.UserError(
                f"{self._metrics} is not as it was at step {saved_steps[-1]}, the earliest checkpoint's: put it back, or "
                f"remove it with the folder {self._folder} to start again from the first step"
            )
        raise errors.UserError(
            f"none of the checkpoints in {self._folder} can be read: remove the folder and {self._metrics} to start again "
            "from the first step"
        )

    def _missing(self, path):
        """Names of what a checkpoint of an earlier version does not have."""
        has = tf.train.load_checkpoint(path).has_tensor
        keys = {_LOGGED: _LOGGED, **{name: f"{name}/0" for name in self._added}}
        return {name for name, key in keys.items() if not has(f"{key}/.ATTRIBUTES/VARIABLE_VALUE")}

    @property
    def _metrics(self):
        return os.path.join(self._base_dir, "metrics.jsonl")

    def _path(self, step):
        return path(self._base_dir, step)

    def _name_newest(self, steps):
        """Has TensorFlow's file name these, the newest first: it may lack the last one, or be gone."""
        path = os.path.join(self._folder, _STATE)
        if tf.io.gfile.isdir(path):
            raise errors.UserError(f"{path} is a folder, and a file that names the newest checkpoint belongs there: remove it")
        try:
            damaged = "" if f'"ckpt-{steps[0]}"' in files.read_text(path) else None
        except files.Damaged as error:
            damaged = error.wrong
        if damaged:
            progress.say(f"{damaged}: goes on from {self._path(steps[0])}, which lies there", file=sys.stderr)
        paths = [self._path(step) for step in reversed(steps)]
        times = [1.0] * len(paths)  # with none the manager takes them for preserved
        files.write(path, str(tf.compat.v1.train.generate_checkpoint_state_proto(self._folder, paths[-1], paths, times)))

    def _none_lost(self, checkpoint_every):
        last = metrics_lib.last_step(self._base_dir)
        if last > checkpoint_every:
            raise errors.UserError(
                f"{self._metrics} goes to step {last}, but there is no checkpoint in {self._folder}: put the checkpoints back, "
                f"or remove metrics.jsonl to start again from the first step"
            )
        if last:
            progress.say(f"no checkpoint was saved before step {last}: starts again from the first step")
        if tf.io.gfile.exists(path := os.path.join(self._folder, _STATE)) and not tf.io.gfile.isdir(path):
            tf.io.gfile.remove(path)
