"""Means and intervals of what was measured."""

import numpy as np
import scipy.stats


def bootstrap(values):
    """Bootstrapped 95% percentile interval of the mean over the first axis, from 1,000 resamples, seed 3.

    "the mean and its 95% confidence intervals from (n=1,000) bootstrapping" (GTN paper, section 3).

    Args:
      values: [n] or [n, k].

    Returns:
      `(low, high)`, each [] or [k]; both are the mean where n is 1 or all values are the same.
    """
    values = np.asarray(values, np.float64)
    mean = values.mean(0)
    if len(values) < 2:
        return mean, mean
    interval = scipy.stats.bootstrap(
        (values,), np.mean, axis=0, n_resamples=1000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    same = np.ptp(values, 0) == 0
    return np.where(same, mean, interval.low), np.where(same, mean, interval.high)


def mean_and_interval(values):
    """`values` [n] -> (mean, [low, high]), floats."""
    return float(np.mean(values)), [float(end) for end in bootstrap(values)]
