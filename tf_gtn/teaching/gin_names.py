"""The teaching system's gin names, and how the programs put its parts together.

Names that other systems share are in `config.registrations`.
"""

from collections.abc import Callable, Collection
from typing import Any

import gin
import tensorflow as tf

from tf_gtn import arguments, data
from tf_gtn.config import registrations
from tf_gtn.experiment import program
from tf_gtn.models import population as populations
from tf_gtn.teaching import analyses as _analyses  # noqa: F401 - registers them
from tf_gtn.teaching import (
    assembly,
    curricula,
    evaluation,
    experiment,
    loading,
    pixels,
    protocols,
    starts,
    training,
    treatments,
    tuning,
)

Training = gin.external_configurable(training.Training, module="teaching", denylist=["auxiliary"])


@gin.configurable(module="teaching")
@arguments.checked("teaching.inner_loop")
def inner_loop(steps: arguments.Count = 32, batch_size: arguments.Count = 128) -> tuple[int, int]:
    """Length and batch size of the inner loop, the same for every treatment: `(steps, batch_size)`.

    Defaults: 32 steps (GTN paper, section 3.2), batch 128 (GTN paper, Table 2).
    """
    return steps, batch_size


@gin.configurable(module="teaching")
@arguments.checked("teaching.outer_steps")
def outer_steps(total: arguments.Count, share: arguments.Positive = 1.0) -> int:
    """How many outer steps a training takes, at least 1: `total`, or an arm's share of it, as for arms that take equal time."""
    return max(1, round(total * share))


Evaluation = gin.external_configurable(experiment.Evaluation, module="teaching")
Comparison = gin.external_configurable(experiment.Comparison, module="teaching")
Tuning = gin.external_configurable(tuning.Tuning, module="teaching")


@gin.configurable(module="teaching")
def curriculum(
    dataset: data.Dataset,
    seed: int,
    latent: int,
    order: curricula.Order = "full",
    learned: bool = True,
    epochs: arguments.Count = 1,
    labels: curricula.Labels = "fixed",
) -> curricula.Curriculum:
    """Fresh codes, and the order that learners get them in: see `curricula.Curriculum`."""
    options = {"order": order, "learned": learned, "epochs": epochs, "labels": labels}
    return assembly.curriculum(dataset, seed, latent, *inner_loop(), **options)


@gin.configurable(module="teaching")
@arguments.checked("teaching.gtn")
def gtn(
    dataset: data.Dataset,
    seed: int,
    generator: Callable = registrations.conditional,
    latent: arguments.Count = assembly.LATENT,
    weight_norm: bool = True,
    closed_loop_units: arguments.Count | None = None,
    start: starts.Start = "noise",
) -> treatments.GTN:
    """A fresh generator and its codes of length `latent`; in a closed loop if `closed_loop_units` has a size."""
    return assembly.gtn(dataset, seed, curriculum(dataset, seed, latent), generator, weight_norm, closed_loop_units, start)


_FILLED = ["dataset", "inner_steps", "batch_size", "seed"]
_WITH_SETTINGS = {
    name: gin.external_configurable(function, name, module="teaching", denylist=_FILLED)
    for name, function in (("distilled", pixels.distilled), ("bases", pixels.bases))
}


@gin.configurable(module="teaching")
def treatment(dataset: data.Dataset, seed: int, name: str = "gtn") -> protocols.Treatment:
    """A fresh treatment by name: gtn, or one of `treatments.REGISTRY` such as distilled and real (GTN paper, section 3.3)."""
    steps, batch_size = inner_loop()
    return assembly.treatment(dataset, seed, name, steps, batch_size, lambda: gtn(dataset, seed), _WITH_SETTINGS)


def dataset(run: program.Run) -> data.Dataset:
    """The data set of the configuration."""
    return registrations.load_data(run)


@gin.configurable(module="teaching")
def learners(dataset: data.Dataset, distribution: Callable = registrations.Population) -> populations.Distribution:
    """The distribution of learners, or the one network that is taught: `@models.Population` or `@models.Given`."""
    return distribution(image_shape=dataset.image_shape, classes=dataset.num_classes)


def population(for_dataset: data.Dataset, held_out: Collection[str] = ()) -> populations.Distribution:
    """The configured distribution of learners; `UserError` if it holds an architecture that is to be held out."""
    members = learners(for_dataset)
    assembly.check_held_out(members, held_out)
    return members


def make(
    for_dataset: data.Dataset,
    seed: int,
    held_out: Collection[str] = (),
    strategy: tf.distribute.Strategy | None = None,
    auxiliary: protocols.Auxiliary | None = None,
) -> training.Training:
    """A `Training`, as configured in the gin scope of the moment."""
    parts = for_dataset, population(for_dataset, held_out), treatment(for_dataset, seed)
    made = Training(*parts, seed=seed, strategy=strategy, auxiliary=auxiliary)
    if made.augment is not None:
        made.augment = _configured_here(made.augment)
    return made


def _configured_here(function):
    """A function that gin configures where it is called, configured as in the scope of the moment."""
    scope = gin.current_scope_str()

    def configured(*args):
        with gin.config_scope(scope or None):
            return function(*args)

    return configured


def comparison(run: program.Run, **settings: Any) -> experiment.Comparison:
    """The experiment of the configuration, or of these `settings`."""
    learned, tests = dataset(run), Evaluation()
    compared = Comparison(**settings)
    return compared.given(learned, tests, lambda seed: make(learned, seed, tests.held_out, run.among.strategy))


def tuned(run: program.Run) -> tuning.Tuning:
    """The search of the configuration."""
    return Tuning().given(run, tuning.without_test(dataset(run)), Evaluation(), make)


def export_evaluator(exported: loading.LoadedGTN, for_dataset: data.Dataset, held_out: Collection[str]) -> evaluation.Evaluator:
    """An `Evaluator` of a loaded export on the configured population."""
    return assembly.export_evaluator(exported, for_dataset, population(for_dataset, held_out))
