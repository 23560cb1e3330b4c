"""tf-agents' parts put together: specs, networks, optimisers, agents."""

import tensorflow as tf
from tf_agents.agents.reinforce import reinforce_agent
from tf_agents.specs import tensor_spec

from tf_gtn import errors
from tf_gtn.rl import a2c, networks

OPTIMIZERS = ("adam", "rmsprop")


def optimizer(name="adam", learning_rate=1e-3, decay=None, epsilon=1e-7):
    """A legacy Keras optimiser: adam, or rmsprop with `decay`, 0.99 (Mnih et al. 2016: without momentum, not centred)."""
    if name == "adam":
        if decay is not None:
            raise errors.UserError(f"decay is rmsprop's; with adam {decay} would have no effect")
        return tf.keras.optimizers.Adam(learning_rate, epsilon=epsilon)
    if name == "rmsprop":
        return tf.keras.optimizers.RMSprop(learning_rate, rho=0.99 if decay is None else decay, epsilon=epsilon)
    raise errors.unknown("optimizer", name, OPTIMIZERS)


def parts(make_environment, encoder, seed, shared):
    """What an agent is made of: specs of time step and action, actor and value network; see `networks.actor_and_value`."""
    probe = make_environment(1, 0)
    specs = [tensor_spec.from_spec(spec) for spec in (probe.time_step_spec(), probe.action_spec())]
    _, actor, value = networks.actor_and_value(probe, encoder, seed, shared)
    probe.close()
    return *specs, actor, value


def make_a2c(make_environment, seed, encoder, optimizer, shared=True, **settings):
    """An `a2c.A2CAgent` with such `settings` for these environments."""
    return a2c.A2CAgent(*parts(make_environment, encoder, seed, shared), optimizer, **settings)


def make_reinforce(make_environment, seed, encoder, optimizer, discount, entropy_cost, value_cost, gradient_clipping):
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
