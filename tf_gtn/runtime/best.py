"""The parameters of a training where it validated best, beside those that it goes on with; a checkpoint has both."""

import contextlib
import math
from collections.abc import Generator, Mapping, Sequence

import keras
import tensorflow as tf


class Best:
    """Keeps one copy of some variables: as they were at the best validation so far, the first of equals.

    Attributes:
      quantity: of a validation; the largest is the best.
      step: after how many outer steps that was, 0: there was no validation yet. An integer variable.
      value: the quantity's value then, a float64 variable.
    """

    def __init__(self, quantity: str, variables: Sequence[keras.Variable]) -> None:
        """Keeps nothing yet of `variables`."""
        self.quantity, self._variables = quantity, list(variables)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.value = tf.Variable(-math.inf, trainable=False, dtype=tf.float64)
        self._best_values = [tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False) for v in self._variables]

    @property
    def variables(self) -> list[tf.Variable]:
        """For a checkpoint."""
        return [self.step, self.value, *self._best_values]

    def look(self, step: int, values: Mapping[str, float]) -> None:
        """Keeps the variables if the validation after `step` outer steps, which measured `values`, is the best so far."""
        value = float(values.get(self.quantity, math.nan))
        if value > float(self.value):  # never of NaN
            self.step.assign(step)
            self.value.assign(value)
            for best, variable in zip(self._best_values, self._variables, strict=True):
                best.assign(variable)

    @contextlib.contextmanager
    def in_place(self) -> Generator[None, None, None]:
        """In it the variables are as they were then."""
        present = [variable.numpy() for variable in self._variables]
        try:
            for best, variable in zip(self._best_values, self._variables, strict=True):
                variable.assign(best)
            yield
        finally:
            for variable, value in zip(self._variables, present, strict=True):
                variable.assign(value)
