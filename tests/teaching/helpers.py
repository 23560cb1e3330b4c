"""Tiny problems for the tests of teaching."""

import contextlib
import json
import shutil

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.teaching import closed_loop, curricula, pixels, training, treatments

CONV = {"conv2": {"filters": ((2, 5), (3, 6)), "units": (4, 4)}}
MLP = {"mlp": {"units": ((4, 4), (4, 4))}}


def make(dataset, treatment="gtn", steps=3, families=CONV, curriculum=None, generator=generators.conditional, **options):
    """A `Training` of `steps` inner steps on batches of 6; `curriculum` has options of a `Curriculum`."""
    people = population.Population(families, dataset.image_shape, dataset.num_classes)
    seed = tf.constant([0, 1])
    if treatment in ("gtn", "closed_loop"):
        model = generator(dataset.image_shape, dataset.num_classes, 4, units=8, channels=4, filters=4)
        codes = curricula.Curriculum(steps, 6, 4, dataset.num_classes, seed, **(curriculum or {}))
        chosen = (
            treatments.GTN(model, codes, seed) if treatment == "gtn" else closed_loop.ClosedLoop(model, codes, seed, units=5)
        )
    elif treatment == "distilled":
        chosen = pixels.distilled(dataset, steps, 6, seed)
    elif treatment == "real":
        chosen = treatments.Real(dataset, steps, 6)
    else:
        chosen = treatments.REGISTRY[treatment](dataset, steps, 6, [0, 4])
    options = {"outer_steps": 10, "outer_batch": 8, **options}
    return training.Training(dataset, people, chosen, optimizers.SGD(), **options)


def batches(treatment):
    """Images [T, B, H, W, C] and labels [T, B, classes] of an open-loop treatment."""
    params, xs = treatment.params(), treatment.xs(tf.constant([3, 4]))
    steps = [tf.nest.pack_sequence_as(xs, row) for row in zip(*map(tf.unstack, tf.nest.flatten(xs)))]
    return tuple(np.stack(part) for part in zip(*(treatment.batch(params, x) for x in steps)))


def copy(exported, tmp_path):
    """A copy of an export, as version 10."""
    return shutil.copytree(exported, tmp_path / "export" / "10")


def altered(exported, tmp_path, **fields):
    """A copy with other fields in its metadata, of a time without checksums; `...` leaves a field out."""
    target = copy(exported, tmp_path)
    (target / "assets.extra" / "sha256.json").unlink()
    file = target / "assets" / "metadata.json"
    meta = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in meta.items() if value is not ...}))
    return target


@contextlib.contextmanager
def edited_graph(folder):
    """The `MetaGraphDef` of a SavedModel, which is written back."""
    file, saved = folder / "saved_model.pb", saved_model_pb2.SavedModel()
    saved.ParseFromString(file.read_bytes())
    yield saved.meta_graphs[0]
    file.write_bytes(saved.SerializeToString())
