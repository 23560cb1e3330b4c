"""Ways to an initialisation on one interface: Leap, Reptile, MAML with and without second derivatives, finetuning, none.

Each is a `core.updates.Updates` over tasks of one shape: an outer step takes a batch of tasks. Of the network all weights are
learned, or all but the last layer's, which is drawn anew for every task then.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, supervised, unroll, updates
from tf_gtn.models import convolutional
from tf_gtn.transfer import leap

_INIT, _OWN, _HELD_OUT = 2**30, 2**30 + 1, 7


@dataclasses.dataclass(frozen=True)
class Inner:
    """How a task is trained.

    Attributes:
      steps: K.
      batch_size: images a step.
      optimizer: of `core.optimizers`.
      cosine: let its learning rate fall to 0 by a cosine (appendix G).
      stop_error: stop after `stop_batches` batches of held-out images in a row with an error below it (appendix F: 2%, 30); 0:
        never. Of methods that can stop (`Method.stops`), while they pretrain.
      stop_batches: see `stop_error`.
    """

    steps: int = 100
    batch_size: int = 20
    optimizer: object = SGD(0.1, 0.0)
    cosine: bool = False
    stop_error: float = 0.0
    stop_batches: int = 30

    def __post_init__(self):
        errors.at_least_one("transfer.Inner", steps=self.steps, batch_size=self.batch_size, stop_batches=self.stop_batches)
        if not 0 <= self.stop_error < 1:
            raise errors.UserError(f"transfer.Inner.stop_error is a share of images, below 1; got {self.stop_error}")

    def hyper(self, t):
        """The optimiser's hyperparameters at step t."""
        values = {name: value for name, (value, _) in self.optimizer.hyperparameters.items()}
        if self.cosine:
            part = tf.cast(t, tf.float32) / self.steps
            values["learning_rate"] *= 0.5 * (1 + tf.cos(3.141592653589793 * part))
        return values


class Method(updates.Updates):
    """What the methods share: a state `{"params", "model"}` to begin tasks from.

    Attributes:
      network: a `core.Functional`.
      tasks: the `tasks.Tasks` that it is pretrained on, the first `count` of them.
      inner: how a task is trained.
    """

    head_learned = True
    stops = False  # whether a task's training may end early: `Inner.stop_error`

    def __init__(self, network, tasks, count, inner, seed, outer_steps, batch=20, encoder_only=False, patience=0):
        """Draws the initialisation.

        Args:
          network, tasks, inner: see the attributes.
          count: pretraining tasks.
          seed: integer.
          outer_steps: meta-gradient steps.
          batch: tasks a step, drawn with replacement.
          encoder_only: draw the last layer anew for every task (appendix G).
          patience: stop after so many verdicts of `judged` in a row without a new best (appendix F: 10), and keep the best; 0:
            never.

        Raises:
          UserError: there are not so many tasks, or a number is below 1.
        """
        errors.at_least_one("transfer.arm", outer_steps=outer_steps, batch=batch)
        if not 1 <= count <= len(tasks):
            raise errors.UserError(f"there are {len(tasks)} tasks to pretrain on; got {count}")
        if inner.stop_error and not self.stops:
            raise errors.UserError(
                f"transfer.Inner.stop_error has no effect on transfer.{type(self).__name__}: set it to 0 there"
            )
        self.network, self.tasks, self.count, self.inner = network, tasks, count, inner
        self._batch = batch
        drawn_anew = encoder_only or not self.head_learned
        self._own = {path for path in network.values()[0] if drawn_anew and _is_head(path)}
        own_seeds = tf.random.experimental.stateless_split(tf.constant([seed, _OWN]), count)
        state = self._begun(*network.initial_values(tf.constant([seed, _INIT])), own_seeds)
        super().__init__(state, self._update, ("loss",), seed, outer_steps, 1)
        self._patience = patience
        self._best = {"error": np.float32(np.inf), "since": 0, "loss": 0.0, "state": state if patience else ()}
        self._best = tf.nest.map_structure(lambda v: tf.Variable(v, trainable=False, name="best"), self._best)

    @property
    def variables(self):
        return [*super().variables, *tf.nest.flatten(self._best)]

    def step(self, index):
        """Outer step number `index`, or nothing once patience is at its end; returns `{"loss"}` of the last one taken."""
        if self.finished:
            return {"loss": self._best["loss"].read_value()}
        found = super().step(index)
        self._best["loss"].assign(found["loss"])
        return found

    @property
    def patient(self):
        """Whether it stops by `judged`."""
        return self._patience > 0

    @property
    def finished(self):
        """Whether patience is at its end; `taken` stays what it is from then on."""
        return self.patient and int(self._best["since"].numpy()) >= self._patience

    def restart(self, fresh):
        """See `core.updates.Updates`; the tasks become those of `fresh`, too."""
        super().restart(fresh)
        self.tasks.become(fresh.tasks)

    def judged(self, error):
        """Takes note of a validation error of the present state."""
        if not self._patience:
            return
        if error < float(self._best["error"].numpy()):
            self._best["error"].assign(error)
            self._best["since"].assign(0)
            tf.nest.map_structure(lambda kept, now: kept.assign(now), self._best["state"], self.state())
        else:
            self._best["since"].assign_add(1)

    def learned(self):
        """The state that new tasks begin from: the present one, or the best of those that were judged."""
        if self._patience and np.isfinite(self._best["error"].numpy()):
            return tf.nest.map_structure(tf.convert_to_tensor, self._best["state"])
        return self.state()

    def save(self, path):
        """Writes the network as a task begins with it to a .keras file, its last layer drawn where none is learned."""
        self.network.assign(*self.start(self.learned(), tf.constant([self.seed, _INIT])))
        self.network.model.save(path)

    def _begun(self, params, model, own_seeds):
        """The first state; `own_seeds` [count, 2]: one a pretraining task, for what it has of its own."""
        return {"params": {p: v for p, v in params.items() if p not in self._own}, "model": model}

    def begin(self, state, seed, steps):
        """`(network, params, model)` that a new task is learned with, for so many `steps`."""
        del steps
        return self.network, *self.start(state, seed)

    def start(self, state, seed):
        """`(params, model)` of a new task: the learned weights, and a last layer of its own where none is learned."""
        fresh, _ = self.network.initial_values(seed)
        return {**{p: fresh[p] for p in self._own}, **state["params"]}, state["model"]


class MetaLearned(Method):
    """Methods with an outer optimiser, which goes down along the mean of the tasks' increments."""

    stops = True

    def __init__(self, *arguments, optimizer=None):
        """`optimizer`: the outer one, by default SGD with 0.1 (Table 2; appendix G: Adam, 0.01); the others: see `Method`."""
        self._outer = optimizer = optimizer or SGD(0.1, 0.0)
        self._outer_hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        super().__init__(*arguments)

    def _begun(self, params, model, own_seeds):
        begun = super()._begun(params, model, own_seeds)
        return {**begun, "slots": self._outer.init(begun["params"])}

    def _update(self, state, seed, number):
        """Goes down the mean of the tasks' increments; BatchNorm's statistics become the tasks' mean."""

        def body(n, increment, model, loss):
            chosen, fresh, data = tf.unstack(
                tf.random.experimental.stateless_split(tf.stack([seed, number * self._batch + n]), 3)
            )
            task = tf.random.stateless_uniform([], chosen, 0, self.count, tf.int32)
            own, model_after, loss_after = self._learned(self.start(state, fresh), task, data)
            own = {p: own[p] for p in state["params"]}
            found = own, _floats(model_after), loss_after
            add = tf.nest.map_structure(lambda a, b: a + b / self._batch, (increment, model, loss), found)
            return n + 1, *add

        zeros = tf.nest.map_structure(tf.zeros_like, (state["params"], _floats(state["model"])))
        _, increment, model, loss = tf.while_loop(
            lambda n, *_: n < self._batch, body, (0, *zeros, tf.zeros([])), parallel_iterations=1
        )
        params, slots = self._outer.update(increment, state["slots"], state["params"], self._outer_hyper)
        return {"params": params, "slots": slots, "model": {**state["model"], **model}}, {"loss": loss}

    def _learned(self, start, task, seed):
        """`(increment to go down along, BatchNorm's statistics, mean loss)` of one task."""
        raise NotImplementedError

    def _train(self, start, task, seed, manifold=None):
        inner, loss_fn = self.inner, supervised.cross_entropy
        batch = batches(self.tasks, task, inner.batch_size, seed)

        def enough(params, model, t):
            images, labels = self.tasks.batch(task, inner.batch_size, tf.stack([seed[0] + 1, seed[1] + t]), held_out=True)
            return wrong(labels, self.network(params, model, images, training=False)[0]) < inner.stop_error

        return leap.train(
            self.network,
            inner.optimizer,
            start,
            batch,
            inner.steps,
            manifold,
            loss_fn,
            inner.hyper,
            enough=enough if inner.stop_error else None,
            in_a_row=inner.stop_batches,
        )

    def _judged(self, params, model, task, seed):
        """The loss on a batch of the task that it is not trained on."""
        images, labels = self.tasks.batch(task, self.inner.batch_size, tf.stack([seed[0], seed[1] - 1]), held_out=True)
        return supervised.cross_entropy(labels, self.network(params, model, images, training=True)[0])


class Leap(MetaLearned):
    """Leap (equation 8), on the manifold of its choice."""

    def __init__(self, *arguments, manifold=None, optimizer=None):
        """`manifold`: by default `leap.Manifold()`; the others: see `MetaLearned`."""
        self._manifold = manifold or leap.Manifold()
        super().__init__(*arguments, optimizer=optimizer)

    def _learned(self, start, task, seed):
        found = self._train(start, task, seed, self._manifold)
        return found["increment"], found["model"], tf.reduce_mean(found["losses"])


class Reptile(MetaLearned):
    """Reptile: theta_0 - theta_K, all steps included."""

    def _learned(self, start, task, seed):
        found = self._train(start, task, seed)
        increment = {p: start[0][p] - value for p, value in found["params"].items()}
        return increment, found["model"], tf.reduce_mean(found["losses"])


class FirstOrderMAML(MetaLearned):
    """MAML's gradient at the trained weights, on images of the task that it was not trained on, without second derivatives."""

    def _learned(self, start, task, seed):
        found = self._train(start, task, seed)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(found["params"]))
            loss = self._judged(found["params"], found["model"], task, seed)
        return tape.gradient(loss, found["params"]), found["model"], tf.reduce_mean(found["losses"])


class MAML(MetaLearned):
    """MAML: the loss after K steps on images that they did not see, through all of them; inner losses are no part of it."""

    stops = False

    def _learned(self, start, task, seed):
        params, model = start
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(params))
            state = supervised.initial_state(self.inner.optimizer, params, model)
            batch = batches(self.tasks, task, self.inner.batch_size, seed)

            def step(_, state, t):
                state, loss, _ = supervised.update(self.network, self.inner.optimizer, state, *batch(t), self.inner.hyper(t))
                return state, loss

            state, losses = unroll(step, (), state, tf.range(self.inner.steps))
            loss = self._judged(state["params"], state["model"], task, seed)
        return tape.gradient(loss, params), state["model"], tf.reduce_mean(losses)


class Finetuning(Method):
    """One encoder trained on all tasks together, each with a last layer of its own, which a new task gets anew.

    An outer step takes as many updates as a step of the others: `batch` tasks of K batches, a random task each.
    """

    head_learned = False

    def __init__(self, *arguments, learning_rate=0.01):
        """`learning_rate`: of the joint training (Table 2: 0.01); the others: see `Method`."""
        self._rate = learning_rate
        super().__init__(*arguments)

    def _begun(self, params, model, own_seeds):
        drawn = [self.network.initial_values(each)[0] for each in tf.unstack(own_seeds)]
        heads = {p: tf.stack([each[p] for each in drawn]) for p in self._own}
        return {**super()._begun(params, model, own_seeds), "heads": heads}

    def _update(self, state, seed, number):
        steps = self._batch * self.inner.steps
        optimizer, hyper = SGD(self._rate, 0.0), {"learning_rate": self._rate, "momentum": 0.0}

        def body(t, state, loss):
            chosen, data = tf.unstack(tf.random.experimental.stateless_split(tf.stack([seed, number * steps + t]), 2))
            task = tf.random.stateless_uniform([], chosen, 0, self.count, tf.int32)
            params = {**state["params"], **{p: v[task] for p, v in state["heads"].items()}}
            images, labels = self.tasks.batch(task, self.inner.batch_size, data)
            inner = supervised.initial_state(optimizer, params, state["model"])
            inner, own, _ = supervised.update(self.network, optimizer, inner, images, labels, hyper)
            heads = {p: tf.tensor_scatter_nd_update(v, [[task]], inner["params"][p][None]) for p, v in state["heads"].items()}
            learned = {p: inner["params"][p] for p in state["params"]}
            return t + 1, {"params": learned, "model": inner["model"], "heads": heads}, loss + own / steps

        _, state, loss = tf.while_loop(lambda t, *_: t < steps, body, (0, state, tf.zeros([])), parallel_iterations=1)
        return state, {"loss": loss}


class NoPretraining(Method):
    """Weights as they are drawn; one outer step, which changes nothing."""

    stops = True  # what other arms share with it does no harm

    def __init__(self, network, tasks, count, inner, seed, outer_steps, *settings):
        """See `Method`."""
        super().__init__(network, tasks, count, inner, seed, min(1, outer_steps), *settings)

    def _update(self, state, seed, number):
        return state, {"loss": tf.zeros([])}


class Learning:
    """New tasks, learned from a method's initialisation; compiled once a method."""

    def __init__(self, method, tasks, inner):
        """`tasks`: those that are learned; `inner`: an `Inner`, which may differ from that of pretraining.

        Raises:
          UserError: `inner` would stop by the images that the error is of.
        """
        if inner.stop_error:
            raise errors.UserError("new tasks are tested on their held-out images: transfer.Inner.stop_error is 0 there")
        self._method, self._tasks, self._inner = method, tasks, inner
        self._run = tf.function(self._learned, autograph=False)

    def __call__(self, task, seed, best=True):
        """Learns task number `task` from what a method has learned; not `best`: from its present state.

        Returns:
          `{"error", "area", "loss", "curve" [K]}`: share of held-out images that are classified wrongly in the end; mean
          error (area under the training curve) and mean loss of training batches, each before its update; those errors.
        """
        state = self._method.learned() if best else self._method.state()
        return {k: v.numpy() for k, v in self._run(state, tf.constant(task), tf.constant(seed)).items()}

    def _learned(self, state, task, seed):
        fresh, data = tf.unstack(tf.random.experimental.stateless_split(tf.stack([seed, _HELD_OUT]), 2))
        method, inner = self._method, self._inner
        network, *start = method.begin(state, fresh, inner.steps)
        batch, loss_fn = batches(self._tasks, task, inner.batch_size, data, augmented=False), supervised.cross_entropy
        found = leap.train(network, inner.optimizer, start, batch, inner.steps, None, loss_fn, inner.hyper, wrong)
        images, labels = self._tasks.held_out(task)
        outputs, _ = network(found["params"], found["model"], images, training=False)
        curve = found["errors"][:-1]
        return {
            "error": wrong(labels, outputs),
            "area": tf.reduce_mean(curve),
            "loss": tf.reduce_mean(found["losses"][:-1]),
            "curve": curve,
        }


def batches(tasks, task, size, seed, augmented=True):
    """`t -> (images, labels)`: the batches that a task is trained on; new tasks are not augmented."""
    return lambda t: tasks.batch(task, size, tf.stack([seed[0], seed[1] + t]), augmented=augmented)


def wrong(labels, outputs):
    """Share of `outputs` [n, classes] whose largest is not that of one-hot `labels`."""
    return tf.reduce_mean(tf.cast(tf.argmax(labels, -1) != tf.argmax(outputs, -1), tf.float32))


def _is_head(path):
    return path.split("/")[-2] == convolutional.HEAD


def _floats(model):
    return {p: v for p, v in model.items() if v.dtype.is_floating}
