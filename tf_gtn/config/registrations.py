"""What gin can configure whatever the system: data, models, inner optimisers, the schedule of a run."""

import contextlib
from collections.abc import Callable
from typing import Any

import gin

from tf_gtn import data, errors
from tf_gtn.core import estimators, optimizers
from tf_gtn.data import augmentation
from tf_gtn.models import generators, population
from tf_gtn.runtime import loop

_load_data = gin.external_configurable(data.load, "load", module="data")
Population = gin.external_configurable(population.Population, module="models")
Given = gin.external_configurable(population.Given, module="models")


def known(configurable: Callable, name: str, module: str, again: bool = False) -> Callable:
    """A function or class as gin knows it, `<module>.<name>`; `again`: whether it may take the place of another.

    Raises:
      UserError: gin knows another thing of that name.
    """
    try:
        with gin.config.interactive_mode() if again else contextlib.nullcontext():
            return gin.external_configurable(configurable, name, module=module)
    except ValueError:
        raise errors.UserError(f"gin knows a {module}.{name} already: take another name") from None


def _register_generator(name, make):
    known(make, name, "generators", again=name in generators.REGISTRY)


generators.REGISTRY.listen(_register_generator)
conditional = gin.get_configurable("generators.conditional")
for _augmentation in (augmentation.random_crop_flip, augmentation.differentiable):
    gin.external_configurable(_augmentation, module="augmentation")
for _estimator in (
    estimators.Full,
    estimators.Truncated,
    estimators.ES,
    estimators.PES,
    estimators.NRES,
    estimators.ESBackprop,
):
    gin.external_configurable(_estimator, module="estimators")
for _optimizer in (optimizers.SGD, optimizers.LARS, optimizers.RMSProp, optimizers.Adam):
    gin.external_configurable(_optimizer, module="optimizers")


def load_data(run: Any, *args: Any, **options: Any) -> data.Dataset:
    """`data.load` as configured, for a run that then resumes on the same content alone (`program.Run.uses`)."""
    loaded = _load_data(*args, tfds_data_dir=run.tfds_data_dir, **options)
    run.uses(loaded.name, loaded.fingerprint)
    return loaded


Schedule = gin.external_configurable(loop.Schedule, module="run")
