"""The transfer system's gin names, and how the program puts its parts together."""

from collections.abc import Callable
from typing import Any

import gin

from tf_gtn import arguments, errors
from tf_gtn.config import registrations
from tf_gtn.core import Functional
from tf_gtn.data import alphabets as sources
from tf_gtn.data import dataset
from tf_gtn.experiment import program
from tf_gtn.models import convolutional
from tf_gtn.transfer import continual, experiment, leap, methods, tasks

Inner = gin.external_configurable(methods.Inner, module="transfer")
Manifold = gin.external_configurable(leap.Manifold, module="transfer")
for _method in (
    methods.Leap,
    methods.Reptile,
    methods.MAML,
    methods.FirstOrderMAML,
    methods.Finetuning,
    methods.NoPretraining,
    continual.HAT,
    continual.ProgressiveNets,
):
    gin.external_configurable(_method, module="transfer")
four_modules = gin.external_configurable(
    convolutional.four_modules, module="convolutional", denylist=["image_shape", "classes"]
)


@gin.configurable(module="transfer", denylist=["run", "seed"])
def alphabets(
    run: program.Run,
    seed: int,
    name: str = "glyphs",
    classes: arguments.Count = 20,
    held_out: arguments.Count = 5,
    rotated: bool = False,
    image_size: tuple[int, int] | None = None,
) -> tasks.Tasks:
    """One alphabet per task: see `tasks.of_alphabets`; `name`: glyphs, or omniglot for those who have it."""
    images = sources.load(name, tfds_data_dir=run.tfds_data_dir, image_size=image_size)
    run.uses(name, dataset.fingerprint(images, *images.values()))
    return tasks.of_alphabets(images, classes, held_out, seed, rotated)


@gin.configurable(module="transfer", denylist=["run", "seed"])
def data_sets(
    run: program.Run,
    seed: int,
    sources: dict[str, tuple[str, str]],
    image_size: tuple[int, int] | None = (28, 28),
    samples: arguments.Count = 100,
    held_out: arguments.Count = 20,
    color: bool = False,
) -> tasks.Tasks:
    """One data set per task: see `tasks.of_data_sets`; `sources`: `{task: (data set, variant)}`, variants of `tasks.VARIANTS`.

    `color`: grey images are given three equal channels, so that they go with others.
    """
    by_task = {}
    for task, (name, variant) in sources.items():
        if variant not in tasks.VARIANTS:
            raise errors.unknown("variant of a data set", variant, tasks.VARIANTS)
        loaded = registrations.load_data(run, name, image_size=image_size)
        by_task[task] = tasks.VARIANTS[variant](tasks.in_color(loaded) if color else loaded)
    return tasks.of_data_sets(by_task, samples, held_out, seed)


@gin.configurable(module="transfer", denylist=["run", "seed"])
def protocol(run: program.Run, seed: int, tasks: Callable = alphabets) -> Any:
    """The tasks: `@transfer.alphabets` or `@transfer.data_sets`."""
    return tasks(run, seed)


@gin.configurable(module="transfer", denylist=["from_tasks"])
def network(from_tasks: tasks.Tasks, make: Callable = four_modules) -> Functional:
    """The network for tasks, as a pure function."""
    return Functional(make(from_tasks.image_shape, from_tasks.classes))


@gin.configurable(module="transfer", denylist=["pretraining_tasks", "count", "seed"])
def arm(
    pretraining_tasks: tasks.Tasks,
    count: int,
    seed: int,
    outer_steps: arguments.Count,
    method: Callable,
    inner: Callable = Inner,
    meta_batch_size: arguments.Count = 20,
    encoder_only: bool = False,
    patience: arguments.Whole = 0,
) -> methods.Method:
    """A fresh method on the first `count` of the tasks.

    Args:
      pretraining_tasks: those to choose from.
      count, seed: see `methods.Method`.
      outer_steps, meta_batch_size, encoder_only, patience: see `methods.Method`.
      method: `@transfer.Leap` or another of those above, whose own settings are its parameters.
      inner: `@transfer.Inner`.
    """
    functional = network(pretraining_tasks)
    return method(functional, pretraining_tasks, count, inner(), seed, outer_steps, meta_batch_size, encoder_only, patience)


@gin.configurable(module="transfer")
def learning(inner: Callable = Inner) -> methods.Inner:
    """How new tasks are learned: `@transfer.Inner`."""
    return inner()


Experiment = gin.external_configurable(experiment.Transfer, "Experiment", module="transfer")


def transfer(run: program.Run) -> experiment.Transfer:
    """The experiment of the configuration."""

    def tasks_of(seed):
        with gin.config_scope(None):  # the same for all arms
            return protocol(run, seed)

    return Experiment().given(tasks_of, arm, learning)
