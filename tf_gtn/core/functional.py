"""A Keras model as a pure function of explicit weights, so that it can be trained inside `unroll`."""

import collections
import copy
import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import weight_norm as wn


class Functional:
    """`outputs, state = functional(params, state, inputs, training)` for any built Keras 3 model.

    `params` maps a variable's key to its value, or to `{"v", "g"}` for a kernel under weight normalisation; `state` maps
    the key of each non-trainable variable (BatchNorm statistics, seed generators) to its value. A key is the variable's path;
    where several share one, as in nested models with equal layer names, those after the first get a number. What a layer
    assigns to its state comes back as a differentiable result.

    Attributes:
      model: the Keras model; it serves as the description, and its own variables are never read or written by a call.
      weight_norm: whether kernels are reparametrised.
    """

    def __init__(self, model: keras.Model, weight_norm: bool = False) -> None:
        """Wraps `model`.

        Raises:
          ValueError: the model is not built yet.
          UserError: a kernel under weight normalisation has a constraint.
        """
        if not model.built:
            raise ValueError(f"the model {model.name!r} has no weights yet: call it once, or start it with keras.Input")
        self.model = model
        self.weight_norm = weight_norm
        self._owner = {}  # id of a variable -> the layer that it belongs to
        for layer in model._flatten_layers():
            for variable in getattr(layer, "_trainable_variables", []) + getattr(layer, "_non_trainable_variables", []):
                self._owner.setdefault(id(variable), layer)
        self._keys, count = {}, collections.Counter()  # id of a variable -> its key
        for variable in model.variables:
            count[variable.path] += 1
            number = count[variable.path]
            self._keys[id(variable)] = variable.path if number == 1 else f"{variable.path} ({number})"
        self._axes = {}
        for variable in model.trainable_variables:
            axes = wn.reduction_axes(self._owner.get(id(variable)), variable) if weight_norm else None
            if axes is None:
                continue
            if variable.constraint is not None:
                raise errors.UserError(
                    f"the weight {variable.path!r} of {model.name!r} has a constraint, which weight normalisation does not "
                    "keep: teach it with weight_norm = False, or take the constraint away"
                )
            self._axes[self.key(variable)] = axes
        penalised = [v.path for v in model.trainable_variables if v.regularizer is not None or v.constraint is not None]
        penalised += [x.path for x in model._flatten_layers() if getattr(x, "activity_regularizer", None) is not None]
        self._penalised = next(iter(penalised), None)
        self._seed = keras.random.SeedGenerator(0)
        self._takes_training = "training" in inspect.signature(model.call).parameters  # a subclassed model's may not

    def __call__(self, params: dict, state: dict, inputs: Any, training: bool = False, losses: bool = False) -> tuple:
        """Runs the model; returns `(outputs, new state)`, or with `losses` `(outputs, new state, penalties)`.

        `penalties`: a tuple of scalars, what the model's regularisers and `add_loss` ask for beside the loss of its outputs.

        Raises:
          UserError: the model has regularisers or constraints, and is trained by what does not ask for penalties.
        """
        return self.apply_weights(self.weights(params), state, inputs, training, losses)

    def apply_weights(self, weights: dict, state: dict, inputs: Any, training: bool = False, losses: bool = False) -> tuple:
        """The same, from plain weights."""
        if training and self._penalised and not losses:
            raise errors.UserError(
                f"{self._penalised!r} of {self.model.name!r} has a regulariser or constraint, which this way of training would "
                "ignore: take it away"
            )
        outputs, new_state, *penalties = self.model.stateless_call(
            [weights[self.key(v)] for v in self.model.trainable_variables],
            [state[self.key(v)] for v in self.model.non_trainable_variables],
            inputs,
            return_losses=losses,
            **({"training": training} if self._takes_training else {}),
        )
        return outputs, self._by_key(self.model.non_trainable_variables, new_state), *map(tuple, penalties)

    def key(self, variable: keras.Variable) -> str:
        """The key of one of the model's variables in `params` or `state`."""
        return self._keys[id(variable)]

    def values(self) -> tuple[dict, dict]:
        """The model's present `(params, state)`, as tensors."""
        trainable, other = (
            self._by_key(variables, map(tf.convert_to_tensor, variables))
            for variables in (self.model.trainable_variables, self.model.non_trainable_variables)
        )
        return self.split(trainable), other

    def initial_values(self, seed: tf.Tensor, transform: Callable[[dict], dict] | None = None) -> tuple[dict, dict]:
        """Fresh `(params, state)` from the layers' own initialisers, as a function of `seed` (integer [2]); graph-safe.

        Args:
          seed: integer tensor [2].
          transform: optional `{key: weight} -> {key: weight}`, applied before weight normalisation.

        Raises:
          ValueError: a layer keeps no initialiser for one of its variables under the usual name.
        """
        # Keras counts up from the seed, one a variable: without the split, neighbouring seeds would share draws.
        seed = tf.random.experimental.stateless_split(tf.cast(seed, tf.int32), 1)[0]
        state_value = tf.cast(tf.bitcast(seed, tf.uint32), self._seed.state.dtype)
        with keras.StatelessScope(state_mapping=[(self._seed.state, state_value)]):
            values = {self.key(v): self._initial(v) for v in self.model.variables}
        trainable = {self.key(v): values[self.key(v)] for v in self.model.trainable_variables}
        if transform is not None:
            trainable = transform(trainable)
        return self.split(trainable), {self.key(v): values[self.key(v)] for v in self.model.non_trainable_variables}

    def assign(self, params: dict, state: dict) -> None:
        """Writes values back into the Keras model."""
        weights = self.weights(params)
        for variable in self.model.trainable_variables:
            variable.assign(weights[self.key(variable)])
        for variable in self.model.non_trainable_variables:
            variable.assign(state[self.key(variable)])

    def constrained(self, params: dict) -> dict:
        """`params` as the model's constraints want them, which Keras' optimisers see to after each step."""
        constraints = {self.key(v): v.constraint for v in self.model.trainable_variables if v.constraint is not None}
        return {key: constraints[key](value) if key in constraints else value for key, value in params.items()}

    def weights(self, params: dict) -> dict:
        """`params` as plain weights: kernels joined from `{"v", "g"}`."""
        return {key: wn.join(p, self._axes[key]) if key in self._axes else p for key, p in params.items()}

    def split(self, weights: dict) -> dict:
        """Plain weights as `params`, whose `weights` they are."""
        return {key: wn.split(w, self._axes[key]) if key in self._axes else w for key, w in weights.items()}

    def _by_key(self, variables, values):
        return {self.key(v): value for v, value in zip(variables, values)}

    def _initial(self, variable):
        if variable.name == "seed_generator_state":
            return tf.cast(self._seed.next(), variable.dtype)
        layer = self._owner.get(id(variable))
        if (
            variable.name == "bias" and layer is not None and getattr(layer, "unit_forget_bias", False)
        ):  # an LSTM's: Keras does it in `build`
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
