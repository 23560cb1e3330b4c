"""What every way to an initialisation shares: a state that tasks begin from, and how a task is trained."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import SGD, functional, optimizers, update_loop
from tf_gtn.models import convolutional
from tf_gtn.transfer import leap
from tf_gtn.transfer import tasks as all_tasks

Network = Callable[..., tuple]
"""`(params, model, inputs, training=False) -> (outputs, model)`, such as a `core.Functional`."""
PLAIN = SGD(0.1, 0.0)
_INIT, _TASK = 2**30, 2**30 + 1


@dataclasses.dataclass(frozen=True)
@arguments.checked("transfer.Inner")
class Inner:
    """How a task is trained.

    Attributes:
      steps: K.
      batch_size: images per step.
      optimizer: of `core.optimizers`.
      cosine: let its learning rate fall to 0 by a cosine (appendix G).
      stop_error: stop after `stop_batches` batches of held-out images in a row with an error below it (appendix F: 2%, 30); 0:
        never. Of methods that can stop (`Method.stops`), while they pretrain.
      stop_batches: see `stop_error`.
    """

    steps: arguments.Count = 100
    batch_size: arguments.Count = 20
    optimizer: optimizers.Optimizer = PLAIN
    cosine: bool = False
    stop_error: arguments.Fraction = 0.0
    stop_batches: arguments.Count = 30

    def hyper(self, t: tf.Tensor) -> dict[str, Any]:
        """The optimiser's hyperparameters at step t."""
        values = {name: value for name, (value, _) in self.optimizer.hyperparameters.items()}
        if self.cosine:
            part = tf.cast(t, tf.float32) / self.steps
            values["learning_rate"] *= 0.5 * (1 + tf.cos(3.141592653589793 * part))
        return values


class Method(update_loop.UpdateLoop):
    """What the methods share: a state `{"params", "model"}` to begin tasks from.

    Attributes:
      network: a `core.Functional`.
      tasks: the `tasks.Tasks` that it is pretrained on, the first `count` of them.
      inner: how a task is trained.
    """

    head_learned = True
    stops = False  # whether a task's training may end early: `Inner.stop_error`

    @arguments.checked("transfer.arm")
    def __init__(
        self,
        network: functional.Functional,
        tasks: all_tasks.Tasks,
        count: int,
        inner: Inner,
        seed: int,
        outer_steps: arguments.Count,
        meta_batch_size: arguments.Count = 20,
        encoder_only: bool = False,
        patience: arguments.Whole = 0,
    ) -> None:
        """Draws the initialisation.

        Args:
          network, tasks, inner: see the attributes.
          count: pretraining tasks.
          seed: integer.
          outer_steps: meta-gradient steps.
          meta_batch_size: tasks per step, drawn with replacement.
          encoder_only: draw the last layer anew for every task (appendix G).
          patience: stop after so many verdicts of `judged` in a row without a new best (appendix F: 10), and keep the best; 0:
            never.

        Raises:
          UserError: there are not so many tasks, or a number is below 1.
        """
        if not 1 <= count <= len(tasks):
            raise errors.UserError(f"there are {len(tasks)} tasks to pretrain on; got {count}")
        if not self.stops:
            arguments.no_effect(
                "transfer.Inner", inner, ("stop_error",), f"on transfer.{type(self).__name__}: set it to 0 there"
            )
        self.network, self.tasks, self.count, self.inner = network, tasks, count, inner
        self._meta_batch_size = meta_batch_size
        drawn_anew = encoder_only or not self.head_learned
        self._task_paths = {path for path in network.values()[0] if drawn_anew and _is_head(path)}
        task_seeds = tf.random.experimental.stateless_split(tf.constant([seed, _TASK]), count)
        state = self._begun(*network.initial_values(tf.constant([seed, _INIT])), task_seeds)
        super().__init__(state, self._update, ("loss",), seed, outer_steps, 1)
        self._patience = patience
        best = {"error": np.float32(np.inf), "since": 0, "loss": 0.0, "state": state if patience else ()}
        self._best: dict[str, Any] = tf.nest.map_structure(lambda v: tf.Variable(v, trainable=False, name="best"), best)

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, *tf.nest.flatten(self._best)]

    def step(self, index: int) -> dict[str, tf.Tensor]:
        """Outer step number `index`, or nothing once patience is at its end; returns `{"loss"}` of the last one taken."""
        if self.finished:
            return {"loss": self._best["loss"].read_value()}
        metrics = super().step(index)
        self._best["loss"].assign(metrics["loss"])
        return metrics

    @property
    def patient(self) -> bool:
        """Whether it stops by `judged`."""
        return self._patience > 0

    @property
    def finished(self) -> bool:
        """Whether patience is at its end; `taken` stays what it is from then on."""
        return self.patient and int(self._best["since"].numpy()) >= self._patience

    def restart(self, fresh: Any) -> None:
        """See `core.update_loop.UpdateLoop`; the tasks become those of `fresh`, too."""
        super().restart(fresh)
        self.tasks.become(fresh.tasks)

    def judged(self, error: float) -> None:
        """Takes note of a validation error of the present state."""
        if not self._patience:
            return
        if error < float(self._best["error"].numpy()):
            self._best["error"].assign(error)
            self._best["since"].assign(0)
            tf.nest.map_structure(lambda best, present: best.assign(present), self._best["state"], self.state())
        else:
            self._best["since"].assign_add(1)

    def learned(self) -> dict:
        """The state that new tasks begin from: the present one, or the best of those that were judged."""
        if self._patience and np.isfinite(self._best["error"].numpy()):
            return tf.nest.map_structure(tf.convert_to_tensor, self._best["state"])
        return self.state()

    def save(self, path: str) -> None:
        """Writes the network as a task begins with it to a .keras file, its last layer drawn where none is learned."""
        self.network.assign(*self.start(self.learned(), tf.constant([self.seed, _INIT])))
        self.network.model.save(path)

    def _update(self, state, seed, number):
        """An outer step: `(state, {"loss"})`; see `core.update_loop.UpdateLoop`."""
        raise NotImplementedError

    def _begun(self, params, model, task_seeds):
        """The first state; `task_seeds` [count, 2]: one per pretraining task, for the weights that this task alone has."""
        return {"params": {p: v for p, v in params.items() if p not in self._task_paths}, "model": model}

    def begin(self, state: dict, seed: tf.Tensor, steps: int) -> tuple[Network, dict, dict]:
        """`(network, params, model)` that a new task is learned with, for so many `steps`."""
        del steps
        return self.network, *self.start(state, seed)

    def start(self, state: dict, seed: tf.Tensor) -> tuple[dict, dict]:
        """`(params, model)` of a new task: the learned weights, and a last layer of its own where none is learned."""
        fresh, _ = self.network.initial_values(seed)
        return {**{p: fresh[p] for p in self._task_paths}, **state["params"]}, state["model"]


def batches(tasks: all_tasks.Tasks, task: int | tf.Tensor, size: int, seed: tf.Tensor, augmented: bool = True) -> leap.Batches:
    """`t -> (images, labels)`: the batches that a task is trained on; new tasks are not augmented."""
    return lambda t: tasks.batch(task, size, tf.stack([seed[0], seed[1] + t]), augmented=augmented)


def wrong(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Share of `outputs` [n, classes] whose largest is not that of one-hot `labels`."""
    return tf.reduce_mean(tf.cast(tf.argmax(labels, -1) != tf.argmax(outputs, -1), tf.float32))


def _is_head(path):
    return path.split("/")[-2] == convolutional.HEAD
