"""Tiny problems for the tests of teaching."""

import tensorflow as tf

from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.teaching import curricula, training, treatments

CONV = {"conv2": {"filters": ((2, 5), (3, 6)), "units": (4, 4)}}
MLP = {"mlp": {"units": ((4, 4), (4, 4))}}


def make(dataset, treatment="gtn", steps=3, families=CONV, **options):
    """A `Training` of `steps` inner steps on batches of 6."""
    people = population.Population(families, dataset.image_shape, dataset.num_classes)
    seed = tf.constant([0, 1])
    if treatment == "gtn":
        generator = generators.conditional(dataset.image_shape, dataset.num_classes, 4, units=8, channels=4, filters=4)
        chosen = treatments.GTN(generator, curricula.FullCurriculum(steps, 6, 4, dataset.num_classes, seed), seed)
    elif treatment == "distilled":
        chosen = treatments.Distilled(steps, 6, dataset.image_shape, dataset.num_classes, seed)
    else:
        chosen = treatments.Real(dataset, steps, 6)
    options = {"outer_steps": 10, "outer_batch": 8, **options}
    return training.Training(dataset, people, chosen, optimizers.SGD(), **options)
