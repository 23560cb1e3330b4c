"""Many networks of one architecture side by side, in one graph."""

import tensorflow as tf


class Stacked:
    """N networks as one function of weights with a leading axis N; network n sees `inputs[n]`.

    Called like the `Functional` that it is made of, so that `supervised.update` steps them all at once: with the sum of their
    losses, each gets the gradient of its own.
    """

    def __init__(self, functional, count):
        self.functional, self.count = functional, count

    def initial_values(self, seed):
        """Fresh `(params, state)`, every tensor `[N, ...]`; `seed` integer [2]."""
        seeds = tf.random.experimental.stateless_split(seed, self.count)
        drawn = [self.functional.initial_values(s) for s in tf.unstack(seeds)]
        return tf.nest.map_structure(lambda *values: tf.stack(values), *drawn)

    def __call__(self, params, state, inputs, training=False, losses=False):
        """`inputs` [N, B, ...] -> `(outputs [N, B, ...], new state)`, and with `losses` penalties, each `[N]`."""
        return tf.vectorized_map(lambda each: self.functional(*each, training=training, losses=losses), (params, state, inputs))

    def constrained(self, params):
        """See `Functional.constrained`."""
        if all(v.constraint is None for v in self.functional.model.trainable_variables):
            return params
        return tf.vectorized_map(self.functional.constrained, params)
