"""tf-agents' parts put together: specs, networks, optimisers, agents."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tensorflow as tf
from tf_agents.agents.reinforce import reinforce_agent
from tf_agents.specs import tensor_spec

from tf_gtn import arguments
from tf_gtn.rl import a2c, environments, networks

OPTIMIZERS = ("adam", "rmsprop")


class _RMSprop(tf.keras.optimizers.RMSprop):
    """RMSProp whose mean squares begin anywhere: where they begin at 0, the first update is 10 times the others' size."""

    def __init__(self, learning_rate, decay, epsilon, initial_mean_square):
        super().__init__(learning_rate, rho=decay, epsilon=epsilon)
        self._initial_mean_square = initial_mean_square

    def build(self, var_list):
        built = getattr(self, "_built", False)
        super().build(var_list)
        if not built:
            for mean_square in self._velocities:
                mean_square.assign(tf.fill(mean_square.shape, tf.cast(self._initial_mean_square, mean_square.dtype)))


@arguments.checked("rl.optimizer")
def optimizer(
    name: Annotated[str, arguments.OneOf(OPTIMIZERS, "optimizer")] = "adam",
    learning_rate: arguments.Positive | Callable[..., Any] = 1e-3,
    decay: arguments.Fraction | None = None,
    epsilon: arguments.NotNegative = 1e-7,
    initial_mean_square: arguments.NotNegative | None = None,
) -> tf.keras.optimizers.Optimizer:
    """A legacy Keras optimiser: adam, or rmsprop (Mnih et al. 2016: without momentum, not centred).

    Args:
      name: of `OPTIMIZERS`.
      learning_rate: a number, or a legacy Keras schedule.
      decay: rmsprop's, 0.99 where None.
      epsilon: added to Adam's root, and under rmsprop's root.
      initial_mean_square: where rmsprop's mean squares begin, 0 where None; TensorFlow 1 and with it many A2Cs had 1.
    """
    if name == "adam":
        rmsprop_settings = {"decay": decay, "initial_mean_square": initial_mean_square}
        arguments.no_effect("rl.optimizer", rmsprop_settings, rmsprop_settings, "with adam: it is rmsprop's")
        return tf.keras.optimizers.Adam(learning_rate, epsilon=epsilon)
    return _RMSprop(learning_rate, 0.99 if decay is None else decay, epsilon, initial_mean_square or 0.0)


def parts(
    make_environment: environments.Make,
    encoder: networks.Encoder,
    seed: int | Sequence[int],
    shared: bool,
    orthogonal: bool = False,
) -> tuple[Any, Any, Any, Any]:
    """What an agent is made of: specs of time step and action, actor and value network; see `networks.actor_and_value`."""
    probe = make_environment(1, 0)
    specs = [tensor_spec.from_spec(spec) for spec in (probe.time_step_spec(), probe.action_spec())]
    _, actor, value = networks.actor_and_value(probe, encoder, seed, shared, orthogonal)
    probe.close()
    return *specs, actor, value


def make_a2c(
    make_environment: environments.Make,
    seed: int | Sequence[int],
    encoder: networks.Encoder,
    optimizer: Any,
    shared: bool = True,
    orthogonal: bool = False,
    agent: Callable[..., a2c.A2CAgent] = a2c.A2CAgent,
    **settings: Any,
) -> a2c.A2CAgent:
    """An `a2c.A2CAgent`, or another such `agent`, with such `settings` for these environments."""
    time_step_spec, action_spec, actor, value = parts(make_environment, encoder, seed, shared, orthogonal)
    new_agent = agent(time_step_spec, action_spec, actor, value, optimizer, **settings)
    new_agent.orthogonal = orthogonal  # for an agent that draws its weights anew
    return new_agent


def make_reinforce(
    make_environment: environments.Make,
    seed: int | Sequence[int],
    encoder: networks.Encoder,
    optimizer: Any,
    discount: float,
    entropy_cost: float,
    value_cost: float,
    gradient_clipping: float | None,
) -> reinforce_agent.ReinforceAgent:
    """tf-agents' `ReinforceAgent` with a value network of its own."""
    *specs, actor, value = parts(make_environment, encoder, seed, shared=False)
    optimizer.build(networks.unique(actor.trainable_weights, value.trainable_weights))
    return reinforce_agent.ReinforceAgent(
        *specs,
        actor,
        optimizer,
        value,
        value_cost,
        normalize_returns=False,  # it would count what pads short episodes; the value network is the baseline
        gamma=discount,
        gradient_clipping=gradient_clipping,
        entropy_regularization=entropy_cost,
        train_step_counter=tf.Variable(0, dtype=tf.int64, trainable=False),
    )
