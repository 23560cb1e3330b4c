"""Writes a trained GTN as a SavedModel that needs no `tf_gtn` to run.

<directory>/<version>/
  saved_model.pb, variables/          signatures serving_default = generate, and curriculum
  assets/metadata.json                see `metadata`
  assets.extra/tf_serving_warmup_requests
"""

import json
import os
import shutil
import struct
import tempfile

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.teaching import treatments

SCHEMA_VERSION = 1
METADATA = "metadata.json"


def metadata(training, config="", accuracy=None, score=None):
    """What an export says of itself: the contents of `assets/metadata.json`.

    Args:
      training: the finished `training.Training`, of a `treatments.GTN`, or what is like it: see `save`.
      config: the configuration of the run, as text.
      accuracy: `{"mean", "ci95", "learners"}` of fresh learners on the test split, if measured.
      score: the same of fresh policies' returns, for a GTN that teaches policies.
    """
    curriculum = training.treatment.curriculum
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": training.dataset.name,
        "classes": list(training.dataset.classes),
        "image_shape": list(training.dataset.image_shape),
        "latent": curriculum.latent,
        "inner_steps": curriculum.inner_steps,
        "batch_size": curriculum.batch_size,
        "curriculum": curriculum.name,
        "normalization": training.dataset.normalization,
        "weight_norm": training.weight_norm,
        "loss": training.inner_loss,
        "training": {"outer_steps": training.outer_steps, "seed": training.seed, "config": config},
        "accuracy": accuracy,
        **({} if score is None else {"return": score}),
    }


def exportable(training):
    """Whether it is a GTN whose batches don't depend on the learner, with a schedule of SGD's learning rate and momentum."""
    return not _obstacle(training)


def check_exportable(training):
    """Raises `UserError` if it can't be exported."""
    obstacle = _obstacle(training)
    if obstacle:
        raise errors.UserError(obstacle)


def _obstacle(training):
    names = sorted(training.hyperparameters.values())
    if names != ["learning_rate", "momentum"]:
        return f"an export carries SGD's learning_rate and momentum; this run's inner optimiser has {names}"
    if not isinstance(training.treatment, treatments.GTN) or hasattr(training.treatment, "observe"):
        return f"an export carries a generator with its curriculum; this run's treatment is {training.treatment.name}"
    return None


def save(training, directory, version, meta):
    """Exports to `<directory>/<version>/`, which appears complete or not at all; returns that path.

    `training` has `treatment`, a GTN, `hyperparameters`, and for `metadata` also `dataset` (`name`, `classes`, `image_shape`,
    `normalization`), `weight_norm` (of learners), `inner_loss`, `outer_steps` and `seed`.
    """
    check_exportable(training)
    path = os.path.join(directory, str(int(version)))
    tf.io.gfile.makedirs(directory)
    for leftover in tf.io.gfile.glob(os.path.join(directory, ".unfinished-*")):
        tf.io.gfile.rmtree(leftover)
    unfinished = os.path.join(directory, f".unfinished-{int(version)}")
    scratch = tempfile.mkdtemp()
    try:
        source = os.path.join(scratch, METADATA)
        with open(source, "w") as file:
            json.dump(meta, file, indent=2)
        module = _Module(training, source)
        tf.saved_model.save(
            module,
            unfinished,
            signatures={"serving_default": module.generate, "generate": module.generate, "curriculum": module.curriculum},
        )
        _write_warmup(unfinished, meta)
    finally:
        shutil.rmtree(scratch)
    if tf.io.gfile.exists(path):
        tf.io.gfile.rmtree(path)
    tf.io.gfile.rename(unfinished, path)
    return path


class _Module(tf.Module):
    """The generator with its weights joined and its BatchNorm statistics fixed, and the curriculum."""

    def __init__(self, training, metadata_file):
        gtn = training.treatment
        weights = gtn.params()
        self._weights = {k: tf.Variable(v, trainable=False) for k, v in weights.items()}
        self._state = {k: tf.Variable(v, trainable=False) for k, v in gtn.population_state(weights).items()}
        self._lesson = {k: tf.Variable(v, trainable=False) for k, v in gtn.xs(tf.zeros([2], tf.int32)).items()}
        self._schedule = {k: tf.Variable(v, trainable=False) for k, v in training.hyperparameters.values().items()}
        self.metadata = tf.saved_model.Asset(metadata_file)
        steps, _, latent = self._lesson["noise"].shape
        classes = self._lesson["label"].shape[-1]

        def synthesise(x, batch_statistics):
            return gtn.synthesise(dict(self._weights), dict(self._state), x, batch_statistics)

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, latent], tf.float32, "noise"),
                tf.TensorSpec([None, classes], tf.float32, "label"),
            ],
        )
        def generate(noise, label):
            return {"image": synthesise({"noise": noise, "label": label}, batch_statistics=False)[0]}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int64, "step")])
        def curriculum(step):
            step = tf.math.floormod(step, steps)
            lesson = {k: tf.gather(v, step) for k, v in self._lesson.items()}
            pair = (tf.float32, tf.float32)
            image, label = tf.map_fn(lambda x: synthesise(x, batch_statistics=True), lesson, fn_output_signature=pair)
            schedule = {k: tf.gather(v, step) for k, v in self._schedule.items()}
            return {"image": image, "label": label, **schedule}

        self.generate, self.curriculum = generate, curriculum


def _write_warmup(path, meta):
    """One `PredictRequest` for each signature, which TensorFlow Serving runs while it loads (prediction_log.proto)."""
    requests = [
        ("serving_default", {"noise": tf.zeros([1, meta["latent"]]), "label": tf.one_hot([0], len(meta["classes"]))}),
        ("curriculum", {"step": tf.zeros([1], tf.int64)}),
    ]
    folder = os.path.join(path, "assets.extra")
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, "tf_serving_warmup_requests")) as writer:
        for signature, inputs in requests:
            spec = _field(1, b"gtn") + _field(3, signature.encode())  # ModelSpec: name, signature_name
            entries = b"".join(
                _field(2, _field(1, name.encode()) + _field(2, tf.make_tensor_proto(value).SerializeToString()))
                for name, value in inputs.items()
            )  # PredictRequest: map<string, TensorProto> inputs
            request = _field(1, spec) + entries
            writer.write(_field(6, _field(1, request)))  # PredictionLog: predict_log; PredictLog: request


def _field(number, payload):
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value):
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)
