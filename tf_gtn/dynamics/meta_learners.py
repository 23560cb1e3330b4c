"""LSTM meta-learners: networks whose activations learn a new task within an episode (sections 3.2 and 4.2, A.2 and A.4)."""

from collections.abc import Callable
from typing import Annotated, Protocol

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core import Functional, optimizers, update_loop
from tf_gtn.dynamics import learners, problems


class LSTM:
    """An LSTM cell with a linear readout, as a pure function of its weights."""

    @arguments.checked("dynamics.LSTM")
    def __init__(
        self,
        inputs: int,
        outputs: int,
        units: arguments.Count = 64,
        input_scale: arguments.Positive = 1.0,
        memory: Annotated[float, arguments.above(1)] | None = None,
    ) -> None:
        """Makes the network.

        Args:
          inputs, outputs: their numbers.
          units: of the cell.
          input_scale: what the inputs' weights of Keras are multiplied by to begin with. Large ones make each gate depend on
            the inputs from the start: products of inputs, which take long to come about, are there then.
          memory: the longest time that units remember to begin with, in steps: forget gates' biases are log u, u uniform from
            1 to it, and input gates' the negative ("chrono initialisation"); None: Keras' ones and zeros.
        """
        self._input_scale, self._memory = input_scale, memory
        x, h, c = (keras.Input((n,), name=name) for n, name in ((inputs, "x"), (units, "h"), (units, "c")))
        hidden, (h_next, c_next) = keras.layers.LSTMCell(units, name="lstm")(x, [h, c])
        read = keras.layers.Dense(outputs, name="readout")(hidden)
        self.units, self.functional = units, Functional(keras.Model([x, h, c], [read, h_next, c_next], name="meta_learner"))
        self._rest = self.functional.values()[1]  # Keras' cell keeps a seed for dropout

    def initial(self, seed: tf.Tensor) -> dict:
        """Fresh weights, as a function of `seed` (integer [2])."""

        def transform(weights):
            weights["lstm/kernel"] = weights["lstm/kernel"] * self._input_scale
            if self._memory is not None:
                drawn = tf.random.stateless_uniform([self.units], seed, 1.0, self._memory)
                rest = tf.zeros([2 * self.units])
                weights["lstm/bias"] = tf.concat([-tf.math.log(drawn), tf.math.log(drawn), rest], 0)  # input, forget, ...
            return weights

        return self.functional.initial_values(seed, transform)[0]

    def start(self, count: int) -> dict:
        """The state of so many episodes before their first step."""
        return {"h": tf.zeros([count, self.units]), "c": tf.zeros([count, self.units])}

    def step(self, params: dict, state: dict, x: tf.Tensor) -> tuple[dict, tf.Tensor]:
        """`x` `[n, inputs]` -> `(state, outputs [n, outputs])`."""
        (outputs, h, c), _ = self.functional(params, self._rest, [x, state["h"], state["c"]])
        return {"h": h, "c": c}, outputs


class Episodes(Protocol):
    """What an LSTM learns in.

    Attributes:
      lstm: it.
    """

    lstm: LSTM

    def loss(self, params: dict, count: int, seed: tf.Tensor) -> tf.Tensor:
        """The outer loss of so many episodes: a scalar whose gradient by `params` is what an update follows."""
        ...


class MetaTraining(update_loop.UpdateLoop):
    """The outer loop: every update takes a batch of new tasks, an episode each, and the mean loss over it (equation 4).

    Attributes:
      of: the episodes.
    """

    def __init__(
        self,
        episodes: Episodes,
        optimizer: optimizers.Optimizer,
        seed: int,
        outer_steps: int,
        iterations: int = 100,
        batch_size: int = 200,
        final_rate: float = 1.0,
    ) -> None:
        """Draws the LSTM.

        Args:
          episodes: `Regression` or `bandits.Episodes`: `lstm`, and `loss(params, count, seed)`.
          optimizer: of `core.optimizers`.
          seed, outer_steps, iterations: see `core.update_loop.UpdateLoop`.
          batch_size: episodes an update (A.2: 200).
          final_rate: where the learning rate ends by a cosine, as a fraction of where it begins (the paper: constant).
        """
        self.of, self._optimizer, self._batch, self._final_rate = episodes, optimizer, batch_size, final_rate
        self._hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        params = episodes.lstm.initial(tf.constant([seed, 2**30]))
        state = {"params": params, "slots": optimizer.init(params)}
        super().__init__(state, self._update, ("loss", "gradient_norm"), seed, outer_steps, iterations)

    @property
    def params(self) -> dict:
        """The LSTM's weights of the moment."""
        return self.state()["params"]

    def _update(self, state, seed, number):
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(state["params"]))
            loss = self.of.loss(state["params"], self._batch, tf.stack([seed, number]))
        gradients = tape.gradient(loss, state["params"])
        part = tf.cast(number, tf.float32) / (self.outer_steps * self.iterations)
        share = self._final_rate + (1 - self._final_rate) * 0.5 * (1 + tf.cos(np.pi * part))
        hyper = {**self._hyper, "learning_rate": self._hyper["learning_rate"] * share}
        params, slots = self._optimizer.update(gradients, state["slots"], state["params"], hyper)
        metrics = {"loss": loss, "gradient_norm": tf.linalg.global_norm(tf.nest.flatten(gradients))}
        return {"params": params, "slots": slots}, metrics


class Regression:
    """Episodes of regression: at step t the LSTM gets x_t and y_{t-1} and predicts y_t (section 3.2.1).

    Attributes:
      lstm: the `LSTM`.
      length: T.
    """

    def __init__(
        self,
        problem: problems.Regression,
        length: int = 20,
        network: Callable[[int, int], LSTM] = LSTM,
        tasks: tf.Tensor | None = None,
    ) -> None:
        """Makes the network.

        Args:
          problem: a `problems.Linear` or `problems.Fourier`.
          length: T.
          network: `(inputs, outputs) -> LSTM`.
          tasks: always these, one for each episode of a batch: a Learner with an LSTM's parameters (figures A4, A6).
        """
        inputs, outputs = problem.widths
        self.problem, self.length, self._tasks = problem, length, tasks
        self.lstm = network(inputs + outputs, outputs)

    def loss(self, params: dict, count: int, seed: tf.Tensor) -> tf.Tensor:
        """Mean over episodes and steps of the squared error, summed over outputs (equation 4)."""
        drawn, data = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        tasks = (
            self.problem.tasks(count, drawn) if self._tasks is None else tf.repeat(self._tasks, count // len(self._tasks), 0)
        )
        x, y = self.problem.batch(tasks, self.length, data)
        _, outputs = self.run(params, x, y)
        return tf.reduce_mean(tf.reduce_sum(tf.math.squared_difference(outputs, y), -1))

    def run(self, params: dict, x: tf.Tensor, y: tf.Tensor) -> tuple[dict, tf.Tensor]:
        """Episodes `[n, T, ...]` -> `(states before each step {[T, n, units]}, outputs [n, T, Ny])`."""
        state, states, outputs = self.lstm.start(x.shape[0]), [], []
        before = tf.concat([tf.zeros_like(y[:, :1]), y[:, :-1]], 1)
        for t in range(self.length):  # one graph: T is small, and a loop would cost more than the step
            states.append(state)
            state, read = self.lstm.step(params, state, tf.concat([x[:, t], before[:, t]], -1))
            outputs.append(read)
        return tf.nest.map_structure(lambda *s: tf.stack(s), *states), tf.stack(outputs, 1)

    def curves(self, params: dict, tasks: tf.Tensor, seed: tf.Tensor, last: bool = False) -> tf.Tensor:
        """q `[T, n, K]` within episodes on the given tasks, by forked copies that get probes instead of x_t (3.2.3, 4.2.2).

        At t (from 0) the LSTM has seen t examples. `last`: at the last step alone, `[1, n, K]`.
        """
        x, y = self.problem.batch(tasks, self.length, seed)
        states, _ = self.run(params, x, y)
        before = tf.transpose(tf.concat([tf.zeros_like(y[:, :1]), y[:, :-1]], 1), [1, 0, 2])  # [T, n, Ny]
        if last:
            states, before = tf.nest.map_structure(lambda v: v[-1:], (states, before))

        def outputs(probes):
            count, shape = probes.shape[0], before.shape[:2]

            def spread(v):
                return tf.reshape(tf.repeat(v[:, :, None], count, 2), (-1, v.shape[-1]))

            rows = tf.reshape(tf.broadcast_to(probes, (*shape, *probes.shape)), (-1, probes.shape[-1]))
            forked = tf.nest.map_structure(spread, states)
            _, read = self.lstm.step(params, forked, tf.concat([rows, spread(before)], -1))
            return tf.reshape(read, (*shape, count, -1))

        return learners.shares(self.problem, tasks, outputs)

    def many_curves(self, params: dict, tasks: tf.Tensor, seed: int, chunk: int = 100) -> np.ndarray:
        """`curves` `[T, n, K]` of many tasks, so many at a time."""
        look = tf.function(self.curves, autograph=False)
        parts = [
            look(params, tasks[start : start + chunk], tf.constant([seed, start])).numpy()
            for start in range(0, len(tasks), chunk)
        ]
        return np.concatenate(parts, 1)

    def losses(self, params: dict, tasks: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`[T]`: the squared error at each step, summed over outputs, its mean over an episode of each task."""
        x, y = self.problem.batch(tasks, self.length, seed)
        _, outputs = self.run(params, x, y)
        return tf.reduce_mean(tf.reduce_sum(tf.math.squared_difference(outputs, y), -1), 0)
