"""The bridge: a linear learner taught by a GTN."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.dynamics import bridge, problems


def make(taught=True, inner_steps=5):
    problem = problems.Linear(2, spectrum=(2.0, 0.2))
    task = problem.tasks(1, [0, 1])[0]
    return bridge.LinearGTN(problem, task, 0, 150, taught, inner_steps, batch_size=8, latent=4, learning_rate=0.01)


@pytest.mark.parametrize("taught", [True, False])
def test_outer_steps_make_a_lesson_that_teaches(taught):
    gtn = make(taught, inner_steps=20)
    before = gtn.curves(4, 0)[1][-1]
    for index in range(150):
        gtn.step(index)
    q, loss = gtn.curves(4, 0)
    assert q.shape == (21, 4, 2) and loss.shape == (21, 4)
    np.testing.assert_allclose(q[0], 0, atol=0.2)
    assert loss[-1].mean() < 0.75 * before.mean() and loss[-1].mean() < 0.25 * loss[0].mean()


def test_a_resumed_run_gives_the_same_numbers():
    whole, first, second = make(), make(), make()
    expected = [float(whole.step(i)["loss"]) for i in range(3)]
    first.step(0)
    for mine, other in zip(second.variables, first.variables, strict=True):
        mine.assign(other)
    assert [float(second.step(i)["loss"]) for i in (1, 2)] == pytest.approx(expected[1:], rel=1e-6)


def test_on_real_data_the_generator_stays():
    gtn = make(taught=False)
    before = [tf.identity(v) for v in gtn.variables[:-10]]
    gtn.step(0)
    np.testing.assert_array_equal(before[0], gtn.variables[0])
