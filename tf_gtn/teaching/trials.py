"""A trial of hyperparameters: a short training, judged on the validation split by fresh learners."""

import contextlib
import dataclasses
import gc
import math
from collections.abc import Callable, Generator

import keras

from tf_gtn.core import outer_update, registered_gradients
from tf_gtn.teaching import evaluation
from tf_gtn.teaching.training import Training

_CHECK_EVERY = 10  # outer steps between looks at whether a trial has diverged


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
    judge = evaluation.Evaluator.of(training)
    loss, accuracy = judge.losses(training.dataset.validation, learners, evaluation.VALIDATION_SEED).mean(0)
    return float(loss), float(accuracy)


@contextlib.contextmanager
def traces_forgotten() -> Generator[None, None, None]:
    """What is traced in here takes no memory afterwards; nothing of it may be used any more."""
    try:
        with registered_gradients.forgotten():
            yield
    finally:
        keras.utils.clear_session()
        gc.collect()  # graphs are cycles


def _stuck(training):
    return int(training.consecutively_skipped.numpy()) >= outer_update.MAX_SKIPPED
