"""Leap on the encoder that A2C agents of several environments begin with (Leap, appendix H)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import optimizers
from tf_gtn.rl import a2c, networks
from tf_gtn.transfer import leap

_TASKS, _INIT = 11, 12  # what is drawn from a seed, told apart


class Agent(a2c.A2CAgent):
    """An `A2CAgent` that begins from a given encoder, and adds up Leap's increment of it while it learns (equation 8).

    A point of the way is the encoder's weights and the loss of the experience that they gave; policy and value layers, which
    differ between environments, are no part of it.

    Attributes:
      orthogonal: how weights are drawn, see `networks.actor_and_value`.
      encoder: the weights that actor and value network share.
      increment: what has been added up, like `encoder`.
      length: of the way so far.
    """

    orthogonal = False

    def __init__(self, *args: Any, manifold: leap.Manifold | None = None, **settings: Any) -> None:
        """`manifold`: of the way, by default `Manifold()`; the others: see `A2CAgent`."""
        super().__init__(*args, **settings)
        self._manifold = manifold or leap.Manifold()
        shared = set.intersection(*({id(v) for v in n.trainable_variables} for n in (self.actor_network, self.value_network)))
        if not shared:
            raise errors.UserError("Leap learns the encoder that policy and value share: they have to share one")
        self._places = [i for i, v in enumerate(self._trained) if id(v) in shared]
        self.encoder = [self._trained[i] for i in self._places]
        self._fresh = [v.numpy() for v in self._optimizer.variables]
        self.increment, self._before, self._gradient = (
            [tf.Variable(tf.zeros_like(v), trainable=False, name=name) for v in self.encoder]
            for name in ("increment", "before", "gradient")
        )
        self.length, self._loss_before = (tf.Variable(0.0, trainable=False, name=name) for name in ("length", "loss_before"))
        self._under_way = tf.Variable(False, trainable=False, name="under_way")

    def begin(self, seed: int, encoder: Sequence[tf.Variable] | None = None) -> None:
        """Becomes a fresh agent, its weights drawn from `seed`, those of its encoder `encoder` if there is one."""
        networks.draw_both(self.actor_network, self.value_network, self.encoder, [seed, _INIT], self.orthogonal)
        for variable, value in zip(self.encoder, encoder or ()):
            variable.assign(value)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        none = (*self.increment, self.length, self.train_step_counter, self.skipped, self.consecutively_skipped)
        for variable in (*none, self._under_way):
            variable.assign(tf.zeros_like(variable))

    def _on_the_way(self, loss, gradients):
        encoder_gradients = [gradients[i] for i in self._places]
        encoder = [tf.convert_to_tensor(v) for v in self.encoder]
        finite = tf.math.is_finite(loss) & tf.math.is_finite(tf.linalg.global_norm(encoder_gradients))

        def add():
            before, gradient = ([tf.convert_to_tensor(v) for v in variables] for variables in (self._before, self._gradient))
            increment, squared = self._manifold.increment(before, gradient, self._loss_before, encoder, loss)
            for total, change in zip(self.increment, increment):
                total.assign_add(change)
            return self.length.assign_add(tf.sqrt(squared))

        def keep():
            for variable, value in zip((*self._before, *self._gradient), (*encoder, *encoder_gradients)):
                variable.assign(value)
            self._loss_before.assign(loss)
            return self._under_way.assign(True)

        tf.cond(finite & self._under_way, add, lambda: tf.convert_to_tensor(self.length))
        tf.cond(finite, keep, lambda: tf.convert_to_tensor(self._under_way))


class Leap:
    """An encoder, learned over environments: an outer step trains a fresh agent on each of a batch of them.

    Attributes:
      variables, outer_steps, skipped, consecutively_skipped: as a run's loop has them.
      encoder: the weights learned, in the order of `Agent.encoder`.
    """

    def __init__(
        self,
        names: Iterable[str],
        make: Callable[[str], Any],
        seed: int,
        outer_steps: int,
        updates: int,
        meta_batch_size: int,
        optimizer: optimizers.Optimizer,
    ) -> None:
        """Draws the encoder.

        Args:
          names: of the environments.
          make: `name -> training.A2C` with an `Agent`; called once a name, when it is first chosen.
          seed: integer.
          outer_steps: meta-gradient steps.
          updates: of an agent (the paper: until 5 million environment steps).
          meta_batch_size: environments per outer step, drawn with replacement where there are too few.
          optimizer: the outer one, of `core.optimizers`.
        """
        self._names, self._make, self._agents = list(names), make, {}
        self.seed, self.outer_steps, self._updates, self._meta_batch_size = seed, outer_steps, updates, meta_batch_size
        self._optimizer = optimizer
        self._hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        first = self._agent(self._names[0])
        first.begin(seed)
        self.encoder = [tf.Variable(v, trainable=False, name="encoder") for v in first.agent.encoder]
        slots = optimizer.init([tf.convert_to_tensor(v) for v in self.encoder])
        self._slots = tf.nest.map_structure(lambda v: tf.Variable(v, trainable=False, name="slot"), slots)
        self.skipped, self.consecutively_skipped = (tf.Variable(0, trainable=False, name=n) for n in ("skipped", "in_a_row"))
        self.environment_steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="environment_steps")

    @property
    def variables(self) -> list[tf.Variable]:
        slots = tf.nest.flatten(self._slots)
        return [*self.encoder, *slots, self.skipped, self.consecutively_skipped, self.environment_steps]

    def step(self, index: int) -> dict[str, Any]:
        """Outer step number `index`; returns means over its agents: the last loss, the length of the way, the last scores."""
        rng = np.random.default_rng([self.seed, index, _TASKS])
        chosen = rng.choice(len(self._names), self._meta_batch_size, replace=self._meta_batch_size > len(self._names))
        total, results = [tf.zeros_like(v) for v in self.encoder], []
        for which in chosen:
            run = self._agent(self._names[which])
            last: dict[str, Any] = {}
            run.begin(int(rng.integers(2**31)), self.encoder)
            for k in range(self._updates + 1):  # the last one is for the last point alone: what it changes is thrown away
                last = run.step(k)
            total = [t + v / self._meta_batch_size for t, v in zip(total, run.agent.increment)]
            results.append({"loss": float(last["loss"]), "length": float(run.agent.length), "return": float(last["return"])})
            self.environment_steps.assign_add(run.environment_steps)
        if all(np.isfinite(v.numpy()).all() for v in total):
            self._update(total)
            self.consecutively_skipped.assign(0)
        else:
            self.skipped.assign_add(1)
            self.consecutively_skipped.assign_add(1)
        means = {name: np.mean([result[name] for result in results]) for name in ("length", "return")}
        return {"loss": tf.constant(np.mean([result["loss"] for result in results])), **means}

    def _update(self, increment):
        params, slots = self._optimizer.update(
            increment,
            tf.nest.map_structure(tf.convert_to_tensor, self._slots),
            [tf.convert_to_tensor(v) for v in self.encoder],
            self._hyper,
        )
        for variable, value in zip((*self.encoder, *tf.nest.flatten(self._slots)), (*params, *tf.nest.flatten(slots))):
            variable.assign(value)

    def _agent(self, name):
        if name not in self._agents:
            self._agents[name] = self._make(name)
        return self._agents[name]
