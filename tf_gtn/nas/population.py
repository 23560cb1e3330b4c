"""Networks of a search space as the learners that a GTN is trained with."""

from collections.abc import Sequence

import keras
import numpy as np

from tf_gtn import arguments
from tf_gtn.models import learners, population
from tf_gtn.nas import space as spaces


class Population:
    """A few random architectures of a space, one of them and a new initialisation at every draw; see `models.population`.

    BatchNorm works with momentum 0, as in `teaching.lesson`: the statistics are those of the last batch.

    Attributes:
      templates: one an architecture.
    """

    @arguments.checked("nas.Population")
    def __init__(
        self,
        space: spaces.Space,
        image_shape: Sequence[int],
        classes: int,
        architectures: arguments.Count = 4,
        weight_norm: bool = True,
        seed: int = 1_000_003,
    ) -> None:
        """Draws and builds them.

        Args:
          space: such as `cells.Cells()`.
          image_shape: (H, W, C).
          classes: number of classes.
          architectures: how many; each is traced.
          weight_norm: whether kernels are weight-normalised.
          seed: of the architectures; another than a search's, so that it meets none of them.
        """
        rng, self.templates = np.random.default_rng(seed), []
        for _ in range(architectures):
            architecture = space.sample(rng)

            def build(_, architecture=architecture):
                model = space.build(architecture, image_shape, classes)
                for layer in model.layers:
                    if isinstance(layer, keras.layers.BatchNormalization):
                        layer.momentum = 0.0
                return model

            self.templates.append(population.Template(learners.Family(str(architecture), (), build), (), weight_norm))

    def draw(self, seed: Sequence[int]) -> population.Draw:
        """The architecture that belongs to `seed` (a sequence of integers)."""
        return population.Draw(int(np.random.default_rng(seed).integers(len(self.templates))), ())
