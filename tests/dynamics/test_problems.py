"""Tasks: spectra, distributions and rewards as the paper has them."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.dynamics import problems


def test_a_given_spectrum_with_random_rotations():
    tasks = problems.Linear(2, spectrum=(3.0, 0.06)).tasks(20, [0, 1])
    s, left, _ = tf.linalg.svd(tasks)
    np.testing.assert_allclose(s, np.tile([3.0, 0.06], (20, 1)), rtol=1e-4)
    assert np.std(np.abs(left[:, 0, 0])) > 0.1


def test_spectra_of_other_distributions():
    s = tf.linalg.svd(problems.Linear(3, uniform=(1.0, 2.0)).tasks(200, [0, 1]), compute_uv=False)
    assert float(tf.reduce_min(s)) >= 1 and float(tf.reduce_max(s)) <= 2 and 1.4 < float(tf.reduce_mean(s)) < 1.6
    entries = problems.Linear(2, scale=2.0).tasks(5000, [0, 1])
    assert float(tf.math.reduce_std(entries)) == pytest.approx(4.0, rel=0.05)  # alpha^2


def test_targets_are_the_tasks_with_noise():
    problem = problems.Linear(2, noise=0.1)
    tasks = problem.tasks(3, [0, 1])
    x, y = problem.batch(tasks, 5000, [1, 2])
    left = y - tf.einsum("nij,ntj->nti", tasks, x)
    assert float(tf.math.reduce_std(left)) == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(y, problem.batch(tasks, 5000, [1, 2])[1])


def test_functions_have_their_frequencies():
    problem = problems.Fourier((0, 0, 1, 1, 1), noise=0.0)
    tasks = problem.tasks(2, [0, 1])
    x, y = problem.batch(tasks, 7, [0, 2])
    expected = sum(np.sin(2 * np.pi * k * x[..., 0] + tasks[:, None, k - 1]) for k in (3, 4, 5))
    np.testing.assert_allclose(y[..., 0], expected, atol=1e-5)


def test_contexts_in_conflict_and_independent_ones():
    problem = problems.Bandit()
    conflict, free = problem.conflicting(500, [0, 1]).numpy(), problem.independent(500, [0, 1]).numpy()
    assert all(len(set(row)) == 5 for row in conflict) and not all(len(set(row)) == 5 for row in free)
    assert np.bincount(conflict[:, 0], minlength=5).min() > 60 and np.bincount(free[:, 0], minlength=5).min() > 60


def test_rewards():
    problem = problems.Bandit()
    right = tf.repeat([True, False], 5000)
    reward = problem.reward(right, [0, 1]).numpy()
    assert reward[:5000].mean() == pytest.approx(0.8, abs=0.02) and reward[5000:].mean() == pytest.approx(0.2, abs=0.02)
    assert problem.expected_reward(0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: problems.Linear(2, spectrum=(1.0,)),
        lambda: problems.Linear(0),
        lambda: problems.Bandit(p_correct=0.1),
        lambda: problems.Bandit(contexts=6).conflicting(1, [0, 1]),
    ],
)
def test_mistakes(make):
    with pytest.raises(errors.UserError):
        make()
