"""A trial of hyperparameters: a short training, judged on the validation split by fresh learners."""

import contextlib
import dataclasses
import functools
import gc
import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from tf_gtn.core import outer_update
from tf_gtn.teaching import evaluation
from tf_gtn.teaching.training import Training

_CHECK_EVERY = 10  # outer steps between looks at whether a trial has diverged
_CHUNK = 1000  # validation images at a time


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
      loss: mean cross-entropy of fresh learners on the validation split after the last inner step; infinite if it diverged.
      accuracy: their mean accuracy there; 0 if it diverged.
      steps: outer steps taken.
      skipped: those whose loss or gradient was not finite.
    """

    loss: float
    accuracy: float
    steps: int
    skipped: int


def trial(training: Training, learners: int, diverged_above: float, stopped: Callable[[], None] = lambda: None) -> Outcome:
    """Trains and judges.

    Args:
      training: a fresh one.
      learners: how many fresh ones judge, the same in all trials.
      diverged_above: a final loss above it counts as diverged.
      stopped: called after every step; raises if it is time to stop.
    """
    steps = 0
    for index in range(training.outer_steps):
        training.step(index)
        steps += 1
        stopped()
        if steps % _CHECK_EVERY == 0 and _stuck(training):
            break
    loss, accuracy = (math.inf, 0.0) if _stuck(training) else validate(training, learners)
    if not loss <= diverged_above:
        loss, accuracy = math.inf, 0.0
    return Outcome(loss, accuracy, steps, int(training.skipped.numpy()))


def validate(training: Training, learners: int) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, on the validation split, of fresh learners after the last inner step."""
    images, labels = tf.constant(training.dataset.validation.images), tf.constant(training.dataset.validation.labels)
    functions, found = {}, []
    for i in range(learners):
        draw = training.population.draw([evaluation.VALIDATION_SEED, i])
        if draw.template not in functions:
            functions[draw.template] = tf.function(functools.partial(_judge, training, draw.template), autograph=False)
        seed = tf.constant([evaluation.VALIDATION_SEED, i])
        found.append(functions[draw.template](seed, tf.constant(draw.widths, tf.int32), images, labels).numpy())
    return tuple(float(total) for total in np.mean(found, 0) / len(labels))


@contextlib.contextmanager
def traces_forgotten() -> Iterator[None]:
    """What is traced in here takes no memory afterwards; nothing of it may be used any more.

    `tf.custom_gradient` registers each gradient that it traces, under a name of its own, and never takes it back: 50 MB a trial
    on 8x8 images, with all graphs that it leads to.
    """
    registered = getattr(ops.gradient_registry, "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            if name.startswith("CustomGradient-"):
                del registered[name]
        keras.utils.clear_session()
        gc.collect()  # graphs are cycles


def _judge(training, template, seed, widths, images, labels):
    """One fresh learner: the sums of its cross-entropies and of its hits, [2]."""
    inner = training.inner_loops[template]
    init, lesson = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    xs = inner.xs(training.hyperparameters.values(), lesson)
    final, _ = inner.run(inner.initial_state(init, widths), xs, recompute_every=0)

    def body(start, sums):
        part = labels[start : start + _CHUNK]
        logits = inner.logits(final, training.dataset.normalize(images[start : start + _CHUNK]))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(part, logits)
        hits = tf.math.count_nonzero(tf.argmax(logits, -1, tf.int32) == part, dtype=losses.dtype)
        return start + _CHUNK, sums + tf.stack([tf.reduce_sum(losses), hits])

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, tf.zeros([2])))[1]


def _stuck(training):
    return int(training.consecutively_skipped.numpy()) >= outer_update.MAX_SKIPPED
