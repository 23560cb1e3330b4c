"""A trained teacher used otherwise than in training: in another order, for more steps, with larger batches."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tf_gtn.teaching import evaluation, protocols, treatments
from tf_gtn.teaching import training as trainings


def has_order(training: trainings.Training) -> bool:
    """Whether its learners get fixed codes in a learned order."""
    curriculum = treatments.curriculum_of(training.treatment)
    return curriculum is not None and curriculum.order == "full"


def is_endless(training: trainings.Training) -> bool:
    """Whether every batch is drawn anew, from a generator without curriculum or from real data."""
    curriculum = treatments.curriculum_of(training.treatment)
    return training.treatment.name == "real" if curriculum is None else curriculum.order == "none"


def shape(treatment: protocols.Treatment) -> tuple[int, int]:
    """`(T, B)`, inner steps and examples of each, by a batch as learners get it."""
    memory = protocols.first_memory(treatment)

    @tf.function(autograph=False)
    def labels():
        first = tf.nest.map_structure(lambda x: x[0], treatment.xs(tf.zeros([2], tf.int32)))
        return treatment.batch(treatment.params(), first, *memory)[1]

    return treatment.inner_steps, labels.get_concrete_function().output_shapes[0]


def reordered(training: trainings.Training, order: str) -> evaluation.Evaluator:
    """An `Evaluator` that presents the same codes in another of `curricula.ORDERS`; the steps' schedule stays in place."""
    return _evaluator(training, _presented(training, order=order), training.hyperparameters.values)


def enlarged(training: trainings.Training, steps: int = 1, batch: int = 1) -> evaluation.Evaluator:
    """An `Evaluator` with `steps` times the inner steps and `batch` times the examples in each (GTN paper, figure 5).

    The hyperparameters of the trained steps stay; those beyond have the last one's.
    """
    inner_steps, batch_size = shape(training.treatment)
    treatment = _presented(training, inner_steps=steps * inner_steps, batch_size=batch * batch_size)
    hyperparameters = training.hyperparameters
    return _evaluator(training, treatment, lambda: continued(hyperparameters.values(), steps * inner_steps))


def repeated(training: trainings.Training, steps: int) -> evaluation.Evaluator:
    """An `Evaluator` of `steps` inner steps: a fixed lesson begins again after its last step, others go on with new batches.

    The hyperparameters of the trained steps stay; those beyond have the last one's.
    """
    treatment, hyperparameters = training.treatment, training.hyperparameters
    treatment = _presented(training, inner_steps=steps) if is_endless(training) else _Repeated(treatment, steps)
    return _evaluator(training, treatment, lambda: continued(hyperparameters.values(), steps))


class _Repeated:
    """A treatment's lesson from the beginning again and again, up to a number of steps."""

    def __init__(self, treatment, steps):
        self._treatment, self.inner_steps = treatment, steps

    def __getattr__(self, name):
        return getattr(self._treatment, name)

    def xs(self, seed):
        place = np.arange(self.inner_steps) % self._treatment.inner_steps
        return tf.nest.map_structure(lambda x: tf.gather(x, place), self._treatment.xs(seed))


def continued(schedule: Mapping[str, tf.Tensor], length: int) -> dict[str, tf.Tensor]:
    """`{name: [T]}` -> `{name: [length]}`: cut, or continued with the last value."""
    return {name: tf.gather(values, np.minimum(np.arange(length), values.shape[0] - 1)) for name, values in schedule.items()}


def _presented(training, **use):
    treatment = training.treatment
    if not isinstance(treatment, protocols.Presentable):
        raise TypeError(f"{treatment.name} is presented in one way only")
    return treatment.presented(**use)


def _evaluator(training, treatment, hyper):
    return evaluation.Evaluator(training.dataset, training.population, treatment, training.inner_optimizer, hyper)
