"""Many networks of one architecture side by side, in one graph."""

from typing import Any

import tensorflow as tf

from tf_gtn.core import functional as functionals


class Stacked:
    """N networks as one function of weights with a leading axis N; network n sees `inputs[n]`.

    Called like the `Functional` that it is made of, so that `supervised.update` steps them all at once: with the sum of their
    losses, each gets the gradient of its own.
    """

    def __init__(self, functional: functionals.Functional, count: int) -> None:
        self.functional, self.count = functional, count

    def initial_values(self, seed: tf.Tensor) -> tuple[dict, dict]:
        """Fresh `(params, state)`, every tensor `[N, ...]`; `seed` integer [2]."""
        seeds = tf.random.experimental.stateless_split(seed, self.count)
        drawn = [self.functional.initial_values(s) for s in tf.unstack(seeds)]
        return tf.nest.map_structure(lambda *values: tf.stack(values), *drawn)

    def __call__(self, params: dict, state: dict, inputs: Any, training: bool = False, losses: bool = False) -> tuple:
        """`inputs` [N, B, ...] -> `(outputs [N, B, ...], new state)`, and with `losses` penalties, each `[N]`."""
        return tf.vectorized_map(lambda each: self.functional(*each, training=training, losses=losses), (params, state, inputs))

    def constrained(self, params: dict) -> dict:
        """See `Functional.constrained`."""
        if all(v.constraint is None for v in self.functional.model.trainable_variables):
            return params
        return tf.vectorized_map(self.functional.constrained, params)
