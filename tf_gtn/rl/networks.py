"""Actor and value networks for tf-agents' agents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec

from tf_gtn import arguments, errors
from tf_gtn.rl import environments

Encoder = Callable[[], list[tf.keras.layers.Layer]]


@arguments.checked("networks.fully_connected")
def fully_connected(units: tuple[arguments.Count, ...] = (64,), activation: str | None = "tanh") -> list[tf.keras.layers.Layer]:
    """Fully connected layers (GTN paper, appendix H: one of 64 units with tanh)."""
    return [tf.keras.layers.Dense(width, activation=activation) for width in units]


@arguments.checked("networks.convolutional")
def convolutional(
    filters: tuple[arguments.Count, ...] = (16, 32),
    kernels: tuple[arguments.Count, ...] = (8, 4),
    strides: tuple[arguments.Count, ...] = (4, 2),
    units: arguments.Count = 256,
) -> list[tf.keras.layers.Layer]:
    """Images of bytes -> features: the network of Mnih et al. (2016), which Leap's appendix H takes over."""
    layers = [tf.keras.layers.Rescaling(1 / 255)]
    for width, kernel, stride in zip(filters, kernels, strides, strict=True):
        layers.append(tf.keras.layers.Conv2D(width, kernel, strides=stride, activation="relu"))
    return [*layers, tf.keras.layers.Flatten(), tf.keras.layers.Dense(units, activation="relu")]


def actor_and_value(
    environment: environments.VectorEnvironment,
    encoder: Encoder,
    seed: int | Sequence[int],
    shared: bool = True,
    orthogonal: bool = False,
) -> tuple[Any, Any, Any]:
    """Networks for the observations and actions of a `VectorEnvironment`.

    Args:
      environment: gives their specs.
      encoder: function without arguments -> list of layers, such as `fully_connected`.
      seed: the weights follow from it.
      shared: whether both stand on one encoder, as in Mnih et al. (2016), or on one each.
      orthogonal: kernels are orthogonal, the encoder's times sqrt(2), the policy's last one times 0.01, the value's times 1,
        instead of Glorot uniform: the policy begins by playing at random.

    Returns:
      `(encoder, actor, value)`, tf-agents networks: observations -> features, a categorical distribution, an estimate [n].
    """
    spec = tensor_spec.from_spec(environment.observation_spec())
    if spec.dtype == tf.uint8:  # tf-agents draws an example, and with NumPy 2 its 255 + 1 is 0
        spec = tensor_spec.BoundedTensorSpec(spec.shape, spec.dtype, 0, 254)
    if len(spec.shape) not in (1, 3):
        raise errors.UserError(
            f"networks take vectors or images; the observations of {environment.name} are {list(spec.shape)}"
        )
    first = sequential.Sequential(encoder(), input_spec=spec, name="encoder")
    second = first if shared else sequential.Sequential(encoder(), input_spec=spec, name="value_encoder")
    distribution = tf.keras.layers.Lambda(lambda logits: tfp.distributions.Categorical(logits=logits, dtype=tf.int64))
    actor = sequential.Sequential([first, tf.keras.layers.Dense(environment.actions), distribution], spec, "actor")
    squeeze = tf.keras.layers.Lambda(lambda x: tf.squeeze(x, -1))
    value = sequential.Sequential([second, tf.keras.layers.Dense(1), squeeze], spec, "value")
    try:
        for network in (actor, value):
            network.create_variables()
    except ValueError:
        raise errors.UserError(
            f"the encoder can't take the observations of {environment.name}, {list(spec.shape)}: convolutional is for images, "
            "fully_connected for vectors"
        ) from None
    draw_both(actor, value, [*first.variables, *second.variables], seed, orthogonal)
    return first, actor, value


def draw_both(
    actor: Any, value: Any, encoders: Sequence[tf.Variable], seed: int | Sequence[int], orthogonal: bool = False
) -> None:
    """Draws an actor and a value network anew, whose `encoders` are these variables; see `actor_and_value`."""
    gains = None
    if orthogonal:
        inner = {id(v) for v in encoders}
        gains = {id(v): 0.01 for v in actor.variables if id(v) not in inner}
        gains |= {id(v): 1.0 for v in value.variables if id(v) not in inner}
    draw(unique(actor.variables, value.variables), seed, gains)


def unique(*lists: Any) -> list[tf.Variable]:
    """The variables of all lists, each once."""
    return list({id(v): v for variables in lists for v in variables}.values())


def draw(variables: Sequence[tf.Variable], seed: int | Sequence[int], gains: Mapping[int, float] | None = None) -> None:
    """Draws weights anew from `seed` alone: biases zero, kernels Glorot uniform, as Keras does.

    With `gains`, kernels are orthogonal, times `gains[id(kernel)]`, or sqrt(2) for those that it does not name.
    """
    seeds = np.random.SeedSequence(seed).generate_state(len(variables))
    for variable, variable_seed in zip(variables, seeds):
        if len(variable.shape) > 1:
            variable_seed = int(variable_seed % 2**31)
            if gains is None:
                initializer = keras.initializers.GlorotUniform(variable_seed)
            else:
                initializer = keras.initializers.Orthogonal(gains.get(id(variable), 2**0.5), variable_seed)
            variable.assign(initializer(variable.shape))
        else:
            variable.assign(tf.zeros_like(variable))
