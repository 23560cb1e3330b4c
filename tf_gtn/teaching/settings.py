"""The settings of `tf_gtn.train`: the parameters of its parts, each by one name.

A name is the part's own. Where the training and the learners have the same, the learners' begins with `inner_`.
"""

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Generator, Mapping
from typing import Any

from tf_gtn import arguments, errors
from tf_gtn.core import estimators
from tf_gtn.models import generators, learners, population
from tf_gtn.runtime import loop
from tf_gtn.teaching import assembly, curricula, experiment, training, treatments

_WHERE = "train"
_GTN_ALONE = ("gtn", "curriculum", "generator")  # parts that no other treatment has
_RUN = ("dtype", "seed")  # one of a whole call, or none that a call chooses
# {part: (what takes its parameters, what gin and messages call it, {parameter: its name here, None for none})}
_PARTS = {
    "training": (
        training.Training.__init__,
        "teaching.Training",
        dict.fromkeys(("dataset", "population", "treatment", "inner_optimizer", "weight", "auxiliary", "strategy"))
        | {"learners": "learners_per_step"},
    ),
    "inner_loop": (None, "teaching.inner_loop", {"steps": "inner_steps", "batch_size": "batch_size"}),
    "curriculum": (
        curricula.Curriculum.__init__,
        "teaching.curriculum",
        dict.fromkeys(["inner_steps", "batch_size", "classes"]),
    ),
    "gtn": (assembly.gtn, "teaching.gtn", dict.fromkeys(["dataset", "codes", "closed_loop_units"])),
    "population": (
        population.Population.__init__,
        "models.Population",
        {"families": None, "image_shape": None, "classes": None, "weight_norm": "inner_weight_norm"},
    ),
    "inner_optimizer": (
        assembly.inner_optimizer,
        "optimizers.SGD",
        {"name": "inner_optimizer", "learning_rate": "inner_learning_rate", "momentum": "inner_momentum"},
    ),
    "experiment": (
        experiment.Comparison,
        "teaching.Comparison",
        dict.fromkeys(("arms", "seeds", "analyses", "claims")),
    ),
    "evaluation": (experiment.Evaluation, "teaching.Evaluation", {"held_out": None}),
    "schedule": (loop.Schedule, "run.Schedule", {}),
}
_STRICTER = {"inner_learning_rate": arguments.Positive, "inner_momentum": arguments.Fraction, "latent": arguments.Count}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A parameter of a part.

    Attributes:
      part: which.
      parameter: its name there.
      annotation: what it takes.
      default: its value where a call does not say.
    """

    part: str
    parameter: str
    annotation: Any
    default: Any


class Settings:
    """What a call chose, checked.

    Attributes:
      values: `{name: value}` of all settings, chosen or not.
    """

    def __init__(self, named: Mapping[str, Any], further: Mapping[str, Any]) -> None:
        """Checks names and values.

        Args:
          named: `{name: value}` of the call's own parameters.
          further: of the further ones.

        Raises:
          UserError: a name that nothing has, a value out of range, or a setting without effect; names the nearest right one.
        """
        self._parameters = _parameters()
        generator = further.get("generator", generators.conditional)
        if isinstance(generator, str):
            generators.REGISTRY.check(generator)
            generator = generators.REGISTRY[generator]
        if not callable(generator):
            raise errors.UserError(f"{_WHERE}: generator is a name or a function; got {generator!r}")
        options = [p for p in list(inspect.signature(generator).parameters.values())[3:] if p.kind != p.VAR_KEYWORD]
        excluded = {*self._parameters, *named, *_RUN}
        self._parameters |= {
            p.name: Setting("generator", p.name, p.annotation, p.default) for p in options if p.name not in excluded
        }
        for name in further:
            if name not in self._parameters:
                raise errors.unknown(f"setting of {_WHERE}", name, {*self._parameters, *named})
        self.values = {name: setting.default for name, setting in self._parameters.items()} | {**named, **further}
        self._generator = self.values["generator"] = generator
        for name in (*named, *further):
            if name in self._parameters and name != "generator":
                _check(name, self._parameters[name].annotation, self.values[name])
        estimator = self.values["estimator"]
        if estimator is not None and (isinstance(estimator, type) or not isinstance(estimator, estimators.Estimator)):
            raise errors.UserError(
                f"{_WHERE}: estimator must be made, such as tf_gtn.core.estimators.Full(); got {estimator!r}"
            )
        self._check_treatment(named["treatment"], [name for name in ("order",) if named[name] != "full"] + [*further])

    def _check_treatment(self, treatment, chosen):
        if treatment not in ("gtn", *treatments.REGISTRY):
            raise errors.unknown("treatment", treatment, ["gtn", *treatments.REGISTRY])
        for name in chosen:
            if treatment != "gtn" and self._parameters[name].part in _GTN_ALONE:
                raise errors.UserError(
                    f"{_WHERE}: {name} has no effect with treatment {treatment!r}; got {self.values[name]!r}"
                )

    def of(self, part: str) -> dict[str, Any]:
        """`{parameter: value}` of a part."""
        values = {s.parameter: self.values[name] for name, s in self._parameters.items() if s.part == part}
        return {name: value for name, value in values.items() if value is not inspect.Parameter.empty}

    def generator(self, image_shape: tuple[int, ...], classes: int, latent: int) -> Any:
        """The generator that was chosen, with its own options."""
        return self._generator(image_shape, classes, latent, **self.of("generator"))

    @contextlib.contextmanager
    def in_these_names(self) -> Generator[None, None, None]:
        """A `UserError` in it that names a thing of gin's, or a flag, comes out with the name of the setting."""
        try:
            yield
        except errors.UserError as error:
            text = str(error).replace("--base_dir", "base_dir")
            for name, setting in self._parameters.items():
                gin_name = "generators" if setting.part == "generator" else _PARTS[setting.part][1]
                text = re.sub(rf"\b{re.escape(gin_name)}(\.\w+)?\.{setting.parameter}\b", name, text)
            if type(error) is not errors.UserError or text == str(error):
                raise
            raise errors.UserError(text if text.startswith(_WHERE) else f"{_WHERE}: {text}") from None


def families(chosen: Any) -> list[Any]:
    """What `population.Population` takes of what a call names: a name, a function, `{either: options}`, or a list of such."""
    if isinstance(chosen, learners.keras.Model):
        raise errors.UserError(
            f"learners are drawn anew, so they are made by a function; got the model {chosen.name!r}: give a function "
            "(image_shape, classes) -> keras.Model that makes it"
        )
    if isinstance(chosen, type):
        raise errors.UserError(
            f"learners are made by a function (image_shape, classes) -> keras.Model; got the class {chosen.__name__}"
        )
    if isinstance(chosen, str) or callable(chosen):
        return [chosen]
    if isinstance(chosen, Mapping):
        for learner, options in chosen.items():
            if not isinstance(options, Mapping):
                swapped = "; that is data, which comes first: train(data, learners)" if learner in ("train", "test") else ""
                raise errors.UserError(
                    f"the options of the learner {learner!r} are a dict; got {type(options).__name__}{swapped}"
                )
        return [chosen]
    if not isinstance(chosen, list | tuple) or not chosen:
        raise errors.UserError(
            "learners are names, functions (image_shape, classes) -> keras.Model, or {name: options}; "
            f"got {type(chosen).__name__}"
        )
    return [family for element in chosen for family in families(element)]


def _parameters():
    """`{name: Setting}` of all parts but the generator, whose options are its own."""
    known = {
        "inner_steps": Setting("inner_loop", "steps", arguments.Count, None),
        "batch_size": Setting("inner_loop", "batch_size", arguments.Count, None),
    }
    for part, (takes, _, renamed) in _PARTS.items():
        for p in inspect.signature(takes).parameters.values() if takes else ():
            name = renamed.get(p.name, p.name)
            if name is not None and name not in ("self", *_RUN):
                known[name] = Setting(part, p.name, _STRICTER.get(name, p.annotation), p.default)
    known["latent"] = dataclasses.replace(known["latent"], default=assembly.LATENT)
    return known


def _check(name, annotation, value):
    if annotation is bool and not isinstance(value, bool):
        raise errors.UserError(f"{_WHERE}: {name} must be True or False; got {value!r}")
    if annotation is int:
        annotation = arguments.Count
    arguments.check(f"{_WHERE}: {name}", annotation, value)
