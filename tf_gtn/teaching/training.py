"""The outer loop's step: a fresh learner is taught, judged on real data, and the treatment improved by the meta-gradient."""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import keras
import tensorflow as tf

from tf_gtn import arguments, data, errors
from tf_gtn.core import averaging, estimators, hyperparameters, optimizers, outer_update
from tf_gtn.data import augmentation, reader
from tf_gtn.models import population as populations
from tf_gtn.teaching import inner_loop, protocols
from tf_gtn.teaching import problem as problems


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """How the outer loop trains, where the paper and its published code differ.

    Attributes:
      learning_rate: outer Adam's.
      final_learning_rate: where its cosine decay ends, as a fraction of `learning_rate`.
      loss: after which inner steps a learner is judged.
      per_step: whether each inner step has a learning rate and momentum of its own.
    """

    learning_rate: float
    final_learning_rate: float
    loss: str
    per_step: bool


ALGORITHMS = {
    "paper": Algorithm(0.01, 1.0, "last", False),  # GTN paper, Table 2 and section 2; it mentions no decay and no further rates
    "published": Algorithm(0.02, 0.1, "every", True),
}


class Training:
    """Trains one treatment; all its state is in variables, all its randomness a function of the seed and the step.

    A step draws an architecture and an initialisation (of several learners, if asked), unrolls the inner loop, takes the
    cross-entropy on fresh real training batches as the outer loss, has an estimator take its gradient, and applies Adam with
    cosine decay to the treatment's parameters and the inner optimiser's hyperparameters. A step whose loss or gradient is not
    finite changes nothing but the count `skipped` and what an estimator remembers.
    """

    inner_loss = "cross_entropy"

    @arguments.checked("teaching.Training")
    def __init__(
        self,
        dataset: data.Dataset,
        population: populations.Distribution,
        treatment: protocols.Treatment,
        inner_optimizer: optimizers.Optimizer,
        *,
        outer_steps: arguments.Count,
        outer_batch: arguments.Count = 64,
        algorithm: Annotated[str, arguments.OneOf(tuple(ALGORITHMS), "algorithm")] = "published",
        learning_rate: arguments.Positive | None = None,
        final_learning_rate: arguments.Share | None = None,
        beta_1: arguments.Fraction = 0.9,
        beta_2: arguments.Fraction = 0.999,
        epsilon: arguments.Positive = 1e-7,
        normalize_gradient: bool = False,
        loss: estimators.Loss | None = None,
        estimator: estimators.Estimator | None = None,
        learn_hyperparameters: bool = True,
        per_step: bool | None = None,
        recompute_every: arguments.Whole | Literal["auto"] = 1,
        learners: arguments.Count | None = None,
        augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        weight: arguments.NotNegative = 1.0,
        auxiliary: protocols.Auxiliary | None = None,
        seed: int = 0,
        dtype: str = "float32",
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Makes the variables; nothing is traced yet.

        Args:
          dataset: a `data.Dataset`; its training split judges.
          population: the learners' distribution.
          treatment: what the learners are taught on.
          inner_optimizer: of `tf_gtn.core.optimizers`.
          outer_steps: length of the cosine decay.
          outer_batch: real images per judgement.
          algorithm: of `ALGORITHMS`, "paper" or "published" (code): what the settings are that say None.
          learning_rate: outer Adam's (paper 0.01, Table 2; published 0.02; Table 3 has 0.002).
          final_learning_rate: where the cosine decay ends, as a fraction of `learning_rate` (paper 1, no decay; published 0.1).
          beta_1, beta_2, epsilon: outer Adam's.
          normalize_gradient: whether Adam gets each outer step's gradient divided by its norm: where learners are of several
            kinds, one kind with large gradients does not drown the others.
          loss: "every" judges the learner after every inner step, on a fresh batch each time, "last" after the last one (paper
            "last"; published "every").
          estimator: of `core.estimators`; the exact meta-gradient, `Full()`, unless another is given.
          learn_hyperparameters: whether the inner optimiser's hyperparameters are learned.
          per_step: whether each inner step has its own (paper False; published True).
          recompute_every: inner steps between states kept for the backward pass; 0 keeps everything, "auto" chooses such that
            some 512 MB are enough (`core.unrolling.spacing`).
          learners: an outer step's, each with its own architecture of one template, initialisation and real batches; their
            meta-gradients are averaged. None: one a replica.
          augment: of the treatment's images in training, where a learner gets them, such as `augmentation.differentiable`:
            images [B, H, W, C], seed int32 [2] -> the same shape. Tests and exports have the images as they are.
          weight: of the outer loss beside that of `auxiliary`; with 0 nobody is taught.
          auxiliary: another objective of the treatment, or None.
          seed: of the learners and batches.
          dtype: of the hyperparameters.
          strategy: a `tf.distribute.Strategy` whose replicas share the learners; the parameters are plain variables of each
            process.

        Raises:
          UserError: `loss` is neither "every" nor "last", a number is out of range, or `weight` has nothing beside it.
        """
        replicas = 1 if strategy is None else strategy.num_replicas_in_sync
        if learners is not None and learners % replicas:
            raise errors.UserError(
                f"teaching.Training.learners must be a multiple of the {replicas} replicas that share them; got {learners}"
            )
        if auxiliary is None and weight != 1:
            arguments.no_effect("teaching.Training", {"weight": weight}, ("weight",), "without another loss beside it")
        for name, value, example in (
            ("inner_optimizer", inner_optimizer, "@optimizers.SGD()"),
            ("estimator", estimator, "@estimators.Full()"),
        ):
            if inspect.isclass(value) or inspect.isfunction(value):
                raise errors.UserError(
                    f"teaching.Training.{name} is made, not named: {example} with its parentheses; got {value!r}"
                )
        if augment is not None:
            augmentation.check(augment, "teaching.Training.augment", tf.zeros([2, *dataset.image_shape], dtype))
        given: dict[str, Any] = {
            "learning_rate": learning_rate,
            "final_learning_rate": final_learning_rate,
            "loss": loss,
            "per_step": per_step,
        }
        chosen = dataclasses.replace(ALGORITHMS[algorithm], **{k: v for k, v in given.items() if v is not None})
        self.dataset, self.population, self.treatment, self.inner_optimizer = dataset, population, treatment, inner_optimizer
        self.outer_steps, self.inner_steps, self.seed = outer_steps, treatment.inner_steps, seed
        self.hyperparameters = hyperparameters.Hyperparameters(
            inner_optimizer, self.inner_steps, chosen.per_step, learn_hyperparameters, dtype
        )
        self.inner_loops = [inner_loop.InnerLoop(t, treatment, inner_optimizer) for t in population.templates]
        self.augment = augment
        self._learners, self._strategy = learners or replicas, strategy
        self._outer_batch, self._loss, self._recompute_every = outer_batch, chosen.loss, recompute_every
        self._weight, self._auxiliary = weight, auxiliary
        self._reader = reader.Reader(dataset, dataset.train)
        self._estimator = estimator or estimators.Full()
        self._update = outer_update.OuterUpdate(
            self.trainable_variables,
            outer_steps,
            chosen.learning_rate,
            chosen.final_learning_rate,
            beta_1,
            beta_2,
            epsilon,
            normalize_gradient,
        )
        self._memory = self._fresh_memory()
        self._steps = {}

    @property
    def weight_norm(self) -> bool:
        """Whether learners' kernels are weight-normalised."""
        return self.inner_loops[0].learner.weight_norm

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [*self.treatment.trainable_variables, *self.hyperparameters.trainable_variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """Everything that a resumed run needs, in a fixed order."""
        memory = tf.nest.flatten(self._memory)
        auxiliary = self._auxiliary.variables if self._auxiliary is not None else []
        return [*self.treatment.variables, *self.hyperparameters.variables, *memory, *self._update.variables, *auxiliary]

    @property
    def skipped(self) -> tf.Tensor:
        """Steps whose loss or gradient was not finite."""
        return self._update.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        """Skipped steps since the last one that was not."""
        return self._update.consecutively_skipped

    def step(self, index: int) -> dict[str, tf.Tensor]:
        """Outer step number `index` (from 0).

        Returns `{"loss", "inner_loss", "gradient_norm"}`, scalar tensors, and those that an auxiliary objective's update gives.
        """
        draw = self.population.draw([self.seed, index])
        if draw.template not in self._steps:
            self._steps[draw.template] = tf.function(functools.partial(self._step, draw.template), autograph=False)
        widths = [draw.widths, *(self._same_template(draw, [self.seed, index, j]).widths for j in range(1, self._learners))]
        return self._steps[draw.template](tf.constant([self.seed, 0]), tf.constant(index), tf.constant(widths, tf.int32))

    def _same_template(self, draw, seed):
        """Another draw that the same template runs."""
        others = (self.population.draw([*seed, attempt]) for attempt in itertools.count())
        return next(other for other in others if other.template == draw.template)

    def problem(self, template: int, widths: tf.Tensor) -> problems.Problem:
        """One architecture's inner problem, as `core.estimators` sees it; `widths` integer, one a free width."""
        return problems.Problem(self, self.inner_loops[template], widths)

    def values(self) -> list[tf.Tensor]:
        """The outer parameters' values, in the order of `trainable_variables`."""
        return [tf.convert_to_tensor(v) for v in self.trainable_variables]

    def restart(self, fresh: "Training") -> None:
        """Becomes what `fresh` is, a `Training` of the same make with another seed, and keeps what was traced."""
        for variable, value in zip(self.variables, fresh.variables, strict=True):
            variable.assign(value)
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

        loop, lesson = self.inner_loops[template], None
        if self._weight and loop.teaches_ahead and self._estimator.backpropagates:
            lesson = problems.Lesson(self.problem(template, widths[0]), values, seed)

        def learner(j):
            learner_seed = tf.random.experimental.stateless_fold_in(seed, j) if self._learners > 1 else seed
            if lesson is None:
                return self._estimator.estimate(self.problem(template, widths[j]), values, learner_seed, self._loss, memory)
            taught = lesson.problem(self, loop, widths[j])
            return self._estimator.estimate(taught, lesson.tensors, learner_seed, self._loss, memory)

        if self._weight:
            estimate = averaging.mean(learner, self._learners, self._strategy)
            tf.nest.map_structure(lambda variable, value: variable.assign(value), self._memory, estimate.state)
            loss, inner_loss = estimate.loss, estimate.inner_loss
            gradients = estimate.gradients if lesson is None else lesson.gradients(estimate.gradients)
        else:
            loss = inner_loss = tf.zeros([])
            gradients = [tf.zeros_like(value) for value in values]
        auxiliary = self._auxiliary
        if auxiliary is None:
            return {"loss": loss, "inner_loss": inner_loss, "gradient_norm": self._update.apply(loss, gradients)}
        seeds = tf.random.experimental.stateless_split(tf.random.experimental.stateless_fold_in(seed, -1), 2)
        loss_seed, update_seed = tf.unstack(seeds)
        auxiliary_loss, auxiliary_gradients = self._auxiliary_gradient(auxiliary, values, loss_seed)
        loss = self._weight * loss + auxiliary_loss
        gradients = [self._weight * g + a for g, a in zip(gradients, auxiliary_gradients)]
        norm = self._update.apply(loss, gradients)
        return {"loss": loss, "inner_loss": inner_loss, "gradient_norm": norm, **auxiliary.update(self.treatment, update_seed)}

    def _auxiliary_gradient(self, auxiliary, values, seed):
        with tf.GradientTape() as tape:
            tape.watch(values)
            with keras.StatelessScope(list(zip(self.trainable_variables, values))):
                loss = auxiliary.loss(self.treatment, seed)
        return loss, estimators.dense_gradients(tape, loss, values)
