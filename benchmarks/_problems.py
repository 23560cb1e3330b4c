"""The problems that the benchmarks measure."""

import numpy as np
import tensorflow as tf

from tf_gtn import data
from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.teaching import curricula, training, treatments
from tf_gtn.teaching import pixels as pixels_lib

# image size -> (filters, units, batch size)
SIZES = {8: ((32, 64), 64, 64), 28: ((64, 128), 128, 128)}


def images(shape, count=2048):
    """Noise with labels: what it shows does not matter for cost."""
    rng = np.random.default_rng(0)

    def split(n):
        return data.Split(rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, 10, n).astype(np.int32))

    return data.Dataset("noise", split(count), split(16), split(16), tuple("0123456789"))


def training_of(image, families, steps, batch, recompute_every=1, splits=2, pixels=False, loss="every"):
    """A `Training` of the paper's generator (GTN paper, A.1), or of pixels, and a population."""
    dataset, seed = images(tuple(image)), tf.constant([0, 1])
    people = population.Population(families, dataset.image_shape, 10, splits=splits)
    if pixels:
        treatment = pixels_lib.distilled(dataset, steps, batch, seed)
    else:
        codes = curricula.Curriculum(steps, batch, 128, 10, seed)
        treatment = treatments.GTN(generators.conditional(dataset.image_shape, 10), codes, seed)
    sizes = {"outer_steps": 1000, "outer_batch": batch, "recompute_every": recompute_every, "loss": loss}
    return training.Training(dataset, people, treatment, optimizers.SGD(), **sizes)


def fixed(image, learner, filters, units, steps, batch, recompute_every=1):
    """One with a single architecture: `units` is None for one without a fully connected layer, `filters` for an `mlp`."""
    options = {"filters": tuple((f, f) for f in filters)} if filters else {}
    if units:
        options["units"] = (units, units) if filters else ((units, units), (units, units))
    return training_of(image, {learner: options}, steps, batch, recompute_every)


def gtn(size=8, steps=16, recompute_every=1, widths=None, splits=2, **options):
    """A `conv2` population of fixed widths, unless `widths` gives ranges; `options` of `training_of`."""
    filters, units, batch = SIZES[size]
    ranges = widths or {"filters": tuple((f, f) for f in filters), "units": (units, units)}
    return training_of((size, size, 1), {"conv2": ranges}, steps, batch, recompute_every, splits, **options)
