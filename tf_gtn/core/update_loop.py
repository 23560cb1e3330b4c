"""Trainings whose outer step is many updates in one graph."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from tf_gtn.core import outer_update


class UpdateLoop:
    """A state that is updated many times an outer step; one that is not finite in the end is left as it was, and counted.

    After `outer_update.MAX_SKIPPED` such outer steps in a row nothing changes any more. Of networks side by side each is left,
    counted and given up by itself.

    Attributes:
      seed: what everything random follows from.
      outer_steps, iterations: the whole is `outer_steps * iterations` updates.
      taken: outer steps so far.
    """

    def __init__(
        self,
        state: Any,
        update: Callable[[Any, tf.Tensor, tf.Tensor], tuple[Any, dict]],
        quantities: Iterable[str],
        seed: int,
        outer_steps: int,
        iterations: int,
        networks: int = 1,
    ) -> None:
        """Makes the variables.

        Args:
          state: nested tensors to begin from.
          update: `(state, seed, number of the update) -> (state, {quantity: scalar})`, in a graph.
          quantities: what an update finds beside the state, `loss` among them.
          seed, outer_steps, iterations: see the attributes.
          networks: how many stand side by side; if several, they are the first axis of every tensor of the state that has one.
        """
        self.seed, self.outer_steps, self.iterations = seed, outer_steps, iterations
        self._updated, self._quantities = update, tuple(quantities)
        self._state = tf.nest.map_structure(lambda v: keras.Variable(v, dtype=v.dtype, trainable=False, name="state"), state)
        self._networks = [networks] if networks > 1 else []
        self._skipped, self._in_a_row, self.taken = (
            keras.Variable(tf.zeros(shape, tf.int32), dtype="int32", trainable=False, name=name)
            for name, shape in (
                ("skipped", self._networks),
                ("consecutively_skipped", self._networks),
                ("outer_steps_taken", []),
            )
        )
        self._run = tf.function(self._iterate, autograph=False)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a checkpoint needs."""
        return [*tf.nest.flatten(self._state), self._skipped, self._in_a_row, self.taken]

    @property
    def skipped(self) -> tf.Tensor:
        """Outer steps that changed nothing; of networks side by side the most."""
        return tf.reduce_max(self._skipped)

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        """How many of them since the last one that did; of networks side by side the fewest."""
        return tf.reduce_min(self._in_a_row)

    @property
    def diverged(self) -> list[int]:
        """Places of the networks that gave up; 0 if it is one and it did."""
        return [n for n, row in enumerate(self._in_a_row.numpy().reshape(-1)) if row >= outer_update.MAX_SKIPPED]

    def state(self) -> Any:
        """The state of the moment, as tensors."""
        return tf.nest.map_structure(tf.convert_to_tensor, self._state)

    def step(self, index: int) -> dict[str, tf.Tensor]:
        """Outer step number `index`; returns the metrics of its last update."""
        return self._run(tf.constant(self.seed), tf.constant(index))

    def restart(self, fresh: "UpdateLoop") -> None:
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

        metrics = dict.fromkeys(self._quantities, tf.zeros([]))
        _, after, metrics = tf.while_loop(lambda t, *_: t < self.iterations, body, (0, before, metrics), parallel_iterations=1)
        all_finite = [self._finite(x) for x in tf.nest.flatten(after) if x.dtype.is_floating]
        finite = tf.reduce_all(tf.stack([tf.broadcast_to(x, self._networks) for x in all_finite]), 0)
        row = tf.convert_to_tensor(self._in_a_row)
        stuck = row >= outer_update.MAX_SKIPPED
        for variable, old, new in zip(*map(tf.nest.flatten, (self._state, before, after)), strict=True):
            moves = finite & ~stuck
            if self._networks:  # what has no axis is of all, such as Adam's count
                rank = len(variable.shape)
                moves = tf.reshape(moves, [-1, *[1] * (rank - 1)]) if rank else tf.reduce_any(moves)
            variable.assign(tf.where(moves, new, old))
        self.taken.assign(index + 1)
        self._skipped.assign(self._skipped + tf.cast(~finite & ~stuck, tf.int32))
        self._in_a_row.assign(tf.where(stuck, row, tf.where(finite, 0, row + 1)))
        return metrics

    def _finite(self, x):
        """Whether all of `x` is finite, for each network where it has their axis."""
        finite = tf.math.is_finite(x)
        return tf.reduce_all(finite, range(1, x.shape.rank)) if self._networks and x.shape.rank else tf.reduce_all(finite)
