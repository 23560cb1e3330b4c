"""What searches, evaluations and the farm know of a space of architectures; `cells` and `plain` have one each."""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np


class Space(Protocol):
    """Architectures; `str` of one is its text, which is how everything outside a space keeps it."""

    def sample(self, rng: np.random.Generator) -> Any:
        """A random architecture."""
        ...

    def mutate(self, architecture: Any, rng: np.random.Generator) -> Any:
        """An architecture that differs in one choice."""
        ...

    def suggest(self, trial: Any) -> Any:
        """The architecture that an Optuna trial's suggestions make."""
        ...

    def parse(self, text: str) -> Any:
        """The architecture that a text describes; `UserError` if it is not one of this space."""
        ...

    def build(self, architecture: Any, image_shape: Sequence[int], classes: int, dtype: str = "float32") -> keras.Model:
        """A Keras model of images `[n, H, W, C]` -> logits `[n, classes]`."""
        ...
