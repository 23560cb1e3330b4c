"""The intervals' coverage, by simulation."""

import numpy as np
import pytest

from tf_gtn.reporting import statistics


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


@pytest.mark.parametrize(
    "draws, mean, least",
    [
        (lambda rng, shape: rng.beta(19, 1, shape), 0.95, 0.82),  # skewed, as accuracies near 1 are
        (lambda rng, shape: rng.beta(1, 9, shape), 0.1, 0.82),
        (lambda rng, shape: rng.beta(50, 50, shape), 0.5, 0.925),
        (lambda rng, shape: rng.binomial(8, 0.9, shape) / 8, 0.9, 0.8),  # modes of 8: values at the bound itself
    ],
)
def test_an_interval_cut_at_the_bounds_holds_the_mean_as_often_as_the_whole(draws, mean, least):
    samples = draws(np.random.default_rng(0), (5, 4000))
    whole, cut = statistics.interval(samples), statistics.interval(samples, statistics.SHARE)
    hit, hit_cut = (np.mean((low <= mean) & (high >= mean)) for low, high in (whole, cut))
    assert hit_cut == hit >= least
    assert cut[0].min() >= 0 and cut[1].max() <= 1
    if mean != 0.5:
        assert whole[0].min() < 0 or whole[1].max() > 1
    inside = (whole[0] >= 0) & (whole[1] <= 1)
    np.testing.assert_array_equal(np.array(cut)[:, inside], np.array(whole)[:, inside])


def test_bounds_of_differences_and_of_what_rounding_puts_beyond():
    assert statistics.difference(statistics.SHARE, statistics.SHARE) == (-1, 1)
    assert statistics.difference(statistics.SHARE, 0.25) == (-0.25, 0.75)
    assert statistics.difference((0.0, 200.0), statistics.ANY) == (-np.inf, np.inf)
    assert statistics.mean_and_interval([1.0, 0.0], statistics.SHARE) == (0.5, [0.0, 1.0])
    mean, (low, high) = statistics.mean_and_interval([1 + 1e-7] * 3, statistics.SHARE)
    assert low <= mean <= high
    assert statistics.summary([0.0, 0.5, 0.1], (0.0, 8.0))["ci95"][0] == 0
    assert np.isnan(statistics.mean_and_interval([0.5, None], statistics.SHARE)[1]).all()


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


def test_a_summary_says_what_its_values_are():
    assert statistics.summary([[1.0, 2.0]], each="episodes")["over"] == "episodes"
    assert statistics.summary([[1.0, 2.0]])["over"] == "learners"
    assert statistics.summary([[1.0], [2.0]], each="episodes")["over"] == "seeds"
