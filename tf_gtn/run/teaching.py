"""What gin can set in the teaching programs, and how they put their parts together.

Every name that a gin file of `gin/teaching/` binds is registered here; a binding's way into the code starts in this file.
"""

import dataclasses
import os
from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from tf_gtn import data, errors
from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.models import learners as learners_lib
from tf_gtn.run import gin_config, loop
from tf_gtn.teaching import curricula, evaluation, export, training, treatments

load_data = gin.external_configurable(data.load, "load", module="data")
Population = gin.external_configurable(population.Population, module="models")
conditional = gin.external_configurable(generators.conditional, module="generators")
Training = gin.external_configurable(training.Training, module="teaching")
for _optimizer in (optimizers.SGD, optimizers.RMSProp, optimizers.Adam):
    gin.external_configurable(_optimizer, module="optimizers")

# Seeds of what a run draws, told apart by their second number.
_GENERATOR, _CURRICULUM, _PIXELS = range(1, 4)
VALIDATION_SEED, TEST_SEED = 1_000_001, 2_000_003

TREATMENTS = ("gtn", "distilled", "real")


@gin.configurable(module="teaching")
def inner_loop(steps=32, batch_size=128):
    """Length and batch size of the inner loop, the same for every treatment: `(steps, batch_size)`.

    Defaults: 32 steps (seed 001, section 3.2), batch 128 (seed 000, Table 2).
    """
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise errors.UserError(f"inner_loop.{name} must be at least 1; got {value}")
    return steps, batch_size


@gin.configurable(module="teaching")
@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a run logs, saves and validates (in outer steps), and how many fresh learners judge."""

    log_every: int = 10
    checkpoint_every: int = 100
    validate_every: int = 100
    validation_learners: int = 10
    test_learners: int = 20


@gin.configurable(module="teaching")
def gtn(dataset, seed, generator: Callable = conditional, latent=128, weight_norm=True):
    """A fresh generator with a full curriculum. `latent`: seed 000, Table 2."""
    steps, batch_size = inner_loop()
    shape, classes = dataset.image_shape, dataset.num_classes
    curriculum = curricula.FullCurriculum(steps, batch_size, latent, classes, tf.constant([seed, _CURRICULUM]))
    return treatments.GTN(generator(shape, classes, latent), curriculum, tf.constant([seed, _GENERATOR]), weight_norm)


def treatment(name, dataset, seed):
    """A fresh treatment by name."""
    if name == "gtn":
        return gtn(dataset, seed)
    if name == "distilled":
        return treatments.Distilled(*inner_loop(), dataset.image_shape, dataset.num_classes, tf.constant([seed, _PIXELS]))
    if name == "real":
        return treatments.Real(dataset, *inner_loop())
    raise errors.unknown("treatment", name, TREATMENTS)


def dataset(run):
    """The data set of the configuration."""
    return load_data(tfds_data_dir=run.tfds_data_dir)


def learners(of):
    """The configured distribution of learners for a data set."""
    return Population(image_shape=of.image_shape, classes=of.num_classes)


def make(names, of, seed):
    """`{name: Training}`, with one population and the same draws for all of them."""
    members = learners(of)
    return {name: Training(of, members, treatment(name, of, seed), seed=seed) for name in names}


def train(trainings, base_dir, schedule):
    """Runs `loop.train` with validation over fresh learners; returns `{name: Evaluator}`."""
    evaluators = {name: evaluation.Evaluator.of(t) for name, t in trainings.items()}
    first = next(iter(trainings.values()))

    def validate(name, _):
        accuracies = evaluators[name].accuracies(first.dataset.validation, schedule.validation_learners, VALIDATION_SEED)
        mean, (low, high) = evaluation.bootstrap(accuracies)
        return {"validation_accuracy": mean, "validation_low": low, "validation_high": high}

    loop.train(
        trainings, base_dir, first.outer_steps, validate, schedule.log_every, schedule.checkpoint_every, schedule.validate_every
    )
    return evaluators


@gin.configurable(module="teaching")
def held_out_architectures(names=("depthwise", "conv_plain", "conv_batchnorm", "mlp_plain")):
    """Architectures outside the population that the GTN is tested on."""
    for name in names:
        if name not in learners_lib.REGISTRY:
            raise errors.unknown("learner", name, learners_lib.REGISTRY)
    return tuple(names)


def export_gtn(trained, base_dir, accuracies):
    """Exports under the number of outer steps; returns the path."""
    mean, interval = evaluation.bootstrap(accuracies)
    accuracy = {"mean": mean, "ci95": list(interval), "learners": len(accuracies)}
    meta = export.metadata(trained, gin_config.config_str(), accuracy)
    return export.save(trained, os.path.join(base_dir, "export"), trained.outer_steps, meta)


def export_evaluator(gtn, of):
    """An `Evaluator` of a loaded export on the configured population."""
    check_fits(gtn, of)
    lesson = gtn.lesson()
    schedule = {name: lesson[name] for name in ("learning_rate", "momentum")}
    return evaluation.Evaluator(of, learners(of), treatments.Exported(lesson), optimizers.SGD(), lambda: schedule)


def check_fits(gtn, of):
    """Raises `UserError` unless a loaded export was made for images and classes like those of a data set."""
    mine = tuple(gtn.metadata["image_shape"]), len(gtn.metadata["classes"])
    theirs = tuple(of.image_shape), of.num_classes
    if mine != theirs:
        raise errors.UserError(
            f"the export is for {gtn.metadata['dataset']} with images {list(mine[0])} in {mine[1]} classes; "
            f"{of.name} has {list(theirs[0])} in {theirs[1]}"
        )


def load_model(name, gtn):
    """A saved .keras file, or a fresh network of a registered architecture that fits the export."""
    if name in learners_lib.REGISTRY:
        family = learners_lib.family(name, gtn.metadata["image_shape"], len(gtn.metadata["classes"]))
        return family.build(tuple(high for _, high in family.ranges))
    if not name.endswith(".keras"):
        raise errors.unknown("model (a .keras file or a name)", name, learners_lib.REGISTRY)
    if not tf.io.gfile.exists(name):
        raise errors.UserError(f"there is no model at {name}")
    try:
        return keras.saving.load_model(name, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise errors.UserError(f"{name} can't be read as a Keras model: {str(error).strip().splitlines()[0][:200]}") from None


def test_accuracy(model, gtn, split):
    """Share of a split's raw images that a taught Keras model classifies right."""
    predicted = model.predict(gtn.normalize(split.images), verbose=0).argmax(-1)
    return float((predicted == split.labels).mean())


def metrics(curves, unseen=None):
    """The numbers of `results.json`: mean and interval of the test accuracy of each treatment and held-out architecture.

    Args:
      curves: `{treatment: accuracies [learners, T + 1]}`.
      unseen: `{architecture: held_out.compare(...)}`.
    """
    result = {name: _accuracy(curve[:, -1]) for name, curve in curves.items()}
    if unseen:
        result["held_out"] = {
            name: {
                "gtn": _accuracy(found["gtn"]),
                "real": _accuracy(found["real"]),
                "limits": found["limits"],
                "real_learning_rate": found["real_rate"][0],
                "real_momentum": found["real_rate"][1],
            }
            for name, found in unseen.items()
        }
    return result


def _accuracy(accuracies):
    mean, interval = evaluation.bootstrap(accuracies)
    return {
        "test_accuracy": mean,
        "ci95": list(interval),
        "learners": len(accuracies),
        "accuracies": [float(a) for a in accuracies],
    }
