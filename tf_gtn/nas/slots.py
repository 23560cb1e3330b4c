"""Spaces whose architectures are one value of each of some independent choices."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np


class Slots:
    """What `space.Space` asks for but `parse` and `build`.

    Attributes:
      architecture: a frozen dataclass, whose fields are the choices.
      choices: `{field: values}`.
    """

    architecture: ClassVar[type]
    choices: ClassVar[Mapping[str, Sequence[Any]]]

    def sample(self, rng: np.random.Generator) -> Any:
        """Each choice uniformly."""
        return self.architecture(**{name: options[int(rng.integers(len(options)))] for name, options in self.choices.items()})

    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any:
        """With another value of one choice."""
        name = list(self.choices)[rng.integers(len(self.choices))]
        others = [option for option in self.choices[name] if option != getattr(architecture, name)]
        return dataclasses.replace(architecture, **{name: others[int(rng.integers(len(others)))]})

    def suggest(self, trial: Any) -> Any:
        """As an Optuna trial suggests."""
        suggested = {name: trial.suggest_categorical(name, list(options)) for name, options in self.choices.items()}
        return self.architecture(**suggested)
