"""A call from Python works as a program does, in a process that is the user's: nothing of that process stays changed.

Numbers are those of a program: operations are deterministic, and Keras counts its automatic names from the start, so that a
resumed run has the same ones, whatever was built in the process before.
"""

import contextlib
import logging
import random
import threading
from collections.abc import Generator

import tensorflow as tf
from keras.src.backend.common import global_state  # there is no public way to put names back
from tensorflow.python.framework import config  # nor to see whether operations are deterministic, or to end it

_NAMES = "object_name_uids"  # Keras' counts, of this thread
_lock = threading.Lock()
_deterministic = 0  # how many calls need it


@contextlib.contextmanager
def program() -> Generator[None, None, None]:
    """In it the process is a program's; afterwards the user's again, with Python's random numbers where they were."""
    names, numbers = global_state.get_global_attribute(_NAMES), random.getstate()
    global_state.set_global_attribute(_NAMES, None)
    try:
        with _logging_kept(), _determinism():
            yield
    finally:
        global_state.set_global_attribute(_NAMES, names)
        random.setstate(numbers)


@contextlib.contextmanager
def _logging_kept():
    """TensorFlow's saver logs, and absl then gives the root logger a handler: afterwards there are those of before."""
    loggers = [logging.getLogger(name) for name in (None, "absl", "tensorflow")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


@contextlib.contextmanager
def _determinism():
    """Of operations, as long as some thread is in it; where the user has it on already it stays on."""
    global _deterministic
    with _lock:
        counted = _deterministic or not config.is_op_determinism_enabled()
        if counted:
            _deterministic += 1
            tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        with _lock:
            if counted:
                _deterministic -= 1
                if not _deterministic:
                    config.disable_op_determinism()
