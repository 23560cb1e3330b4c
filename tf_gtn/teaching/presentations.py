"""A trained teacher used otherwise than in training: in another order, for more steps, with larger batches."""

import numpy as np
import tensorflow as tf

from tf_gtn.teaching import evaluation


def has_order(training):
    """Whether its learners get fixed codes in a learned order."""
    curriculum = getattr(training.treatment, "curriculum", None)
    return curriculum is not None and curriculum.order == "full"


def is_endless(training):
    """Whether every batch is drawn anew, from a generator without curriculum or from real data."""
    curriculum = getattr(training.treatment, "curriculum", None)
    return training.treatment.name == "real" if curriculum is None else curriculum.order == "none"


def shape(treatment):
    """`(T, B)`, inner steps and examples of each, by a batch as learners get it."""
    memory = [treatment.initial_memory()] if hasattr(treatment, "observe") else []

    @tf.function(autograph=False)
    def labels():
        first = tf.nest.map_structure(lambda x: x[0], treatment.xs(tf.zeros([2], tf.int32)))
        return treatment.batch(treatment.params(), first, *memory)[1]

    return treatment.inner_steps, labels.get_concrete_function().output_shapes[0]


def reordered(training, order):
    """An `Evaluator` that presents the same codes in another of `curricula.ORDERS`; the steps' schedule stays in place."""
    return _evaluator(training, training.treatment.presented(order=order), training.hyperparameters.values)


def enlarged(training, steps=1, batch=1):
    """An `Evaluator` with `steps` times the inner steps and `batch` times the examples in each (GTN paper, figure 5).

    The hyperparameters of the trained steps stay; those beyond have the last one's.
    """
    inner_steps, batch_size = shape(training.treatment)
    treatment = training.treatment.presented(inner_steps=steps * inner_steps, batch_size=batch * batch_size)
    hyperparameters = training.hyperparameters
    return _evaluator(training, treatment, lambda: continued(hyperparameters.values(), steps * inner_steps))


def continued(schedule, length):
    """`{name: [T]}` -> `{name: [length]}`: cut, or continued with the last value."""
    return {name: tf.gather(values, np.minimum(np.arange(length), values.shape[0] - 1)) for name, values in schedule.items()}


def _evaluator(training, treatment, hyper):
    return evaluation.Evaluator(training.dataset, training.population, treatment, training.inner_optimizer, hyper)
