"""Networks of a search space as the learners that a GTN is trained with."""

import keras
import numpy as np

from tf_gtn import errors
from tf_gtn.models import learners, population


class Population:
    """A few random architectures of a space, one of them and a new initialisation at every draw; see `models.population`.

    BatchNorm works with momentum 0, as in `teaching.lesson`: the statistics are those of the last batch.

    Attributes:
      templates: one an architecture.
    """

    def __init__(self, space, image_shape, classes, architectures=4, weight_norm=True, seed=1_000_003):
        """Draws and builds them.

        Args:
          space: such as `cells.Cells()`.
          image_shape: (H, W, C).
          classes: number of classes.
          architectures: how many; each is traced.
          weight_norm: whether kernels are weight-normalised.
          seed: of the architectures; another than a search's, so that it meets none of them.
        """
        errors.at_least_one("nas.Population", architectures=architectures)
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

    def draw(self, seed):
        """The architecture that belongs to `seed` (a sequence of integers)."""
        return population.Draw(int(np.random.default_rng(seed).integers(len(self.templates))), ())
