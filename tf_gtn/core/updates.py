"""Trainings whose outer step is many updates in one graph."""

import keras
import tensorflow as tf

from tf_gtn.core import outer_update


class Updates:
    """A state that is updated many times an outer step; one that is not finite in the end is left as it was, and counted.

    After `outer_update.MAX_SKIPPED` such outer steps in a row nothing changes any more.

    Attributes:
      seed: what everything random follows from.
      outer_steps, iterations: the whole is `outer_steps * iterations` updates.
      taken: outer steps so far.
      skipped, consecutively_skipped: outer steps that changed nothing, and how many of them since the last one that did.
    """

    def __init__(self, state, update, quantities, seed, outer_steps, iterations):
        """Makes the variables.

        Args:
          state: nested tensors to begin from.
          update: `(state, seed, number of the update) -> (state, {quantity: scalar})`, in a graph.
          quantities: what an update finds beside the state, `loss` among them.
          seed, outer_steps, iterations: see the attributes.
        """
        self.seed, self.outer_steps, self.iterations = seed, outer_steps, iterations
        self._updated, self._quantities = update, tuple(quantities)
        self._state = tf.nest.map_structure(lambda v: keras.Variable(v, dtype=v.dtype, trainable=False, name="state"), state)
        self.skipped, self.consecutively_skipped, self.taken = (
            keras.Variable(0, dtype="int32", trainable=False, name=name)
            for name in ("skipped", "consecutively_skipped", "outer_steps_taken")
        )
        self._run = tf.function(self._iterate, autograph=False)

    @property
    def variables(self):
        """All that a checkpoint needs."""
        return [*tf.nest.flatten(self._state), self.skipped, self.consecutively_skipped, self.taken]

    def state(self):
        """The state of the moment, as tensors."""
        return tf.nest.map_structure(tf.convert_to_tensor, self._state)

    def step(self, index):
        """Outer step number `index`; returns what its last update found."""
        return self._run(tf.constant(self.seed), tf.constant(index))

    def restart(self, fresh):
        """Becomes what `fresh` is, one of the same make with another seed, and keeps what was traced."""
        for mine, other in zip(self.variables, fresh.variables, strict=True):
            mine.assign(other)
        self.seed = fresh.seed

    def _iterate(self, seed, index):
        first, before = index * self.iterations, self.state()
        # Not inlined, as a step of `unroll`: each update is optimised by itself.
        update = tf.function(self._updated, autograph=False, experimental_attributes={"_noinline": True})

        def body(t, state, _):
            return t + 1, *update(state, seed, first + t)

        found = dict.fromkeys(self._quantities, tf.zeros([]))
        _, after, found = tf.while_loop(lambda t, *_: t < self.iterations, body, (0, before, found), parallel_iterations=1)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tf.nest.flatten(after) if x.dtype.is_floating])
        stuck = tf.convert_to_tensor(self.consecutively_skipped) >= outer_update.MAX_SKIPPED
        for variable, old, new in zip(*map(tf.nest.flatten, (self._state, before, after)), strict=True):
            variable.assign(tf.where(finite & ~stuck, new, old))
        self.taken.assign(index + 1)
        self.skipped.assign(self.skipped + tf.cast(~finite & ~stuck, tf.int32))
        row = tf.convert_to_tensor(self.consecutively_skipped)
        self.consecutively_skipped.assign(tf.where(stuck, row, tf.where(finite, 0, row + 1)))
        return found
