"""Advantage actor-critic with n-step returns (Mnih et al. 2016, in its synchronous form) as a tf-agents agent."""

from typing import Any, NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.policies import actor_policy, greedy_policy
from tf_agents.trajectories import time_step as ts

from tf_gtn.rl import networks


class Losses(NamedTuple):
    """The three parts of the loss, before their weights, and the gradient's norm before it was clipped."""

    policy: tf.Tensor
    value: tf.Tensor
    entropy: tf.Tensor
    gradient_norm: tf.Tensor


def n_step_returns(rewards: tf.Tensor, discounts: tf.Tensor, ends: tf.Tensor, values: tf.Tensor, discount: float) -> tf.Tensor:
    """R_t = r_t + discount d_t R_{t+1}, where V(s_{t+1}) stands for R_{t+1} at an episode's end and after the last step.

    Args:
      rewards, discounts: `[B, n]`, of the transition from step t to t + 1; discount 0 where an episode ended by its rules.
      ends: `[B, n]` boolean, whether step t + 1 is the last of its episode, however it ended.
      values: `[B, n + 1]`.
      discount: the discount of rewards.

    Returns:
      `[B, n]`.
    """
    following, returns = values[:, -1], []
    for t in reversed(range(rewards.shape[1])):
        following = tf.where(ends[:, t], values[:, t + 1], following)
        following = rewards[:, t] + discount * discounts[:, t] * following
        returns.append(following)
    return tf.stack(returns[::-1], 1)


class A2CAgent(tf_agent.TFAgent):
    """The loss is -log pi(a|s) (R - V) + value_cost (R - V)^2 - entropy_cost H, a mean over the steps of all environments.

    `train` takes a `Trajectory` `[B, n + 1, ...]`, whose last frame is there to bootstrap from. The step between an episode's
    last observation and the next one's first is no experience and has weight 0.

    Attributes:
      skipped, consecutively_skipped: updates that were left out, since the loss or its gradient was not finite.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        actor_network: Any,
        value_network: Any,
        optimizer: Any,
        unroll_length: int = 5,
        discount: float = 0.99,
        entropy_cost: float = 0.01,
        value_cost: float = 0.5,
        gradient_clipping: float | None = None,
        name: str = "A2CAgent",
    ) -> None:
        """Builds policies and optimiser slots.

        Args:
          time_step_spec, action_spec: of the environment.
          actor_network: tf-agents network, observations -> distribution of actions.
          value_network: observations -> `[...]`; it may share layers with the actor.
          optimizer: a legacy Keras optimiser.
          unroll_length: n.
          discount: the discount of rewards.
          entropy_cost, value_cost: weights of the losses.
          gradient_clipping: the largest norm of the whole gradient, or None.
          name: of the module.
        """
        tf.Module.__init__(self, name=name)
        self.actor_network, self.value_network, self._optimizer = actor_network, value_network, optimizer
        self._discount, self._clipping = discount, gradient_clipping
        self._entropy_cost, self._value_cost = entropy_cost, value_cost
        self._trained = networks.unique(actor_network.trainable_variables, value_network.trainable_variables)
        optimizer.build(self._trained)
        self.skipped, self.consecutively_skipped = (tf.Variable(0, trainable=False, name=n) for n in ("skipped", "in_a_row"))
        collect = actor_policy.ActorPolicy(time_step_spec, action_spec, actor_network)
        super().__init__(
            time_step_spec,
            action_spec,
            greedy_policy.GreedyPolicy(collect),
            collect,
            train_sequence_length=unroll_length + 1,
            train_step_counter=tf.Variable(0, dtype=tf.int64, trainable=False, name="train_step"),
        )

    @property
    def trained_variables(self) -> list[tf.Variable]:
        """The weights of both networks, each once."""
        return list(self._trained)

    @property
    def variables(self) -> list[tf.Variable]:
        """Weights, optimiser state and counts."""
        return [*self._trained, *self._optimizer.variables, self.train_step_counter, self.skipped, self.consecutively_skipped]

    def _train(self, experience, weights=None):
        with tf.GradientTape() as tape:
            loss_info = self._loss(experience, weights, training=True)
        gradients = tape.gradient(loss_info.loss, self._trained)
        self._on_the_way(loss_info.loss, gradients)
        norm = tf.linalg.global_norm(gradients)
        if self._clipping is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clipping, norm)

        def take():
            self._optimizer.apply_gradients(zip(gradients, self._trained))
            return self.consecutively_skipped.assign(0)

        def skip():
            self.skipped.assign_add(1)
            return self.consecutively_skipped.assign_add(1)

        tf.cond(tf.math.is_finite(loss_info.loss) & tf.math.is_finite(norm), take, skip)
        self.train_step_counter.assign_add(1)
        return loss_info._replace(extra=loss_info.extra._replace(gradient_norm=norm))

    def _on_the_way(self, loss, gradients):
        """Called before every update, with what it goes by; for agents that look at the way that training takes."""

    def _loss(self, experience, weights=None, training=False):
        shape = tf.shape(experience.step_type)

        def flat(x):  # convolutions take one axis of examples
            return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))

        observations = tf.nest.map_structure(lambda x: tf.ensure_shape(flat(x), [None, *x.shape[2:]]), experience.observation)
        values = tf.reshape(self.value_network(observations, training=training)[0], shape)
        distribution, _ = self.actor_network(observations, training=training)
        chosen = tf.reshape(distribution.log_prob(flat(experience.action)), shape)[:, :-1]
        entropies = tf.reshape(distribution.entropy(), shape)[:, :-1]
        values = tf.ensure_shape(values, [None, self.train_sequence_length])
        first = [slice(None), slice(None, -1)]
        rewards, discounts = (tf.cast(x, values.dtype)[first] for x in (experience.reward, experience.discount))
        ends = tf.equal(experience.next_step_type, ts.StepType.LAST)[first]
        real = tf.cast(tf.not_equal(experience.step_type, ts.StepType.LAST), values.dtype)[first]
        if weights is not None:
            real *= tf.reshape(tf.cast(weights, real.dtype), [-1, 1]) * tf.ones_like(real)
        returns = tf.stop_gradient(n_step_returns(rewards, discounts, ends, values, self._discount))
        advantages = returns - values[:, :-1]

        def mean(x):
            return tf.reduce_sum(x * real) / tf.maximum(tf.reduce_sum(real), 1)

        policy = -mean(chosen * tf.stop_gradient(advantages))
        value = mean(tf.square(advantages))
        entropy = mean(entropies)
        loss = policy + self._value_cost * value - self._entropy_cost * entropy
        return tf_agent.LossInfo(loss, Losses(policy, value, entropy, tf.constant(0.0, loss.dtype)))
