"""Meta-learners: gradients by differences, probes that leave no trace, and resumed training."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Adam
from tf_gtn.dynamics import bandits, meta_learners, problems

FIVE_UNITS = functools.partial(meta_learners.LSTM, units=5)


def regression(length=4, network=FIVE_UNITS, **settings):
    return meta_learners.Regression(problems.Linear(2), length, network, **settings)


def training(episodes, seed=0, optimizer=None):
    return meta_learners.MetaTraining(episodes, optimizer or SGD(0.05, 0.0), seed, 3, iterations=2, batch_size=6)


def test_the_prediction_knows_the_target_before_and_not_its_own():
    of = regression()
    params, _ = of.lstm.functional.initial_values(tf.constant([0, 1]))
    x, y = of.problem.batch(of.problem.tasks(2, [0, 1]), 4, [0, 2])
    _, outputs = of.run(params, x, y)
    changed = tf.tensor_scatter_nd_add(y, [[0, 2]], [[5.0, 5.0]])
    difference = np.abs(of.run(params, x, changed)[1] - outputs).max(-1)
    assert np.all(difference[0, :3] == 0) and difference[0, 3] > 0 and np.all(difference[1] == 0)


def test_the_learning_rate_ends_by_a_cosine():
    steps = []
    for final in (1.0, 0.2):
        meta_learner = meta_learners.MetaTraining(
            regression(), SGD(0.05, 0.0), 0, 2, iterations=1, batch_size=6, final_rate=final
        )
        before = meta_learner.params
        meta_learner.step(1)  # half way
        steps.append({path: value - before[path] for path, value in meta_learner.params.items()})
    for path, step in steps[0].items():
        np.testing.assert_allclose(steps[1][path], 0.6 * step, rtol=1e-3, atol=1e-7)


def test_a_fresh_lstm_has_the_scale_and_the_memory_it_was_made_with():
    seed, plain = tf.constant([0, 1]), meta_learners.LSTM(3, 2, 1000)
    meta_learner = meta_learners.LSTM(3, 2, 1000, input_scale=20.0, memory=100)
    before, after = plain.initial(seed), meta_learner.initial(seed)
    np.testing.assert_array_equal(before["lstm/bias"], np.repeat([0, 1, 0, 0], 1000))
    np.testing.assert_allclose(after["lstm/kernel"], 20 * before["lstm/kernel"], rtol=1e-6)
    np.testing.assert_array_equal(after["lstm/recurrent_kernel"], before["lstm/recurrent_kernel"])
    # With nothing else coming in, a forget gate keeps u / (1 + u) a step, which is gone after some u steps.
    state = {"h": tf.zeros([1, 1000]), "c": tf.ones([1, 1000])}
    quiet = {path: tf.zeros_like(value) if "kernel" in path else value for path, value in after.items()}
    kept = meta_learner.step(quiet, state, tf.zeros([1, 3]))[0]["c"].numpy()[0]
    times = kept / (1 - kept)
    assert times.min() >= 1 and times.max() <= 100 * 1.001 and times.mean() == pytest.approx(50.5, rel=0.1)
    np.testing.assert_allclose(after["lstm/bias"][:1000], -after["lstm/bias"][1000:2000])
    assert np.any(meta_learner.initial(tf.constant([0, 2]))["lstm/bias"] != after["lstm/bias"])


@pytest.mark.parametrize("settings", [{"input_scale": 0.0}, {"memory": 1.0}])
def test_an_lstm_without_input_or_memory_is_a_mistake(settings):
    with pytest.raises(errors.UserError, match="above"):
        meta_learners.LSTM(3, 2, **settings)


@pytest.mark.parametrize("kind", ["regression", "bandit"])
def test_the_outer_gradient_is_that_of_finite_differences(kind):
    """Of a bandit: of the REINFORCE loss with its actions and returns as they were drawn."""
    of = regression() if kind == "regression" else bandits.Episodes(problems.Bandit(2, 2), 3, FIVE_UNITS)
    params, _ = of.lstm.functional.initial_values(tf.constant([0, 1]))
    seed = tf.constant([3, 4])
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = of.loss(params, 8, seed)
    gradients = tape.gradient(loss, params)
    path = next(path for path in params if "readout" in path and "kernel" in path)
    ends = []
    for sign in (1, -1):
        moved = {**params, path: params[path] + sign * tf.one_hot(0, params[path].shape[0])[:, None] * 1e-3}
        ends.append(float(of.loss(moved, 8, seed)))
    gradient = float(tf.reduce_sum(gradients[path][0]))
    assert gradient == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=0.02, abs=2e-4)


def test_probing_leaves_the_episode_as_it_was_and_sees_what_it_predicts():
    of = regression(length=5)
    params, _ = of.lstm.functional.initial_values(tf.constant([0, 1]))
    tasks = of.problem.tasks(3, [0, 1])
    x, y = of.problem.batch(tasks, 5, [0, 2])
    states, outputs = of.run(params, x, y)
    kept = [v.numpy() for v in tf.nest.flatten(states)]
    q = of.curves(params, tasks, tf.constant([0, 2]))
    assert q.shape == (5, 3, 2)
    for before, after in zip(kept, tf.nest.flatten(states)):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(of.run(params, x, y)[1], outputs)
    again = tf.concat([x[:, 3], y[:, 2]], -1)  # a fork at t = 3 that is given the episode's own x
    forked = tf.nest.map_structure(lambda v: v[3], states)
    np.testing.assert_allclose(of.lstm.step(params, forked, again)[1], outputs[:, 3], rtol=1e-5)


def test_a_meta_learner_that_knows_the_answer_has_q_one():
    """Probes are answered by an LSTM stand-in that computes W x: the instrument's own part."""
    of = regression(length=3)
    tasks = of.problem.tasks(2, [0, 1])

    class Knows:
        units = 1

        def start(self, count):
            return {"h": tf.zeros([count, 1])}

        def step(self, params, state, x):
            rows = len(x) // len(tasks)
            per_task = tf.tile(tf.repeat(tasks, rows // 3 if rows >= 3 else 1, 0), [3 if rows >= 3 else 1, 1, 1])
            return state, tf.linalg.matvec(per_task, x[:, :2])

    of.lstm = Knows()
    np.testing.assert_allclose(of.curves(None, tasks, tf.constant([0, 2])), np.ones((3, 2, 2)), atol=1e-4)


@pytest.mark.parametrize("optimizer", [SGD(0.05, 0.0), Adam(1e-3)], ids=["sgd", "adam"])
def test_a_resumed_run_gives_the_same_numbers(optimizer):
    of = regression()
    whole, first, second = (training(of, optimizer=optimizer) for _ in range(3))
    expected = [{k: float(v) for k, v in whole.step(i).items()} for i in range(3)]
    first.step(0)
    for mine, other in zip(second.variables, first.variables, strict=True):
        mine.assign(other)
    assert [{k: float(v) for k, v in second.step(i).items()} for i in (1, 2)] == expected[1:]
    second.restart(training(of, seed=9, optimizer=optimizer))
    assert float(second.step(0)["loss"]) == float(training(of, seed=9, optimizer=optimizer).step(0)["loss"])


def test_the_same_task_at_every_episode_makes_it_a_learner():
    of = regression(tasks=problems.Linear(2).tasks(1, [0, 1]))
    trained = meta_learners.MetaTraining(of, Adam(1e-2), 0, 3, iterations=60, batch_size=20)
    losses = [float(trained.step(i)["loss"]) for i in range(3)]
    assert losses[2] < 0.5 * losses[0]


def test_the_mean_of_the_losses_of_steps_is_the_loss():
    tasks = problems.Linear(2).tasks(6, [0, 1])
    of = regression(tasks=tasks)
    params, seed = of.lstm.initial(tf.constant([0, 1])), tf.constant([0, 2])
    _, data = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    losses = of.losses(params, tasks, data)
    assert losses.shape == (4,)
    np.testing.assert_allclose(tf.reduce_mean(losses), of.loss(params, 6, seed), rtol=1e-5)
