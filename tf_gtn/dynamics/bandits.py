"""Contextual bandits: Learners by REINFORCE, coupled by a shared bias or separate, and LSTM meta-learners (section 5)."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tf_gtn import watching
from tf_gtn.core import optimizers
from tf_gtn.dynamics import meta_learners, problems


class Learners:
    """R linear-softmax policies side by side, each on a bandit of its own (equation 11)."""

    def __init__(
        self,
        problem: problems.Bandit,
        runs: int,
        optimizer: optimizers.Optimizer,
        seed: int = 0,
        coupled: bool = True,
        deviation: float = 1 / 5**0.5,
        batch_size: int | None = 200,
    ) -> None:
        """Draws tasks and weights.

        Args:
          problem: a `problems.Bandit`.
          runs: R.
          optimizer: of `core.optimizers`.
          seed: integer.
          coupled: whether a bias is shared by all contexts; else each context has a policy of its own, with a bias of its own.
          deviation: of the truncated normal weights (A.5: 1 / sqrt(5)).
          batch_size: examples an update, drawn by the policy; None: the expected gradient, without any noise.
        """
        optimizers.check_side_by_side(optimizer)
        self._problem, self._optimizer, self._coupled, self._batch = problem, optimizer, coupled, batch_size
        self._seed, self._runs = seed, runs
        drawn, weights, bias = tf.unstack(tf.random.experimental.stateless_split([seed, 5], 3))
        self.correct = problem.conflicting(runs, drawn)
        shape = (runs, problem.contexts, problem.actions)
        self._start = {"weights": tf.random.stateless_truncated_normal(shape, weights, stddev=deviation)}
        shape = (runs, 1 if coupled else problem.contexts, problem.actions)
        self._start["bias"] = tf.random.stateless_truncated_normal(shape, bias, stddev=deviation)
        self._hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        self._train = tf.function(self._trained, autograph=False)

    def curves(self, steps: Sequence[int]) -> np.ndarray:
        """q `[C, R, contexts]` after each number of `steps`, which ascend; 0 is the start."""
        state, before, curves = {"params": self._start, "slots": self._optimizer.init(self._start)}, 0, []
        for step in watching.each(steps, "looks at the learners"):
            state = self._train(state, tf.constant(before), tf.constant(int(step)))
            curves.append(self.q(state["params"]).numpy())
            before = int(step)
        return np.stack(curves)

    def policy(self, params: dict) -> tf.Tensor:
        """`[R, contexts, actions]` chances."""
        return tf.nn.softmax(params["weights"] + params["bias"], -1)

    def q(self, params: dict) -> tf.Tensor:
        """The chance of the correct action, `[R, contexts]`."""
        return tf.gather(self.policy(params), self.correct, batch_dims=2)

    def loss(self, params: dict, seed: tf.Tensor) -> tf.Tensor:
        """-E[r], or what has REINFORCE's gradient of it, summed over runs."""
        if self._batch is None:
            return -tf.reduce_sum(tf.reduce_mean(self._problem.expected_reward(self.q(params)), -1))
        contexts, actions, rewards = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        shape = (self._runs, self._batch)
        context = tf.random.stateless_uniform(shape, contexts, 0, self._problem.contexts, tf.int32)
        log = tf.gather(tf.math.log(self.policy(params)), context, batch_dims=1)  # [R, B, actions]
        noise = tf.random.stateless_uniform(log.shape, actions, 1e-20, 1.0)
        action = tf.argmax(tf.stop_gradient(log) - tf.math.log(-tf.math.log(noise)), -1, tf.int32)
        reward = self._problem.reward(action == tf.gather(self.correct, context, batch_dims=1), rewards)
        return -tf.reduce_sum(tf.reduce_mean(reward * tf.gather(log, action, batch_dims=2), -1))

    def _trained(self, state, start, stop):
        def body(t, state):
            with tf.GradientTape() as tape:
                tape.watch(tf.nest.flatten(state["params"]))
                loss = self.loss(state["params"], tf.stack([self._seed, t]))
            gradients = tape.gradient(loss, state["params"])
            params, slots = self._optimizer.update(gradients, state["slots"], state["params"], self._hyper)
            return t + 1, {"params": params, "slots": slots}

        return tf.while_loop(lambda t, _: t < stop, body, (start, state), parallel_iterations=1)[1]


class Episodes:
    """Episodes of bandits for an LSTM that gets the context, its last action and the reward for it (section 5.2.1).

    Trained by REINFORCE on the rewards to come, less their mean over the batch.

    Attributes:
      lstm: the `meta_learners.LSTM`.
      length: T (the text: 100; A.6: 125).
      discounts: `[T, T]`, what a step's return counts of each reward.
    """

    def __init__(
        self,
        problem: problems.Bandit,
        length: int = 100,
        network: Callable[[int, int], meta_learners.LSTM] = meta_learners.LSTM,
        entropy_cost: float = 0.0,
        discount: float = 1.0,
        expected_rewards: bool = False,
    ) -> None:
        """Makes the network.

        Args:
          problem: a `problems.Bandit`.
          length: T.
          network: `(inputs, outputs) -> meta_learners.LSTM`.
          entropy_cost: weight of the policy's entropy (not given).
          discount: of the rewards to come (not given); below 1 the returns are less noisy.
          expected_rewards: let gradients go by each action's chance of a reward, and over all actions at the step taken:
            REINFORCE's expectation with less noise. The network sees sampled rewards all the same.
        """
        self.problem, self.length = problem, length
        self._entropy_cost, self._expected = entropy_cost, expected_rewards
        ahead = np.arange(length)[None] - np.arange(length)[:, None]
        self.discounts = np.where(ahead >= 0, discount ** np.maximum(ahead, 0), 0).astype(np.float32)
        self.lstm = network(problem.contexts + problem.actions + 1, problem.actions)

    def loss(self, params: dict, count: int, seed: tf.Tensor) -> tf.Tensor:
        """What has the negative gradient of the episodes' returns, by the mean over episodes and steps."""
        drawn, played = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        correct = self.problem.independent(count, drawn)
        episode = self.play(params, correct, played)
        loss = -self._entropy_cost * tf.reduce_mean(episode["entropy"])
        rewards, discounts = episode["reward"], self.discounts
        if self._expected:
            rewards, discounts = episode["expected_reward"], discounts - np.eye(self.length, dtype=np.float32)
            loss -= tf.reduce_mean(self.problem.expected_reward(episode["q"]))
        to_come = discounts @ rewards
        advantage = to_come - tf.reduce_mean(to_come, 1, keepdims=True)
        return loss - tf.reduce_mean(tf.stop_gradient(advantage) * episode["log_chance"])

    def play(self, params: dict, correct: tf.Tensor, seed: tf.Tensor) -> dict:
        """Episodes `[T, n]`: reward, the action's expected one, log_chance, q, entropy; context, what the LSTM knew before."""
        count = correct.shape[0]
        streams = tf.random.experimental.stateless_split(seed, 3)
        shape = (self.length, count)
        contexts = tf.random.stateless_uniform(shape, streams[0], 0, self.problem.contexts, tf.int32)
        noise = tf.random.stateless_uniform((*shape, self.problem.actions), streams[1], 1e-20, 1.0)
        gumbel = -tf.math.log(-tf.math.log(noise))
        luck = tf.random.stateless_uniform(shape, streams[2])
        state, last = self.lstm.start(count), tf.zeros([count, self.problem.actions + 1])
        rows = []
        for t in range(self.length):
            known = {"state": state, "last": last}
            state, logits = self._look(params, state, contexts[t], last)
            log = tf.nn.log_softmax(logits)
            action = tf.argmax(tf.stop_gradient(log) + gumbel[t], -1, tf.int32)
            best = tf.gather(correct, contexts[t], batch_dims=1)
            chance = self.problem.expected_reward(tf.cast(action == best, tf.float32))
            reward = tf.cast(luck[t] < chance, tf.float32)
            chosen = tf.one_hot(action, self.problem.actions)
            last = tf.concat([chosen, reward[:, None]], -1)
            entropy = -tf.reduce_sum(tf.exp(log) * log, -1)
            rows.append(
                {
                    "reward": reward,
                    "expected_reward": chance,
                    "log_chance": tf.reduce_sum(log * chosen, -1),
                    "q": tf.exp(tf.gather(log, best, batch_dims=1)),
                    "entropy": entropy,
                    "known": known,
                }
            )
        return {**tf.nest.map_structure(lambda *x: tf.stack(x), *rows), "context": contexts}

    def curves(self, params: dict, correct: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """q `[T, n, contexts]`: forked copies get every context at every step (section 5.2.2)."""
        known = self.play(params, correct, seed)["known"]
        length, count = known["last"].shape[:2]

        def flat(x):
            return tf.reshape(x, (length * count, x.shape[-1]))

        chances_of_correct = []
        for context in range(self.problem.contexts):
            fork = tf.nest.map_structure(flat, known["state"])
            _, logits = self._look(params, fork, tf.fill([length * count], context), flat(known["last"]))
            chances = tf.reshape(tf.nn.softmax(logits), (length, count, -1))
            right = tf.broadcast_to(correct[:, context], (length, count))
            chances_of_correct.append(tf.gather(chances, right, batch_dims=2))
        return tf.stack(chances_of_correct, -1)

    def _look(self, params, state, context, last):
        x = tf.concat([tf.one_hot(context, self.problem.contexts), last], -1)
        return self.lstm.step(params, state, x)


def separate(curves: ArrayLike, contexts: int, seed: int) -> np.ndarray:
    """What K separate meta-learners do, each of which sees its own context alone (section 5.2.3).

    Args:
      curves: q `[T, n * contexts, 1]` of episodes with one context, T the number of steps of the whole.
      contexts: K.
      seed: integer, of the order in which contexts come.

    Returns:
      q `[T, n, K]`, by the steps of all.
    """
    curves = np.asarray(curves)[..., 0]
    length, count = len(curves), curves.shape[1] // contexts
    curves = curves[:, : count * contexts].reshape(length, count, contexts)
    drawn = np.random.default_rng(seed).integers(0, contexts, (length, count))
    seen = np.cumsum(drawn[..., None] == np.arange(contexts), 0)
    seen = np.concatenate([np.zeros_like(seen[:1]), seen[:-1]])  # before each step
    return np.take_along_axis(curves, np.minimum(seen, length - 1), 0)
