"""What gin can configure whatever the system: data, models, inner optimisers, the schedule of a run."""

import contextlib
import dataclasses
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import gin

from tf_gtn import arguments, data, errors
from tf_gtn.core import estimators, optimizers
from tf_gtn.data import augmentation
from tf_gtn.models import generators, population

_load_data = gin.external_configurable(data.load, "load", module="data")
Population = gin.external_configurable(population.Population, module="models")
Given = gin.external_configurable(population.Given, module="models")


def _known_to_gin(name, make):
    """A generator as `@generators.<name>`; gin takes one again only where it is told to."""
    again = gin.config.interactive_mode() if name in generators.REGISTRY else contextlib.nullcontext()
    try:
        with again:
            gin.external_configurable(make, name, module="generators")
    except ValueError:
        raise errors.UserError(f"gin knows a generators.{name} already: take another name") from None


generators.REGISTRY.listen(_known_to_gin)
conditional = gin.get_configurable("generators.conditional")
gin.external_configurable(augmentation.random_crop_flip, module="augmentation")
for _estimator in (estimators.Full, estimators.Truncated, estimators.ES, estimators.PES, estimators.ESBackprop):
    gin.external_configurable(_estimator, module="estimators")
for _optimizer in (optimizers.SGD, optimizers.RMSProp, optimizers.Adam):
    gin.external_configurable(_optimizer, module="optimizers")


def load_data(run: Any, *args: Any, **options: Any) -> data.Dataset:
    """`data.load` as configured, for a run that then resumes on the same content alone (`app.Run.uses`)."""
    loaded = _load_data(*args, tfds_data_dir=run.tfds_data_dir, **options)
    run.uses(loaded.name, loaded.fingerprint)
    return loaded


@gin.configurable(module="run")
@dataclasses.dataclass(frozen=True)
@arguments.checked("run.Schedule")
class Schedule:
    """When a run logs, saves and validates, in outer steps."""

    log_every: arguments.Count = 10
    checkpoint_every: arguments.Count = 100
    validate_every: arguments.Count = 100


def at_least(lowest: int, where: str, values: Any) -> None:
    """Raises `UserError` for an integer field of a dataclass below `lowest`."""
    for name, value in dataclasses.asdict(values).items():
        if isinstance(value, int) and not isinstance(value, bool):
            arguments.check(f"{where}.{name}", Annotated[int, arguments.at_least(lowest)], value)


check_effect = arguments.no_effect


def check_arms(where: str, arms: Sequence[str], taken: Collection[str] = ()) -> None:
    """Raises `UserError` unless an experiment's arms are different names that can be gin scopes, and not among `taken`."""
    if not arms or len(set(arms)) < len(arms):
        raise errors.UserError(f"{where}.arms are different names, at least one; got {arms!r}")
    for name in arms:
        if not name.isidentifier() or name in taken:
            raise errors.UserError(f"an arm's name is a gin scope (letters, digits, _) that nothing else has; got {name!r}")
