"""Bayes' rule against Monte Carlo and against the truth."""

import numpy as np

from tf_gtn.dynamics import bayes, instruments, problems


def test_the_linear_posterior_agrees_with_monte_carlo():
    rng = np.random.default_rng(0)
    noise, x = 0.5, rng.normal(size=(3, 2))
    y = x @ rng.normal(size=(2, 2)).T + noise * rng.normal(size=(3, 2))
    drawn = rng.normal(size=(400_000, 2, 2))  # from the prior
    means = bayes.linear_posterior_means(x[None], y[None], noise)
    assert means.shape == (4, 1, 2, 2)
    np.testing.assert_array_equal(means[0], np.zeros((1, 2, 2)))
    for t in (1, 2, 3):
        log = -0.5 * np.square((y[None, :t] - np.einsum("nij,tj->nti", drawn, x[:t])) / noise).sum((1, 2))
        weights = np.exp(log - log.max())
        sampled = np.einsum("n,nij->ij", weights / weights.sum(), drawn)
        np.testing.assert_allclose(means[t, 0], sampled, atol=0.03)


def test_another_scale_of_the_prior_by_monte_carlo():
    rng = np.random.default_rng(1)
    x, y, noise, scale = np.array([[1.0]]), np.array([[3.0]]), 1.0, 1.5
    drawn = scale**2 * rng.normal(size=400_000)
    weights = np.exp(-0.5 * ((3.0 - drawn) / noise) ** 2)
    mean = bayes.linear_posterior_means(x[None], y[None], noise, scale)[1, 0, 0, 0]
    np.testing.assert_allclose(mean, (weights * drawn).sum() / weights.sum(), atol=0.02)


def test_with_many_observations_it_is_the_truth():
    problem = problems.Linear(3)
    tasks = problem.tasks(2, [0, 1])
    x, y = problem.batch(tasks, 200, [0, 2])
    np.testing.assert_allclose(bayes.linear_posterior_means(x, y, 0.01)[-1], tasks, atol=0.01)


def test_the_table_of_phases_finds_the_function():
    problem = problems.Fourier((1.0, 0.0, 1.0), noise=0.0)
    table = bayes.Phases(problem, bins=16)
    assert table.phases.shape == (256, 2)
    truth = table.phases[37]
    points = instruments.probes()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 12).astype(np.float32)
    y = table.values(x)[37]
    means = table.posterior_means(x, y, points, noise=0.05)
    np.testing.assert_allclose(means[0], 0, atol=1e-5)  # before anything is seen
    np.testing.assert_allclose(means[-1], table.values(points)[37], atol=1e-3)
    expected = np.sin(2 * np.pi * points + truth[0]) + np.sin(6 * np.pi * points + truth[1])
    np.testing.assert_allclose(table.values(points)[37], expected, atol=1e-5)
