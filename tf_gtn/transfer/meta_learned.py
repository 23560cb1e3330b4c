"""Initialisations that an outer optimiser finds: Leap, Reptile, MAML with and without second derivatives."""

from typing import Any

import tensorflow as tf

from tf_gtn.core import optimizers, supervised, unroll
from tf_gtn.transfer import leap, method


class MetaLearned(method.Method):
    """Methods with an outer optimiser, which goes down along the mean of the tasks' increments."""

    stops = True

    def __init__(self, *shared: Any, optimizer: optimizers.Optimizer | None = None) -> None:
        """`optimizer`: the outer one, by default SGD with 0.1 (Table 2; appendix G: Adam, 0.01); the others: see `Method`."""
        self._outer = optimizer = optimizer or method.PLAIN
        self._outer_hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        super().__init__(*shared)

    def _begun(self, params, model, task_seeds):
        begun = super()._begun(params, model, task_seeds)
        return {**begun, "slots": self._outer.init(begun["params"])}

    def _update(self, state, seed, number):
        """Goes down the mean of the tasks' increments; BatchNorm's statistics become the tasks' mean."""

        def body(n, increment, model, loss):
            chosen, fresh, data = tf.unstack(
                tf.random.experimental.stateless_split(tf.stack([seed, number * self._meta_batch_size + n]), 3)
            )
            task = tf.random.stateless_uniform([], chosen, 0, self.count, tf.int32)
            task_increment, model_after, loss_after = self._learned(self.start(state, fresh), task, data)
            task_increment = {p: task_increment[p] for p in state["params"]}
            of_task = task_increment, _floats(model_after), loss_after
            add = tf.nest.map_structure(lambda a, b: a + b / self._meta_batch_size, (increment, model, loss), of_task)
            return n + 1, *add

        zeros = tf.nest.map_structure(tf.zeros_like, (state["params"], _floats(state["model"])))
        _, increment, model, loss = tf.while_loop(
            lambda n, *_: n < self._meta_batch_size, body, (0, *zeros, tf.zeros([])), parallel_iterations=1
        )
        params, slots = self._outer.update(increment, state["slots"], state["params"], self._outer_hyper)
        return {"params": params, "slots": slots, "model": {**state["model"], **model}}, {"loss": loss}

    def _learned(self, start, task, seed):
        """`(increment to go down along, BatchNorm's statistics, mean loss)` of one task."""
        raise NotImplementedError

    def _train(self, start, task, seed, manifold=None):
        inner, loss_fn = self.inner, supervised.cross_entropy
        batch = method.batches(self.tasks, task, inner.batch_size, seed)

        def enough(params, model, t):
            images, labels = self.tasks.batch(task, inner.batch_size, tf.stack([seed[0] + 1, seed[1] + t]), held_out=True)
            return method.wrong(labels, self.network(params, model, images, training=False)[0]) < inner.stop_error

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

    def __init__(
        self, *shared: Any, manifold: leap.Manifold | None = None, optimizer: optimizers.Optimizer | None = None
    ) -> None:
        """`manifold`: by default `leap.Manifold()`; the others: see `MetaLearned`."""
        self._manifold = manifold or leap.Manifold()
        super().__init__(*shared, optimizer=optimizer)

    def _learned(self, start, task, seed):
        trained = self._train(start, task, seed, self._manifold)
        return trained["increment"], trained["model"], tf.reduce_mean(trained["losses"])


class Reptile(MetaLearned):
    """Reptile: theta_0 - theta_K, all steps included."""

    def _learned(self, start, task, seed):
        trained = self._train(start, task, seed)
        increment = {p: start[0][p] - value for p, value in trained["params"].items()}
        return increment, trained["model"], tf.reduce_mean(trained["losses"])


class FirstOrderMAML(MetaLearned):
    """MAML's gradient at the trained weights, on images of the task that it was not trained on, without second derivatives."""

    def _learned(self, start, task, seed):
        trained = self._train(start, task, seed)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(trained["params"]))
            loss = self._judged(trained["params"], trained["model"], task, seed)
        return tape.gradient(loss, trained["params"]), trained["model"], tf.reduce_mean(trained["losses"])


class MAML(MetaLearned):
    """MAML: the loss after K steps on images that they did not see, through all of them; inner losses are no part of it."""

    stops = False

    def _learned(self, start, task, seed):
        params, model = start
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(params))
            state = supervised.initial_state(self.inner.optimizer, params, model)
            batch = method.batches(self.tasks, task, self.inner.batch_size, seed)

            def step(_, state, t):
                state, loss, _ = supervised.update(self.network, self.inner.optimizer, state, *batch(t), self.inner.hyper(t))
                return state, loss

            state, losses = unroll(step, (), state, tf.range(self.inner.steps))
            loss = self._judged(state["params"], state["model"], task, seed)
        return tape.gradient(loss, params), state["model"], tf.reduce_mean(losses)


def _floats(model):
    return {p: v for p, v in model.items() if v.dtype.is_floating}
