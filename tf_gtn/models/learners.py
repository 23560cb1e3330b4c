"""Learner architectures by name: families with sampled widths, and fixed ones that no generator is trained on.

A family says which widths are free and builds a plain `keras.Sequential` for given ones; sampling, and training many
widths in one trace, is the business of `population`.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import keras

from tf_gtn import arguments, errors, registries
from tf_gtn.models import checks, convolutional, stack

INITIALIZERS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal", "random_normal")
KERAS = "glorot_uniform"  # what a user's Keras model starts from, and so the architectures that are held out

Initializer = Annotated[str, arguments.OneOf(INITIALIZERS, "initializer")]
Ranges = Sequence[Sequence[int]]
"""(lowest, highest) of each free width, both included."""


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures that differ in the widths of their layers.

    Attributes:
      name: as in the registry.
      ranges: for each free width, in the order of the layers, (lowest, highest), both included.
      build: widths -> `keras.Sequential` of images `[n, H, W, C]` -> logits `[n, classes]`.
    """

    name: str
    ranges: tuple[tuple[int, int], ...]
    build: Callable[[tuple[int, ...]], keras.Sequential]


REGISTRY = registries.Registry("learner")
"""`{name: function (image_shape, classes, ...) -> Family, or -> keras.Model where nothing is free}`."""


def family(name: str | Callable, image_shape: Sequence[int], classes: int, **options: Any) -> Family:
    """A family for images `[H, W, C]`: that of a name, or what a function makes that is no learner of the registry.

    Where a function gives a model, not a `Family`, the first network is that very model; further calls make further ones.

    Raises:
      UserError: there is no such name, or no such option; or what comes of a function is no model of these images and classes.
    """
    if not callable(name):
        REGISTRY.check(name)
    make, called = (name, name_of(name)) if callable(name) else (REGISTRY[name], name)
    signature = inspect.signature(make)
    parameters = signature.parameters.values()
    known = [p.name for p in parameters][2:]
    for option in options:
        if option not in known and not any(p.kind == p.VAR_KEYWORD for p in parameters):
            raise errors.unknown(f"option of {called}", option, known)
    try:
        signature.bind(image_shape, classes, **options)
    except TypeError as error:
        raise errors.UserError(f"the learner {called!r} is a function (image_shape, classes) -> keras.Model: {error}") from None
    model_or_family = make(tuple(image_shape), classes, **options)
    if isinstance(model_or_family, Family):
        return model_or_family
    try:
        checks.check(model_or_family, image_shape, classes)
    except errors.UserError as error:
        raise errors.UserError(f"the learner {called!r}: {error}") from None
    first = [model_or_family]
    return Family(called, (), lambda _: first.pop() if first else make(tuple(image_shape), classes, **options))


def name_of(function: Callable) -> str:
    """What a function is called in messages and files."""
    return getattr(function, "__name__", type(function).__name__)


def pairs_of(families: Mapping | Sequence) -> list[tuple[str | Callable, Mapping[str, Any]]]:
    """`(learner, options)` of each family: of `{learner: options}`, or of a list of such and of learners.

    Raises:
      UserError: something else, options that are no dict, or the same learner with the same options twice.
    """
    if not isinstance(families, Mapping | list | tuple):
        raise errors.UserError(f"families are {{learner: options}}, or a list of such and of learners; got {families!r}")
    listed = [families] if isinstance(families, Mapping) else families
    pairs = [pair for each in listed for pair in (each.items() if isinstance(each, Mapping) else [(each, {})])]
    for i, (learner, options) in enumerate(pairs):
        if not isinstance(options, Mapping):
            raise errors.UserError(f"the options of the learner {learner!r} are a dict; got {options!r}")
        if (learner, options) in pairs[:i]:
            raise errors.UserError(f"learners name {learner!r} twice, with the same options")
    return pairs


@REGISTRY.register("conv2")
@arguments.checked("learners.conv2")
def conv2(
    image_shape: Sequence[int],
    classes: int,
    filters: Ranges = ((32, 128), (64, 256)),
    units: Sequence[int] = (64, 256),
    normalization: stack.Normalization = "mean_only",
    initializer: Initializer = stack.KAIMING,
    activation: stack.Activation = "leaky_relu",
    dtype: str = "float32",
) -> Family:
    """Two convolutions, each with max pooling, and a fully connected layer (GTN paper, A.1: those ranges)."""

    def build(widths):
        net = stack.Stack(image_shape, normalization, dtype, activation, initializer)
        net.conv(widths[0]).pool().conv(widths[1]).pool()
        return net.flatten().dense(widths[2]).classifier(classes)

    return _trainable("conv2", (*_ranges(filters, 2), *_ranges([units])), build, initializer)


@REGISTRY.register("conv5")
@arguments.checked("learners.conv5")
def conv5(
    image_shape: Sequence[int],
    classes: int,
    filters: Ranges = ((32, 128), (64, 256), (64, 256), (64, 256), (64, 256)),
    normalization: stack.Normalization = "mean_only",
    initializer: Initializer = stack.KAIMING,
    activation: stack.Activation = "leaky_relu",
    dtype: str = "float32",
) -> Family:
    """Five convolutions, the second and fourth of stride 2, global average pooling and a classifier (GTN paper, A.2)."""
    _ranges(filters, 5)
    deep = conv_deep(image_shape, classes, filters, normalization, initializer, activation, dtype)
    return dataclasses.replace(deep, name="conv5")


@REGISTRY.register("conv_deep")
@arguments.checked("learners.conv_deep")
def conv_deep(
    image_shape: Sequence[int],
    classes: int,
    filters: Ranges = ((32, 64), *7 * [(64, 64)]),
    normalization: stack.Normalization = "mean_only",
    initializer: Initializer = stack.KAIMING,
    activation: stack.Activation = "leaky_relu",
    dtype: str = "float32",
) -> Family:
    """`conv5` with as many convolutions as `filters` has ranges."""

    def build(widths):
        net = stack.Stack(image_shape, normalization, dtype, activation, initializer)
        for i, width in enumerate(widths):
            net.conv(width, strides=2 if i in (1, 3) else 1)
        return net.add(keras.layers.GlobalAveragePooling2D(name="pool", dtype=dtype)).classifier(classes)

    return _trainable("conv_deep", _ranges(filters), build, initializer)


@REGISTRY.register("mlp")
@arguments.checked("learners.mlp")
def mlp(
    image_shape: Sequence[int],
    classes: int,
    units: Ranges = ((64, 256), (64, 256)),
    normalization: stack.Normalization = "mean_only",
    initializer: Initializer = stack.KAIMING,
    activation: stack.Activation = "leaky_relu",
    dtype: str = "float32",
) -> Family:
    """Fully connected layers."""

    def build(widths):
        net = stack.Stack(image_shape, normalization, dtype, activation, initializer).flatten()
        for width in widths:
            net.dense(width)
        return net.classifier(classes)

    return _trainable("mlp", _ranges(units), build, initializer)


@REGISTRY.register("conv_plain")
@arguments.checked("learners.conv_plain")
def conv_plain(
    image_shape: Sequence[int],
    classes: int,
    filters: tuple[arguments.Count, arguments.Count] = (64, 128),
    units: arguments.Count = 128,
    dtype: str = "float32",
) -> Family:
    """`conv2` without normalisation, biases instead; ReLU. Held out: no distribution of ours holds it."""
    return _fixed("conv_plain", _plain(image_shape, filters, units, dtype, KERAS).classifier(classes))


@REGISTRY.register("conv_plain_kaiming")
@arguments.checked("learners.conv_plain_kaiming")
def conv_plain_kaiming(
    image_shape: Sequence[int],
    classes: int,
    filters: tuple[arguments.Count, arguments.Count] = (64, 128),
    units: arguments.Count = 128,
    dtype: str = "float32",
) -> Family:
    """`conv_plain` from Kaiming weights, which takes smaller learning rates. Held out."""
    return _fixed("conv_plain_kaiming", _plain(image_shape, filters, units, dtype, stack.KAIMING).classifier(classes))


@REGISTRY.register("conv_batchnorm")
@arguments.checked("learners.conv_batchnorm")
def conv_batchnorm(
    image_shape: Sequence[int], classes: int, filters: tuple[arguments.Count, ...] = (64, 128, 128), dtype: str = "float32"
) -> Family:
    """Three convolutions with full BatchNorm, ReLU, global pooling. Held out."""
    net = stack.Stack(image_shape, "batch", dtype, "relu", KERAS)
    for i, width in enumerate(filters):
        net.conv(width, strides=2 if i else 1)
    net.add(keras.layers.GlobalAveragePooling2D(name="pool", dtype=dtype))
    return _fixed("conv_batchnorm", net.classifier(classes))


@REGISTRY.register("depthwise")
@arguments.checked("learners.depthwise")
def depthwise(
    image_shape: Sequence[int], classes: int, filters: tuple[arguments.Count, ...] = (64, 128), dtype: str = "float32"
) -> Family:
    """Depthwise separable convolutions, LayerNorm, GELU. Held out."""
    net = stack.Stack(image_shape, "layer", dtype, "gelu", KERAS).conv(filters[0])
    for i, width in enumerate(filters):
        net.add(keras.layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{i + 1}", dtype=dtype))
        net.conv(width, size=1).pool()
    return _fixed("depthwise", net.flatten().classifier(classes))


@REGISTRY.register("mlp_plain")
@arguments.checked("learners.mlp_plain")
def mlp_plain(
    image_shape: Sequence[int], classes: int, units: tuple[arguments.Count, ...] = (128, 128), dtype: str = "float32"
) -> Family:
    """Fully connected, ReLU, biases, no normalisation. Held out."""
    net = stack.Stack(image_shape, "none", dtype, "relu", KERAS).flatten()
    for width in units:
        net.dense(width)
    return _fixed("mlp_plain", net.classifier(classes))


@REGISTRY.register("four_modules")
@arguments.checked("learners.four_modules")
def four_modules(
    image_shape: Sequence[int],
    classes: int,
    filters: arguments.Count = 64,
    modules: arguments.Count | None = None,
    momentum: float = 0.0,
    dtype: str = "float32",
) -> Family:
    """`convolutional.four_modules`, whose weights Leap learns to begin from; fewer modules where images are small."""
    modules = modules or min(4, min(image_shape[:2]).bit_length() - 1)
    return _fixed("four_modules", convolutional.four_modules(image_shape, classes, filters, modules, momentum, dtype))


def _plain(image_shape, filters, units, dtype, initializer):
    net = stack.Stack(image_shape, "none", dtype, "relu", initializer)
    return net.conv(filters[0]).pool().conv(filters[1]).pool().flatten().dense(units)


def _trainable(name, ranges, build, initializer):
    """A `Family`; `UserError` if widths are free and a padded network would not start by it."""
    if initializer != stack.KAIMING and any(low < high for low, high in ranges):
        raise errors.UserError(
            f"{name} with initializer {initializer!r} takes fixed widths (lowest = highest): a narrow network inside a "
            f"wider one starts as {stack.KAIMING}"
        )
    return Family(name, ranges, build)


def _fixed(name, model):
    return Family(name, (), lambda widths: keras.models.clone_model(model))


def _ranges(values, count=None):
    if count is not None and len(values) != count:
        raise errors.UserError(f"{count} ranges of widths are needed; got {values!r}")
    for value in values:
        if not isinstance(value, list | tuple) or len(value) != 2 or not 1 <= value[0] <= value[1]:
            raise errors.UserError(f"a width is sampled from (lowest, highest) with 1 <= lowest <= highest; got {value!r}")
    return tuple((int(low), int(high)) for low, high in values)
