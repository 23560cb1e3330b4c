"""The intervals' coverage, by simulation."""

import numpy as np
import pytest

from tf_gtn.run.findings import statistics


def coverage(interval, count, draws, trials=400):
    """Share of intervals of `count` values that hold the true mean, 0."""
    rng = np.random.default_rng(0)
    samples = draws(rng, (count, trials))
    if interval is statistics.bootstrap:
        ends = [interval(samples[:, i]) for i in range(trials)]
        low, high = np.array(ends).T
    else:
        low, high = interval(samples)
    return np.mean((low <= 0) & (high >= 0))


def normal(rng, shape):
    return rng.normal(size=shape)


def skewed(rng, shape):
    return rng.exponential(size=shape) - 1


@pytest.mark.parametrize(
    "interval, count, draws, expected",
    [
        (statistics.student, 5, normal, (0.925, 0.975)),
        (statistics.bootstrap, 5, normal, (0.77, 0.88)),  # why there are two
        (statistics.student, 10, normal, (0.925, 0.975)),
        (statistics.bootstrap, 20, normal, (0.88, 0.96)),
        (statistics.bootstrap, 20, skewed, (0.85, 0.95)),
        (statistics.student, 5, skewed, (0.83, 0.95)),
    ],
)
def test_coverage_of_95_percent_intervals(interval, count, draws, expected):
    low, high = expected
    assert low <= coverage(interval, count, draws) <= high


def test_few_values_get_students_interval_and_many_the_bootstrap():
    values = np.random.default_rng(1).normal(size=20)
    np.testing.assert_array_equal(statistics.interval(values), statistics.bootstrap(values))
    np.testing.assert_array_equal(statistics.interval(values[:19]), statistics.student(values[:19]))
    low, high = statistics.student([1.0, 2.0, 3.0])
    np.testing.assert_allclose([low, high], [2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5], rtol=1e-6)


def test_one_value_has_no_width():
    assert statistics.student([0.5]) == (0.5, 0.5)


def test_units_are_seeds_if_there_are_several_and_learners_of_a_single_one():
    values, over = statistics.units([[0.1, 0.3], [0.5, 0.7]])
    np.testing.assert_allclose(values, [0.2, 0.6])
    assert over == "seeds"
    values, over = statistics.units([[0.1, 0.3]])
    np.testing.assert_allclose(values, [0.1, 0.3])
    assert over == "learners"
    assert statistics.units([0.4, 0.5])[1] == "seeds"
