"""The outer loop over trainings as small as can be: what it takes, and what a stop changes."""

import os
import signal

import keras
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import outer_update
from tf_gtn.run import loop, metrics


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


BAD = range(5, 35)  # it would recover, had it not given up


def trainings(stop=None):
    return {"a": Toy(60, stop=stop), "b": Toy(60, BAD), "c": Toy(25)}


def run(folder, made):
    loop.train(made, str(folder), log_every=10, checkpoint_every=20)
    return {name: t.state() for name, t in made.items()}


def test_a_training_that_gave_up_stays_so_after_a_resume(tmp_path):
    whole = run(tmp_path / "whole", trainings())
    assert whole["b"][1:] == (loop.MAX_SKIPPED, True) and whole["a"][1:] == whole["c"][1:] == (0, False)
    with pytest.raises(loop.Stopped, match="after step 34"):
        run(tmp_path / "stopped", trainings(stop=33))  # no multiple of log_every
    assert run(tmp_path / "stopped", trainings()) == whole
    assert metrics.read(str(tmp_path / "stopped")) == metrics.read(str(tmp_path / "whole"))


def test_each_takes_its_own_steps(tmp_path):
    made = trainings()
    run(tmp_path, made)
    rows = metrics.read(str(tmp_path))
    assert [row["step"] for row in rows if "c/loss" in row] == [10, 20, 25]
    assert int(made["c"].update._optimizer.iterations.numpy()) == 25
    assert int(made["b"].update._optimizer.iterations.numpy()) == 5


def test_if_all_gave_up_the_run_ends(tmp_path):
    with pytest.raises(errors.UserError, match="not finite for the last 20 steps"):
        run(tmp_path, {"b": Toy(60, BAD)})
