"""Reinforcement learning's gin names, and how the programs put its parts together."""

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import gin
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.models import generators, perceptrons
from tf_gtn.rl import (
    a2c,
    agents,
    atari,
    environments,
    experiment,
    leap_experiment,
    networks,
    policy_gtn,
    synthetic,
    training,
)
from tf_gtn.teaching import curricula, treatments

# Seeds of what a run draws, told apart by their second number.
_GENERATOR, _CURRICULUM, _NETWORKS = range(101, 104)

GIVEN = ["count", "seed", "draw"]  # by whoever makes an environment
environment = gin.external_configurable(environments.make, "environment", module="rl", denylist=GIVEN)
gin.external_configurable(atari.make, "atari", module="rl", denylist=GIVEN)
PolicyGTN = gin.external_configurable(policy_gtn.PolicyGTN, module="rl")
SyntheticEnvironment = gin.external_configurable(synthetic.SyntheticEnvironment, module="rl")
optimizer = gin.external_configurable(agents.optimizer, "optimizer", module="rl")
fully_connected = gin.external_configurable(networks.fully_connected, module="networks")
gin.external_configurable(networks.convolutional, module="networks")
perceptron = gin.external_configurable(perceptrons.perceptron, module="models")
pairs = gin.external_configurable(generators.pairs, module="generators")


@gin.configurable(module="rl")
def task(make: Callable = environment) -> environments.Make:
    """What is to be learned: `@rl.environment` or `@rl.atari`, a function of `count, seed`."""
    return make


def score_bounds(arms: Sequence[str]) -> tuple[float, float]:
    """`(low, high)` beyond which no score of these arms' tasks can lie."""
    bounds = []
    for name in arms:
        with gin.config_scope(name):
            probe = task()(1, 0)
        probe.close()
        bounds.append(probe.score_bounds)
    lows, highs = zip(*bounds)
    return min(lows), max(highs)


@gin.configurable(module="rl", denylist=["seed", "make_environment", "agent"])
@arguments.checked("rl.make_a2c")
def make_a2c(
    seed: int,
    updates: arguments.Count,
    encoder: Callable = fully_connected,
    shared: bool = True,
    orthogonal: bool = False,
    environments: arguments.Count = 16,
    unroll_length: arguments.Count = 5,
    restart_every: arguments.Count = 1000,
    discount: arguments.Share = 0.99,
    entropy_cost: arguments.NotNegative = 0.01,
    value_cost: arguments.NotNegative = 0.5,
    gradient_clipping: arguments.Positive | None = None,
    make_environment: Callable | None = None,
    agent: Callable[..., a2c.A2CAgent] = a2c.A2CAgent,
) -> training.A2C:
    """A2C in so many environments at once: see `training.A2C`, `networks.actor_and_value` and `a2c.A2CAgent`.

    `make_environment`, `agent`: where it is not an `A2CAgent` in `task()`.
    """
    make_environment = make_environment or task()
    a2c_agent = agents.make_a2c(
        make_environment,
        [seed, _NETWORKS],
        encoder,
        optimizer(),
        shared,
        orthogonal,
        agent,
        unroll_length=unroll_length,
        discount=discount,
        entropy_cost=entropy_cost,
        value_cost=value_cost,
        gradient_clipping=gradient_clipping,
    )
    return training.A2C(a2c_agent, make_environment, seed, updates, environments, unroll_length, restart_every)


@gin.configurable(module="rl")
@arguments.checked("rl.make_reinforce")
def make_reinforce(
    seed: int,
    updates: arguments.Count,
    encoder: Callable = fully_connected,
    environments: arguments.Count = 4,
    discount: arguments.Share = 0.99,
    entropy_cost: arguments.NotNegative = 0.0,
    value_cost: arguments.NotNegative = 0.2,
    gradient_clipping: arguments.Positive | None = None,
) -> training.Reinforce:
    """tf-agents' REINFORCE with a value network of its own, one episode of each environment per update."""
    agent_optimizer = optimizer()
    settings = discount, entropy_cost, value_cost, gradient_clipping
    agent = agents.make_reinforce(task(), [seed, _NETWORKS], encoder, agent_optimizer, *settings)
    return training.Reinforce(agent, task(), seed, updates, environments, agent_optimizer)


@gin.configurable(module="rl")
@arguments.checked("rl.make_gtn")
def make_gtn(
    seed: int,
    outer_steps: arguments.Count,
    generator: Callable = pairs,
    latent: arguments.Count = 64,
    batch_size: arguments.Count = 512,
    inner_steps: arguments.Count = 1,
    weight_norm: bool = False,
) -> policy_gtn.PolicyGTN:
    """A GTN for policies; defaults: GTN paper, appendix H, which gives neither the generator's inputs nor its layers."""
    probe = task()(1, 0)
    shape, actions = probe.observation_spec().shape, probe.actions
    probe.close()
    if len(shape) != 1:
        raise errors.UserError(f"a GTN for policies makes vectors; the observations of {probe.name} are {list(shape)}")
    (length,) = shape
    curriculum = curricula.Curriculum(inner_steps, batch_size, latent, actions, tf.constant([seed, _CURRICULUM]))
    model = generator((length,), actions, latent)
    treatment = treatments.GTN(model, curriculum, tf.constant([seed, _GENERATOR]), weight_norm)
    policy = perceptron(length, actions)
    return PolicyGTN(treatment, policy, task(), seed, outer_steps)


@gin.configurable(module="rl")
def make_synthetic(seed: int, outer_steps: arguments.Count) -> synthetic.SyntheticEnvironment:
    """A learned environment: see `synthetic.SyntheticEnvironment`."""
    return SyntheticEnvironment(task(), seed, outer_steps)


KINDS = {"gtn": make_gtn, "a2c": make_a2c, "reinforce": make_reinforce, "synthetic": make_synthetic}


@gin.configurable(module="rl")
@arguments.checked("rl.arm")
def arm(seed: int, kind: Annotated[str, arguments.OneOf(KINDS, "kind of arm")] = "gtn") -> Any:
    """A fresh training of a kind: gtn, a2c, reinforce or synthetic."""
    return KINDS[kind](seed)


Evaluation = gin.external_configurable(experiment.Evaluation, module="rl")
Experiment = gin.external_configurable(experiment.Agents, "Experiment", module="rl")
Leap = gin.external_configurable(leap_experiment.Leap, module="rl")


def agents_experiment() -> experiment.Agents:
    """The experiment of the configuration."""
    return Experiment().given(Evaluation(), arm, score_bounds)


def leap_games() -> leap_experiment.Leap:
    """The experiment on games of the configuration."""

    def agent(seed, updates, game, agent_class):
        return make_a2c(seed, updates, make_environment=functools.partial(task(), game=game), agent=agent_class)

    return Leap().given(Evaluation(), agent)
