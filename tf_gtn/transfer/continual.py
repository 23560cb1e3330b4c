"""Two ways to keep what each task learned, as Multi-CV compares with (Leap, appendix G): HAT and Progressive Nets.

Both learn a task for K steps whenever its turn comes ("we allow multiple task revisits"); a new one is learned beside all of
them.
"""

from typing import Any

import keras
import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core import Functional, supervised
from tf_gtn.models import convolutional
from tf_gtn.transfer import leap, method

_GATES, _STEP, _LARGEST = "hat/gates", "hat/step", 6.0


class _Continual(method.Method):
    """Methods whose tasks have weights of their own: `state["own"]`, stacked along the first axis."""

    def visited(self, state: dict, task: tf.Tensor) -> tuple[method.Network, dict, dict]:
        """`(network, params, model)` with which a task of pretraining is learned on."""
        raise NotImplementedError

    def stored(self, state: dict, task: tf.Tensor, params: dict, model: dict) -> dict:
        """The state after that."""
        raise NotImplementedError

    def _initial_of_task(self, seed):
        """The weights that one task alone has, drawn from `seed` [2]."""
        raise NotImplementedError

    def _initial_of_tasks(self, seeds):
        return tf.nest.map_structure(lambda *v: tf.stack(v), *map(self._initial_of_task, tf.unstack(seeds)))

    def save(self, path: str) -> None:
        """Writes nothing: there is no single network that new tasks begin with."""

    def _update(self, state, seed, number):
        inner = self.inner

        def body(n, state, loss):
            draws = tf.random.experimental.stateless_split(tf.stack([seed, number * self._meta_batch_size + n]), 2)
            task = tf.random.stateless_uniform([], draws[0], 0, self.count, tf.int32)
            network, params, model = self.visited(state, task)
            batch = method.batches(self.tasks, task, inner.batch_size, draws[1])
            trained = leap.train(
                network, inner.optimizer, (params, model), batch, inner.steps, None, supervised.cross_entropy, inner.hyper
            )
            state = self.stored(state, task, trained["params"], trained["model"])
            return n + 1, state, loss + tf.reduce_mean(trained["losses"]) / self._meta_batch_size

        start = 0, state, tf.zeros([])
        _, state, loss = tf.while_loop(lambda n, *_: n < self._meta_batch_size, body, start, parallel_iterations=1)
        return state, {"loss": loss}


class HAT(_Continual):
    """Hard attention to the task (Serra et al. 2018): every task gates the channels of one encoder, and protects those it uses.

    The gates of module l are sigmoid(s e_l), e a task's own; s rises from 1/s_max to s_max within its K steps. A gradient
    reaches a weight as far as no other task gates both its channels open, and the gates pay for channels that none uses yet.
    """

    head_learned = False

    @arguments.checked("transfer.HAT")
    def __init__(self, *shared: Any, largest_scale: arguments.Positive = 400.0, sparsity: arguments.NotNegative = 0.75) -> None:
        """`largest_scale`, `sparsity`: s_max and c of Serra et al. (2018); the others: see `method.Method`."""
        self._scale, self._sparsity = largest_scale, sparsity
        super().__init__(*shared)

    def _begun(self, params, model, task_seeds):
        self._gated = Functional(_with_gates(self.network.model))
        task_params = self._initial_of_tasks(task_seeds)
        return {**super()._begun(params, model, task_seeds), "own": task_params, "seen": tf.zeros([self.count])}

    def begin(self, state: dict, seed: tf.Tensor, steps: int) -> tuple[method.Network, dict, dict]:
        """See `method.Method`."""
        return self._bound(state, self._initial_of_task(seed), self._earlier(state, state["seen"]), steps)

    def visited(self, state: dict, task: tf.Tensor) -> tuple[method.Network, dict, dict]:
        """See `_Continual`."""
        others = state["seen"] * (1 - tf.one_hot(task, self.count))
        task_params = {p: v[task] for p, v in state["own"].items()}
        return self._bound(state, task_params, self._earlier(state, others), self.inner.steps)

    def stored(self, state: dict, task: tf.Tensor, params: dict, model: dict) -> dict:
        """See `_Continual`."""
        task_params = {p: _at(v, task, params[p]) for p, v in state["own"].items()}
        shared = {p: params[p] for p in state["params"]}
        model = {p: v for p, v in model.items() if p != _STEP}
        return {"params": shared, "model": model, "own": task_params, "seen": _at(state["seen"], task, 1.0)}

    def _initial_of_task(self, seed):
        """The weights that one task alone has: a last layer, and gates that are half open on average."""
        fresh, _ = self.network.initial_values(seed)
        convolutions = _convolutions(self.network.model)
        gates = tf.random.stateless_normal((len(convolutions), convolutions[0].filters), seed)
        return {**{p: fresh[p] for p in self._task_paths}, _GATES: gates}

    def _earlier(self, state, counted):
        """`[modules, channels]`: how far the tasks that count gate a channel open, at most."""
        gates = _gates(state["own"][_GATES], self._scale)
        return tf.reduce_max(gates * counted[:, None, None], 0)

    def _bound(self, state, task_params, earlier, steps):
        free = self._sparsity * (1 - earlier) / tf.maximum(tf.reduce_sum(1 - earlier), 1e-6)
        factors = _factors(self.network.model, earlier)

        def network(params, model, inputs, training=False):
            part = tf.minimum(tf.cast(model[_STEP], tf.float32) / max(steps - 1, 1), 1.0)
            scale = 1 / self._scale + (self._scale - 1 / self._scale) * part if training else self._scale
            gates = tf.unstack(_open(params[_GATES], tf.convert_to_tensor(scale), free, self._scale))
            weights = {p: _damped(v, factors[p]) if p in factors else v for p, v in params.items()}
            outputs, after = self._gated(weights, model, [inputs, *(gate[None] for gate in gates)], training)
            return outputs, {**after, _STEP: model[_STEP] + int(training)}

        return network, {**state["params"], **task_params}, {**state["model"], _STEP: tf.constant(0)}


class ProgressiveNets(_Continual):
    """Progressive nets (Rusu et al. 2016): every task has a network of its own, which reads the others' modules as well.

    A module is that of the network that the others learn, plus a 1x1 convolution of what the modules below of all other
    columns give ("we allow lateral connections between all tasks"); those stay as they are while a task is learned. A
    column does not read itself, nor do the others read it then.
    """

    def _begun(self, params, model, task_seeds):
        del params, model
        self._parts = [Functional(part) for part in _column(self.network.model, self.count)]
        return {"own": self._initial_of_tasks(task_seeds), "seen": tf.zeros([self.count])}

    def begin(self, state: dict, seed: tf.Tensor, steps: int) -> tuple[method.Network, dict, dict]:
        """See `method.Method`."""
        del steps
        return self._bound(state, self._initial_of_task(seed), state["seen"])

    def visited(self, state: dict, task: tf.Tensor) -> tuple[method.Network, dict, dict]:
        """See `_Continual`."""
        column = tf.nest.map_structure(lambda v: v[task], state["own"])
        return self._bound(state, column, state["seen"] * (1 - tf.one_hot(task, self.count)))

    def stored(self, state: dict, task: tf.Tensor, params: dict, model: dict) -> dict:
        """See `_Continual`."""
        columns = tf.nest.map_structure(lambda v, new: _at(v, task, new), state["own"], {"params": params, "model": model})
        return {"own": columns, "seen": _at(state["seen"], task, 1.0)}

    def _initial_of_task(self, seed):
        initial_values = [part.initial_values(part_seed) for part, part_seed in zip(self._parts, self._seeds(seed))]
        params, model = ({p: v for values in of_parts for p, v in values.items()} for of_parts in zip(*initial_values))
        return {"params": params, "model": model}

    def _seeds(self, seed):
        return tf.unstack(tf.random.experimental.stateless_split(seed, len(self._parts)))

    def _bound(self, state, trained_column, read):
        """`(network, params, model)` of a column that reads the other columns n with `read[n]` 1."""
        columns = [tf.nest.map_structure(lambda v, n=n: v[n], state["own"]) for n in range(self.count)]

        def network(params, model, inputs, training=False):
            below, others, after = inputs, [inputs] * self.count, {}
            for k, part in enumerate(self._parts):
                reading = [[]] * (self.count + 1)
                if k:  # the images themselves need no lateral connection
                    seen = [tf.stop_gradient(other) * read[n] for n, other in enumerate(others)]
                    reading = [[tf.concat([v * float(n != m) for n, v in enumerate(seen)], -1)] for m in range(self.count + 1)]
                last = part is self._parts[-1]
                if not last:
                    others = [
                        part(column["params"], column["model"], [other, *reading[n]], False)[0]
                        for n, (column, other) in enumerate(zip(columns, others))
                    ]
                below, model_after = part(params, model, [below, *reading[-1]], training)
                after |= model_after
            return below, after

        return network, trained_column["params"], trained_column["model"]


def _convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def _with_gates(model):
    """The same layers, and so variables, each module's channels multiplied by a further input."""
    images = keras.Input(model.input_shape[1:])
    x, gates = images, []
    for layer in model.layers:
        x = layer(x)
        if isinstance(layer, keras.layers.MaxPooling2D):  # a module's end
            gates.append(keras.Input((x.shape[-1],)))
            x = x * keras.layers.Reshape((1, 1, x.shape[-1]))(gates[-1])
    return keras.Model([images, *gates], x)


def _column(model, columns):
    """Modules of one of several networks like `model`, and its last layer, each `[below, what the others give] -> above`."""
    parts, shape, classes = [], model.input_shape[1:], model.output_shape[-1]
    momentum = next(layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    for k, convolution in enumerate(_convolutions(model)):
        below, filters, name = keras.Input(shape), convolution.filters, k + 1
        inputs, x = [below], keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{name}")(below)
        if k:
            inputs.append(keras.Input((*shape[:2], columns * shape[-1])))
            x = x + keras.layers.Conv2D(filters, 1, use_bias=False, name=f"lateral_{name}")(inputs[-1])
        x = keras.layers.BatchNormalization(momentum=momentum, name=f"norm_{name}")(x)
        x = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(x))
        parts.append(keras.Model(inputs, x))
        shape = x.shape[1:]
    inputs = [keras.Input(shape), keras.Input((*shape[:2], columns * shape[-1]))]
    flat = keras.layers.Flatten()(keras.layers.Concatenate()(inputs))
    return [*parts, keras.Model(inputs, keras.layers.Dense(classes, name=convolutional.HEAD)(flat))]


def _factors(model, earlier):
    """`{path: what a weight's gradient is multiplied by}`: 1 - min of its channels' `earlier` gates, out and in."""
    factors, module = {}, -1
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            module += 1
            used = earlier[module]
            if module:
                used = tf.minimum(used, earlier[module - 1][:, None])
            factors[layer.kernel.path] = 1 - used
        elif isinstance(layer, keras.layers.BatchNormalization):
            factors |= {v.path: 1 - earlier[module] for v in layer.trainable_variables}
    return factors


def _gates(embeddings, scale):
    return tf.sigmoid(scale * tf.clip_by_value(embeddings, -_LARGEST, _LARGEST))


@tf.custom_gradient
def _open(embeddings, scale, price, largest):
    """Gates, whose gradient is as if s were s_max / 4 at e = 0 and flattened as sigmoid does (Serra et al.'s compensation).

    That is (upstream + price) s_max sigmoid'(e): the factor s_max (cosh(s e) + 1) / (s (cosh(e) + 1)) times s sigmoid'(s e).
    """

    def gradient(upstream):
        flat = tf.sigmoid(tf.clip_by_value(embeddings, -_LARGEST, _LARGEST))
        return (upstream + price) * largest * flat * (1 - flat), None, None, None

    return _gates(embeddings, scale), gradient


@tf.custom_gradient
def _damped(weight, factor):
    return tf.identity(weight), lambda upstream: (upstream * factor, None)


def _at(values, index, new):
    return tf.tensor_scatter_nd_update(values, [[index]], tf.convert_to_tensor(new)[None])
