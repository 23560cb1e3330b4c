"""Instruments on what is known: constructed matrices, known phases, curves by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.dynamics import instruments, problems


def test_the_effective_spectrum_of_a_constructed_matrix():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
    target = left @ np.diag([3.0, 2.0, 0.1]) @ right.T
    modes = instruments.modes_of(tf.constant(target))
    np.testing.assert_allclose(modes[1], [3, 2, 0.1])
    half = left @ np.diag([1.5, 0.2, 0.1]) @ right.T  # the modes in other shares
    np.testing.assert_allclose(instruments.effective_spectrum(tf.constant(half), modes), [1.5, 0.2, 0.1], atol=1e-12)
    beside = target + left[:, :1] @ right[:, 1:2].T  # what is off the diagonal is not seen
    np.testing.assert_allclose(instruments.effective_spectrum(tf.constant(beside), modes), [3, 2, 0.1], atol=1e-12)


def test_the_spectrum_is_that_of_each_task_of_many():
    tasks = problems.Linear(3).tasks(4, [0, 1])
    modes = instruments.modes_of(tasks)
    spectrum = instruments.effective_spectrum(0.5 * tasks, modes)
    np.testing.assert_allclose(spectrum, 0.5 * modes[1], rtol=1e-5)


def test_the_linear_part_of_probes():
    rng = np.random.default_rng(0)
    matrix, x = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 100, 4))
    y = np.einsum("nij,ntj->nti", matrix, x)
    np.testing.assert_allclose(instruments.linear_part(tf.constant(x), tf.constant(y)), matrix, rtol=1e-9)


def test_fourier_projection_on_known_phases():
    problem, points = problems.Fourier(), instruments.probes()
    phases = problem.tasks(3, [0, 1])
    target = problem.values(phases, tf.constant(points))
    np.testing.assert_allclose(instruments.fourier_projection(target, target, 5), np.ones((3, 5)), rtol=1e-4)
    turned = problem.values(phases + tf.constant([0.0, np.pi / 2, np.pi, np.pi / 3, 0.0]), tf.constant(points))
    expected = np.tile([1.0, 0.0, -1.0, 0.5, 1.0], (3, 1))
    np.testing.assert_allclose(instruments.fourier_projection(turned, target, 5), expected, atol=1e-4)
    weaker = problems.Fourier((0.5, 1, 1, 2, 0)).values(phases, tf.constant(points))
    np.testing.assert_allclose(instruments.fourier_projection(weaker, target, 5), np.tile([0.5, 1, 1, 2, 0], (3, 1)), atol=1e-4)
    assert len(points) == 40 and points.mean() == pytest.approx(0, abs=1e-7) and np.ptp(np.diff(points)) < 1e-6


def test_contexts_are_ranked_run_by_run():
    curves = np.array([[[0.1, 0.5], [0.9, 0.2]], [[0.2, 0.6], [0.9, 0.3]]])  # [T, runs, K]
    late = np.array([[0.0, 0.9], [1.0, 0.9], [1.0, 0.9]])  # the first one is ahead from step 1 on, for 98 steps of 100
    np.testing.assert_array_equal(instruments.ranked(late), late[:, ::-1])
    np.testing.assert_array_equal(instruments.ranked(late, [0, 1, 100]), late)
    np.testing.assert_array_equal(instruments.ranked(curves), [[[0.5, 0.1], [0.9, 0.2]], [[0.6, 0.2], [0.9, 0.3]]])


def test_steps_and_what_is_censored():
    curves = np.array([[0.1, 0.9, 0.0], [0.85, 0.7, 0.1], [0.9, 0.7, 0.2]])
    steps = instruments.steps_to(curves, [10, 20, 30])
    np.testing.assert_array_equal(steps, [20, 10, np.inf])
    between = instruments.steps_to(curves, [10, 20, 30], interpolate=True)
    np.testing.assert_allclose(between, [10 + 10 * 0.7 / 0.75, 10, np.inf])
    assert instruments.ratio([40, 80, np.inf], [10, 10, 10]) == {"ratio": 8.0, "censored": pytest.approx(1 / 3)}
    assert instruments.ratio([np.inf, np.inf, 1], [10, 10, 10])["ratio"] == np.inf


def test_ratios_of_medians():
    assert instruments.ratio([40, 20, np.inf], [4, 2, 10]) == {"ratio": 10.0, "censored": pytest.approx(1 / 3)}
    assert instruments.ratio([np.inf, np.inf, 3], [1, 1, 1])["ratio"] == np.inf
    assert instruments.ratio([30, 30], [0, 0])["ratio"] == 30  # there from the start
    assert np.isnan(instruments.ratio([30, 30], [np.inf, np.inf])["ratio"])  # nothing to compare with


def test_the_interval_of_a_ratio_covers_it_and_is_none_of_few_runs():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(60):
        fast, slow = rng.lognormal(2, 0.3, 25), rng.lognormal(2 + np.log(8), 0.3, 25)
        low, high = instruments.ratio_interval(slow, fast)
        covered += low <= 8 <= high
    assert covered >= 51  # of 60; a percentile bootstrap of medians is near 95%
    slow[:20] = np.inf
    assert np.isinf(instruments.ratio_interval(slow, fast)[1])
    assert np.isnan(instruments.ratio_interval(slow[:4], fast[:4])).all()
    assert np.isnan(instruments.ratio_interval(slow[:20], fast[:20], each=5)).all()
    assert np.isnan(instruments.ratio_interval(fast, np.full(25, np.inf))).all()


def test_curves_by_singular_value_are_means_of_groups():
    values = np.array([4.0, 1.0, 3.0, 2.0])
    effective = np.array([2.0, 0.0, 1.5, 1.5])
    s, curves = instruments.by_value(np.stack([effective / values, 2 * effective / values]), values, groups=2)
    np.testing.assert_allclose(s, [1.5, 3.5])
    np.testing.assert_allclose(curves, [[0.5, 0.5], [1.0, 1.0]])
    assert len(instruments.by_value(values[None], values)[0]) == 4
