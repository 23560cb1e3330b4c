"""The rim's side of the teaching system: its gin names, and how the programs put its parts together.

`teaching_claims` and `teaching_figures` say what was found. Names that other systems share are in `registrations`.
"""

import dataclasses
import os
import zipfile
from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import optimizers
from tf_gtn.models import learners as learners_lib
from tf_gtn.run import loop
from tf_gtn.run.config import gin_config, registrations
from tf_gtn.run.findings import statistics
from tf_gtn.teaching import curricula, evaluation, export, training, treatments

Training = gin.external_configurable(training.Training, module="teaching")

# Seeds of what a run draws, told apart by their second number.
_GENERATOR, _CURRICULUM, _PIXELS = range(1, 4)
VALIDATION_SEED, TEST_SEED = 1_000_001, 2_000_003

TREATMENTS = ("gtn", "distilled", "real")


@gin.configurable(module="teaching")
def inner_loop(steps=32, batch_size=128):
    """Length and batch size of the inner loop, the same for every treatment: `(steps, batch_size)`.

    Defaults: 32 steps (GTN paper, section 3.2), batch 128 (GTN paper, Table 2).
    """
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise errors.UserError(f"teaching.inner_loop.{name} must be at least 1; got {value}")
    return steps, batch_size


@gin.configurable(module="teaching")
@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How many fresh learners judge, which unseen architectures are tried, and the accuracy that is claimed, if any."""

    validation_learners: int = 10
    test_learners: int = 20
    held_out: tuple = ("depthwise", "conv_plain", "conv_batchnorm", "mlp_plain")
    claimed_accuracy: float | None = None

    def __post_init__(self):
        registrations.at_least(1, "teaching.Evaluation", self)
        for name in self.held_out:
            if name not in learners_lib.REGISTRY:
                raise errors.unknown("learner", name, learners_lib.REGISTRY)


@gin.configurable(module="teaching")
def gtn(dataset, seed, generator: Callable = registrations.conditional, latent=128, weight_norm=True):
    """A fresh generator with a full curriculum. `latent`: GTN paper, Table 2."""
    if latent < 1:
        raise errors.UserError(f"teaching.gtn.latent must be at least 1; got {latent}")
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
    return registrations.load_data(tfds_data_dir=run.tfds_data_dir)


def population(for_dataset, held_out=()):
    """The configured distribution of learners; `UserError` if it holds an architecture that is to be held out."""
    members = registrations.Population(image_shape=for_dataset.image_shape, classes=for_dataset.num_classes)
    seen = {template.family.name for template in members.templates} & set(held_out)
    if seen:
        raise errors.UserError(
            f"{sorted(seen)[0]} is in models.Population.families and in teaching.Evaluation.held_out: "
            "an architecture is trained on or held out"
        )
    return members


def make(names, for_dataset, seed, held_out=()):
    """`{treatment: Training}`, with one population and the same draws for all of them."""
    members = population(for_dataset, held_out)
    return {name: Training(for_dataset, members, treatment(name, for_dataset, seed), seed=seed) for name in names}


def train(trainings, base_dir, schedule, settings):
    """Runs `loop.train` with validation over fresh learners; returns `{name: Evaluator}`."""
    evaluators = {name: evaluation.Evaluator.of(t) for name, t in trainings.items()}
    first = next(iter(trainings.values()))

    def validate(name, _):
        accuracies = evaluators[name].accuracies(first.dataset.validation, settings.validation_learners, VALIDATION_SEED)
        mean, (low, high) = statistics.mean_and_interval(accuracies)
        return {"validation_accuracy": mean, "validation_low": low, "validation_high": high}

    loop.train(trainings, base_dir, first.outer_steps, validate, **dataclasses.asdict(schedule))
    return evaluators


def export_gtn(trained, base_dir, accuracies):
    """Exports under the number of outer steps; returns the path."""
    mean, interval = statistics.mean_and_interval(accuracies)
    accuracy = {"mean": mean, "ci95": interval, "learners": len(accuracies)}
    meta = export.metadata(trained, gin_config.config_str(), accuracy)
    return export.save(trained, os.path.join(base_dir, "export"), trained.outer_steps, meta)


def export_evaluator(exported, for_dataset, held_out):
    """An `Evaluator` of a loaded export on the configured population."""
    check_fits(exported, for_dataset)
    lesson = exported.lesson()
    rates = {name: lesson[name] for name in ("learning_rate", "momentum")}
    members = population(for_dataset, held_out)
    return evaluation.Evaluator(for_dataset, members, treatments.Exported(lesson), optimizers.SGD(), lambda: rates)


def check_fits(exported, for_dataset):
    """Raises `UserError` unless a loaded export was made for images and classes like those of a data set."""
    mine = tuple(exported.metadata["image_shape"]), len(exported.metadata["classes"])
    theirs = tuple(for_dataset.image_shape), for_dataset.num_classes
    if mine != theirs:
        raise errors.UserError(
            f"the export is for {exported.metadata['dataset']} with images {list(mine[0])} in {mine[1]} "
            f"classes; {for_dataset.name} has {list(theirs[0])} in {theirs[1]}"
        )


def load_model(name, exported):
    """A saved .keras file, or a fresh network of a registered architecture that fits the export."""
    if name in learners_lib.REGISTRY:
        family = learners_lib.family(name, exported.metadata["image_shape"], len(exported.metadata["classes"]))
        return family.build(tuple(high for _, high in family.ranges))
    if not name.endswith(".keras"):
        raise errors.unknown("model (a .keras file or a name)", name, learners_lib.REGISTRY)
    if not tf.io.gfile.exists(name):
        raise errors.UserError(f"there is no model at {name}")
    if not zipfile.is_zipfile(name):
        raise errors.UserError(f"{name} is not a whole .keras file")
    try:
        return keras.saving.load_model(name, compile=False, safe_mode=True)
    except Exception as error:  # a broken file can raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise errors.UserError(f"{name} can't be read as a Keras model: {reason}") from None


def test_accuracy(model, exported, split):
    """Share of a split's raw images that a taught Keras model classifies right."""
    predicted = model.predict(exported.normalize(split.images), verbose=0).argmax(-1)
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
                "real_setting": dict(zip(("learning_rate", "momentum", "decay"), found["real_setting"])),
            }
            for name, found in unseen.items()
        }
    return result


def _accuracy(accuracies):
    mean, interval = statistics.mean_and_interval(accuracies)
    return {"test_accuracy": mean, "ci95": interval, "learners": len(accuracies), "accuracies": [float(a) for a in accuracies]}
