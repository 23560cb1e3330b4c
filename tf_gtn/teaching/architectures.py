"""Teachers on networks and inner optimisers that they were not trained for."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import data, watching
from tf_gtn.core import optimizers, supervised
from tf_gtn.models import population as populations
from tf_gtn.teaching import inner_loop, lesson, protocols


class Examiner:
    """Teaches fresh learners of one population by one treatment, whatever the hyperparameters; one trace per template, kept."""

    def __init__(
        self,
        dataset: data.Dataset,
        population: populations.Distribution,
        treatment: protocols.Treatment,
        optimizer: optimizers.Optimizer,
    ) -> None:
        self.dataset, self.inner_steps, self.optimizer = dataset, treatment.inner_steps, optimizer
        self._population, self._watches = population, isinstance(treatment, protocols.Watching)
        self._loops = [inner_loop.InnerLoop(t, treatment, optimizer) for t in population.templates]
        self._functions = {}

    def examine(
        self, hyper: Mapping[str, tf.Tensor], split: data.Split | None, seed: int, indices: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Teaches the learners of these numbers.

        Args:
          hyper: `{name: [T]}` of the optimiser.
          split: a `data.Split` to test them on; None for none.
          seed: integer.
          indices: numbers of the learners; a number is an architecture, an initialisation and a sample of the lesson.

        Returns:
          `(accuracies [k], losses [k])`: on the split, NaN without one; and the mean cross-entropy of the taught network on all
          batches of its lesson, infinity where it is not finite.
        """
        some = split or self.dataset.validation.take(np.arange(0))
        images, labels = tf.constant(some.images), tf.constant(some.labels)
        hyper = {name: tf.convert_to_tensor(values, tf.float32) for name, values in hyper.items()}
        accuracies, losses = [], []
        for i in watching.each(indices, "learners"):
            draw = self._population.draw([seed, i])
            if draw.template not in self._functions:
                self._functions[draw.template] = tf.function(
                    functools.partial(self._lesson, draw.template),
                    autograph=False,
                    input_signature=[
                        tf.TensorSpec([2], tf.int32),
                        tf.TensorSpec([len(draw.widths)], tf.int32),
                        {name: tf.TensorSpec([self.inner_steps], tf.float32) for name in hyper},
                        tf.TensorSpec([None, *images.shape[1:]], tf.uint8),
                        tf.TensorSpec([None], tf.int32),
                    ],
                )
            function = self._functions[draw.template]
            correct, loss = function(tf.constant([seed, i]), tf.constant(draw.widths, tf.int32), hyper, images, labels)
            accuracies.append(int(correct) / len(some) if split else np.nan)
            losses.append(float(loss) if np.isfinite(loss) else np.inf)
        return np.array(accuracies), np.array(losses)

    def _lesson(self, template, seed, widths, hyper, images, labels):
        loop = self._loops[template]
        init, sample = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        xs = loop.xs(hyper, sample)
        state, _ = loop.run(loop.initial_state(init, widths), xs, recompute_every=0)
        correct = supervised.count_correct(lambda chunk: loop.logits(state, self.dataset.normalize(chunk)), images, labels)
        params, memory = loop.treatment.params(), (state["memory"],) if self._watches else ()

        def loss(x):
            inputs, targets = loop.treatment.batch(params, x, *memory)
            return supervised.cross_entropy(targets, loop.logits(state, inputs))

        return correct, tf.reduce_mean(tf.map_fn(loss, xs["treatment"], fn_output_signature=tf.float32))


def by_learned_schedule(
    examiner: Examiner,
    schedule: dict[str, tf.Tensor],
    learners: int,
    seed: int,
    limits: Sequence[float] = lesson.LIMITS,
    selection_learners: int = 2,
) -> tuple[np.ndarray, float]:
    """Test accuracies with the learned schedule, its learning rates limited to a share of the largest.

    As in `lesson.Lesson.best`, the teacher's own batches choose the limit: the lowest mean loss of fresh networks on them after
    the lesson.

    Args:
      examiner: an `Examiner` with the optimiser of training.
      schedule: `{name: [T]}`, with a "learning_rate".
      learners: fresh networks tested.
      seed: integer.
      limits: shares of the largest learning rate.
      selection_learners: fresh networks, other ones, that choose.

    Returns:
      `(accuracies [learners], limit)`.
    """
    chosen_by = range(learners, learners + selection_learners)
    loss_by_limit = {s: examiner.examine(lesson.limited(schedule, s), None, seed, chosen_by)[1].mean() for s in limits}
    limit = min(limits, key=loss_by_limit.__getitem__)
    return examiner.examine(lesson.limited(schedule, limit), examiner.dataset.test, seed, range(learners))[0], limit


def by_constant_rate(
    examiner: Examiner, rates: Sequence[float], learners: int, seed: int, selection_learners: int = 2
) -> tuple[np.ndarray, float]:
    """Test accuracies with another optimiser at a constant learning rate: the one with the best mean validation accuracy.

    Args:
      examiner: an `Examiner` with that optimiser, whose other hyperparameters stay as they are.
      rates: learning rates to choose from.
      learners, seed, selection_learners: as in `by_learned_schedule`.

    Returns:
      `(accuracies [learners], rate)`.
    """

    def hyper(rate):
        values = {name: value for name, (value, _) in examiner.optimizer.hyperparameters.items()} | {"learning_rate": rate}
        return {name: np.full(examiner.inner_steps, value) for name, value in values.items()}

    chosen_by = range(learners, learners + selection_learners)
    validation = examiner.dataset.validation
    accuracy_by_rate = {rate: examiner.examine(hyper(rate), validation, seed, chosen_by)[0].mean() for rate in rates}
    rate = max(rates, key=accuracy_by_rate.__getitem__)
    return examiner.examine(hyper(rate), examiner.dataset.test, seed, range(learners))[0], rate
