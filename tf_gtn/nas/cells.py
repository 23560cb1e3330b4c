"""The cell search space of NAO (Luo et al. 2018), as the GTN paper uses it (section 2, appendix C).

A cell has B nodes. Each applies two operations to two inputs, outputs of the last two layers (-2, -1) or of earlier nodes
(0, 1, ...), and adds the results; the outputs of nodes that nothing uses are concatenated. An architecture is two such cells:
one keeps the image's size, one halves it. As text:

    conv:-2.identity+-1.conv_3x3,0.max_2x2+-1.conv_1x1/reduce:...

`space.Space` is what searches know of it.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tf_gtn import arguments, errors

# Appendix C, in its order.
OPERATIONS = (
    "identity",
    "conv_1x1",
    "conv_3x3",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "max_2x2",
    "max_3x3",
    "max_5x5",
    "average_2x2",
    "average_3x3",
    "average_5x5",
)
KINDS = ("conv", "reduce")


@dataclasses.dataclass(frozen=True)
class Node:
    """Two inputs, by number (-2, -1: the last two layers; 0, 1, ...: earlier nodes), and the operation on each."""

    inputs: tuple[int, ...]
    operations: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A cell that keeps the size and one that halves it, each a tuple of nodes."""

    conv: tuple[Node, ...]
    reduce: tuple[Node, ...]

    def __str__(self) -> str:
        return "/".join(f"{kind}:{_cell_text(getattr(self, kind))}" for kind in KINDS)


def _cell_text(cell):
    return ",".join("+".join(f"{i}.{o}" for i, o in zip(node.inputs, node.operations)) for node in cell)


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Cells")
class Cells:
    """Networks of cells: a stem, `stages` times N cells with a halving cell in between, pooling, a classifier.

    Attributes:
      repeats: N, conv cells a stage.
      filters: F of the first stage, doubled at each reduction.
      nodes: B of a cell.
      stages: how many; the paper's have three.
    """

    repeats: arguments.Count = 3
    filters: arguments.Count = 32
    nodes: arguments.Count = 5
    stages: arguments.Count = 3

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniformly drawn architecture; `rng`: `numpy.random.Generator`."""
        return Architecture(*(tuple(self._node(i, rng) for i in range(self.nodes)) for _ in KINDS))

    def _node(self, i, rng):
        inputs, operations = rng.integers(-2, i, 2), rng.integers(0, len(OPERATIONS), 2)
        return Node(tuple(int(x) for x in inputs), tuple(OPERATIONS[o] for o in operations))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture with one input or one operation of one node drawn anew, and another than before."""
        while True:
            kind, i, side = KINDS[rng.integers(2)], int(rng.integers(self.nodes)), int(rng.integers(2))
            cell = list(getattr(architecture, kind))
            changed, which = self._node(i, rng), ("inputs", "operations")[rng.integers(2)]
            values = list(getattr(cell[i], which))
            values[side] = getattr(changed, which)[side]
            cell[i] = dataclasses.replace(cell[i], **{which: tuple(values)})
            mutant = dataclasses.replace(architecture, **{kind: tuple(cell)})
            if mutant != architecture:
                return mutant

    def suggest(self, trial: Any) -> Architecture:
        """The architecture that an Optuna trial's suggestions make."""

        def node(kind, i):
            choose = lambda what, side, options: trial.suggest_categorical(f"{kind}_{i}_{what}_{side}", options)  # noqa: E731
            inputs = tuple(choose("input", side, list(range(-2, i))) for side in range(2))
            return Node(inputs, tuple(choose("operation", side, list(OPERATIONS)) for side in range(2)))

        return Architecture(*(tuple(node(kind, i) for i in range(self.nodes)) for kind in KINDS))

    def parse(self, text: str) -> Architecture:
        """The architecture that a text describes; `str` of it gives the text back.

        Raises:
          UserError: it is not one of this space.
        """
        try:
            parts = dict(part.split(":", 1) for part in text.split("/"))
            if tuple(parts) != KINDS:
                raise ValueError
            cells = []
            for kind in KINDS:
                nodes = []
                for i, words in enumerate(parts[kind].split(",")):
                    pairs = [word.split(".", 1) for word in words.split("+")]
                    nodes.append(self._checked(i, Node(tuple(int(p[0]) for p in pairs), tuple(p[1] for p in pairs)), text))
                cells.append(tuple(nodes))
        except errors.UserError:
            raise
        except (ValueError, IndexError):
            raise errors.UserError(f"{text!r} is no architecture of cells (conv:.../reduce:...)") from None
        if any(len(cell) != self.nodes for cell in cells):
            raise errors.UserError(f"{text!r} has not {self.nodes} nodes a cell")
        return Architecture(*cells)

    def _checked(self, i, node, text):
        if len(node.inputs) != 2 or any(not -2 <= x < i for x in node.inputs):
            raise errors.UserError(f"{text!r}: node {i} takes two of the inputs -2 to {i - 1}; got {node.inputs}")
        for operation in node.operations:
            if operation not in OPERATIONS:
                raise errors.unknown("operation", operation, OPERATIONS)
        return node

    def build(
        self, architecture: Architecture, image_shape: Sequence[int], classes: int, dtype: str = "float32"
    ) -> keras.Model:
        """A Keras model of images `[n, H, W, C]` -> logits `[n, classes]`.

        BatchNorm stands after every convolution, ReLU before; layers' names say where they are, so that equal architectures
        have equal variables.
        """
        layers = _Layers(dtype)
        images = keras.Input(image_shape, dtype=dtype, name="images")
        before = now = layers.conv("stem", images, self.filters, 3, relu=False)
        filters = self.filters
        for stage in range(self.stages):
            if stage:
                filters *= 2
                before, now = now, layers.cell(f"reduce_{stage}", architecture.reduce, before, now, filters, 2)
            for repeat in range(self.repeats):
                before, now = now, layers.cell(f"conv_{stage}_{repeat}", architecture.conv, before, now, filters, 1)
        x = keras.layers.GlobalAveragePooling2D(name="pool", dtype=dtype)(keras.layers.ReLU(name="last_relu", dtype=dtype)(now))
        return keras.Model(images, keras.layers.Dense(classes, name="logits", dtype=dtype)(x), name="cells")


class _Layers:
    """Makes the layers of cells."""

    def __init__(self, dtype):
        self._dtype = dtype

    def conv(self, name, x, filters, kernel, strides=1, relu=True):
        if relu:
            x = keras.layers.ReLU(name=f"{name}_relu", dtype=self._dtype)(x)
        conv = keras.layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
            dtype=self._dtype,
        )
        return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=self._dtype)(conv(x))

    def cell(self, name, nodes, before, now, filters, strides):
        """The outputs of unused nodes, concatenated; both inputs come in the cell's width and in the newer one's size."""
        factor = -(-before.shape[1] // now.shape[1])  # the older one may come from before a reduction
        sources = {-2: self.conv(f"{name}_in_2", before, filters, 1, factor), -1: self.conv(f"{name}_in_1", now, filters, 1)}
        for i, node in enumerate(nodes):
            parts = []
            for side, (source, operation) in enumerate(zip(node.inputs, node.operations)):
                # Only what comes from outside is still of full size in a reducing cell.
                stride = strides if source < 0 else 1
                parts.append(self.operation(f"{name}_{i}_{side}", operation, sources[source], filters, stride))
            sources[i] = keras.layers.Add(name=f"{name}_{i}", dtype=self._dtype)(parts)
        used = set(itertools.chain.from_iterable(node.inputs for node in nodes))
        unused = [sources[i] for i in range(len(nodes)) if i not in used]
        return unused[0] if len(unused) == 1 else keras.layers.Concatenate(name=f"{name}_out", dtype=self._dtype)(unused)

    def operation(self, name, operation, x, filters, stride):
        if operation == "identity":
            return x if stride == 1 else self.conv(name, x, filters, 1, stride)
        kind, _, size = operation.partition("_")
        if kind == "conv":
            kernels = [tuple(int(k) for k in kernel.split("x")) for kernel in size.split("_")]
            for k, kernel in enumerate(kernels):
                x = self.conv(f"{name}_{k}", x, filters, kernel, stride if k == 0 else 1)
            return x
        pool = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
        return pool(int(size[0]), strides=stride, padding="same", name=name, dtype=self._dtype)(x)
