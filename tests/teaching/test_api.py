"""`tf_gtn.train` and `tf_gtn.evaluate`: what train_gtn gives, in a process that stays as it was."""

import logging
import os
import random
import signal
import sys
import threading
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context
from tensorflow.python.framework import config

import tf_gtn
from tests import programs
from tests.programs import run
from tf_gtn import errors
from tf_gtn.data import augmentation
from tf_gtn.reporting import results
from tf_gtn.runtime import progress
from tf_gtn.teaching import settings, training

LEARNER = """
import keras
import tf_gtn

@tf_gtn.register.learner("my_net")
def my_net(image_shape, classes):
    layers = [keras.layers.Flatten(), keras.layers.Dense(6, "relu"), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(image_shape), *layers])
"""
SMALL = {
    **{"inner_steps": 2, "batch_size": 10, "outer_steps": 4, "outer_batch": 8, "checkpoint_every": 2, "log_every": 1},
    **{"splits": 1, "recompute_every": 0, "latent": 4, "filters": 4, "kernel_size": 3},
    **{"validation_learners": 2, "test_learners": 2, "generator": "residual", "start": "k_means"},
}


def own(image_shape, classes):
    """The same network, and no registered one."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(6, "relu"), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(image_shape), *layers])


@pytest.fixture(scope="module")
def arrays(digits):
    return {part: (getattr(digits, part).images, getattr(digits, part).labels) for part in ("train", "validation", "test")}


@pytest.fixture(scope="module")
def made(arrays, tmp_path_factory):
    """`(folder, LoadedGTN)`."""
    folder, calls = tmp_path_factory.mktemp("python") / "run", []

    def counted(image_shape, classes):
        calls.append(image_shape)
        return own(image_shape, classes)

    counted.__name__ = "own"
    gtn = tf_gtn.train(arrays, counted, folder, **SMALL)
    assert calls == [(8, 8, 1)]
    return folder, gtn


def test_it_gives_the_numbers_of_train_gtn(made, tmp_path):
    folder, gtn = made
    (tmp_path / "mine.py").write_text(LEARNER)
    bindings = ["import mine", "OUTER_STEPS = 4", "CHECKPOINT_EVERY = 2", "run.Schedule.log_every = 1"]
    bindings += ["models.Population.families = {'my_net': {}}"]
    small = [each for each in programs.SMALL if "families" not in each]
    (tmp_path / "own.gin").write_text("\n".join(["include 'gin/teaching/digits.gin'", *bindings]))
    small[0] = "--gin_file=own.gin"
    done = run("train_gtn", f"--base_dir={tmp_path}/run", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "run" / "metrics.jsonl").read_bytes()
    mine, other = (results.read(str(path)) for path in (folder, tmp_path / "run"))
    assert mine["metrics"]["gtn"]["values"] == other["metrics"]["gtn"]["values"]
    assert mine["name"] == "train" and mine["system"] == other["system"]
    assert gtn.metadata["accuracy"]["mean"] == mine["metrics"]["gtn"]["test_accuracy"]
    left = {path.name for path in (tmp_path / "run").iterdir()} - {"operative_config.gin"}
    assert left == {path.name for path in folder.iterdir()}


def test_evaluate_finds_what_training_found(made, arrays):
    found = tf_gtn.evaluate(made[1], arrays, own, count=2)
    assert found["mean"] == pytest.approx(made[1].metadata["accuracy"]["mean"], abs=0.01)
    assert len(found["values"]) == 2 and found["ci95"][0] <= found["mean"] <= found["ci95"][1]
    assert tf_gtn.evaluate(made[1], arrays, own, count=1, steps=1)["values"] != found["values"][:1]
    with pytest.raises(errors.UserError, match=r"gtn is what tf_gtn\.train or tf_gtn\.load gives; got str"):
        tf_gtn.evaluate("runs", arrays)


def test_interrupted_and_resumed_in_another_thread_it_gives_the_same(made, arrays, tmp_path, monkeypatch):
    step = training.Training.step

    def interrupted(self, index):
        if index == 2:
            signal.raise_signal(signal.SIGINT)
        return step(self, index)

    handler, names = signal.getsignal(signal.SIGINT), []
    monkeypatch.setattr(training.Training, "step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="after step 3, which is saved: the same call goes on"):
        tf_gtn.train(arrays, own, tmp_path / "run", **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    resumed = threading.Thread(target=lambda: names.append(tf_gtn.train(arrays, own, str(tmp_path / "run"), **SMALL).path))
    resumed.start()
    resumed.join()
    assert names == [str(tmp_path / "run" / "export" / "4")]
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (made[0] / "metrics.jsonl").read_bytes()
    programs.assert_equal(programs.checkpoint(tmp_path / "run"), programs.checkpoint(made[0]))


def wider(image_shape, classes):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])


wider.__name__ = "own"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"inner_learning_rate": 0.1}, r"was started with inner_learning_rate = 0.02, now 0.1; use another base_dir"),
        ({"learners": wider}, r"was started with learners = .*own .*, now .*own .*; use another base_dir"),
        ({"data": {"zca": 0.1}}, r"was started with.* zca .*use another base_dir"),
        ({"data": {"augment": augmentation.random_crop_flip}}, r"was started with.* data_augment .*use another base_dir"),
    ],
)
def test_another_setting_does_not_resume(made, arrays, changes, words):
    """Nor data that learners see otherwise, which has the same fingerprint."""
    data = tf_gtn.data.of(arrays, **changes.pop("data", {}))
    with pytest.raises(errors.UserError, match=words):
        tf_gtn.train(data, **{"learners": own, "base_dir": made[0], **SMALL, **changes})


def state(folder):
    """What of a process a call might change."""
    shown = warnings.formatwarning, warnings.filters[:], os.getcwd(), sys.path[:], dict(os.environ), sys.stdout, sys.stderr
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    numbers = random.getstate(), repr(np.random.get_state()), tf.random.get_global_generator().state.numpy().tolist()
    names = dict(global_state.get_global_attribute("object_name_uids"))
    loggers = [logging.getLogger(name) for name in (None, "absl", "tensorflow")]
    logs = [(logger.level, list(logger.handlers)) for logger in loggers]
    return shown, handlers, logs, numbers, names, config.is_op_determinism_enabled(), context.global_seed(), os.listdir(folder)


def test_in_memory_it_leaves_nothing_behind(arrays, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "other").touch()
    tf.random.get_global_generator()  # where there is none yet
    keras.layers.Dense(1)
    before = state(tmp_path)
    gtn = tf_gtn.train(arrays, [own, "mlp_plain"], progress=False, **{**SMALL, "outer_steps": 1})
    assert capfd.readouterr() == ("", "")
    *same, there = state(tmp_path)
    assert same == list(before[:-1])
    (kept,) = {name for name in there if name.startswith("tf_gtn_")}
    assert os.listdir(tmp_path / kept) == ["export"]
    path = gtn.save(tmp_path / "saved")
    assert path == str(tmp_path / "saved" / "1")
    assert gtn.save(tmp_path / "saved") == path  # the same export again
    (tmp_path / "saved" / "1" / "another").touch()
    with pytest.raises(errors.UserError, match="saved/1 is there already"):
        gtn.save(tmp_path / "saved")
    (tmp_path / "saved" / "1" / "another").unlink()
    images = gtn.lesson()["image"].numpy()
    del gtn
    assert not (tmp_path / kept).exists()
    np.testing.assert_array_equal(tf_gtn.load(path).lesson()["image"], images)


def no_logits(image_shape, classes):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")])


class Scale(keras.layers.Layer):
    """Keeps no initialiser."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, inputs):
        return self.factor * inputs


def not_drawn_anew(image_shape, classes):
    return keras.Sequential([own(image_shape, classes), Scale()])


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"lerning_rate": 0.1}, "unknown setting of train 'lerning_rate'; did you mean 'learning_rate'?"),
        ({"inner_step": 3}, "unknown setting of train 'inner_step'; did you mean 'inner_steps'?"),
        ({"temperature": 3}, "unknown setting of train 'temperature'; "),
        ({"inner_steps": 0}, "train: inner_steps must be at least 1; got 0"),
        ({"inner_momentum": 1}, "train: inner_momentum must be at least 0 and below 1; got 1"),
        ({"filters": 0}, "train: filters must be at least 1; got 0"),
        ({"log_every": 0}, "train: log_every must be at least 1; got 0"),
        ({"learned": "no"}, "train: learned must be True or False; got 'no'"),
        ({"seed": 0.5}, "train: seed must be an integer; got 0.5"),
        ({"order": "ful"}, "unknown curriculum order 'ful'; did you mean 'full'?"),
        ({"epochs": 3}, "train: epochs must divide the 2 inner steps; got 3"),
        ({"estimator": "pes"}, "train: estimator must be made, such as tf_gtn.core.estimators.Full(); got 'pes'"),
        ({"generator": "conditionl"}, "unknown generator 'conditionl'; did you mean 'conditional'?"),
        ({"treatment": "gnt"}, "unknown treatment 'gnt'; did you mean 'gtn'?"),
        ({"treatment": "real"}, "train: latent has no effect with treatment 'real'; got 4"),
        ({"learners": "cnv2"}, "unknown learner 'cnv2'; did you mean 'conv2'?"),
        ({"learners": {"mlp": {"unit": 3}}}, "unknown option of mlp 'unit'; did you mean 'units'?"),
        ({"learners": []}, "learners are names, functions"),
        ({"learners": 3}, "learners are names, functions (image_shape, classes) -> keras.Model, or {name: options}; got int"),
        ({"learners": Scale}, "learners are made by a function (image_shape, classes) -> keras.Model; got the class Scale"),
        ({"learners": {"train": [1]}}, "got list; that is data, which comes first: train(data, learners)"),
        ({"learners": lambda shape, classes: own(shape, 3)}, "the learner '<lambda>': "),
        ({"learners": [own, own]}, "twice"),
        ({"learners": lambda: None}, "is a function (image_shape, classes) -> keras.Model: too many positional arguments"),
        ({"learners": lambda shape, classes: None}, "a Keras model is needed; got NoneType"),
        ({"learners": no_logits}, "no_logits gives probabilities, learners give logits"),
        ({"learners": lambda shape, classes: own((4, 4, 1), classes)}, "the GTN's images are [n, 8, 8, 1]"),
        ({"learners": not_drawn_anew}, "not_drawn_anew can't be drawn anew for every learner: the layer 'scale' keeps no"),
        ({"data": {"train": ([1], [1, 2])}}, "data['train']: "),
        ({"data": "digit"}, "digit"),
    ],
)
def test_a_mistake_is_one_line(arrays, arguments, words):
    with pytest.raises(errors.UserError) as caught:
        tf_gtn.train(**{"data": arrays, "learners": own, **SMALL, **arguments})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_is_no_learner():
    with pytest.raises(errors.UserError, match="give a function"):
        settings.families(own((8, 8, 1), 10))


def test_a_treatment_without_a_generator_has_no_export(arrays):
    of_gtn = ("latent", "generator", "start", "filters", "kernel_size")
    options = {name: value for name, value in SMALL.items() if name not in of_gtn}
    with pytest.raises(errors.UserError, match="this run's treatment is real"):
        tf_gtn.train(arrays, own, treatment="real", **options)


def test_every_setting_has_one_name():
    names = settings._parameters()
    assert {"learning_rate", "inner_learning_rate", "inner_momentum", "weight_norm", "inner_weight_norm"} <= names.keys()
    assert names["learning_rate"].part == "training" and names["weight_norm"].part == "gtn"
    taken = [(setting.part, setting.parameter) for setting in names.values()]
    assert len(taken) == len({*taken})
    assert not {"dataset", "self", "dtype", "auxiliary", "families"} & names.keys()


def test_a_notebook_gets_a_bar(monkeypatch):
    stream = type("OutStream", (), {"__module__": "ipykernel.iostream", "isatty": lambda self: False})()
    monkeypatch.setattr(sys, "stderr", stream)
    assert progress._has_terminal()
