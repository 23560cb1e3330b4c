"""A learned environment: an agent learns by A2C in an MDP that a network makes, and is judged in the real one.

"a GTN could learn to produce an entire MDP that an agent trains on, with the meta-objective being that the trained agent then
performs well on a target task" (GTN paper, appendix H: future work). The outer loop is an evolution strategy with mirrored
pairs and ranks for fitness, since the judgement has no gradient. All members of the population learn side by side in one graph.
"""

from typing import Any

import keras
import numpy as np
import scipy.stats
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import Adam, Functional, outer_update, stacking, unroll
from tf_gtn.models import perceptrons
from tf_gtn.rl import a2c, rollouts
from tf_gtn.rl import environments as environment_parts


def mdp(length: int, actions: int, units: int = 64, latent: int = 4, reach: float = 2.0) -> tuple[keras.Model, keras.Model]:
    """The networks of an MDP: `{"noise"}` -> first state, and `{"state", "action"}` -> next state, reward, logit of the end.

    Args:
      length: of a state, the real environment's observation.
      actions: how many.
      units: of the hidden layer of each.
      latent: length of the first state's noise.
      reach: states lie within plus or minus this.
    """
    noise = keras.Input((latent,), name="noise")
    hidden = keras.layers.Dense(units, activation="tanh", name="first_hidden")(noise)
    first = keras.layers.Rescaling(reach)(keras.layers.Dense(length, activation="tanh", name="first_state")(hidden))
    state, action = keras.Input((length,), name="state"), keras.Input((actions,), name="action")
    hidden = keras.layers.Dense(units, activation="tanh", name="hidden")(keras.layers.Concatenate()([state, action]))
    moved = keras.layers.Rescaling(reach)(keras.layers.Dense(length, activation="tanh", name="next_state")(hidden))
    outputs = {
        "state": moved,
        "reward": keras.layers.Dense(1, name="reward")(hidden),
        "end": keras.layers.Dense(1, name="end")(hidden),
    }
    return (
        keras.Model({"noise": noise}, {"state": first}, name="first"),
        keras.Model({"state": state, "action": action}, outputs, name="transition"),
    )


class SyntheticEnvironment:
    """Trains an MDP. One outer step: a population of MDPs around the present one, a fresh agent in each, their real returns.

    Attributes:
      outer_steps, variables, environment_steps: as of `policy_gtn.PolicyGTN`.
    """

    @arguments.checked("rl.SyntheticEnvironment")
    def __init__(
        self,
        make_environment: environment_parts.Make,
        seed: int,
        outer_steps: arguments.Count,
        pairs: arguments.Count = 8,
        sigma: float = 0.1,
        learning_rate: float = 0.03,
        final_learning_rate: float = 0.1,
        updates: arguments.Count = 30,
        unroll_length: arguments.Count = 10,
        environments: arguments.Count = 16,
        inner_learning_rate: float = 0.01,
        discount: float = 0.99,
        entropy_cost: float = 0.01,
        episodes: arguments.Count = 4,
    ) -> None:
        """Draws the first MDP.

        Args:
          make_environment: `count, seed -> VectorEnvironment` with vectors for observations, the real one.
          seed: everything random follows from it and the step.
          outer_steps: of the cosine decay.
          pairs, sigma: of the evolution strategy; the population has twice as many members.
          learning_rate, final_learning_rate: see `outer_update.OuterUpdate`.
          updates, unroll_length, environments, inner_learning_rate, discount, entropy_cost: of A2C with Adam inside an MDP.
          episodes: real ones that judge a member.
        """
        self.seed, self.outer_steps = seed, outer_steps
        self._arena = rollouts.Arena(make_environment)
        if len(self._arena.observation_shape) != 1:
            raise errors.UserError(f"a learned environment has vectors for states; {self._arena.name} has images")
        (self._length,), self._actions = self._arena.observation_shape, self._arena.actions
        self._mdp = [Functional(model) for model in mdp(self._length, self._actions)]
        self._agent = [
            Functional(perceptrons.perceptron(self._length, self._actions)),
            Functional(perceptrons.perceptron(self._length, 1, name="value")),
        ]
        first = [part.initial_values(tf.constant([seed, i]))[0] for i, part in enumerate(self._mdp)]
        self._shapes = tf.nest.map_structure(lambda x: x.shape, first)
        flat = tf.concat([tf.reshape(x, [-1]) for x in tf.nest.flatten(first)], 0)
        self._flat = keras.Variable(flat, name="mdp")
        self._outer = outer_update.OuterUpdate([self._flat], outer_steps, learning_rate, final_learning_rate)
        self._pairs, self._sigma, self._updates, self._unroll_length = pairs, sigma, updates, unroll_length
        self._count, self._optimizer = environments, Adam(inner_learning_rate)
        self._discount, self._entropy_cost, self._episodes = discount, entropy_cost, episodes
        self.environment_steps = keras.Variable(0, dtype="int64", trainable=False, name="environment_steps")
        self._taught = tf.function(self._learn, autograph=False)
        self._policies = {}  # by how many
        self._apply = tf.function(self._outer.apply, autograph=False)

    @property
    def variables(self) -> list[keras.Variable]:
        return [self._flat, *self._outer.variables, self.environment_steps]

    @property
    def skipped(self) -> tf.Tensor:
        return self._outer.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        return self._outer.consecutively_skipped

    def step(self, index: int) -> dict[str, Any]:
        """Outer step number `index`; `return` is the population's mean, `loss` its negative."""
        noise = tf.random.stateless_normal([self._pairs, *self._flat.shape], [self.seed, index])
        noise = tf.concat([noise, -noise], 0)
        members = tf.convert_to_tensor(self._flat)[None] + self._sigma * noise
        agents = self._taught(members, tf.constant([self.seed, index]))
        played = self._arena.play(self._policy(2 * self._pairs), agents, self._episodes, [self.seed, index])
        fitness = played.returns.reshape(2 * self._pairs, -1).mean(1)
        ranks = (scipy.stats.rankdata(fitness) - 0.5) / len(fitness) - 0.5
        gradient = -tf.linalg.matvec(noise, tf.constant(ranks, tf.float32), transpose_a=True) / (len(fitness) * self._sigma)
        self.environment_steps.assign_add(played.steps)
        loss = tf.constant(-fitness.mean(), tf.float32)
        norm = self._apply(loss, [gradient])
        steps = int(self.environment_steps.numpy())
        return {"loss": loss, "gradient_norm": norm, "return": fitness.mean(), "environment_steps": steps}

    def returns(self, agents: int, episodes: int, seed: int) -> np.ndarray:
        """Undiscounted real returns `[agents, episodes]` of fresh agents that learned in the present MDP, greedy."""
        members = tf.repeat(tf.convert_to_tensor(self._flat)[None], agents, 0)
        taught = self._taught(members, tf.constant([seed, -1]))
        played = self._arena.play(self._policy(agents), taught, episodes, [seed, 2**31], greedy=True)
        return played.returns.reshape(agents, episodes)

    def _policy(self, count):
        return self._policies.setdefault(count, stacking.Stacked(self._agent[0], count))

    def _learn(self, members, seed):
        """`[M, numbers]`, an MDP each -> the policies that agents learned there."""
        count = members.shape[0]
        first, transition = (stacking.Stacked(part, count) for part in self._mdp)
        policy, value = (stacking.Stacked(part, count) for part in self._agent)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
        (policies, policy_state), (values, value_state) = policy.initial_values(seeds[0]), value.initial_values(seeds[1])
        shape = (self._updates, self._unroll_length, 1, self._count)  # the same chances for all members
        latent = self._mdp[0].model.input["noise"].shape[-1]
        xs = {
            "gumbel": -tf.math.log(-tf.math.log(tf.random.stateless_uniform((*shape, self._actions), seeds[2], 1e-9, 1.0))),
            "uniform": tf.random.stateless_uniform(shape, seeds[3]),
            "noise": tf.random.stateless_normal((*shape, latent), seeds[4]),
        }

        def begin(params, noise):
            return first(params[0], {}, {"noise": tf.tile(noise, [count, 1, 1])})[0]["state"]

        def step(params, state, x):
            agent, now, frames = state["agent"], state["now"], []
            for t in range(self._unroll_length):
                logits = policy(agent["policy"], policy_state, now)[0]
                action = tf.one_hot(tf.argmax(logits + x["gumbel"][t], -1), self._actions)
                outcome = transition(params[1], {}, {"state": now, "action": action})[0]
                ends = x["uniform"][t] < tf.sigmoid(outcome["end"][..., 0])
                frames.append((now, action, outcome["reward"][..., 0], tf.cast(~ends, now.dtype), outcome["state"]))
                now = tf.where(ends[..., None], begin(params, x["noise"][t]), outcome["state"])
            states, actions, rewards, going, following = (tf.stack(column, 2) for column in zip(*frames))  # [M, B, n, ...]
            with tf.GradientTape() as tape:
                tape.watch(tf.nest.flatten(agent))
                losses = self._loss(policy, value, policy_state, value_state, agent, states, actions, rewards, going, following)
                total = tf.reduce_sum(losses)
            gradients = tape.gradient(total, agent)
            agent, slots = self._optimizer.update(gradients, state["slots"], agent, hyper)
            return {"agent": agent, "slots": slots, "now": now}, losses

        hyper = {name: value for name, (value, _) in self._optimizer.hyperparameters.items()}
        params = self._parameters(members)
        agent = {"policy": policies, "value": values}
        start = {"agent": agent, "slots": self._optimizer.init(agent), "now": begin(params, xs["noise"][0, 0])}
        state, _ = unroll(step, params, start, xs, checkpoint_every=0)
        return state["agent"]["policy"], policy_state

    def _loss(self, policy, value, policy_state, value_state, agent, states, actions, rewards, going, following):
        """A2C's of each member, `[M]`; the value cost is 1/2."""
        members, batch, length = rewards.shape
        flat = tf.reshape(states, [members, batch * length, -1])
        logits = tf.nn.log_softmax(tf.reshape(policy(agent["policy"], policy_state, flat)[0], [members, batch, length, -1]))

        def valued(x):
            count = x.shape[2]
            x = tf.reshape(x, [members, batch * count, -1])
            return tf.reshape(value(agent["value"], value_state, x)[0], [members, batch, count])

        values = valued(states)
        bootstrap = tf.concat([values, valued(following[:, :, -1:])], 2)
        rows = [tf.reshape(x, [members * batch, -1]) for x in (rewards, going, 1 - going, bootstrap)]
        returns = a2c.n_step_returns(rows[0], rows[1], rows[2] > 0, rows[3], self._discount)
        returns = tf.stop_gradient(tf.reshape(returns, [members, batch, length]))
        chosen = tf.reduce_sum(logits * actions, -1)
        advantages = returns - values
        entropy = -tf.reduce_sum(tf.exp(logits) * logits, -1)
        step_losses = -chosen * tf.stop_gradient(advantages) + 0.5 * tf.square(advantages) - self._entropy_cost * entropy
        return tf.reduce_mean(step_losses, [1, 2])

    def _parameters(self, members):
        """`[M, numbers]` -> the parameters of both networks, `[M, ...]` each."""
        shapes = tf.nest.flatten(self._shapes)
        parts = tf.split(members, [shape.num_elements() for shape in shapes], 1)
        return tf.nest.pack_sequence_as(self._shapes, [tf.reshape(p, [-1, *s]) for p, s in zip(parts, shapes)])
