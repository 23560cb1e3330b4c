"""Learnable hyperparameters of an inner optimiser, held in range by the way they are stored."""

import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import optimizers

_BELOW_ONE = 1 - 1e-6  # a float32 sigmoid reaches 1


class Hyperparameters:
    """One schedule a hyperparameter, either a value for each inner step or one for all of them.

    Stored unconstrained: positive values through softplus, those in [0, 1) through a sigmoid, so that no update of an
    outer optimiser leaves the range. "While computing the gradients for the generator we also compute the gradients of
    hyperparameters of the inner-loop SGD update rule" (GTN paper, section 2).
    """

    def __init__(
        self,
        optimizer: optimizers.Optimizer,
        length: int,
        per_step: bool = True,
        trainable: bool = True,
        dtype: str = "float32",
    ) -> None:
        """Variables for `optimizer.hyperparameters`, constant at their initial values.

        Args:
          optimizer: an inner optimiser of `tf_gtn.core.optimizers`.
          length: number of inner steps T.
          per_step: a value for each step, or one shared by all.
          trainable: whether `trainable_variables` lists them.
          dtype: of the variables.

        Raises:
          UserError: an initial value lies outside its range.
        """
        self.length = length
        self._ranges, self._raw = {}, {}
        for name, (value, interval) in optimizer.hyperparameters.items():
            raw = _unconstrain(name, value, interval)
            self._ranges[name] = interval
            self._raw[name] = keras.Variable(
                keras.ops.full((length,) if per_step else (), raw, dtype), dtype=dtype, trainable=trainable, name=f"raw_{name}"
            )

    @property
    def variables(self) -> list[keras.Variable]:
        return list(self._raw.values())

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.trainable]

    def values(self) -> dict[str, tf.Tensor]:
        """`{name: [T]}`, in range."""
        return {
            name: tf.broadcast_to(_constrain(tf.convert_to_tensor(raw), self._ranges[name]), [self.length])
            for name, raw in self._raw.items()
        }

    def raw(self, values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What `variables` are where `values()` are these, `{name: [T]}`, but for rounding.

        Raises:
          UserError: the values have other names, another length, or differ where one is shared by all steps; or one lies
            outside its range.
        """
        if set(values) != set(self._raw):
            raise errors.UserError(f"its hyperparameters are {', '.join(sorted(values))}, not {', '.join(sorted(self._raw))}")
        return [self._raw_of(name, np.asarray(values[name]), variable) for name, variable in self._raw.items()]

    def _raw_of(self, name, values, variable):
        if values.shape != (self.length,):
            raise errors.UserError(f"its {name} is {list(values.shape)}, not {[self.length]}")
        raw = np.array([_unconstrain(name, float(value), self._ranges[name]) for value in values], variable.dtype)
        if len(variable.shape):
            return raw
        if np.ptp(values):
            raise errors.UserError(f"its {name} differs from step to step, and here one value is shared by all")
        return raw[0]


def _constrain(raw, interval):
    return tf.nn.softplus(raw) if interval == optimizers.POSITIVE else _BELOW_ONE * tf.sigmoid(raw)


def _unconstrain(name, value, interval):
    if interval == optimizers.POSITIVE and value > 0:
        return value + math.log(-math.expm1(-value))
    if interval == optimizers.UNIT and 0 <= value < 1:
        share = min(max(value / _BELOW_ONE, 1e-6), _BELOW_ONE)  # the sigmoid's ends lie at infinity
        return math.log(share / (1 - share))
    raise errors.UserError(
        f"{name} starts at {value}, outside its range: {'> 0' if interval == optimizers.POSITIVE else '[0, 1)'}"
    )
