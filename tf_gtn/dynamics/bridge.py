"""A learner taught by a GTN, seen with the same instruments: which modes do a few synthetic steps teach first?

A generator makes T batches of (x, y) for one linear problem; a fresh linear network takes T SGD steps on them, and the loss
on real data after every step goes back through all of them into the generator and the schedule (GTN paper, section 2). No paper
has this experiment.
"""

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import watching
from tf_gtn.core import SGD, Functional, hyperparameters, outer_update, supervised, unroll
from tf_gtn.dynamics import learners, problems
from tf_gtn.models import generators


class LinearGTN:
    """A GTN for one task of a `problems.Linear`, or with `taught` false the same schedule learned on real batches.

    Attributes:
      variables, outer_steps, skipped, consecutively_skipped: as `run.loop` has them.
    """

    def __init__(
        self,
        problem: problems.Linear,
        task: tf.Tensor,
        seed: int,
        outer_steps: int,
        taught: bool = True,
        inner_steps: int = 20,
        batch_size: int = 20,
        latent: int = 16,
        learning_rate: float = 3e-3,
    ) -> None:
        """Draws the generator.

        Args:
          problem: a `problems.Linear`.
          task: one matrix `[Ny, Nx]`.
          seed: integer.
          outer_steps: length of the cosine decay.
          taught: whether the generator's batches are learned from, else real ones.
          inner_steps, batch_size: T and B.
          latent: length of the codes.
          learning_rate: outer Adam's.
        """
        self.problem, self.task, self.seed, self.outer_steps = problem, tf.convert_to_tensor(task)[None], seed, outer_steps
        self._taught, self._steps, self._batch, self._latent = taught, inner_steps, batch_size, latent
        self._network = Functional(learners.perceptron(problem.size, problem.size, deviation=0.1))
        self._optimizer = SGD(0.05, 0.5)
        self._hyper = hyperparameters.Hyperparameters(self._optimizer, inner_steps, per_step=True)
        self._generator = Functional(generators.pairs((problem.size,), problem.size, latent, (64, 64), output_scale=1.0))
        drawn, _ = self._generator.initial_values(tf.constant([seed, 1]))
        self._params = tf.nest.map_structure(lambda v: keras.Variable(v, name="generator"), drawn)
        self._codes = keras.Variable(tf.random.stateless_normal((inner_steps, batch_size, latent), [seed, 2]), name="codes")
        self._update = outer_update.OuterUpdate(self._trained, outer_steps, learning_rate)
        self._step = tf.function(self._outer, autograph=False)

    @property
    def _trained(self):
        teacher = [*tf.nest.flatten(self._params), self._codes] if self._taught else []
        return [*teacher, *self._hyper.trainable_variables]

    @property
    def variables(self) -> list[keras.Variable]:
        return [*tf.nest.flatten(self._params), self._codes, *self._hyper.variables, *self._update.variables]

    @property
    def skipped(self) -> tf.Tensor:
        return self._update.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        return self._update.consecutively_skipped

    def step(self, index: int) -> dict[str, tf.Tensor]:
        """Outer step number `index`; returns `{"loss", "gradient_norm"}`."""
        return self._step(tf.constant(index))

    def curves(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """q `[T + 1, count, K]` of so many fresh learners within their lesson, and losses on real data `[T + 1, count]`."""
        look = tf.function(self._lesson_seen, autograph=False)
        looks = [look(tf.constant([seed, n])) for n in watching.each(range(count), "learners")]
        q, losses = (np.stack([values[i].numpy() for values in looks], 1) for i in range(2))
        return q, losses

    def _outer(self, index):
        with tf.GradientTape() as tape:
            values = [tf.convert_to_tensor(v) for v in self._trained]
            tape.watch(values)
            with keras.StatelessScope(list(zip(self._trained, values))):
                _, losses = self._lesson(tf.stack([self.seed + 1, index]))
            loss = tf.reduce_mean(losses)
        norm = self._update.apply(loss, tape.gradient(loss, values))
        return {"loss": loss, "gradient_norm": norm}

    def _lesson(self, seed, look=None):
        """`(state, losses [T])` of a fresh learner, or with `look(state)` what that gives after every step."""
        fresh, real, judge = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        params, model = self._network.initial_values(fresh)
        state = supervised.initial_state(self._optimizer, params, model)
        judged = self._batches(judge, 64)
        xs = {"x": judged[0], "y": judged[1], "hyper": self._hyper.values()}
        if self._taught:
            xs["codes"] = tf.convert_to_tensor(self._codes)
        else:
            xs["real_x"], xs["real_y"] = self._batches(real, self._batch)
        weights = tf.nest.map_structure(tf.convert_to_tensor, self._params)

        def step(weights, state, x):
            if self._taught:
                examples, _ = self._generator(weights, {}, {"noise": x["codes"]}, training=True)
                batch = examples["image"], examples["label"]
            else:
                batch = x["real_x"], x["real_y"]
            state, _, _ = supervised.update(self._network, self._optimizer, state, *batch, x["hyper"], learners.squared_error)
            if look is not None:
                return state, look(state)
            outputs, _ = self._network(state["params"], state["model"], x["x"])
            return state, learners.squared_error(x["y"], outputs)

        start = state
        state, outputs = unroll(step, weights, state, xs, checkpoint_every=0)
        return start, outputs

    def _batches(self, seed, count):
        """`(x [T, count, Nx], y [T, count, Ny])` of the real task."""
        x, y = self.problem.batch(self.task, self._steps * count, seed)
        return tuple(tf.reshape(v, (self._steps, count, v.shape[-1])) for v in (x, y))

    def _lesson_seen(self, seed):
        x, y = self.problem.batch(self.task, 1000, tf.constant([5, 5]))

        def look(state):
            def outputs(probes):
                return self._network(state["params"], state["model"], probes)[0][None]

            return learners.shares(self.problem, self.task, outputs)[0], learners.squared_error(y, outputs(x[0]))

        start, (q, loss) = self._lesson(seed, look)
        first = look(start)
        return tf.concat([first[0][None], q], 0), tf.concat([first[1][None], loss], 0)
