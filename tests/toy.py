"""A training as small as can be."""

import os
import signal

import keras
import tensorflow as tf

from tf_gtn.core import outer_update
from tf_gtn.runtime import loop


class Toy:
    """One parameter with a gradient of 1; the steps of `bad` have a loss that is not finite, `stop` sends a signal."""

    def __init__(self, outer_steps, bad=(), stop=None):
        self.outer_steps, self._bad, self.stop = outer_steps, bad, stop
        self.parameter = keras.Variable(0.0)
        self.update = outer_update.OuterUpdate([self.parameter], outer_steps)
        self.variables = [self.parameter, *self.update.variables]
        self.skipped, self.consecutively_skipped = self.update.skipped, self.update.consecutively_skipped

    def step(self, index):
        if index == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = tf.constant(float("nan") if index in self._bad else 1.0)
        self.update.apply(loss, [tf.constant(1.0)])
        return {"loss": loss}

    def state(self):
        return float(self.parameter.numpy()), int(self.skipped.numpy()), loop.stuck(self)
