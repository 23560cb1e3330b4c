"""A GTN for policies: synthetic pairs of state and action teach a fresh policy in one SGD step (GTN paper, appendix H).

The inner loop is supervised, with the mean squared error of the policy's logits. The outer loss is the advantage
actor-critic's on real episodes of the taught policies, log pi(a|theta) (R - V(s)), with an entropy bonus; V is the average
value of the learners so far.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core import SGD, Functional, Hyperparameters, outer_update, stacking, supervised, unroll
from tf_gtn.models import perceptrons
from tf_gtn.rl import environments, rollouts
from tf_gtn.teaching import treatments


def squared_error(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The sum, over networks `[N, B, k]`, of each one's mean squared error."""
    return tf.reduce_sum(tf.reduce_mean(tf.math.squared_difference(labels, outputs), [1, 2]))


class Task(NamedTuple):
    """What an export says of the data, here states and actions; see `teaching.export`."""

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    normalization: dict[str, list[float]]
    fingerprint: None = None  # a data set has both
    given_range: None = None
    whitening: None = None


class PolicyGTN:
    """Trains a generator of state-action pairs. One outer step: several fresh policies, their lesson, their real episodes.

    Attributes:
      arena: where policies play.
      treatment: the `teaching.treatments.GTN` that is trained.
      hyperparameters: the inner learning rate and momentum, learned too.
      outer_steps: how many there are.
      variables: all that a checkpoint needs.
    """

    inner_loss = "squared_error"
    weight_norm = False  # of policies

    @arguments.checked("rl.PolicyGTN")
    def __init__(
        self,
        treatment: treatments.GTN,
        policy: keras.Model,
        make_environment: environments.Make,
        seed: int,
        outer_steps: int,
        policies: arguments.Count = 16,
        episodes: arguments.Count = 4,
        discount: float = 0.99,
        entropy_cost: float = 0.02,
        inner_learning_rate: float = 1.0,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 0.1,
        value_learning_rate: float = 3e-3,
        value_steps: arguments.Count = 10,
        normalize_advantages: bool = True,
    ) -> None:
        """Builds everything but the environments.

        Args:
          treatment: a GTN whose generator gives states and targets.
          policy: Keras model of observations -> logits; every learner is a fresh one.
          make_environment: `count, seed -> VectorEnvironment`.
          seed: everything random follows from it and the step.
          outer_steps: of the cosine decay.
          policies, episodes: fresh policies an outer step, and real episodes of each.
          discount: of rewards, for the outer loss; scores are undiscounted.
          entropy_cost: weight of the policies' mean entropy.
          inner_learning_rate: where the learned one starts.
          learning_rate, final_learning_rate: see `outer_update.OuterUpdate`.
          value_learning_rate, value_steps: Adam's, and its steps on each outer step's episodes.
          normalize_advantages: whether advantages are divided by their root mean square.
        """
        self.treatment, self.seed, self.outer_steps = treatment, seed, outer_steps
        self.arena = rollouts.Arena(make_environment)
        self.inner_optimizer = SGD(inner_learning_rate, momentum=0.0)
        self._learner = stacking.Stacked(Functional(policy), policies)
        self.hyperparameters = Hyperparameters(self.inner_optimizer, treatment.inner_steps, dtype=policy.outputs[0].dtype)
        self._tests = {}  # learners and their lessons for `returns`, by architecture, number and steps
        self._value, self._value_steps = self._fresh_value(), value_steps
        self._value_optimizer = keras.optimizers.Adam(value_learning_rate)
        self._value_optimizer.build(self._value.trainable_variables)
        self._outer = outer_update.OuterUpdate(
            self.trainable_variables, outer_steps, learning_rate, final_learning_rate=final_learning_rate
        )
        self._episodes, self._discount, self._entropy_cost = episodes, discount, entropy_cost
        self._normalize = normalize_advantages
        self.environment_steps = keras.Variable(0, dtype="int64", trainable=False, name="environment_steps")
        self._teach = tf.function(self._taught, autograph=False)
        self._update = tf.function(self._updated, autograph=False, reduce_retracing=True)
        self._values = tf.function(self._valued, autograph=False, reduce_retracing=True)

    @property
    def dataset(self) -> Task:
        """The real environment, as `teaching.export` describes data."""
        length = self.arena.observation_shape[0]
        scale = np.broadcast_to(1.0 if self.arena.scale is None else self.arena.scale, [length])
        normalization = {"mean": [0.0] * length, "std": [float(x) for x in scale]}
        return Task(self.arena.name, tuple(map(str, range(self.arena.actions))), self.arena.observation_shape, normalization)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return self.treatment.trainable_variables + self.hyperparameters.trainable_variables

    @property
    def variables(self) -> list[keras.Variable]:
        outer = self.treatment.variables + self.hyperparameters.variables + self._outer.variables
        return [*outer, *self._value.variables, *self._value_optimizer.variables, self.environment_steps]

    @property
    def skipped(self) -> tf.Tensor:
        return self._outer.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        return self._outer.consecutively_skipped

    def step(self, index: int) -> dict[str, Any]:
        """Outer step number `index`; returns scalars, `return` the taught policies' mean (sampled actions) among them."""
        seed = tf.constant([self.seed, index])
        taught = self._teach(seed)
        played = self.arena.play(self._learner, taught, self._episodes, [self.seed, index])
        observations = played.observations
        values = self._values(observations.reshape(-1, *observations.shape[2:])).numpy().reshape(observations.shape[:2])
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is skipped and counted
            returns = played.returns_to_go(self._discount, values)
            advantages = (returns - values[:-1]) * played.taken
            if self._normalize:
                total = played.taken.sum()
                advantages /= np.sqrt((advantages**2).sum() / total) + 1e-8
        arrays = (observations[:-1], played.actions.astype(np.int32), advantages, played.taken, returns)
        loss, norm, entropy = self._update(seed, *(self._by_policy(a) for a in arrays))
        self.environment_steps.assign_add(played.steps)
        return {
            "loss": loss,
            "gradient_norm": norm,
            "entropy": entropy,
            "return": played.returns.mean(),
            "environment_steps": int(self.environment_steps.numpy()),
        }

    def returns(
        self, policies: int, episodes: int, seed: int, policy: keras.Model | None = None, steps: int | None = None
    ) -> np.ndarray:
        """Undiscounted returns `[policies, episodes]` of fresh policies, taught and then greedy.

        Args:
          policies, episodes: how many.
          seed: of weights and environments; training draws from others.
          policy: Keras model of another architecture; None: the one trained with.
          steps: inner steps; None: as many as trained with. Beyond those the lesson starts over.
        """
        key = id(policy), policies, steps
        if key not in self._tests:
            learner = stacking.Stacked(self._learner.functional if policy is None else Functional(policy), policies)
            teach = tf.function(lambda seed: self._taught(seed, learner, steps), autograph=False)
            teach = teach.get_concrete_function(tf.TensorSpec([2], tf.int32))
            self._tests[key] = learner, teach, policy  # kept, so that its id stays its own
        learner, teach, _ = self._tests[key]
        played = self.arena.play(learner, teach(tf.constant([seed, -1])), episodes, [seed, 2**31], greedy=True)
        return played.returns.reshape(policies, episodes)

    def _fresh_value(self):
        (length,) = self.arena.observation_shape
        model = perceptrons.perceptron(length, 1, name="value")
        fresh = Functional(model)
        fresh.assign(*fresh.initial_values(tf.constant([self.seed, -2])))
        return model

    def _taught(self, seed, learner=None, steps=None):
        """Weights and state of fresh policies after their lesson, `{path: [N, ...]}`."""
        learner = learner or self._learner
        xs = {"batch": self.treatment.xs(seed), "hyper": self.hyperparameters.values()}
        if steps is not None:
            index = tf.range(steps) % self.treatment.inner_steps
            xs = tf.nest.map_structure(lambda x: tf.gather(x, index), xs)

        def step(params, state, x):
            batch = self.treatment.batch(params, x["batch"])
            states, targets = (tf.broadcast_to(b, [learner.count, *b.shape]) for b in batch)
            state, loss, _ = supervised.update(learner, self.inner_optimizer, state, states, targets, x["hyper"], squared_error)
            return state, loss / learner.count

        start = supervised.initial_state(self.inner_optimizer, *learner.initial_values(seed))
        state, _ = unroll(step, self.treatment.params(), start, xs, checkpoint_every=0)
        return state["params"], state["model"]

    def _loss(self, seed, observations, actions, advantages, taken):
        """The outer loss and the mean entropy; everything `[N, S, ...]`, by policy."""
        logits = self._learner(*self._taught(seed), observations)[0]
        log_probabilities, total = tf.nn.log_softmax(logits), tf.reduce_sum(taken)
        chosen = tf.gather(log_probabilities, actions, batch_dims=2)
        entropy = -tf.reduce_sum(tf.exp(log_probabilities) * log_probabilities, -1)
        entropy = tf.reduce_sum(entropy * taken) / total
        return -tf.reduce_sum(chosen * advantages) / total - self._entropy_cost * entropy, entropy

    def _updated(self, seed, observations, actions, advantages, taken, returns):
        """`value_steps` of the value network, one step of the generator if all of them were finite."""
        with tf.GradientTape() as tape:
            loss, entropy = self._loss(seed, observations, actions, advantages, taken)
        gradients = tape.gradient(loss, self.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        flat, finite = tf.reshape(observations, [-1, *observations.shape[2:]]), tf.constant(True)
        for _ in range(self._value_steps):
            with tf.GradientTape() as tape:
                error = tf.reshape(self._valued(flat), tf.shape(returns)) - returns
                value_loss = tf.reduce_sum(tf.square(error) * taken) / tf.reduce_sum(taken)
            variables = self._value.trainable_variables
            step = self._value_optimizer, value_loss, tape.gradient(value_loss, variables), variables
            finite &= outer_update.apply_if_finite(*step)
        norm = self._outer.apply(tf.where(finite, loss, np.nan), gradients)
        return loss, norm, entropy

    def _valued(self, observations):
        return self._value(observations, training=False)[:, 0]

    def _by_policy(self, array):
        """`[L, N * episodes, ...]` -> `[N, L * episodes, ...]`."""
        length, batch = array.shape[:2]
        array = array.reshape(length, self._learner.count, batch // self._learner.count, *array.shape[2:])
        return (
            np.moveaxis(array, 1, 0)
            .reshape(self._learner.count, -1, *array.shape[3:])
            .astype(array.dtype if array.dtype.kind == "i" else np.float32)
        )
