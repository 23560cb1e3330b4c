"""The teaching system's gin names, and how the programs put its parts together.

Names that other systems share are in `config.registrations`.
"""

from collections.abc import Callable

import gin

from tf_gtn import errors
from tf_gtn.config import registrations
from tf_gtn.experiment import program
from tf_gtn.teaching import analyses as _analyses  # noqa: F401 - registers them
from tf_gtn.teaching import assembly, experiment, training, tuning

Training = gin.external_configurable(training.Training, module="teaching", denylist=["auxiliary"])


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


Evaluation = gin.external_configurable(experiment.Evaluation, module="teaching")
Comparison = gin.external_configurable(experiment.Comparison, module="teaching")
Tuning = gin.external_configurable(tuning.Tuning, module="teaching")


@gin.configurable(module="teaching")
def curriculum(dataset, seed, latent, order="full", learned=True, epochs=1, labels="fixed"):
    """Fresh codes, and the order that learners get them in: see `curricula.Curriculum`."""
    options = {"order": order, "learned": learned, "epochs": epochs, "labels": labels}
    return assembly.curriculum(dataset, seed, latent, *inner_loop(), **options)


@gin.configurable(module="teaching")
def gtn(
    dataset,
    seed,
    generator: Callable = registrations.conditional,
    latent=assembly.LATENT,
    weight_norm=True,
    closed_loop_units=None,
):
    """A fresh generator and its codes of length `latent`; in a closed loop if `closed_loop_units` has a size."""
    errors.at_least_one("teaching.gtn", latent=latent, closed_loop_units=1 if closed_loop_units is None else closed_loop_units)
    return assembly.gtn(dataset, seed, curriculum(dataset, seed, latent), generator, weight_norm, closed_loop_units)


@gin.configurable(module="teaching")
def treatment(dataset, seed, name="gtn"):
    """A fresh treatment by name: gtn, or one of `treatments.REGISTRY` such as distilled and real (GTN paper, section 3.3)."""
    return assembly.treatment(dataset, seed, name, *inner_loop(), lambda: gtn(dataset, seed))


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
    assembly.check_held_out(members, held_out)
    return members


def make(for_dataset, seed, held_out=(), strategy=None, auxiliary=None):
    """A `Training`, as configured in the gin scope of the moment."""
    parts = for_dataset, population(for_dataset, held_out), treatment(for_dataset, seed)
    return Training(*parts, seed=seed, strategy=strategy, auxiliary=auxiliary)


def comparison(run: program.Run, **settings) -> experiment.Comparison:
    """The experiment of the configuration, or of these `settings`."""
    learned, tests = dataset(run), Evaluation()
    chosen = Comparison(**settings)
    return chosen.given(learned, tests, lambda seed: make(learned, seed, tests.held_out, run.among.strategy))


def tuned(run: program.Run) -> tuning.Tuning:
    """The search of the configuration."""
    return Tuning().given(tuning.without_test(dataset(run)), Evaluation(), make)


def export_evaluator(exported, for_dataset, held_out):
    """An `Evaluator` of a loaded export on the configured population."""
    return assembly.export_evaluator(exported, for_dataset, population(for_dataset, held_out))
