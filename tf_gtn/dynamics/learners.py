"""Learners: networks trained from scratch on a single task by SGD or Adam (sections 3.1 and 4.1, appendices A.1 and A.3)."""

import itertools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, watching
from tf_gtn.core import Functional, optimizers, stacking, supervised
from tf_gtn.dynamics import instruments, problems

PROBES = 100  # of the linear function that a network is (section 3.2.3)


@arguments.checked("dynamics.perceptron")
def perceptron(
    inputs: int,
    outputs: int,
    units: tuple[arguments.Count, ...] = (10,),
    activation: str | None = None,
    deviation: arguments.Positive | None = None,
    bias: bool = False,
) -> keras.Sequential:
    """A multilayer perceptron; A.1: 10 units, no activation, truncated normal with `deviation` 0.1; A.3: five of 256, ReLU."""
    initializer = (
        keras.initializers.GlorotUniform() if deviation is None else keras.initializers.TruncatedNormal(0.0, deviation)
    )
    dense = {"use_bias": bias, "kernel_initializer": initializer}
    layers = [keras.layers.Dense(width, activation, name=f"dense_{i + 1}", **dense) for i, width in enumerate(units)]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs, name="outputs", **dense)])


def squared_error(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Summed over outputs, a mean over the batch, summed over networks side by side: each gets its own gradient."""
    return tf.reduce_sum(tf.reduce_mean(tf.reduce_sum(tf.math.squared_difference(targets, outputs), -1), -1))


class Learners:
    """N networks side by side, each on a task of its own."""

    def __init__(
        self,
        problem: problems.Regression,
        tasks: tf.Tensor,
        model: keras.Model,
        optimizer: optimizers.Optimizer,
        batch_size: int = 100,
        seed: int = 0,
    ) -> None:
        """Draws the networks.

        Args:
          problem: a `problems.Linear` or `problems.Fourier`.
          tasks: N of its tasks.
          model: Keras model of one network.
          optimizer: of `core.optimizers`.
          batch_size: examples a step, drawn anew (A.1: 100; A.3: 40).
          seed: integer.
        """
        optimizers.check_side_by_side(optimizer)
        self._problem, self._tasks, self._optimizer, self._batch = problem, tf.convert_to_tensor(tasks), optimizer, batch_size
        self._networks, self._seed = stacking.Stacked(Functional(model), len(self._tasks)), seed
        self._hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        self._train = tf.function(self._trained, autograph=False)
        self._look = tf.function(self._measured, autograph=False)

    def curves(self, steps: int, checks: int = 100) -> dict[str, np.ndarray]:
        """Trains for so many steps and looks `checks` times, evenly spaced.

        Returns:
          `{"steps": [C], "q": [C, N, K], "loss": [C, N]}`, from the untrained networks on; q over frequencies, or over singular
          modes from the largest on.
        """
        params, model = self._networks.initial_values(tf.constant([self._seed, 0]))
        state = supervised.initial_state(self._optimizer, params, model)
        at = np.unique(np.linspace(0, steps, checks + 1).round().astype(int))
        looks = [self._look(state)]
        for start, stop in watching.each(list(itertools.pairwise(at)), "looks at the learners"):
            state = self._train(state, tf.constant(start), tf.constant(stop))
            looks.append(self._look(state))
        q, loss = (np.stack([values.numpy() for values in by_look]) for by_look in zip(*looks))
        return {"steps": at, "q": q, "loss": loss}

    def _trained(self, state, start, stop):
        step = tf.function(self._step, autograph=False, experimental_attributes={"_noinline": True})
        return tf.while_loop(lambda t, _: t < stop, lambda t, s: (t + 1, step(s, t)), (start, state), parallel_iterations=1)[1]

    def _step(self, state, t):
        x, y = self._problem.batch(self._tasks, self._batch, tf.stack([self._seed + 1, t]))
        return supervised.update(self._networks, self._optimizer, state, x, y, self._hyper, squared_error)[0]

    def _measured(self, state):
        def outputs(x):
            x = tf.broadcast_to(x, (len(self._tasks), *x.shape[-2:]))
            return self._networks(state["params"], state["model"], x)[0]

        x, y = self._problem.batch(self._tasks, 1000, tf.constant([self._seed + 2, 0]))
        loss = tf.reduce_mean(tf.reduce_sum(tf.math.squared_difference(y, outputs(x)), -1), -1)
        return shares(self._problem, self._tasks, outputs), loss


def shares(problem: problems.Regression, tasks: tf.Tensor, outputs: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """q `[..., N, K]` of functions `outputs(x [count, Nx]) -> [..., N, count, Ny]`, one for each of N tasks."""
    if isinstance(problem, problems.Linear):
        x = tf.random.stateless_normal((PROBES, problem.size), [7, 7])
        modes = instruments.modes_of(tasks)
        return instruments.effective_spectrum(instruments.linear_part(x, outputs(x)), modes) / modes[1]
    x = tf.constant(instruments.probes())
    target = problem.values(tasks, x)
    return instruments.fourier_projection(outputs(x[:, None])[..., 0], target, len(problem.amplitudes))
