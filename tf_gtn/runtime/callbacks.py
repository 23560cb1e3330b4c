"""Who listens to a run: a `Callback`, by name (`tf_gtn.register.callback`) or as an object.

    @tf_gtn.register.callback("elsewhere")
    class Elsewhere(callbacks.Callback):
        def step(self, step, values):
            send(step, values)

Callbacks listen and change no numbers. They run in the chief's process, between outer steps. What one raises ends the run with
its traceback, and the same command goes on from the last checkpoint.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf

from tf_gtn import errors, registries

REGISTRY = registries.Registry("callback")
"""`{name: function or class that gives a Callback, called without arguments}`."""


@dataclasses.dataclass(frozen=True)
class Begun:
    """What a callback is told when training begins, or goes on.

    Attributes:
      base_dir: the folder of this seed.
      trainings: `{name: Trainable}`.
      step: the outer step that training goes on after, 0 at its start. Later steps that were told before a kill are told again.
      summaries: a `tf.summary` writer of TensorBoard's; what a callback writes there is lost when a run goes on.
    """

    base_dir: str
    trainings: Mapping[str, Any]
    step: int
    summaries: tf.summary.SummaryWriter


@runtime_checkable
class Callback(Protocol):
    """Listens to the training of each seed; a subclass has the methods that it needs, and the others do nothing."""

    def begin(self, begun: Begun) -> None:
        """Training begins, or goes on."""
        del begun

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """A line was written to metrics.jsonl: `{<training>/<quantity>: number, text or None}` after `step` outer steps."""
        del step, values

    def validated(self, step: int, name: str, training: Any) -> None:
        """A training was validated after `step` outer steps; the call of `step` before this one has the numbers."""
        del step, name, training

    def saved(self, step: int) -> None:
        """A checkpoint was written after `step` outer steps."""
        del step

    def end(self) -> None:
        """Training ended, was stopped, or broke off; nothing comes after it."""
        return


def check(where: str, callbacks: Sequence[Any]) -> None:
    """Raises `UserError` unless each is a registered name or a `Callback`; `where` is the setting that has them."""
    if isinstance(callbacks, str) or not isinstance(callbacks, Sequence):
        raise errors.UserError(f"{where} is a tuple, of names or of callbacks; got {callbacks!r}")
    for callback in callbacks:
        if isinstance(callback, str):
            REGISTRY.check(callback)
        elif isinstance(callback, type) or not isinstance(callback, Callback):
            wanted = "names of callbacks, or objects of subclasses of tf_gtn.runtime.callbacks.Callback"
            raise errors.UserError(f"{where} has {wanted}; got {callback!r}")


def make(callbacks: Sequence[Any]) -> list[Callback]:
    """Callbacks, from names and callbacks; those by name are made anew."""
    return [REGISTRY[callback]() if isinstance(callback, str) else callback for callback in callbacks]


@contextlib.contextmanager
def listening(callbacks: Sequence[Callback], begun: Begun) -> Generator[Callable[..., None], None, None]:
    """Yields `tell(method, *values)`, which tells all; each that was told of the beginning is told of the end."""
    with contextlib.ExitStack() as ends:
        for callback in callbacks:
            callback.begin(begun)
            ends.callback(callback.end)

        def tell(method, *values):
            for callback in callbacks:
                getattr(callback, method)(*values)

        yield tell
