"""The outer loop's step: a fresh learner is taught, judged on real data, and the treatment improved by the meta-gradient."""

import functools
import itertools

import keras
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import averaging, estimators, hyperparameters, outer_update, supervised
from tf_gtn.data import reader
from tf_gtn.teaching import inner_loop


class Training:
    """Trains one treatment; all its state is in variables, all its randomness a function of the seed and the step.

    A step draws an architecture and an initialisation (of several learners, if asked), unrolls the inner loop, takes the
    cross-entropy on fresh real training batches as the outer loss, has an estimator take its gradient, and applies Adam with
    cosine decay to the treatment's parameters and the inner optimiser's hyperparameters. A step whose loss or gradient is not
    finite changes nothing but the count `skipped` and what an estimator remembers.
    """

    inner_loss = "cross_entropy"

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
        estimator=None,
        learn_hyperparameters=True,
        per_step=True,
        recompute_every=1,
        learners: int | None = None,
        weight=1.0,
        auxiliary=None,
        seed=0,
        dtype="float32",
        strategy=None,
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
          estimator: of `core.estimators`; the exact meta-gradient, `Full()`, unless another is given.
          learn_hyperparameters: whether the inner optimiser's hyperparameters are learned.
          per_step: whether each inner step has its own.
          recompute_every: inner steps between states kept for the backward pass; 0 keeps everything.
          learners: an outer step's, each with its own architecture of one template, initialisation and real batches; their
            meta-gradients are averaged. None: one a replica.
          weight: of the outer loss beside that of `auxiliary`; with 0 nobody is taught.
          auxiliary: another objective of the treatment, or None. It has `loss(treatment, seed)`, a scalar that is added to the
            outer loss, `update(treatment, seed)`, its own step, which returns `{name: scalar}`, and `variables`.
          seed: of the learners and batches.
          dtype: of the hyperparameters.
          strategy: a `tf.distribute.Strategy` whose replicas share the learners; the parameters are plain variables of each
            process.

        Raises:
          UserError: `loss` is neither "every" nor "last", a number is out of range, or `weight` has nothing beside it.
        """
        if loss not in estimators.LOSSES:
            raise errors.unknown("loss", loss, estimators.LOSSES)
        replicas = 1 if strategy is None else strategy.num_replicas_in_sync
        if learners is not None and learners % replicas:
            raise errors.UserError(
                f"teaching.Training.learners must be a multiple of the {replicas} replicas that share them; got {learners}"
            )
        for name, value, lowest in (
            ("outer_steps", outer_steps, 1),
            ("outer_batch", outer_batch, 1),
            ("recompute_every", recompute_every, 0),
            ("learners", replicas if learners is None else learners, 1),
        ):
            if value < lowest:
                raise errors.UserError(f"teaching.Training.{name} must be at least {lowest}; got {value}")
        if not learning_rate > 0:
            raise errors.UserError(f"teaching.Training.learning_rate must be above 0; got {learning_rate}")
        for name, value, fits, wanted in (
            ("final_learning_rate", final_learning_rate, 0 <= final_learning_rate <= 1, "between 0 and 1"),
            ("beta_1", beta_1, 0 <= beta_1 < 1, "at least 0 and below 1"),
            ("beta_2", beta_2, 0 <= beta_2 < 1, "at least 0 and below 1"),
            ("epsilon", epsilon, epsilon > 0, "above 0"),
            ("weight", weight, weight == 1 or (weight >= 0 and auxiliary is not None), "1, or at least 0 beside another loss"),
        ):
            if not fits:
                raise errors.UserError(f"teaching.Training.{name} must be {wanted}; got {value}")
        for name, value, example in (
            ("inner_optimizer", inner_optimizer, "@optimizers.SGD()"),
            ("estimator", estimator, "@estimators.Full()"),
        ):
            if isinstance(value, type) or (callable(value) and not hasattr(value, "name") and not hasattr(value, "update")):
                raise errors.UserError(
                    f"teaching.Training.{name} is made, not named: {example} with its parentheses; got {value!r}"
                )
        self.dataset, self.population, self.treatment, self.inner_optimizer = dataset, population, treatment, inner_optimizer
        self.outer_steps, self.inner_steps, self.seed = outer_steps, treatment.inner_steps, seed
        self.hyperparameters = hyperparameters.Hyperparameters(
            inner_optimizer, self.inner_steps, per_step, learn_hyperparameters, dtype
        )
        self.inner_loops = [inner_loop.InnerLoop(t, treatment, inner_optimizer) for t in population.templates]
        self._learners, self._strategy = learners or replicas, strategy
        self._outer_batch, self._loss, self._recompute_every = outer_batch, loss, recompute_every
        self._weight, self._auxiliary = weight, auxiliary
        self._reader = reader.Reader(dataset, dataset.train)
        self._estimator = estimator or estimators.Full()
        self._update = outer_update.OuterUpdate(
            self.trainable_variables, outer_steps, learning_rate, final_learning_rate, beta_1, beta_2, epsilon
        )
        self._memory = self._fresh_memory()
        self._steps = {}

    @property
    def weight_norm(self):
        """Whether learners' kernels are weight-normalised."""
        return self.inner_loops[0].learner.weight_norm

    @property
    def trainable_variables(self):
        return [*self.treatment.trainable_variables, *self.hyperparameters.trainable_variables]

    @property
    def variables(self):
        """Everything that a resumed run needs, in a fixed order."""
        memory = tf.nest.flatten(self._memory)
        other = self._auxiliary.variables if self._auxiliary is not None else []
        return [*self.treatment.variables, *self.hyperparameters.variables, *memory, *self._update.variables, *other]

    @property
    def skipped(self):
        """Steps whose loss or gradient was not finite."""
        return self._update.skipped

    @property
    def consecutively_skipped(self):
        """Those since the last one that was."""
        return self._update.consecutively_skipped

    def step(self, index):
        """Outer step number `index` (from 0); returns `{"loss", "inner_loss", "gradient_norm"}`, scalar tensors.

        And what an auxiliary objective's update returns.
        """
        draw = self.population.draw([self.seed, index])
        if draw.template not in self._steps:
            self._steps[draw.template] = tf.function(functools.partial(self._step, draw.template), autograph=False)
        widths = [draw.widths, *(self._alike(draw, [self.seed, index, j]).widths for j in range(1, self._learners))]
        return self._steps[draw.template](tf.constant([self.seed, 0]), tf.constant(index), tf.constant(widths, tf.int32))

    def _alike(self, draw, seed):
        """Another draw that the same template runs."""
        others = (self.population.draw([*seed, attempt]) for attempt in itertools.count())
        return next(other for other in others if other.template == draw.template)

    def problem(self, template, widths):
        """One architecture's inner problem, as `core.estimators` sees it; `widths` integer, one a free width."""
        return Problem(self, self.inner_loops[template], widths)

    def values(self):
        """The outer parameters' values, in the order of `trainable_variables`."""
        return [tf.convert_to_tensor(v) for v in self.trainable_variables]

    def restart(self, fresh):
        """Becomes what `fresh` is, a `Training` of the same make with another seed, and keeps what was traced."""
        for mine, other in zip(self.variables, fresh.variables, strict=True):
            mine.assign(other)
        self.seed = fresh.seed

    def _fresh_memory(self):
        """The estimator's state before the first step, in variables."""
        widths = tf.constant(self.population.draw([self.seed, 0]).widths, tf.int32)
        problem = self.problem(0, widths)
        state = self._estimator.init(problem, self.values(), tf.constant([self.seed, 1]))
        if tf.nest.flatten(state) and len(self.population.templates) > 1:
            raise errors.UserError(
                f"the estimator {self._estimator.name} keeps learners between outer steps, and so takes a population with one "
                f"template (models.Population.splits = 1 and one family); this one has {len(self.population.templates)}"
            )
        if tf.nest.flatten(state) and (self._learners > 1 or self._strategy is not None):
            raise errors.UserError(
                f"the estimator {self._estimator.name} keeps learners between outer steps, in one process, one an outer step; "
                "got more (teaching.Training.learners, --strategy)"
            )
        return tf.nest.map_structure(lambda v: keras.Variable(v, dtype=v.dtype, trainable=False, name="estimator"), state)

    def _step(self, template, run, index, widths):
        seed = tf.random.experimental.stateless_fold_in(run, index)
        memory, values = tf.nest.map_structure(tf.convert_to_tensor, self._memory), self.values()

        def learner(j):
            problem, own = self.problem(template, widths[j]), tf.random.experimental.stateless_fold_in(seed, j)
            return self._estimator.estimate(problem, values, own if self._learners > 1 else seed, self._loss, memory)

        if self._weight:
            found = averaging.mean(learner, self._learners, self._strategy)
            tf.nest.map_structure(lambda variable, value: variable.assign(value), self._memory, found.state)
            loss, gradients, inner_loss = found.loss, found.gradients, found.inner_loss
        else:
            loss = inner_loss = tf.zeros([])
            gradients = [tf.zeros_like(value) for value in values]
        if self._auxiliary is None:
            return {"loss": loss, "inner_loss": inner_loss, "gradient_norm": self._update.apply(loss, gradients)}
        own, other = tf.unstack(tf.random.experimental.stateless_split(tf.random.experimental.stateless_fold_in(seed, -1), 2))
        added, added_gradients = self._auxiliary_gradient(values, own)
        loss = self._weight * loss + added
        gradients = [self._weight * g + a for g, a in zip(gradients, added_gradients)]
        norm = self._update.apply(loss, gradients)
        return {"loss": loss, "inner_loss": inner_loss, "gradient_norm": norm, **self._auxiliary.update(self.treatment, other)}

    def _auxiliary_gradient(self, values, seed):
        with tf.GradientTape() as tape:
            tape.watch(values)
            with keras.StatelessScope(list(zip(self.trainable_variables, values))):
                loss = self._auxiliary.loss(self.treatment, seed)
        return loss, tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)


class Problem:
    """The lesson of one fresh learner as a function of the outer parameters' values: a `Problem` of `core.estimators`."""

    def __init__(self, training, loop, widths):
        self._training, self._loop, self._widths = training, loop, widths
        self.length = training.inner_steps

    def begin(self, values, seed):
        """A fresh learner."""
        with self._at(values):
            return self._loop.initial_state(_split(seed)[0], self._widths)

    def advance(self, values, state, seed, start, steps, judge):
        """`steps` inner steps from number `start` on; returns `(state, losses, inner losses [steps])`.

        `judge` is "every" (the real loss after each step, on a fresh batch each time: `losses` [steps]), "end" ([1]) or "none"
        ([0]).
        """
        training, reader = self._training, self._training._reader
        _, lesson, real = _split(seed)

        whole = isinstance(steps, int) and steps == self.length

        def part(x):
            return x if whole else x[start : start + steps]

        def measure(state, params, sample):
            images, labels = reader.batch(params, sample)
            return supervised.cross_entropy(labels, self._loop.logits(state, images))

        during = {}
        if judge == "every":
            samples = reader.sample((self.length, training._outer_batch), real)
            during = {"measure": measure, "measure_params": reader.params(), "measure_xs": tf.nest.map_structure(part, samples)}
        with self._at(values):
            xs = tf.nest.map_structure(part, self._loop.xs(training.hyperparameters.values(), lesson))
            state, ys = self._loop.run(state, xs, recompute_every=training._recompute_every, **during)
        if judge == "every":
            losses = ys["measured"]
        elif judge == "end":
            losses = measure(state, reader.params(), reader.sample((training._outer_batch,), real))[tf.newaxis]
        else:
            losses = tf.zeros([0], ys["inner_loss"].dtype)
        return state, losses, ys["inner_loss"]

    def _at(self, values):
        """The outer variables have these values in here."""
        return keras.StatelessScope(list(zip(self._training.trainable_variables, values)))


def _split(seed):
    """Seeds of the learner, of its lesson and of the real batches that judge it."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, 3))
