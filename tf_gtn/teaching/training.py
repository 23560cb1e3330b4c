"""The outer loop's step: a fresh learner is taught, judged on real data, and the treatment improved by the meta-gradient."""

import functools

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import hyperparameters, outer_update, supervised
from tf_gtn.data import reader
from tf_gtn.teaching import inner_loop

LOSSES = ("every", "last")


class Training:
    """Trains one treatment; all its state is in variables, all its randomness a function of the seed and the step.

    A step draws an architecture and an initialisation, unrolls the inner loop, takes the cross-entropy on fresh real training
    batches as the outer loss, and applies Adam with cosine decay to the treatment's parameters and the inner optimiser's
    hyperparameters. A step whose loss or gradient is not finite changes nothing but the count `skipped`.
    """

    def __init__(
        self,
        dataset,
        population,
        treatment,
        inner_optimizer,
        *,
        outer_steps: int,
        outer_batch=64,
        learning_rate=0.02,
        final_learning_rate=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        loss="every",
        learn_hyperparameters=True,
        per_step=True,
        recompute_every=1,
        seed=0,
        dtype="float32",
    ):
        """Makes the variables; nothing is traced yet.

        Args:
          dataset: a `data.Dataset`; its training split judges.
          population: the learners' distribution.
          treatment: what the learners are taught on.
          inner_optimizer: of `tf_gtn.core.optimizers`.
          outer_steps: length of the cosine decay.
          outer_batch: real images a judgement.
          learning_rate: outer Adam's (published code: 0.02; GTN paper, Table 2: 0.01; Table 3: 0.002).
          final_learning_rate: where the cosine decay ends, as a fraction of `learning_rate`.
          beta_1, beta_2, epsilon: outer Adam's.
          loss: "every" judges the learner after every inner step, on a fresh batch each time, "last" after the last one.
          learn_hyperparameters: whether the inner optimiser's hyperparameters are learned.
          per_step: whether each inner step has its own.
          recompute_every: inner steps between states kept for the backward pass; 0 keeps everything.
          seed: of the learners and batches.
          dtype: of the hyperparameters.

        Raises:
          UserError: `loss` is neither "every" nor "last", or a number is out of range.
        """
        if loss not in LOSSES:
            raise errors.unknown("loss", loss, LOSSES)
        for name, value, lowest in (
            ("outer_steps", outer_steps, 1),
            ("outer_batch", outer_batch, 1),
            ("recompute_every", recompute_every, 0),
        ):
            if value < lowest:
                raise errors.UserError(f"teaching.Training.{name} must be at least {lowest}; got {value}")
        if not learning_rate > 0:
            raise errors.UserError(f"teaching.Training.learning_rate must be above 0; got {learning_rate}")
        self.dataset, self.population, self.treatment, self.inner_optimizer = dataset, population, treatment, inner_optimizer
        self.outer_steps, self.inner_steps, self.seed = outer_steps, treatment.inner_steps, seed
        self.hyperparameters = hyperparameters.Hyperparameters(
            inner_optimizer, self.inner_steps, per_step, learn_hyperparameters, dtype
        )
        self.inner_loops = [inner_loop.InnerLoop(t, treatment, inner_optimizer) for t in population.templates]
        self._outer_batch, self._loss, self._recompute_every = outer_batch, loss, recompute_every
        self._reader = reader.Reader(dataset, dataset.train)
        self._update = outer_update.OuterUpdate(
            self.trainable_variables, outer_steps, learning_rate, final_learning_rate, beta_1, beta_2, epsilon
        )
        self._steps = {}

    @property
    def trainable_variables(self):
        return self.treatment.trainable_variables + self.hyperparameters.trainable_variables

    @property
    def variables(self):
        """Everything that a resumed run needs, in a fixed order."""
        return [*self.treatment.trainable_variables, *self.hyperparameters.variables, *self._update.variables]

    @property
    def skipped(self):
        """Steps whose loss or gradient was not finite."""
        return self._update.skipped

    @property
    def consecutively_skipped(self):
        """Those since the last one that was."""
        return self._update.consecutively_skipped

    def step(self, index):
        """Outer step number `index` (from 0); returns `{"loss", "inner_loss", "gradient_norm"}`, scalar tensors."""
        draw = self.population.draw([self.seed, index])
        if draw.template not in self._steps:
            self._steps[draw.template] = tf.function(
                functools.partial(self._step, self.inner_loops[draw.template]), autograph=False
            )
        return self._steps[draw.template](tf.constant(index), tf.constant(draw.widths, tf.int32))

    def loss(self, loop, seed, widths):
        """The meta-training loss of one fresh learner and what else is known of its lesson; differentiable."""
        init, lesson, real = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        last = self._loss == "last"
        shape = (self._outer_batch,) if last else (self.inner_steps, self._outer_batch)
        index = self._reader.sample(shape, real)

        def judge(state, params, index):
            images, labels = self._reader.batch(params, index)
            return supervised.cross_entropy(labels, loop.logits(state, images))

        every = {} if last else {"measure": judge, "measure_params": self._reader.params(), "measure_xs": index}
        state, ys = loop.run(
            loop.initial_state(init, widths),
            self.hyperparameters.values(),
            lesson,
            recompute_every=self._recompute_every,
            **{"measure": lambda *_: (), **every},
        )
        loss = judge(state, self._reader.params(), index) if last else tf.reduce_mean(ys["measured"])
        return loss, ys["inner_loss"]

    def _step(self, loop, index, widths):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self.seed, 0]), index)
        variables = [v.value for v in self.trainable_variables]
        with tf.GradientTape() as tape:
            loss, inner_loss = self.loss(loop, seed, widths)
        gradients = tape.gradient(loss, variables)
        norm = self._update.apply(loss, gradients)
        return {"loss": loss, "inner_loss": inner_loss[-1], "gradient_norm": norm}
