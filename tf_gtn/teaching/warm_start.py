"""A run that begins from what another one learned: values of variables from the newest checkpoint in that run's folder.

A checkpoint holds numbers alone: to read one runs no code.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import checkpoints, files


class WarmStart:
    """What another run learned.

    Attributes:
      path: of the checkpoint.
      step: the outer steps that were taken.
    """

    def __init__(self, where: str, base_dir: str) -> None:
        """Finds the newest checkpoint in the other run's folder; `where` is the setting that names the folder, for errors.

        Raises `UserError` if there is no checkpoint, or it can't be read.
        """
        self._where, base_dir = where, os.path.expanduser(files.local(base_dir))
        steps = checkpoints.steps(base_dir)
        if not steps:
            complaint = "has no checkpoints" if tf.io.gfile.exists(base_dir) else "is not there"
            raise errors.UserError(
                f"{where}: {base_dir} {complaint}; name the folder of a run, not an export, whose weights are joined"
            )
        self.step, self.path = steps[0], checkpoints.path(base_dir, steps[0])
        try:
            self._reader = tf.train.load_checkpoint(self.path)
            self._shapes = self._reader.get_variable_to_shape_map()
        except Exception as error:  # a broken file can raise anything
            raise self._damaged(error) from None

    def values(self, variables: Mapping[str, Sequence[Any]]) -> dict[str, list[np.ndarray]]:
        """The values that `load` sets, of `{training's name: the first ones of its variables}`.

        Raises `UserError` if the other run has no training of that name; or for the first variable that is not there, can't be
        read, or has another shape or type.
        """
        return {name: [self._value(name, i, variable) for i, variable in enumerate(vs)] for name, vs in variables.items()}

    def load(self, variables: Mapping[str, Sequence[Any]]) -> None:
        """Sets variables to what the other run's were. Raises as `values`, and then sets none."""
        for name, values in self.values(variables).items():
            for variable, value in zip(variables[name], values, strict=True):
                variable.assign(value)

    def _value(self, name, index, variable):
        key = f"{name}/{index}/.ATTRIBUTES/VARIABLE_VALUE"
        if key not in self._shapes:
            names = sorted({key.split("/")[0] for key in self._shapes if key.endswith("/0/.ATTRIBUTES/VARIABLE_VALUE")})
            if name not in names:
                raise errors.UserError(f"{self._where}: {self.path} has no {name!r}; it has {', '.join(map(repr, names))}")
            raise self._misfit(name, index, variable, "is not there")
        try:
            value = self._reader.get_tensor(key)
        except Exception as error:
            raise self._damaged(error) from None
        if value.shape != tuple(variable.shape) or value.dtype != np.dtype(tf.as_dtype(variable.dtype).as_numpy_dtype):
            raise self._misfit(name, index, variable, f"is {list(value.shape)} {value.dtype} there")
        return value

    def _misfit(self, name, index, variable, complaint):
        described = f"its variable {index}, {variable.name} {list(variable.shape)} {tf.as_dtype(variable.dtype).name}"
        return errors.UserError(f"{self._where}: {name!r} does not fit {self.path}: {described}, {complaint}")

    def _damaged(self, error):
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        return errors.UserError(f"{self._where}: the checkpoint {self.path} can't be read ({reason})")
