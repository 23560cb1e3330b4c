"""Learners as a distribution: a new architecture and a new initialisation at every draw, without a trace per draw.

Widths are sampled, but a graph has fixed shapes. So each family is traced at a few template sizes, and a draw runs in
the smallest template that holds it, with the surplus channels of every kernel set to zero on both sides. Zero is
a fixed point: such a channel's activation is 0 and so is the gradient on both of its kernels, through
LeakyReLU, pooling, mean-only or full BatchNorm and weight normalisation. The padded network *is* the narrow one, in
forward pass and in training (the tests hold it against one that is really narrow).
"""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import functional
from tf_gtn.models import learners


@dataclasses.dataclass(frozen=True)
class Draw:
    """One architecture of a population: which template runs it, and its widths."""

    template: int
    widths: tuple[int, ...]


class Template:
    """A family at fixed sizes, whose draws may be narrower."""

    def __init__(self, family, widths, weight_norm):
        self.family, self.widths = family, tuple(widths)
        self.functional = functional.Functional(family.build(self.widths), weight_norm)

    def init(self, seed, widths):
        """Fresh `(params, state)` of the network with these widths; graph-safe.

        Args:
          seed: integer tensor [2].
          widths: integer tensor, one entry a free width, each at most the template's.
        """
        return self.functional.initial_values(seed, lambda weights: self._narrow(weights, tf.cast(widths, tf.int32)))

    def _narrow(self, weights, widths):
        """Zeroes the surplus channels and restores Kaiming's variance, which goes with the number of live inputs."""
        if not self.widths:
            return weights
        weights, active, i = dict(weights), None, 0  # active: 0/1 for each channel that enters the next layer
        for layer in self.functional.model.layers:
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
                kernel = weights[layer.kernel.path]
                inputs, outputs = kernel.shape[-2], kernel.shape[-1]
                live = tf.ones([inputs], kernel.dtype) if active is None else active
                kernel *= live[:, None] * tf.sqrt(inputs / tf.reduce_sum(live))
                active = tf.ones([outputs], kernel.dtype)
                if i < len(self.widths):
                    active = tf.cast(tf.range(outputs) < widths[i], kernel.dtype)
                weights[layer.kernel.path] = kernel * active
                i += 1
            elif isinstance(layer, keras.layers.Flatten) and active is not None:
                active = tf.tile(active, [layer.output.shape[-1] // active.shape[0]])
        return weights


class Population:
    """A distribution over learners: a family uniformly, then each width uniformly in its range.

    Attributes:
      templates: the `Template`s; there is one trace for each, whatever is drawn.
    """

    def __init__(self, families: dict | list | tuple, image_shape, classes, weight_norm=True, splits=2):
        """Builds the templates.

        Args:
          families: `{name: options}` or names, as in `learners.REGISTRY`.
          image_shape: (H, W, C).
          classes: number of classes.
          weight_norm: whether the learners' kernels are weight-normalised.
          splits: template sizes a width, for the first two free ones of each family: more of them waste less
            computation on surplus channels and take longer to trace (2: up to four templates a family).
        """
        if not isinstance(families, dict):
            families = {name: {} for name in families}
        if not families or splits < 1:
            raise errors.UserError(f"a population needs at least one family and one template size; got {families!r}, {splits}")
        self.templates, self._members = [], []
        for name, options in families.items():
            family = learners.family(name, image_shape, classes, **options)
            if any(low < high for low, high in family.ranges) and options.get("normalization") == "layer":
                raise errors.UserError(
                    f"{name} with layer normalization takes fixed widths (lowest = highest): it would see the surplus channels "
                    "of a padded network"
                )
            steps = [_steps(r, splits if i < 2 else 1) for i, r in enumerate(family.ranges)]
            members = []
            for widths in itertools.product(*steps):
                members.append(len(self.templates))
                self.templates.append(Template(family, widths, weight_norm))
            self._members.append((family, steps, members))

    def draw(self, seed):
        """The architecture that belongs to `seed` (a sequence of integers)."""
        rng = np.random.default_rng(seed)
        family, steps, members = self._members[rng.integers(len(self._members))]
        widths = tuple(int(rng.integers(low, high + 1)) for low, high in family.ranges)
        cell = [next(i for i, top in enumerate(tops) if top >= width) for tops, width in zip(steps, widths)]
        index = np.ravel_multi_index(cell, [len(tops) for tops in steps]) if cell else 0
        return Draw(members[int(index)], widths)


class Given:
    """One network with given weights, which is taught instead of fresh ones (GTN paper, section 4: future work).

    Attributes:
      templates: a single one.
    """

    def __init__(self, network: str, image_shape, classes, weight_norm=True, seed=0, options: dict | None = None):
        """Loads or makes the network.

        Args:
          network: path of a saved .keras file of images -> logits, such as a pretrained one, or a name in `learners.REGISTRY`,
            which is initialised by `seed`, free widths at their largest.
          image_shape: (H, W, C).
          classes: number of classes.
          weight_norm: whether it is taught in weight-normalised coordinates; it starts as the same function.
          seed: of a named network's weights; not the run's: all seeds of a comparison teach the same network.
          options: of a named network, as in `learners.REGISTRY`.

        Raises:
          UserError: there is no such network, or it is one of other images or classes.
        """
        if network.endswith(".keras"):
            model, weights = learners.load(network), None
            takes, gives = model.input_shape[1:], model.output_shape[1:]
            if takes != tuple(image_shape) or gives != (classes,):
                raise errors.UserError(
                    f"{network} maps images {list(takes)} to {list(gives)}; the data set has images {list(image_shape)} in "
                    f"{classes} classes"
                )
            family = learners.Family(network, (), lambda widths: model)
        else:
            named, weights = learners.family(network, image_shape, classes, **(options or {})), seed
            family = learners.Family(network, (), lambda _: named.build(tuple(high for _, high in named.ranges)))
        self.templates = [_GivenTemplate(family, weight_norm, weights)]

    def draw(self, seed):
        """The only architecture."""
        del seed
        return Draw(0, ())


class _GivenTemplate(Template):
    """One that always starts from the same weights: the model's own, or those of a seed."""

    def __init__(self, family, weight_norm, seed=None):
        super().__init__(family, (), weight_norm)
        self._start = self.functional.values() if seed is None else self.functional.initial_values([seed, 0])

    def init(self, seed, widths):
        del seed, widths
        return self._start


def _steps(interval, splits):
    """The upper ends of `splits` equal parts of a range."""
    low, high = interval
    return sorted({high - (high - low) * k // splits for k in range(splits)})
