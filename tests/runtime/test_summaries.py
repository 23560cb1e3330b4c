"""TensorBoard gets the configuration and images at validations; a run that goes on draws where it goes on."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tests.toy import Toy
from tf_gtn.runtime import loop, summaries


def run(folder, stop=None):
    def images(name, training):
        return {} if name == "b" else {"square": np.full((2, 3, 3), int(training.update._optimizer.iterations), np.uint8)}

    made = {"a": Toy(6, stop=stop), "b": Toy(4)}
    listeners = [summaries.Summaries("a.b = 1\nc = 'd'\n", images)]
    loop.train(made, str(folder), log_every=1, validate_every=2, checkpoint_every=100, callbacks=listeners)


def events(folder):
    found = event_accumulator.EventAccumulator(str(folder / "summaries"), {event_accumulator.TENSORS: 0})
    found.Reload()
    return found


def images(folder):
    made = {event.step: tf.make_ndarray(event.tensor_proto) for event in events(folder).Tensors("a/square")}
    return {step: tf.io.decode_png(png[2]).numpy() for step, png in made.items()}


def test_configuration_and_images(tmp_path):
    run(tmp_path)
    (text,) = events(tmp_path).Tensors("configuration")
    assert tf.make_ndarray(text.tensor_proto).item().decode() == "    a.b = 1\n    c = 'd'\n"
    assert {step: image.tolist() for step, image in images(tmp_path).items()} == {
        step: np.full((2, 3, 3), step).tolist() for step in (2, 4, 6)
    }
    assert [event.step for event in events(tmp_path).Tensors("a/loss")] == [1, 2, 3, 4, 5, 6]


def test_a_run_that_goes_on(tmp_path):
    with pytest.raises(loop.Stopped):
        run(tmp_path, stop=4)
    assert list(images(tmp_path)) == [2, 4]
    run(tmp_path)
    assert list(images(tmp_path)) == [5, 6]
    assert [event.step for event in events(tmp_path).Tensors("a/loss")] == [1, 2, 3, 4, 5, 6]
