"""What a Keras model must be to be taught, in one line each, before the first step."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_gtn import errors

_PREPROCESSING = (keras.layers.Rescaling, keras.layers.Normalization)


def check(model: Any, image_shape: Sequence[int], classes: int) -> None:
    """Raises `UserError` unless a model maps normalised images to classes and has weights to teach.

    Builds the model if it is not built yet. Warns of layers that would normalise the images a second time.

    Args:
      model: what should be a Keras model.
      image_shape: (H, W, C), or the shape of an observation.
      classes: number of classes.
    """
    if not isinstance(model, keras.Model):
        legacy = any(kind.__module__.split(".")[0] == "tf_keras" for kind in type(model).__mro__)
        origin = " of tf_keras, the legacy Keras 2: build the model with `import keras`" if legacy else ""
        raise errors.UserError(f"a Keras {'3 ' if legacy else ''}model is needed; got {type(model).__name__}{origin}")
    images = f"[n, {', '.join(map(str, image_shape))}]"
    takes = getattr(model, "input_shape", None) if model.built else None  # a subclassed model does not say
    if takes is not None and not (isinstance(takes, tuple) and tf.TensorShape(takes).is_compatible_with([None, *image_shape])):
        raise errors.UserError(f"the model {model.name!r} takes {takes}, the GTN's images are {images}")
    for tensor in getattr(model, "inputs", None) or []:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if "float" not in dtype:
            raise errors.UserError(
                f"the model {model.name!r} takes {dtype}, which would cut off what is behind the decimal point: images are "
                "normalised to mean 0 and variance 1. Give its keras.Input a dtype of float32"
            )
    try:
        with tf.GradientTape() as tape:
            outputs = model(tf.zeros([1, *image_shape]), training=False)
    except Exception as error:  # a model can raise anything
        raise errors.UserError(f"the model {model.name!r} can't take images {images}: {_reason(error)}") from None
    if not tf.is_tensor(outputs):
        shapes = [tuple(x.shape) for x in tf.nest.flatten(outputs)]
        raise errors.UserError(
            f"the model {model.name!r} gives {len(shapes)} outputs in a {type(outputs).__name__}; one tensor is needed. "
            "keras.Model(model.inputs, model.outputs[0]) has the first one only"
        )
    if outputs.shape != (1, classes):
        gives = (None, *outputs.shape[1:])
        raise errors.UserError(f"the model {model.name!r} gives {gives}, the data set has {classes} classes")
    known = {id(variable.value) for variable in model.variables}
    for variable in tape.watched_variables():
        if id(variable) not in known:
            raise errors.UserError(
                f"the model {model.name!r} holds a tf.Variable ({variable.name!r}), which Keras does not count among its "
                "weights: make it with `self.add_weight` of a layer, or as a keras.Variable"
            )
    if not model.trainable_variables:
        raise errors.UserError(f"the model {model.name!r} has no trainable weights to teach: is its `trainable` False?")
    _warn_of_preprocessing(model)


def _reason(error):
    """On one line; Keras puts one that names the layer before the reason, and colours around it."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)  # a KeyError's is quoted otherwise
    lines = [line for line in re.sub(r"\x1b\[\d*m", "", text).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        lines = lines[1:]
    return (lines or [type(error).__name__])[0].strip()[:200]


def _warn_of_preprocessing(model):
    """Before the first weights only: further up such a layer has another purpose."""
    for layer in model._flatten_layers():
        if isinstance(layer, _PREPROCESSING):
            errors.warn(
                f"the model {model.name!r} begins with a {type(layer).__name__} layer, but is fed images that are already "
                "normalised to mean 0 and variance 1: leave the layer out, or the model learns badly"
            )
        if layer._trainable_variables:
            return
