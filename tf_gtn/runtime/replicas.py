"""Who takes part in a run: one process, its devices, or the processes of a cluster (`--strategy`).

A run's parameters are plain variables of each process, equal everywhere: a step averages gradients over all replicas
(`core.averaging`), and every process applies the same mean. So checkpoints and exports do not depend on the strategy. The
chief, the first worker, is the only one that reads and writes the run's folder; the others get the state from it.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors

STRATEGIES = ("default", "mirrored", "multi_worker")


@dataclasses.dataclass(frozen=True)
class Replicas:
    """The processes of a run, as one of them sees them.

    Attributes:
      strategy: a `tf.distribute.Strategy`; None for one process on one device.
      index: of this process, 0 the chief's.
      processes: how many there are.
    """

    strategy: tf.distribute.Strategy | None = None
    index: int = 0
    processes: int = 1

    @property
    def chief(self) -> bool:
        return self.index == 0

    @property
    def count(self) -> int:
        """Replicas in all."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    def share(self, value: Any) -> np.ndarray:
        """The chief's `value`, a number or array, in all processes; each has one of the same shape and dtype."""
        value = np.asarray(value)
        return value if self.processes == 1 else self._sum(value if self.chief else np.zeros_like(value))

    def share_variables(self, variables: Sequence[Any]) -> None:
        """Sets variables to what the chief's are."""
        if self.processes > 1:
            values = [variable.numpy() for variable in variables]
            shared = self.share(np.concatenate([np.ravel(value).astype(np.float64) for value in values]))
            parts = np.split(shared, np.cumsum([value.size for value in values])[:-1])
            for variable, value, part in zip(variables, values, parts):
                variable.assign(part.reshape(value.shape).astype(value.dtype))

    def any_number(self, number: int) -> int:
        """A number above 0 that some process has, or 0 if none has one; the largest of them."""
        if self.processes == 1:
            return number
        is_this = np.arange(self.processes) == self.index
        return int(self._sum(np.where(is_this, number, 0)).max())

    def _sum(self, value):
        total = self._summed(tf.constant(np.ravel(value), tf.float64)).numpy()  # exact for integers up to 2^53
        return total.reshape(value.shape).astype(value.dtype)

    @functools.cached_property
    def _summed(self):
        strategy: Any = self.strategy

        def summed(value):
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(value,)), axis=None)

        return tf.function(summed, autograph=False, input_signature=[tf.TensorSpec([None], tf.float64)])


ALONE = Replicas()


def make(name: str) -> Replicas:
    """The `Replicas` of a strategy by name; before anything else uses TensorFlow's devices.

    default: one process, one device. mirrored: all GPUs of this machine, or all its logical CPU devices. multi_worker: the
    processes of `TF_CONFIG`, `{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}`; waits
    until all are there. Raises `UserError` for an unknown name, or without a usable `TF_CONFIG`.
    """
    if name not in STRATEGIES:
        raise errors.unknown("--strategy", name, STRATEGIES)
    if name == "default":
        return ALONE
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Replicas(tf.distribute.MirroredStrategy([device.name for device in devices]))
    workers, index = _cluster(os.environ.get("TF_CONFIG", ""))
    return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), index, workers)


def _cluster(text):
    example = 'such as {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        index, fits = task["index"], set(config["cluster"]) == {"worker"} and task["type"] == "worker"
    except (ValueError, KeyError, TypeError):
        raise errors.UserError(
            f"--strategy=multi_worker takes its cluster from TF_CONFIG, {example}; got {text[:200]!r}"
        ) from None
    if not fits or not isinstance(index, int) or not 0 <= index < len(workers):
        raise errors.UserError(f"TF_CONFIG names workers alone, and the index of one of them, {example}; got {text[:200]!r}")
    return len(workers), index
