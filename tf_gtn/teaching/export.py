"""Writes a trained GTN as a SavedModel that needs no `tf_gtn` to run.

<directory>/<version>/
  saved_model.pb, variables/          signatures serving_default = generate, and curriculum; whiten, where learners see
                                      whitened images: images normalised by channel -> whitened ones
  assets/metadata.json                see `metadata`
  assets.extra/tf_serving_warmup_requests
  assets.extra/sha256.json            of all other files
"""

import dataclasses
import functools
import json
import os
import shutil
import struct
import tempfile
from typing import Annotated, Any, Protocol

import keras
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import optimizers
from tf_gtn.teaching import protocols, saved_models, treatments, trust

METADATA = "metadata.json"
DTYPES = ("float32", "float16")
Dtype = Annotated[str, arguments.OneOf(DTYPES, "dtype of an export")]


class Trained(Protocol):
    """What an export is made of: a `training.Training` of a `treatments.GTN`, or what is like it.

    Attributes:
      treatment, hyperparameters, inner_optimizer: what is exported.
      dataset: says `name`, `classes`, `image_shape`, `normalization`; `fingerprint`, `given_range` and `whitening`, which may
        be None.
      weight_norm: of learners.
      inner_loss, outer_steps, seed: of its training.
    """

    treatment: Any
    hyperparameters: Any
    inner_optimizer: Any
    inner_loss: str
    outer_steps: int
    seed: int

    @property
    def dataset(self) -> Any: ...

    @property
    def weight_norm(self) -> bool: ...


def metadata(training: Trained, config: str = "", accuracy: dict | None = None, score: dict | None = None) -> dict[str, Any]:
    """What an export says of itself: the contents of `assets/metadata.json`.

    Args:
      training: finished.
      config: the configuration of the run, as text.
      accuracy: `{"mean", "ci95", "learners"}` of fresh learners on the test split, if measured.
      score: the same of fresh policies' returns, for a GTN that teaches policies.
    """
    curriculum, dataset = training.treatment.curriculum, training.dataset
    fingerprint, pixel_range = dataset.fingerprint, dataset.given_range
    optimizer = optimizer_name(training)
    return {
        "schema_version": 3 if optimizer != "sgd" else 1 if dataset.whitening is None else 2,
        "dataset": dataset.name,
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "latent": curriculum.latent,
        "inner_steps": curriculum.inner_steps,
        "batch_size": curriculum.batch_size,
        "curriculum": curriculum.name,
        "normalization": dataset.normalization,
        "weight_norm": training.weight_norm,
        "loss": training.inner_loss,
        "training": {"outer_steps": training.outer_steps, "seed": training.seed, "config": config},
        "accuracy": accuracy,
        **({} if optimizer == "sgd" else {"optimizer": optimizer}),
        **({} if score is None else {"return": score}),
        **({} if fingerprint is None else {"dataset_fingerprint": str(fingerprint)}),
        **({} if dataset.whitening is None else {"whitening": float(dataset.whitening.strength)}),
        **({} if pixel_range is None else {"pixel_range": [float(end) for end in pixel_range]}),
    }


def exportable(training: Trained) -> bool:
    """Whether it is a GTN whose batches don't depend on the learner, which learns by SGD or LARS."""
    return not _obstacle(training)


def check_exportable(training: Trained) -> None:
    """Raises `UserError` if it can't be exported."""
    obstacle = _obstacle(training)
    if obstacle:
        raise errors.UserError(obstacle)


def _obstacle(training):
    if optimizer_name(training) is None:
        kind = type(training.inner_optimizer).__name__
        return f"an export is for learners of SGD or LARS; this run's inner optimiser is {kind}"
    treatment = training.treatment
    if not isinstance(treatment, treatments.GTN) or isinstance(treatment, protocols.Watching):
        return f"an export carries a generator with its curriculum; this run's treatment is {training.treatment.name}"
    return None


def optimizer_name(training: Trained) -> str | None:
    """The name that an export says; None if it can't have such an optimiser."""
    return next((name for name, kind in optimizers.WITH_MOMENTUM.items() if type(training.inner_optimizer) is kind), None)


def save(training: Trained, directory: str, version: int, meta: dict[str, Any], dtype: Dtype = "float32") -> str:
    """Exports to `<directory>/<version>/`, which appears complete or not at all; returns that path.

    `dtype` is what weights and codes are stored in; "float16" halves the size. All is computed in float32.
    """
    check_exportable(training)
    return _publish(training.treatment, _values(training), directory, version, meta, dtype, training.dataset.whitening)


def _publish(gtn, values, directory, version, meta, dtype="float32", whitening=None):
    def write(path):
        scratch = tempfile.mkdtemp()
        try:
            source = os.path.join(scratch, METADATA)
            with open(source, "w") as file:
                json.dump(meta, file, indent=2)
            module = _Module(gtn, values, source, dtype)
            signatures = {
                "serving_default": module.generate,
                "generate": module.generate,
                "curriculum": module.curriculum,
            }
            if whitening is not None:
                signatures["whiten"] = module.whitening(whitening, meta["image_shape"])
            tf.saved_model.save(module, path, signatures=signatures)
        finally:
            shutil.rmtree(scratch)
        _write_warmup(path, meta)
        trust.write_checksums(path)

    return saved_models.publish(directory, int(version), write)


def _values(training):
    """What an export's signatures are computed from."""
    gtn = training.treatment
    weights = gtn.params()
    return {
        "weights": weights,
        "state": gtn.population_state(weights),
        "lesson": gtn.xs(tf.zeros([2], tf.int32)),
        "schedule": training.hyperparameters.values(),
    }


class _Module(tf.Module):
    """The generator with its weights joined and its BatchNorm statistics fixed, and the curriculum."""

    def __init__(self, gtn, values, metadata_file, dtype):
        """`values`: `{"weights", "state", "lesson", "schedule"}`, dicts of tensors; see `_values`. `dtype`: see `save`."""

        def stored(part, value):
            is_small = part == "schedule" or not value.dtype.is_floating
            return tf.Variable(value if is_small else tf.cast(value, dtype), trainable=False)

        for part, tensors in values.items():
            setattr(self, f"_{part}", {key: stored(part, tf.convert_to_tensor(value)) for key, value in tensors.items()})
        self.metadata = tf.saved_model.Asset(metadata_file)
        steps, batch, latent = self._lesson["noise"].shape
        classes = self._lesson["label"].shape[-1]

        def synthesise(x, batch_statistics):
            with _resized(gtn.generator.model):
                return gtn.synthesise(_in_float32(self._weights), _in_float32(self._state), x, batch_statistics)

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, latent], tf.float32, "noise"),
                tf.TensorSpec([None, classes], tf.float32, "label"),
            ],
        )
        def generate(noise, label):
            def images(noise, label):
                return synthesise({"noise": noise, "label": label}, batch_statistics=False)[0]

            return {"image": saved_models.never_empty(images, noise, label)}

        shape = generate.get_concrete_function().structured_outputs["image"].shape[1:]
        width = shape.num_elements() + classes

        def flat(x):  # [B, H * W * C + classes]: LiteRT converts a loop of one result
            return tf.concat([tf.reshape(part, [batch, -1]) for part in synthesise(x, batch_statistics=True)], 1)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int64, "step")])
        def curriculum(step):
            step = tf.math.floormod(step, steps)
            lesson = _in_float32({k: tf.gather(v, step) for k, v in self._lesson.items()})
            batches = tf.map_fn(flat, lesson, fn_output_signature=tf.TensorSpec([batch, width], tf.float32))
            image = tf.reshape(batches[..., :-classes], [tf.shape(step)[0], batch, *shape])
            schedule = {k: tf.gather(v, step) for k, v in self._schedule.items()}
            return {"image": image, "label": batches[..., -classes:], **schedule}

        self.generate, self.curriculum = generate, curriculum

    def whitening(self, whitening, image_shape):
        """The signature `whiten`."""
        mean, matrix = (tf.Variable(value, trainable=False) for value in (whitening.mean, whitening.matrix))
        self._whitening = mean, matrix  # what a signature uses is saved with its module

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *image_shape], tf.float32, "image")])
        def whiten(image):
            return {"image": dataclasses.replace(whitening, mean=mean, matrix=matrix)(image)}

        return whiten


def _in_float32(tensors):
    """A dict of tensors or variables, with what is stored in half the bits brought back."""
    return {key: tf.cast(x, tf.float32) if x.dtype == tf.float16 else x for key, x in tensors.items()}


class _resized:
    """Nearest upsampling as the operation of that name: Keras' repetitions don't convert to LiteRT where the batch is open."""

    def __init__(self, model):
        self._layers = [
            layer
            for layer in model._flatten_layers()
            if isinstance(layer, keras.layers.UpSampling2D)
            and (layer.interpolation, layer.data_format) == ("nearest", "channels_last")
        ]

    def __enter__(self):
        for layer in self._layers:
            layer.call = functools.partial(_resize, layer.size)

    def __exit__(self, *_):
        for layer in self._layers:
            del layer.call


def _resize(factors, images):
    size = [length * factor for length, factor in zip(images.shape[1:3], factors)]
    return tf.image.resize(images, size, "nearest")


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
