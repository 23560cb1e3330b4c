"""Agents in their environments, as runs that can be killed: A2C on n steps at a time, REINFORCE on whole episodes."""

import os
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.policies import policy_saver
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from tf_gtn import watching
from tf_gtn.rl import environments as environment_parts
from tf_gtn.rl import networks, rollouts
from tf_gtn.teaching import saved_models

RECENT = 100  # episodes in the running mean of scores


class _Scores:
    """The mean of the newest scores of episodes, and how many steps were taken; both in variables."""

    def __init__(self):
        self._recent = tf.Variable(tf.zeros([RECENT]), trainable=False, name="recent_scores")
        self._count = tf.Variable(0, dtype=tf.int64, trainable=False, name="episodes")
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="environment_steps")

    @property
    def variables(self) -> list[tf.Variable]:
        return [self._recent, self._count, self.steps]

    def add(self, scores: Any, steps: int) -> None:
        self.steps.assign_add(steps)
        if len(scores):
            count = int(self._count.numpy())
            recent = self._recent.numpy()
            for i, score in enumerate(scores):
                recent[(count + i) % RECENT] = score
            self._recent.assign(recent)
            self._count.assign(count + len(scores))

    def metrics(self) -> dict[str, Any]:
        """The mean of those that there are, NaN if there is none."""
        count = min(int(self._count.numpy()), RECENT)
        mean = self._recent.numpy()[:count].mean() if count else np.nan
        return {"return": mean, "environment_steps": int(self.steps.numpy())}


class Agent:
    """What runs of agents share.

    Attributes:
      agent, outer_steps, variables: what the run is about, its length, and all that a checkpoint needs.
      skipped, consecutively_skipped: see `outer_update.OuterUpdate`.
    """

    _environment: environment_parts.VectorEnvironment

    def __init__(self, agent: Any, make_environment: environment_parts.Make, seed: int, outer_steps: int) -> None:
        self.agent, self.outer_steps, self.seed = agent, outer_steps, seed
        self._make_environment, self._tests, self._scores = make_environment, {}, _Scores()
        self._sample = tf.function(self._sampled, autograph=False)
        self._likeliest = tf.function(lambda now: agent.policy.action(now).action, autograph=False)

    @property
    def environment_steps(self) -> tf.Variable:
        return self._scores.steps

    def returns(self, count: int, episodes: int, seed: int, greedy: bool = True) -> np.ndarray:
        """Undiscounted returns `[count, episodes]` of the greedy policy, or of sampled actions.

        In as many environments at a time as the agent learns in.
        """
        number = count * episodes
        at_once = min(number, self._environment.batch_size)

        def sampled(t, observations):
            return self._sample(self._restarted(observations), tf.constant([_environment_seed(seed, -1 % 2**31), t])).numpy()

        act = self._greedy if greedy else sampled
        if at_once not in self._tests:
            self._tests[at_once] = self._make_environment(at_once, 0)
        returns = []
        for k in watching.each(range(-(-number // at_once)), "batches of episodes"):
            returns.extend(rollouts.returns_of(self._tests[at_once], act, _environment_seed(seed, k)))
        return np.array(returns[:number]).reshape(count, episodes)

    def frames(self, seed: int, count: int = 8) -> np.ndarray | None:
        """Pictures `[count, H, W(, 3)]` from a greedy episode, evenly spaced; None where the environment can't be drawn."""
        environment, pictures, every = self._make_environment(1, 0, draw=True), [], 1

        def act(t, observations):
            nonlocal every, pictures
            if t % every == 0:
                pictures.append(environment.render())
            if len(pictures) == 64 * count:  # an episode may be long: every second one stays
                pictures, every = pictures[::2], 2 * every
            return self._greedy(t, observations)

        rollouts.returns_of(environment, act, _environment_seed(seed, 0))
        environment.close()
        if pictures[0] is None:
            return None
        return np.stack([pictures[i] for i in np.linspace(0, len(pictures) - 1, count).round().astype(int)])

    def save_policy(self, path: str) -> None:
        """Writes the greedy policy as a SavedModel that tf-agents loads, for any batch size."""
        saver = policy_saver.PolicySaver(self.agent.policy, batch_size=None)
        saved_models.publish(*os.path.split(path), saver.save)

    def _greedy(self, t, observations):
        return self._likeliest(self._restarted(observations)).numpy()

    def _restarted(self, observations):
        return ts.restart(tf.convert_to_tensor(observations), len(observations))

    def _sampled(self, now, seed):
        return self.agent.collect_policy.distribution(now, ()).action.sample(seed=seed)


class A2C(Agent):
    """One outer step is one update of an `A2CAgent` on n steps of B environments.

    The environments begin anew every `restart_every` updates, from seeds of their own; the actions taken since then are kept,
    and a resumed run takes them again, so that it goes on from the very same states.
    """

    def __init__(
        self,
        agent: Any,
        make_environment: environment_parts.Make,
        seed: int,
        outer_steps: int,
        environments: int = 16,
        unroll_length: int = 5,
        restart_every: int = 1000,
    ) -> None:
        """`make_environment`: `count, seed -> VectorEnvironment`; the agent is made for it."""
        super().__init__(agent, make_environment, seed, outer_steps)
        self._environment = make_environment(environments, 0)
        self._length, self._restart_every, self._now = unroll_length, restart_every, None
        shape = (restart_every, unroll_length, environments)
        self._actions_since_restart = tf.Variable(tf.zeros(shape, tf.int32), trainable=False, name="actions_since_restart")
        self._update = tf.function(agent.train, autograph=False)

    @property
    def variables(self) -> list[tf.Variable]:
        return [*self.agent.variables, *self._scores.variables, self._actions_since_restart]

    @property
    def skipped(self) -> tf.Tensor:
        return self.agent.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        return self.agent.consecutively_skipped

    def begin(self, seed: int, *start: Any) -> None:
        """Becomes the run of another seed, and keeps what was traced; of agents with `begin(seed, *start)`, as `leap.Agent`."""
        self.seed, self._now = seed, None
        self.agent.begin(seed, *start)
        for variable in (*self._scores.variables, self._actions_since_restart):
            variable.assign(tf.zeros_like(variable))

    def step(self, index: int) -> dict[str, Any]:
        """Update number `index`; returns scalars, `return` the mean score of the newest 100 episodes among them."""
        place = index % self._restart_every
        if place == 0 or self._now is None:
            self._restart(index - place, place)
        frames, actions, scores = [], [], []
        for t in range(self._length):
            action = self._sample(self._now, tf.constant([self.seed, index * self._length + t])).numpy()
            following = self._environment.step(action)
            frames.append(trajectory.from_transition(self._now, policy_step.PolicyStep(action), following))
            actions.append(action)
            scores.extend(self._environment.scores[self._environment.finished])
            self._now = following
        frames.append(
            trajectory.from_transition(self._now, policy_step.PolicyStep(actions[-1]), self._now)
        )  # to bootstrap from
        self._actions_since_restart[place].assign(np.stack(actions).astype(np.int32))
        experience = tf.nest.map_structure(lambda *x: tf.convert_to_tensor(np.stack(x, 1)), *frames)
        loss_info = self._update(experience)
        self._scores.add(scores, self._length * self._environment.batch_size)
        return {"loss": loss_info.loss, **loss_info.extra._asdict(), **self._scores.metrics()}

    def _restart(self, index, updates):
        """Resets the environments as before update `index` and takes the kept actions of so many `updates`."""
        self._environment.seed(_environment_seed(self.seed, index))
        self._now = self._environment.reset()
        for actions in self._actions_since_restart.numpy()[:updates].reshape(-1, self._environment.batch_size):
            self._now = self._environment.step(actions.astype(np.int64))


class Reinforce(Agent):
    """One outer step is one update of tf-agents' `ReinforceAgent` on an episode of each environment."""

    def __init__(
        self,
        agent: Any,
        make_environment: environment_parts.Make,
        seed: int,
        outer_steps: int,
        environments: int = 4,
        optimizer: Any = None,
    ) -> None:
        """`optimizer`: the agent's, whose state is saved with it; see `A2C` for the others."""
        super().__init__(agent, make_environment, seed, outer_steps)
        self._environment, self._optimizer = make_environment(environments, 0), optimizer
        self._update = tf.function(agent.train, autograph=False, reduce_retracing=True)
        self.skipped, self.consecutively_skipped = (tf.Variable(0, trainable=False, name=n) for n in ("skipped", "in_a_row"))

    @property
    def variables(self) -> list[tf.Variable]:
        return [*self._agent_variables(), *self._scores.variables, self.skipped, self.consecutively_skipped]

    def _agent_variables(self):
        return networks.unique(self.agent.variables, self._optimizer.variables, [self.agent.train_step_counter])

    def step(self, index: int) -> dict[str, Any]:
        """Update number `index`; see `A2C.step`. One that is not finite changes nothing, and is counted."""

        environment_seed, count = _environment_seed(self.seed, index), self._environment.batch_size

        def act(t, observations):
            return self._sample(ts.restart(observations, count), tf.constant([environment_seed, t])).numpy()

        played = rollouts.episodes_of(self._environment, act, environment_seed)
        before = [v.numpy() for v in self._agent_variables()]
        try:
            loss = self._update(_whole_episodes(played)).loss
        except tf.errors.InvalidArgumentError as error:  # tf-agents looks at the loss itself, before it does anything
            if "inf or nan" not in str(error):
                raise
            loss = tf.constant(np.nan)
        if all(np.isfinite(x.numpy()).all() for x in (loss, *self._agent_variables())):
            self.consecutively_skipped.assign(0)
        else:
            for variable, value in zip(self._agent_variables(), before, strict=True):
                variable.assign(value)
            self.skipped.assign_add(1)
            self.consecutively_skipped.assign_add(1)
        self._scores.add(played.returns, played.steps)
        return {"loss": loss, **self._scores.metrics()}


def _environment_seed(seed, index):
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0] % 2**31)


def _whole_episodes(played):
    """`rollouts.Episodes` as a `Trajectory` [B, L]; after an episode's end come frames that no loss counts."""
    length = len(played.rewards)
    last = played.taken * (1 - np.concatenate([played.taken[1:], np.zeros_like(played.taken[:1])]))
    step_type = np.full(played.taken.shape, ts.StepType.MID, np.int32)
    step_type[0] = ts.StepType.FIRST
    following = np.where(last > 0, ts.StepType.LAST, ts.StepType.MID).astype(np.int32)
    frames = trajectory.Trajectory(
        step_type=step_type,
        observation=played.observations[:length],
        action=played.actions,
        policy_info=(),
        next_step_type=following,
        reward=played.rewards * played.taken,
        discount=played.discounts,
    )
    return tf.nest.map_structure(lambda x: tf.convert_to_tensor(np.moveaxis(x, 0, 1)), frames)
