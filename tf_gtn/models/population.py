"""Learners as a distribution: a new architecture and a new initialisation at every draw, without a trace per draw.

Widths are sampled, but a graph has fixed shapes. So each family is traced at a few template sizes, and a draw runs in
the smallest template that holds it, with the surplus channels of every kernel set to zero on both sides. Zero is
a fixed point: such a channel's activation is 0 and so is the gradient on both of its kernels, through
LeakyReLU, pooling, mean-only or full BatchNorm and weight normalisation. The padded network *is* the narrow one, in
forward pass and in training. That is so for a plain chain of layers whose activations leave 0 at 0; a `Population` compares
the padded networks of a registered family with really narrow ones, and refuses other families.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import functional, optimizers, supervised
from tf_gtn.models import checks, learners, saved

_SAME = {"float32": 1e-3, "float64": 1e-6}  # of what two steps change in the outputs; rounding is a hundredth of that
_DROPOUT = (keras.layers.Dropout, keras.layers.GaussianDropout)
_checked = set()  # families that were looked at in this process


@dataclasses.dataclass(frozen=True)
class Draw:
    """One architecture of a population: which template runs it, and its widths."""

    template: int
    widths: tuple[int, ...]


class Template:
    """A family at fixed sizes, whose draws may be narrower."""

    def __init__(self, family: learners.Family, widths: Sequence[int], weight_norm: bool) -> None:
        self.family, self.widths = family, tuple(widths)
        self.functional = functional.Functional(family.build(self.widths), weight_norm)

    def init(self, seed: tf.Tensor, widths: tf.Tensor | Sequence[int]) -> tuple[dict, dict]:
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
                key = self.functional.key(layer.kernel)
                kernel = weights[key]
                inputs, outputs = kernel.shape[-2], kernel.shape[-1]
                live = tf.ones([inputs], kernel.dtype) if active is None else active
                kernel *= live[:, None] * tf.sqrt(inputs / tf.reduce_sum(live))
                active = tf.ones([outputs], kernel.dtype)
                if i < len(self.widths):
                    active = tf.cast(tf.range(outputs) < widths[i], kernel.dtype)
                weights[key] = kernel * active
                i += 1
            elif isinstance(layer, keras.layers.Flatten) and active is not None:
                active = tf.tile(active, [layer.output.shape[-1] // active.shape[0]])
        return weights


class Distribution(Protocol):
    """What learners are drawn from.

    Attributes:
      templates: the `Template`s that run what is drawn; there is one trace for each.
    """

    templates: list[Template]

    def draw(self, seed: Sequence[int]) -> Draw:
        """The architecture that belongs to `seed`."""
        ...


class Population:
    """A distribution over learners: a family uniformly, then each width uniformly in its range.

    Attributes:
      templates: the `Template`s; there is one trace for each, whatever is drawn.
    """

    @arguments.checked("models.Population")
    def __init__(
        self,
        families: dict | list | tuple,
        image_shape: Sequence[int],
        classes: int,
        weight_norm: bool = True,
        splits: arguments.Count = 2,
    ) -> None:
        """Builds the templates.

        Args:
          families: `{name: options}`, or a list of such and of names, as in `learners.REGISTRY`; in the place of a name also a
            function (image_shape, classes, ...) -> `keras.Model` or `learners.Family`. A name may come with several options.
          image_shape: (H, W, C).
          classes: number of classes.
          weight_norm: whether the learners' kernels are weight-normalised.
          splits: template sizes a width, for the first two free ones of each family: more of them waste less
            computation on surplus channels and take longer to trace (2: up to four templates a family).
        """
        pairs = learners.pairs_of(families)
        if not pairs:
            raise errors.UserError(f"a population needs at least one family; got {families!r}")
        self.templates, self._members = [], []
        for name, options in pairs:
            family = learners.family(name, image_shape, classes, **options)
            steps = [_steps(r, splits if i < 2 else 1) for i, r in enumerate(family.ranges)]
            members = []
            for widths in itertools.product(*steps):
                members.append(len(self.templates))
                self.templates.append(Template(family, widths, weight_norm))
            if callable(name):  # the same function may make another network the next time
                _check(self.templates[-1], image_shape, classes)
            elif not _is_own(name, options):
                key = learners.REGISTRY[name], repr(options), tuple(image_shape), classes, weight_norm
                if key not in _checked:
                    _check(self.templates[-1], image_shape, classes)
                    _checked.add(key)
            self._members.append((family, steps, members))

    def draw(self, seed: Sequence[int]) -> Draw:
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

    def __init__(
        self,
        network: str,
        image_shape: Sequence[int],
        classes: int,
        weight_norm: bool = True,
        seed: int = 0,
        options: dict | None = None,
    ) -> None:
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
            model, weights = saved.load(network), None
            takes, gives = model.input_shape[1:], model.output_shape[1:]
            if takes != tuple(image_shape) or gives != (classes,):
                raise errors.UserError(
                    f"{network} maps images {list(takes)} to {list(gives)}; the data set has images {list(image_shape)} in "
                    f"{classes} classes"
                )
            checks.check(model, image_shape, classes)
            family = learners.Family(network, (), lambda widths: model)
        else:
            named, weights = learners.family(network, image_shape, classes, **(options or {})), seed
            family = learners.Family(network, (), lambda _: named.build(tuple(high for _, high in named.ranges)))
        self.templates = [_GivenTemplate(family, weight_norm, weights)]
        _check(self.templates[0], image_shape, classes)

    def draw(self, seed: Sequence[int]) -> Draw:
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


def _is_own(name, options):
    """Whether a learner is the package's: the tests hold those."""
    module = getattr(learners.REGISTRY[name], "__module__", None)
    return module == learners.__name__ and options.get("normalization") != "layer"


def _check(template, image_shape, classes):
    """Raises `UserError` unless a template's networks give logits, and its narrow ones are what they would be by themselves.

    The family's narrowest network is built at its own size too, with the same weights. Two steps of SGD must change both alike.
    """
    family, padded = template.family, template.functional
    lows = tuple(low for low, _ in family.ranges)
    if not template.widths:
        try:
            template.init(tf.constant([0, 0]), ())
        except ValueError as error:  # a layer that keeps no initialiser
            raise errors.UserError(f"{family.name} can't be drawn anew for every learner: {error}") from None
    params, state = padded.values()
    if supervised.gives_probabilities(padded, params, state, image_shape):
        raise errors.UserError(f"{family.name} gives probabilities, learners give logits: leave the last softmax out")
    if lows == template.widths:
        return
    alone = functional.Functional(family.build(lows), padded.weight_norm)
    pairs = itertools.zip_longest(alone.model.trainable_variables, padded.model.trainable_variables)
    try:
        wide = template.init(tf.constant([0, 0]), lows)
        weights = padded.weights(wide[0])
        cut = {alone.key(mine): _cut(weights[padded.key(other)], mine.shape) for mine, other in pairs}
        narrow = alone.initial_values(tf.constant([0, 0]), lambda _: cut)
        one, other = (_taught(net, values, image_shape, classes) for net, values in ((alone, narrow), (padded, wide)))
        moved = float(tf.reduce_max(tf.abs(one[1] - one[0])))
        same = not float(tf.reduce_max(tf.abs(one - other))) > moved * _SAME.get(one.dtype.name, 0.1)
    except (AttributeError, KeyError, ValueError, tf.errors.InvalidArgumentError):  # other weights, not just narrower ones
        same = False
    if not same:
        raise errors.UserError(
            f"{family.name} takes fixed widths (lowest = highest): a narrow network inside a wider one, with zeros for the "
            "surplus channels, is not what it is by itself. Free widths are for a chain of Conv2D and Dense layers in the "
            "order of the widths, without branches, with activations that leave 0 at 0, each channel normalised by itself"
        )


def _cut(weight, shape):
    """The part of a padded network's weight that a network of its own has, where anything in it is not zero."""
    value = weight.numpy()
    for axis, size in enumerate(shape):
        live = np.flatnonzero(np.any(value != 0, axis=tuple(i for i in range(value.ndim) if i != axis)))
        value = np.take(value, live if len(live) == size else np.arange(size), axis)  # biases are all zeros or all ones
    return tf.constant(value)


def _taught(network, values, image_shape, classes):
    """A network's outputs on four random images before and after two steps of SGD on them, `[2, 4, classes]`."""
    params, state = values
    layers = [layer for layer in network.model._flatten_layers() if isinstance(layer, _DROPOUT)]
    rates = [layer.rate for layer in layers]
    images = tf.random.stateless_normal([4, *image_shape], [0, 1])
    labels = tf.one_hot(tf.range(4) % classes, classes)
    outputs = [network(params, state, images)[0]]
    step = optimizers.SGD()
    state = supervised.initial_state(step, params, state)
    try:
        for layer in layers:
            layer.rate = 0  # drawn for each channel: the two differ in it, and are the same network
        for _ in range(2):
            state, _, _ = supervised.update(network, step, state, images, labels, {"learning_rate": 0.01, "momentum": 0.5})
    finally:
        for layer, rate in zip(layers, rates):
            layer.rate = rate
    outputs.append(network(state["params"], state["model"], images)[0])
    return tf.stack(outputs)


def _steps(interval, splits):
    """The upper ends of `splits` equal parts of a range."""
    low, high = interval
    return sorted({high - (high - low) * k // splits for k in range(splits)})
