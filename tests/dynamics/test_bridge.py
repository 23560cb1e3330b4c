"""The bridge: a linear learner taught by a GTN."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.dynamics import bridge, problems


def make(taught=True, steps=150, seed=0):
    problem = problems.Linear(2, spectrum=(2.0, 0.2))
    return bridge.LinearGTN(problem, problem.tasks(1, [0, 1])[0], seed, steps, taught, inner_steps=5, batch_size=8, latent=4)


def test_a_gtn_teaches_more_than_real_batches_of_as_many_steps():
    found = {}
    for taught in (True, False):
        made = make(taught)
        for index in range(150):
            made.step(index)
        q, loss = made.curves(4, 0)
        assert q.shape == (6, 4, 2) and loss.shape == (6, 4)
        np.testing.assert_allclose(q[0], 0, atol=0.2)
        found[taught] = loss[-1].mean()
    assert found[True] < found[False]


def test_a_resumed_run_gives_the_same_numbers():
    whole, first, second = make(), make(), make()
    expected = [float(whole.step(i)["loss"]) for i in range(3)]
    first.step(0)
    for mine, other in zip(second.variables, first.variables, strict=True):
        mine.assign(other)
    assert [float(second.step(i)["loss"]) for i in (1, 2)] == pytest.approx(expected[1:], rel=1e-6)


def test_on_real_data_the_generator_stays():
    made = make(taught=False)
    before = [tf.identity(v) for v in made.variables[:-10]]
    made.step(0)
    np.testing.assert_array_equal(before[0], made.variables[0])
