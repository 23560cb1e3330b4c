"""Backpropagation through the whole unroll."""

import dataclasses
from typing import Any

import tensorflow as tf

from tf_gtn.core.estimators import problem as problems


@dataclasses.dataclass(frozen=True)
class Full(problems.Memoryless):
    """The exact meta-gradient, as GTN takes it (GTN paper, section 2)."""

    name = "full"
    backpropagates = True

    def estimate(
        self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any
    ) -> problems.Estimate:
        values = [tf.convert_to_tensor(v) for v in values]
        value, gradients, inner_loss = problems.gradient(lambda v: problems.objective(problem, v, seed, loss), values)
        return problems.Estimate(value, gradients, inner_loss, state)
