"""Exports become LiteRT and ONNX models of the same numbers, both signatures of every generator."""

import inspect
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import hyperparameters, optimizers
from tf_gtn.models import generators
from tf_gtn.teaching import curricula, export, treatments

STEPS, BATCH, LATENT, CLASSES = 3, 4, 5, 3
SMALL = {"units": 8, "channels": 4, "filters": 4, "kernel_size": 3}


def small(make):
    """The widths that a generator has, small."""
    return {name: SMALL[name] for name in inspect.signature(make).parameters if name in SMALL}


GENERATORS = {
    **{name: ((10, 8, 2), lambda *args, make=make: make(*args, **small(make))) for name, make in generators.REGISTRY.items()},
    "pairs": ((4,), lambda *args: generators.pairs(*args, units=(8,))),
}


@pytest.fixture(scope="module", params=sorted(GENERATORS))
def path(request, tmp_path_factory):
    shape, make = GENERATORS[request.param]
    seed = tf.constant([0, 1])
    gtn = treatments.GTN(make(shape, CLASSES, LATENT), curricula.Curriculum(STEPS, BATCH, LATENT, CLASSES, seed), seed)
    schedule = hyperparameters.Hyperparameters(optimizers.SGD(), STEPS)
    dataset = types.SimpleNamespace(whitening=None)
    training = types.SimpleNamespace(treatment=gtn, hyperparameters=schedule, inner_optimizer=optimizers.SGD(), dataset=dataset)
    meta = {"latent": LATENT, "classes": list("abc")}
    return export.save(training, str(tmp_path_factory.mktemp("export")), 1, meta)


def inputs(signature, count):
    if signature == "curriculum":
        return {"step": np.arange(count, dtype=np.int64) + 1}
    noise = np.random.default_rng(0).normal(size=(count, LATENT)).astype(np.float32)
    return {"noise": noise, "label": np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]}


def assert_the_same(converted, path, signature):
    served = tf.saved_model.load(path).signatures[signature]
    for count in (1, 4):
        fed = inputs(signature, count)
        expected, outputs = served(**{name: tf.constant(value) for name, value in fed.items()}), converted(fed)
        assert set(outputs) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "curriculum"])
def test_litert(path, signature):
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[signature])
    runner = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner(signature)
    takes = set(runner.get_input_details())  # what a generator makes nothing of is left out
    assert_the_same(lambda fed: runner(**{name: fed[name] for name in takes}), path, signature)


@pytest.mark.parametrize("signature", ["serving_default", "curriculum"])
def test_onnx(path, signature, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    target = str(tmp_path / "model.onnx")
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", path, "--signature_def", signature, "--output", target]
    subprocess.run([*command, "--opset", "18"], check=True, capture_output=True)
    session = onnxruntime.InferenceSession(target)
    takes, gives = ([x.name for x in ends] for ends in (session.get_inputs(), session.get_outputs()))
    assert_the_same(lambda fed: dict(zip(gives, session.run(None, {name: fed[name] for name in takes}))), path, signature)


@pytest.mark.parametrize("signature", ["serving_default", "curriculum"])
def test_no_row_gives_none(path, signature):
    served = tf.saved_model.load(path).signatures[signature]
    fed = {name: tf.constant(value) for name, value in inputs(signature, 0).items()}
    for name, value in served(**fed).items():
        assert value.shape == (0, *served.structured_outputs[name].shape[1:])
