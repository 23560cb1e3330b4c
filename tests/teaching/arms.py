"""Small trained arms, as analyses take them."""

import tensorflow as tf

from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.teaching import curricula, pixels, training, treatments

MLP = {"mlp": {"units": ((6, 6), (6, 6))}}


def make(dataset, kind="full", steps=3, batch=6, families=None, **options):
    """An untrained `Training`; `kind` is an order of `curricula.ORDERS`, "distilled" or "real"."""
    people = population.Population(families or MLP, dataset.image_shape, dataset.num_classes)
    seed = tf.constant([0, 1])
    if kind == "real":
        chosen = treatments.Real(dataset, steps, batch)
    elif kind == "distilled":
        chosen = pixels.distilled(dataset, steps, batch, seed)
    else:
        generator = generators.conditional(dataset.image_shape, dataset.num_classes, 4, units=8, channels=4, filters=4)
        codes = curricula.Curriculum(steps, batch, 4, dataset.num_classes, seed, kind)
        chosen = treatments.GTN(generator, codes, seed)
    return training.Training(dataset, people, chosen, optimizers.SGD(0.1), outer_steps=10, outer_batch=8, **options)
