"""What is taught by and with: `Treatment`, and what one may be besides.

One that watches the learner (`closed_loop.ClosedLoop`) is `Watching`: it has a memory, which its `batch` takes as well.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import tensorflow as tf


class Treatment(Protocol):
    """Where a learner's batches come from.

    Attributes:
      name: the kind of treatment.
      inner_steps: T.
      trainable_variables: outer parameters.
      variables: those and what else was drawn for the run; a checkpoint has them.
    """

    name: str

    @property
    def inner_steps(self) -> int: ...

    @property
    def trainable_variables(self) -> Sequence: ...

    @property
    def variables(self) -> Sequence: ...

    def params(self) -> Any:
        """The tensors that every inner step gets, a nested structure."""

    def xs(self, seed: tf.Tensor) -> Any:
        """The tensors of which inner step t gets the t-th; `seed` (integer tensor [2]) decides what is random."""

    def batch(self, params: Any, x: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """`(images [B, H, W, C], labels [B, classes])` of an inner step; it runs in the step's graph."""


@runtime_checkable
class Watching(Protocol):
    """A treatment that sees how the learner does: its `batch(params, x, memory)` also depends on a memory of that."""

    def initial_memory(self) -> Any:
        """The memory before the first look: nested tensors."""
        ...

    def observe(self, params: Any, memory: Any, labels: tf.Tensor, outputs: tf.Tensor) -> Any:
        """The memory after the learner's `outputs` [B, classes] on a batch with these labels."""
        ...


@runtime_checkable
class Presentable(Protocol):
    """A treatment that gives its batches otherwise than in training, too: see `presentations`."""

    def presented(self, **use: Any) -> Any:
        """The same treatment for another use."""
        ...


def first_memory(treatment: Treatment) -> tuple:
    """The further arguments of a treatment's `batch` at the first inner step: none, or a memory."""
    return (treatment.initial_memory(),) if isinstance(treatment, Watching) else ()


class Auxiliary(Protocol):
    """Another objective of a treatment, beside that of teaching.

    Attributes:
      variables: all that a checkpoint needs.
    """

    @property
    def variables(self) -> Sequence[keras.Variable]: ...

    def loss(self, treatment: Any, seed: tf.Tensor) -> tf.Tensor:
        """A scalar that is added to the outer loss."""
        ...

    def update(self, treatment: Any, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes a step of its own; returns scalars by name, for metrics.jsonl."""
        ...
