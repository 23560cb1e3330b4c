"""Ways to an initialisation on one interface: Leap, Reptile, MAML with and without second derivatives, finetuning, none.

Each is a `core.update_loop.UpdateLoop` over tasks of one shape: an outer step takes a batch of tasks. Of the network all
weights are learned, or all but the last layer's, which is drawn anew for every task then. Those with an outer optimiser are
made in `meta_learned`, what all share in `method`; whoever uses one finds it here.
"""

from typing import Any

import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import SGD, functional, supervised
from tf_gtn.transfer import leap
from tf_gtn.transfer import tasks as all_tasks
from tf_gtn.transfer.meta_learned import MAML, FirstOrderMAML, Leap, Reptile
from tf_gtn.transfer.method import Inner, Method, batches, wrong

__all__ = [
    "MAML",
    "Finetuning",
    "FirstOrderMAML",
    "Inner",
    "Leap",
    "Learning",
    "Method",
    "NoPretraining",
    "Reptile",
    "batches",
    "wrong",
]
_HELD_OUT = 7


class Finetuning(Method):
    """One encoder trained on all tasks together, each with a last layer of its own, which a new task gets anew.

    An outer step takes as many updates as a step of the other methods: `meta_batch_size * K`, each on a random task.
    """

    head_learned = False

    @arguments.checked("transfer.Finetuning")
    def __init__(self, *shared: Any, learning_rate: arguments.Positive = 0.01) -> None:
        """`learning_rate`: of the joint training (Table 2: 0.01); the others: see `Method`."""
        self._rate = learning_rate
        super().__init__(*shared)

    def _begun(self, params, model, task_seeds):
        initial_params = [self.network.initial_values(seed)[0] for seed in tf.unstack(task_seeds)]
        heads = {p: tf.stack([weights[p] for weights in initial_params]) for p in self._task_paths}
        return {**super()._begun(params, model, task_seeds), "heads": heads}

    def _update(self, state, seed, number):
        steps = self._meta_batch_size * self.inner.steps
        optimizer, hyper = SGD(self._rate, 0.0), {"learning_rate": self._rate, "momentum": 0.0}

        def body(t, state, loss):
            chosen, data = tf.unstack(tf.random.experimental.stateless_split(tf.stack([seed, number * steps + t]), 2))
            task = tf.random.stateless_uniform([], chosen, 0, self.count, tf.int32)
            params = {**state["params"], **{p: v[task] for p, v in state["heads"].items()}}
            images, labels = self.tasks.batch(task, self.inner.batch_size, data)
            inner = supervised.initial_state(optimizer, params, state["model"])
            inner, batch_loss, _ = supervised.update(self.network, optimizer, inner, images, labels, hyper)
            heads = {p: tf.tensor_scatter_nd_update(v, [[task]], inner["params"][p][None]) for p, v in state["heads"].items()}
            learned = {p: inner["params"][p] for p in state["params"]}
            return t + 1, {"params": learned, "model": inner["model"], "heads": heads}, loss + batch_loss / steps

        _, state, loss = tf.while_loop(lambda t, *_: t < steps, body, (0, state, tf.zeros([])), parallel_iterations=1)
        return state, {"loss": loss}


class NoPretraining(Method):
    """Weights as they are drawn; one outer step, which changes nothing."""

    stops = True  # what other arms share with it does no harm

    def __init__(
        self,
        network: functional.Functional,
        tasks: all_tasks.Tasks,
        count: int,
        inner: Inner,
        seed: int,
        outer_steps: int,
        *settings: Any,
    ) -> None:
        """See `Method`."""
        super().__init__(network, tasks, count, inner, seed, min(1, outer_steps), *settings)

    def _update(self, state, seed, number):
        return state, {"loss": tf.zeros([])}


class Learning:
    """New tasks, learned from a method's initialisation; compiled once a method."""

    def __init__(self, method: Method, tasks: all_tasks.Tasks, inner: Inner) -> None:
        """`tasks`: those that are learned; `inner`: an `Inner`, which may differ from that of pretraining.

        Raises:
          UserError: `inner` would stop by the images that the error is of.
        """
        if inner.stop_error:
            raise errors.UserError("new tasks are tested on their held-out images: transfer.Inner.stop_error is 0 there")
        self._method, self._tasks, self._inner = method, tasks, inner
        self._run = tf.function(self._learned, autograph=False)

    def __call__(self, task: int, seed: int, best: bool = True) -> dict[str, Any]:
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
        network, params, model = method.begin(state, fresh, inner.steps)
        batch, loss_fn = batches(self._tasks, task, inner.batch_size, data, augmented=False), supervised.cross_entropy
        trained = leap.train(network, inner.optimizer, (params, model), batch, inner.steps, None, loss_fn, inner.hyper, wrong)
        images, labels = self._tasks.held_out(task)
        outputs, _ = network(trained["params"], trained["model"], images, training=False)
        curve = trained["errors"][:-1]
        return {
            "error": wrong(labels, outputs),
            "area": tf.reduce_mean(curve),
            "loss": tf.reduce_mean(trained["losses"][:-1]),
            "curve": curve,
        }
