"""A run that begins from what another one learned: the newest checkpoint in its folder, or its export.

Both are read as numbers: no code of theirs is run. A checkpoint gives every arm what the arm of its name learned, bit by bit;
an export gives what its generator, lesson and schedule follow from, to rounding.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import checkpoints, files
from tf_gtn.teaching import export, inspection, saved_models
from tf_gtn.teaching.training import Training

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class WarmStart:
    """What another run learned.

    Attributes:
      path: of the checkpoint or export.
    """

    def __init__(self, where: str, path: str) -> None:
        """Finds it: in a run's folder the newest checkpoint, else an export, also by the name of a ready-made one.

        Args:
          where: the setting that says the path, for errors.
          path: a run's folder, or an export.

        Raises:
          UserError: nothing is there, or it can't be read.
        """
        self._where, folder = where, os.path.expanduser(files.local(path))
        steps = checkpoints.steps(folder)
        self._metadata: dict[str, Any] | None = None
        if steps:
            self.path = variables = checkpoints.path(folder, steps[0])
        elif saved_models.find(folder) or folder in inspection.ready_made():
            try:
                self.path, self._metadata = inspection.look(folder)
            except errors.UserError as error:
                raise errors.UserError(f"{where}: {error}") from None
            variables = os.path.join(self.path, "variables", "variables")
        else:
            complaint = "has no checkpoints, and is no export" if tf.io.gfile.exists(folder) else "is not there"
            raise errors.UserError(f"{where}: {folder} {complaint}; name the folder of a run, or an export")
        try:
            self._reader = tf.train.load_checkpoint(variables)
            self._shapes = self._reader.get_variable_to_shape_map()
        except Exception as error:  # a broken file can raise anything
            raise errors.UserError(f"{where}: {self.path} {_damaged(error)}") from None

    def values(self, trainings: Mapping[str, Training]) -> dict[str, list[np.ndarray]]:
        """The values that `load` sets: of each training's treatment and hyperparameters.

        Raises `UserError` for the first training that it can't begin, and says why.
        """
        values = {}
        for name, training in trainings.items():
            try:
                values[name] = self._of_export(training, self._metadata) if self._metadata else self._of_run(name, training)
            except errors.UserError as error:
                raise errors.UserError(f"{self._where}: {name!r} can't begin from {self.path}: {error}") from None
        return values

    def load(self, trainings: Mapping[str, Training]) -> None:
        """Sets variables to what the other run's were. Raises as `values`, and then sets none."""
        for name, values in self.values(trainings).items():
            for variable, value in zip(_variables(trainings[name]), values, strict=True):
                variable.assign(value)

    def _of_run(self, name, training):
        names = sorted({key.split("/")[0] for key in self._shapes if key.endswith(f"/0{_VALUE}")})
        if name not in names:
            raise errors.UserError(f"it has {', '.join(map(repr, names))} alone")
        return [self._value(f"{name}/{i}", i, variable) for i, variable in enumerate(_variables(training))]

    def _value(self, key, index, variable):
        described = f"its variable {index}, {variable.name} {list(variable.shape)} {tf.as_dtype(variable.dtype).name}"
        if key + _VALUE not in self._shapes:
            raise errors.UserError(f"{described}, is not there")
        value = self._read(key + _VALUE)
        if value.shape != tuple(variable.shape) or value.dtype != np.dtype(tf.as_dtype(variable.dtype).as_numpy_dtype):
            raise errors.UserError(f"{described}, is {list(value.shape)} {value.dtype} there")
        return value

    def _of_export(self, training, metadata):
        export.check_exportable(training)
        there, here = metadata.get("whitening"), training.dataset.zca
        if there != here:
            raise errors.UserError(f"it is for images of zca = {there}, and these are of zca = {here}")
        there, here = metadata.get("optimizer", "sgd"), export.optimizer_name(training)
        if there != here:
            raise errors.UserError(f"its schedule is {there}'s, and this run's learners learn by {here}")
        weights, lesson, schedule = (
            {
                _plain(key.removeprefix(f"{part}/").removesuffix(_VALUE)): self._read(key)
                for key in self._shapes
                if key.startswith(f"{part}/")
            }
            for part in ("_weights", "_lesson", "_schedule")
        )
        weights, lesson = (
            {key: value.astype(np.float32) if value.dtype == np.float16 else value for key, value in part.items()}
            for part in (weights, lesson)
        )
        codes = training.treatment.from_export(weights, lesson, metadata["curriculum"])
        return [*codes, *training.hyperparameters.raw(schedule)]

    def _read(self, key):
        try:
            return self._reader.get_tensor(key)
        except Exception as error:
            raise errors.UserError(f"it {_damaged(error)}") from None


def _damaged(error):
    return f"can't be read ({(str(error).strip() or type(error).__name__).splitlines()[0][:150]})"


def _plain(key):
    """A key of a dict, from what TensorFlow makes of it in a checkpoint."""
    return re.sub(r"\.([.S])", lambda match: "/" if match[1] == "S" else ".", key)


def _variables(training):
    """Those that a warm start sets; they are the first ones of the training's."""
    return [*training.treatment.variables, *training.hyperparameters.variables]
