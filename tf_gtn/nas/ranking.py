"""How well one evaluation ranks architectures against another: Spearman's correlation with bootstrapped intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

Numbers = Sequence[float] | np.ndarray
Table = Mapping[str, Mapping[str, Numbers]]  # {evaluation: {quantity: [n]}}


def spearman(proxy: Numbers, reference: Numbers) -> float:
    """Spearman's rank correlation of two lists of numbers; NaN if one is constant or there are fewer than 3."""
    if len(proxy) < 3 or np.ptp(proxy) == 0 or np.ptp(reference) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(proxy, reference).statistic)


def top(proxy: Numbers, share: float = 0.5) -> np.ndarray:
    """Indices of the top share by the proxy ("the top 50% of architectures recommended by GTN evaluation scores")."""
    return np.argsort(-np.asarray(proxy), kind="stable")[: max(1, round(len(proxy) * share))]


def correlation(proxy: Numbers, reference: Numbers, share: float = 1.0, resamples: int = 1000, seed: int = 3) -> dict[str, Any]:
    """`{"value", "ci95", "n"}`: within the top share by the proxy, and its percentile bootstrap over architectures."""
    proxy, reference = np.asarray(proxy, float), np.asarray(reference, float)
    rng, resampled = np.random.default_rng(seed), []
    for _ in range(resamples):
        index = rng.integers(0, len(proxy), len(proxy))
        kept = index[top(proxy[index], share)]
        resampled.append(spearman(proxy[kept], reference[kept]))
    kept = top(proxy, share)
    interval = [float(x) for x in np.nanpercentile(resampled, (2.5, 97.5))] if not np.isnan(resampled).all() else None
    return {"value": spearman(proxy[kept], reference[kept]), "ci95": interval, "n": len(kept)}


def difference(
    first: Numbers, second: Numbers, reference: Numbers, share: float = 1.0, resamples: int = 1000, seed: int = 3
) -> dict[str, Any]:
    """As `correlation`, of one proxy's correlation minus another's; both are resampled together."""
    first, second, reference = (np.asarray(x, float) for x in (first, second, reference))

    def at(index):
        return _within(first, reference, index, share) - _within(second, reference, index, share)

    rng = np.random.default_rng(seed)
    resampled = [at(rng.integers(0, len(first), len(first))) for _ in range(resamples)]
    interval = [float(x) for x in np.nanpercentile(resampled, (2.5, 97.5))] if not np.isnan(resampled).all() else None
    return {"value": at(np.arange(len(first))), "ci95": interval, "n": len(first)}


def against(table: Table, reference: str, accuracies: Numbers) -> dict[str, dict[str, Any]]:
    """How well each evaluation ranks against a reference: correlations, and how many times as long the reference takes.

    Args:
      table: `{evaluation: {"score": [n], "training_seconds": [n]}}` of the same architectures.
      reference: one of them.
      accuracies: [n], by the reference.

    Returns:
      `{evaluation: {"correlation", "correlation_of_top_half", "cost_ratio"}}` of the others.
    """
    cost = np.sum(table[reference]["training_seconds"])  # 0 if the accuracies were looked up
    return {
        name: {
            "correlation": correlation(columns["score"], accuracies),
            "correlation_of_top_half": correlation(columns["score"], accuracies, 0.5),
            "cost_ratio": float(cost / taken) if cost and (taken := np.sum(columns["training_seconds"])) else None,
        }
        for name, columns in table.items()
        if name != reference
    }


def of_each_other(table: Table) -> dict[str, dict[str, float]]:
    """Spearman's correlations of all evaluations' scores, `{one: {other: number}}`; `table` as of `against`."""
    return {
        one: {other: spearman(columns["score"], others["score"]) for other, others in table.items()}
        for one, columns in table.items()
    }


def _within(proxy, reference, index, share):
    kept = index[top(proxy[index], share)]
    return spearman(proxy[kept], reference[kept])
