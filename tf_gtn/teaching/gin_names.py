"""The teaching system's gin names, and how the programs put its parts together.

`comparison` runs them as arms of an experiment; `claims` and `figures` say what was found. Names that other systems share
are in `config.registrations`.
"""

import dataclasses
import importlib
from collections.abc import Callable

import gin
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.core import optimizers
from tf_gtn.models import learners as learners_lib
from tf_gtn.reporting import statistics
from tf_gtn.runtime import loop, replicas
from tf_gtn.teaching import closed_loop, curricula, evaluation, export, training, treatments

Training = gin.external_configurable(training.Training, module="teaching", denylist=["auxiliary"])

# Seeds of what a run draws, told apart by their second number.
_GENERATOR, _CURRICULUM, _PIXELS, _CHOICE = range(1, 5)
VALIDATION_SEED, TEST_SEED = 1_000_001, 2_000_003


@gin.configurable(module="teaching")
def inner_loop(steps=32, batch_size=128):
    """Length and batch size of the inner loop, the same for every treatment: `(steps, batch_size)`.

    Defaults: 32 steps (GTN paper, section 3.2), batch 128 (GTN paper, Table 2).
    """
    errors.at_least_one("teaching.inner_loop", steps=steps, batch_size=batch_size)
    return steps, batch_size


@gin.configurable(module="teaching")
def outer_steps(total: int, share=1.0):
    """How many outer steps a training takes: `total`, or an arm's own share of it, such as that which takes equal time.

    At least 1.
    """
    if total < 1:
        raise errors.UserError(f"outer_steps must be at least 1; got {total}")
    if not 0 < share < float("inf"):
        raise errors.UserError(f"teaching.outer_steps.share must be a number above 0; got {share}")
    return max(1, round(total * share))


@gin.configurable(module="teaching")
@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How many fresh learners judge, on how many test images after each inner step (on all after the last), and which
    architectures no learner distribution may hold."""

    validation_learners: int = 10
    test_learners: int = 20
    curve_images: int = 1000
    held_out: tuple = ("depthwise", "conv_plain", "conv_batchnorm", "mlp_plain")

    def __post_init__(self):
        registrations.at_least(1, "teaching.Evaluation", self)
        for name in self.held_out:
            if name not in learners_lib.REGISTRY:
                raise errors.unknown("learner", name, learners_lib.REGISTRY)


@gin.configurable(module="teaching")
def curriculum(dataset, seed, latent, order="full", learned=True, epochs=1, labels="fixed"):
    """Fresh codes, and the order that learners get them in: see `curricula.Curriculum`."""
    steps, batch_size = inner_loop()
    return curricula.Curriculum(
        steps, batch_size, latent, dataset.num_classes, tf.constant([seed, _CURRICULUM]), order, learned, epochs, labels
    )


@gin.configurable(module="teaching")
def gtn(dataset, seed, generator: Callable = registrations.conditional, latent=128, weight_norm=True, closed_loop_units=None):
    """A fresh generator and its codes (`latent`: GTN paper, Table 2); in a closed loop if `closed_loop_units` has a size."""
    errors.at_least_one("teaching.gtn", latent=latent, closed_loop_units=1 if closed_loop_units is None else closed_loop_units)
    model = generator(dataset.image_shape, dataset.num_classes, latent)
    parts = model, curriculum(dataset, seed, latent), tf.constant([seed, _GENERATOR]), weight_norm
    return treatments.GTN(*parts) if closed_loop_units is None else closed_loop.ClosedLoop(*parts, closed_loop_units)


@gin.configurable(module="teaching")
def treatment(dataset, seed, name="gtn"):
    """A fresh treatment by name: gtn, or one of `treatments.REGISTRY` such as distilled and real (GTN paper, section 3.3)."""
    if name != "gtn" and name not in treatments.REGISTRY:
        raise errors.unknown("treatment", name, ["gtn", *treatments.REGISTRY])
    (steps, batch_size), second = inner_loop(), _PIXELS if name == "distilled" else _CHOICE
    made = gtn(dataset, seed) if name == "gtn" else treatments.REGISTRY[name](dataset, steps, batch_size, [seed, second])
    epochs = getattr(getattr(made, "curriculum", None), "epochs", 1)
    if (shown := steps * batch_size // epochs) < dataset.num_classes:
        errors.warn(
            f"a lesson of {shown} images shows at most {shown} of the {dataset.num_classes} classes of {dataset.name}: raise "
            "teaching.inner_loop.steps or batch_size, or no network learns the others"
        )
    return made


def dataset(run):
    """The data set of the configuration."""
    return registrations.load_data(run)


@gin.configurable(module="teaching")
def learners(dataset, distribution: Callable = registrations.Population):
    """The distribution of learners, or the one network that is taught: `@models.Population` or `@models.Given`."""
    return distribution(image_shape=dataset.image_shape, classes=dataset.num_classes)


def population(for_dataset, held_out=()):
    """The configured distribution of learners; `UserError` if it holds an architecture that is to be held out."""
    members = learners(for_dataset)
    seen = {template.family.name for template in members.templates} & set(held_out)
    if seen:
        raise errors.UserError(
            f"{sorted(seen)[0]} is in models.Population.families and in teaching.Evaluation.held_out: "
            "an architecture is trained on or held out"
        )
    return members


def make(for_dataset, seed, held_out=(), strategy=None, auxiliary=None):
    """A `Training`, as configured in the gin scope of the moment."""
    parts = for_dataset, population(for_dataset, held_out), treatment(for_dataset, seed)
    return Training(*parts, seed=seed, strategy=strategy, auxiliary=auxiliary)


def train(trainings, base_dir, schedule, settings, evaluators=None, among=replicas.ALONE, only=True):
    """Runs `loop.train` with validation over fresh learners; `evaluators` are those of an earlier call, with their traces.

    Args:
      among, only: see there.

    Returns:
      `({name: Evaluator}, {name: seconds})`, with the median seconds of an outer step in this process.
    """
    evaluators = evaluators or {name: evaluation.Evaluator.of(t) for name, t in trainings.items()}
    first = next(iter(trainings.values()))

    def validate(name, _):
        accuracies = evaluators[name].accuracies(first.dataset.validation, settings.validation_learners, VALIDATION_SEED)
        mean, (low, high) = statistics.mean_and_interval(accuracies, statistics.SHARE)
        return {"validation_accuracy": mean, "validation_low": low, "validation_high": high}

    seconds = loop.train(trainings, base_dir, validate, **dataclasses.asdict(schedule), among=among, only=only)
    return evaluators, seconds


def export_gtn(trained, directory, accuracies):
    """Exports into `directory` under the number of outer steps; returns the path."""
    mean, interval = statistics.mean_and_interval(accuracies, statistics.SHARE)
    accuracy = {"mean": mean, "ci95": interval, "learners": len(accuracies)}
    meta = export.metadata(trained, gin_config.config_str(), accuracy)
    return export.save(trained, directory, trained.outer_steps, meta)


def export_evaluator(exported, for_dataset, held_out):
    """An `Evaluator` of a loaded export on the configured population."""
    check_fits(exported, for_dataset)
    lesson = exported.lesson()
    rates = {name: lesson[name] for name in ("learning_rate", "momentum")}
    members = population(for_dataset, held_out)
    return evaluation.Evaluator(
        for_dataset, members, treatments.Fixed("gtn", lesson["image"], lesson["label"]), optimizers.SGD(), lambda: rates
    )


def check_fits(exported, for_dataset):
    """Raises `UserError` unless a loaded export was made for images and classes like those of a data set."""
    mine = tuple(exported.metadata["image_shape"]), len(exported.metadata["classes"])
    theirs = tuple(for_dataset.image_shape), for_dataset.num_classes
    if mine != theirs:
        raise errors.UserError(
            f"the export is for {exported.metadata['dataset']} with images {list(mine[0])} in {mine[1]} "
            f"classes; {for_dataset.name} has {list(theirs[0])} in {theirs[1]}"
        )
    for label, (own, other) in enumerate(zip(exported.metadata["classes"], for_dataset.classes)):
        if str(own) != str(other):
            raise errors.UserError(
                f"the export is for the classes of {exported.metadata['dataset']}, whose number {label} is {str(own)!r}; "
                f"that of {for_dataset.name} is {str(other)!r}"
            )
    learned = exported.metadata.get("dataset_fingerprint")
    if learned and not for_dataset.same_test(learned):
        errors.warn(
            f"{for_dataset.name} holds other test images than the data that the export was trained on "
            f"({exported.metadata['dataset']}): some of them may be among its training images"
        )


def load_model(name, exported, modules=()):
    """A saved .keras file, or a fresh network of a registered architecture that fits the export.

    `modules` are imported first: they register learners, or what the file holds beside Keras' own layers.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise errors.UserError(f"--custom_objects={module} can't be imported: {str(error).splitlines()[0]}") from None
    if name in learners_lib.REGISTRY:
        family = learners_lib.family(name, exported.metadata["image_shape"], len(exported.metadata["classes"]))
        return family.build(tuple(high for _, high in family.ranges))
    if not name.endswith(".keras"):
        raise errors.unknown("model (a .keras file or a name)", name, learners_lib.REGISTRY)
    return learners_lib.load(name)
