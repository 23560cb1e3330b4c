"""Means and intervals of what was measured.

A quantity has bounds `(low, high)`, beyond which no value of it can lie: accuracies `SHARE`, seconds `NOT_NEGATIVE`. An
interval is cut there. The true mean lies within the bounds, so the cut interval holds it exactly as often as the whole one, and
no claim holds that would not without (both tested). An interval on another scale, such as that of logits, would be one of
another mean, and values at a bound have no logit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import scipy.stats

Values = Sequence[Any] | np.ndarray
"""Numbers along the first axis, one for each seed, learner or time that something was measured."""
ANY, NOT_NEGATIVE, SHARE = (-np.inf, np.inf), (0.0, np.inf), (0.0, 1.0)


def bootstrap(values: Values) -> tuple[np.ndarray, np.ndarray]:
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


def student(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the mean over the first axis by Student's t, for few values such as one per seed.

    The percentile bootstrap is too narrow there: with 5 values its interval covers the mean in some 83% of cases, Student's in
    95% (normal values; both are tested by simulation).

    Args:
      values: [n] or [n, k].

    Returns:
      `(low, high)`, each [] or [k]; both are the mean where n is 1.
    """
    values = np.asarray(values, np.float64)
    mean = values.mean(0)
    if len(values) < 2:
        return mean, mean
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(0, ddof=1) / np.sqrt(len(values))
    return mean - half, mean + half


def interval(values: Values, bounds: tuple[float, float] = ANY) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the mean over the first axis: bootstrapped from 20 values on, by Student's t below; cut at the bounds."""
    low, high = bootstrap(values) if len(values) >= 20 else student(values)
    mean = np.mean(np.asarray(values, np.float64), 0)  # in the interval, though rounding may have put it beyond a bound
    return np.minimum(np.maximum(low, bounds[0]), mean), np.maximum(np.minimum(high, bounds[1]), mean)


def mean_and_interval(values: Values, bounds: tuple[float, float] = ANY) -> tuple[float, list[float]]:
    """`values` [n] -> (mean, [low, high]), floats; NaN if one is NaN or None."""
    values = np.asarray(values, np.float64)
    return float(np.mean(values)), [float(end) for end in interval(values, bounds)]


def difference(bounds: tuple[float, float], other: tuple[float, float] | float) -> tuple[float, float]:
    """The bounds of a quantity minus another, from both their bounds, or minus a number."""
    low, high = other if isinstance(other, tuple) else (other, other)
    return bounds[0] - high, bounds[1] - low


def quartiles(values: Values) -> tuple[float, float, float]:
    """The quartiles `(lower, median, upper)` of `values` [n], infinity among them: it counts as the largest."""
    ordered = np.sort(np.asarray(values, np.float64))

    def quantile(share):
        rank = share * (len(ordered) - 1)
        low, high = ordered[int(np.floor(rank))], ordered[int(np.ceil(rank))]
        return float(low if low == high else low + (high - low) * (rank % 1))

    return quantile(0.25), quantile(0.5), quantile(0.75)


def units(per_seed: Values) -> tuple[np.ndarray, str]:
    """What an interval of a quantity is over: `(values [n], "seeds" or "learners")`.

    `per_seed` has for each seed a number, or one for each learner. Several seeds: their means, since the learners of an outer
    run share its generator. One seed: its learners.
    """
    if len(per_seed) == 1 and np.ndim(per_seed[0]) == 1:
        return np.asarray(per_seed[0], np.float64), "learners"
    return np.array([np.mean(np.asarray(values, np.float64)) for values in per_seed]), "seeds"  # None: NaN


def summary(per_seed: Values, bounds: tuple[float, float] = ANY, each: str = "learners") -> dict[str, Any]:
    """`{"mean", "ci95", "over", "values"}` of a quantity: see `units`; one value has no interval.

    `each`: what those of a single seed are, in a word.
    """
    values, over = units(per_seed)
    over = each if over == "learners" else over
    mean, ci95 = mean_and_interval(values, bounds)
    return {"mean": mean, "ci95": ci95 if len(values) > 1 else None, "over": over, "values": [float(v) for v in values]}


def median(values: Iterable[float | None]) -> float | None:
    """The median of the values that are not None; None if all are."""
    numbers = [value for value in values if value is not None]
    return float(np.median(numbers)) if numbers else None
