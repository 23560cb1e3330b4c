"""What `assets/metadata.json` of an export holds, and what that says of its signatures."""

import math
import numbers
import reprlib
from typing import Any

import tensorflow as tf

from tf_gtn.core import optimizers

VERSION = 3
"""The newest. Exports have the lowest that says all of them, so that earlier versions of the package read what they can: 3 for
another optimiser than SGD, 2 for whitening, 1 for others."""


def _whole(value, low=1):
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _list(value, right, lengths):
    return isinstance(value, list) and len(value) in lengths and all(map(right, value))


def _text(value):
    return isinstance(value, str)


def _normalization(value):
    return (
        isinstance(value, dict)
        and {"mean", "std"} <= set(value)
        and _list(value["mean"], _number, range(1, 2**31))
        and _list(value["std"], lambda v: _number(v) and v > 0, [len(value["mean"])])
    )


def _training(value):
    return isinstance(value, dict) and _whole(value.get("outer_steps"), 0) and _text(value.get("config"))


def _summary(value):
    return value is None or (isinstance(value, dict) and "mean" in value)


_AT_LEAST_ONE = _whole, "an integer of at least 1"
_SUMMARY = _summary, 'null or {"mean", "ci95", "learners"}'

# Name: what is right, in code and in words. Older exports lack the last ones.
FIELDS = {
    "schema_version": _AT_LEAST_ONE,
    "dataset": (_text, "text"),
    "classes": (lambda value: _list(value, _text, range(1, 2**31)), "a list of at least one name"),
    "image_shape": (
        lambda value: _list(value, _whole, (1, 3)),
        "[H, W, C], or [n] for observations, of integers of at least 1",
    ),
    "latent": _AT_LEAST_ONE,
    "inner_steps": _AT_LEAST_ONE,
    "batch_size": _AT_LEAST_ONE,
    "curriculum": (_text, "text"),
    "normalization": (_normalization, 'a finite "mean" and a finite "std" above 0 for each channel'),
    "training": (_training, '{"outer_steps", "seed", "config"}'),
    "accuracy": _SUMMARY,
}
OPTIONAL = {
    "weight_norm": (lambda value: isinstance(value, bool), "true or false"),
    "loss": (lambda value: value in ("cross_entropy", "squared_error"), '"cross_entropy" or "squared_error"'),
    "optimizer": (lambda value: value in (*optimizers.WITH_MOMENTUM,), " or ".join(map(repr, optimizers.WITH_MOMENTUM))),
    "return": _SUMMARY,
    "dataset_fingerprint": (lambda value: _text(value) and value, "text"),
    "whitening": (lambda value: _number(value) and value >= 0, "a finite number of at least 0"),
    "pixel_range": (
        lambda value: _list(value, _number, [2]) and value[0] < value[1],
        "[low, high], two finite numbers, the lower one first",
    ),
}


def check(metadata: Any) -> None:
    """Raises `ValueError` for the first field that is missing or wrong."""
    if not isinstance(metadata, dict):
        raise ValueError("metadata.json must be an object with fields")
    for name, (right, words) in {**FIELDS, **OPTIONAL}.items():
        if name not in metadata and name in FIELDS:
            raise ValueError(f"metadata.json says no {name}, which must be {words}")
        if name in metadata and not right(metadata[name]):
            raise ValueError(f"metadata.json: {name} must be {words}; got {reprlib.repr(metadata[name])}")
    channels, means = metadata["image_shape"][-1], len(metadata["normalization"]["mean"])
    if means not in (1, channels):
        raise ValueError(f"metadata.json: normalization is for {means} channels, image_shape has {channels}")


def signatures(metadata: dict[str, Any]) -> dict[str, tuple[dict, dict]]:
    """`{signature: (inputs, outputs)}`, each `{name: shape}`, as metadata says they are."""
    image, label = metadata["image_shape"], [len(metadata["classes"])]
    batch = [None, metadata["batch_size"]]
    whiten = {"whiten": ({"image": [None, *image]}, {"image": [None, *image]})} if "whitening" in metadata else {}
    return {
        **whiten,
        "generate": ({"noise": [None, metadata["latent"]], "label": [None, *label]}, {"image": [None, *image]}),
        "curriculum": (
            {"step": [None]},
            {"image": [*batch, *image], "label": [*batch, *label], "learning_rate": [None], "momentum": [None]},
        ),
    }


def check_signatures(metadata: dict[str, Any], graph: Any) -> None:
    """Raises `ValueError` unless the signatures of a `MetaGraphDef` are as metadata says; makes no tensor.

    The number of inner steps is the length of the schedule that the export keeps.
    """
    for name, sides in signatures(metadata).items():
        if name not in graph.signature_def:
            raise ValueError(f"it has no signature {name!r}")
        signature = graph.signature_def[name]
        for declared, actual in zip(sides, (signature.inputs, signature.outputs)):
            for tensor, shape in declared.items():
                has = tf.TensorShape(actual[tensor].tensor_shape) if tensor in actual else None
                if has is None or not has.is_compatible_with(shape):
                    in_signature = "none" if has is None else _in_words(has)
                    raise ValueError(
                        f"by metadata.json {tensor!r} of {name!r} is {_in_words(shape)}, by its signature {in_signature}"
                    )
    length = _schedule_length(graph.object_graph_def.nodes)
    if length != metadata["inner_steps"]:
        raise ValueError(f"by metadata.json it has {metadata['inner_steps']} inner steps, by its schedule {length}")


def _in_words(shape):
    shape = tf.TensorShape(shape)
    return "of any shape" if shape.rank is None else f"[{', '.join('n' if d is None else str(d) for d in shape)}]"


def _schedule_length(nodes):
    node = nodes[0]
    for name in ("_schedule", "learning_rate"):
        following = [child.node_id for child in node.children if child.local_name == name]
        if not following or following[0] >= len(nodes):
            return None
        node = nodes[following[0]]
    return node.variable.shape.dim[0].size if len(node.variable.shape.dim) == 1 else None
