"""A Keras model as a pure function of explicit weights, so that it can be trained inside `unroll`."""

import copy
import inspect

import keras
import tensorflow as tf

from tf_gtn.core import weight_norm as wn


class Functional:
    """`outputs, state = functional(params, state, inputs, training)` for any built Keras 3 model.

    `params` maps a variable's path to its value, or to `{"v", "g"}` for a kernel under weight normalisation; `state` maps
    the path of each non-trainable variable (BatchNorm statistics, seed generators) to its value. What a layer assigns
    to its state comes back as a differentiable result.

    Attributes:
      model: the Keras model; it serves as the description, and its own variables are never read or written by a call.
      weight_norm: whether kernels are reparametrised.
    """

    def __init__(self, model, weight_norm=False):
        """Wraps `model`.

        Raises:
          ValueError: the model is not built yet, or two of its variables share a path.
        """
        if not model.built:
            raise ValueError(f"the model {model.name!r} has no weights yet: call it once, or start it with keras.Input")
        self.model = model
        self.weight_norm = weight_norm
        self._owner = {}  # id of a variable -> the layer that it belongs to
        for layer in model._flatten_layers():
            for variable in getattr(layer, "_trainable_variables", []) + getattr(layer, "_non_trainable_variables", []):
                self._owner.setdefault(id(variable), layer)
        self._axes = {}
        for variable in model.trainable_variables:
            axes = wn.reduction_axes(self._owner.get(id(variable)), variable) if weight_norm else None
            if axes is not None:
                self._axes[variable.path] = axes
        paths = [v.path for v in model.variables]
        if len(set(paths)) < len(paths):
            twice = sorted({p for p in paths if paths.count(p) > 1})
            raise ValueError(f"two variables of {model.name!r} share the path {twice[0]!r}: give its layers different names")
        self._seed = keras.random.SeedGenerator(0)
        self._takes_training = "training" in inspect.signature(model.call).parameters  # a subclassed model's may not

    def __call__(self, params, state, inputs, training=False):
        """Runs the model; returns `(outputs, new state)`."""
        return self.apply_weights(self.weights(params), state, inputs, training)

    def apply_weights(self, weights, state, inputs, training=False):
        """The same, from plain weights."""
        outputs, new_state = self.model.stateless_call(
            [weights[v.path] for v in self.model.trainable_variables],
            [state[v.path] for v in self.model.non_trainable_variables],
            inputs,
            **({"training": training} if self._takes_training else {}),
        )
        return outputs, {v.path: value for v, value in zip(self.model.non_trainable_variables, new_state)}

    def values(self):
        """The model's present `(params, state)`, as tensors."""
        return self._params({v.path: tf.convert_to_tensor(v) for v in self.model.trainable_variables}), {
            v.path: tf.convert_to_tensor(v) for v in self.model.non_trainable_variables
        }

    def initial_values(self, seed, transform=None):
        """Fresh `(params, state)` from the layers' own initialisers, as a function of `seed` (integer [2]); graph-safe.

        Args:
          seed: integer tensor [2].
          transform: optional `{path: weight} -> {path: weight}`, applied before weight normalisation.

        Raises:
          ValueError: a layer keeps no initialiser for one of its variables under the usual name.
        """
        # Keras counts up from the seed, one a variable: without the split, neighbouring seeds would share draws.
        seed = tf.random.experimental.stateless_split(tf.cast(seed, tf.int32), 1)[0]
        state_value = tf.cast(tf.bitcast(seed, tf.uint32), self._seed.state.dtype)
        with keras.StatelessScope(state_mapping=[(self._seed.state, state_value)]):
            values = {v.path: self._initial(v) for v in self.model.variables}
        trainable = {v.path: values[v.path] for v in self.model.trainable_variables}
        if transform is not None:
            trainable = transform(trainable)
        return self._params(trainable), {v.path: values[v.path] for v in self.model.non_trainable_variables}

    def assign(self, params, state):
        """Writes values back into the Keras model."""
        weights = self.weights(params)
        for variable in self.model.trainable_variables:
            variable.assign(weights[variable.path])
        for variable in self.model.non_trainable_variables:
            variable.assign(state[variable.path])

    def weights(self, params):
        """`params` as plain weights: kernels joined from `{"v", "g"}`."""
        return {path: wn.join(p, self._axes[path]) if path in self._axes else p for path, p in params.items()}

    def _params(self, weights):
        return {path: wn.split(w, self._axes[path]) if path in self._axes else w for path, w in weights.items()}

    def _initial(self, variable):
        if variable.name == "seed_generator_state":
            return tf.cast(self._seed.next(), variable.dtype)
        layer = self._owner.get(id(variable))
        if variable.name == "bias" and getattr(layer, "unit_forget_bias", False):  # an LSTM's: Keras does it in `build`
            return tf.cast(tf.repeat([0, 1, 0, 0], layer.units), variable.dtype)
        names = [f"{variable.name}_initializer", f"{variable.name.removesuffix('_kernel')}_initializer"]
        if variable.name == "kernel":  # Keras' DepthwiseConv calls it depthwise_initializer
            names.append("depthwise_initializer")
        for name in names:
            initializer = getattr(layer, name, None)
            if initializer is not None:
                break
        else:
            raise ValueError(
                f"the layer {getattr(layer, 'name', '?')!r} keeps no {names[0]!r}: its variable "
                f"{variable.path!r} can't be drawn anew"
            )
        initializer = copy.copy(initializer)
        if hasattr(initializer, "seed"):
            initializer.seed = self._seed
        return tf.convert_to_tensor(initializer(variable.shape, dtype=variable.dtype))
