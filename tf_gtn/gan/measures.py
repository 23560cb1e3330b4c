"""What a generator covers: modes of a mixture, classes, distances between samples, reconstructions."""

from typing import Any

import numpy as np
import scipy.spatial
from numpy.typing import ArrayLike

from tf_gtn.data import mixtures

SAMPLES = 2500  # by convention


def modes(points: ArrayLike, mixture: mixtures.Mixture, sigmas: float = 3.0) -> dict[str, Any]:
    """Of points `[n, 2]` against a `data.mixtures.Mixture`.

    Returns:
      `{"modes", "high_quality", "reverse_kl", "shares"}`: modes with at least one point within 3 standard deviations, the share
      of points within 3 of any, KL(points' nearest modes || uniform) in nats, and the share of points near each mode `[modes]`.
    """
    points = np.asarray(points)
    distance = np.linalg.norm(points[:, None] - mixture.centers[None], axis=-1)
    nearest, close = distance.argmin(1), distance.min(1) <= sigmas * mixture.deviation
    counts = np.bincount(nearest, minlength=len(mixture.centers))
    captured = np.bincount(nearest[close], minlength=len(mixture.centers)) > 0
    shares = counts / len(points)
    occupied = shares[shares > 0]
    return {
        "modes": int(captured.sum()),
        "high_quality": float(close.mean()),
        "reverse_kl": float((occupied * np.log(occupied * len(shares))).sum()),
        "shares": shares,
    }


def held(shares: ArrayLike, least: float = 0.05) -> int:
    """How many modes get at least that share of the samples: "assigns significant mass" (figure 1)."""
    return int((np.asarray(shares) >= least).sum())


def pairwise_distances(samples: np.ndarray, pairs: int = 5000, seed: int = 0) -> np.ndarray:
    """L2 distances of random pairs of samples `[n, ...]`, `[pairs]` (unrolled GAN paper, section 3.3.2)."""
    flat, rng = np.asarray(samples).reshape(len(samples), -1), np.random.default_rng(seed)
    first, second = rng.integers(0, len(flat), (2, pairs))
    second = np.where(first == second, (second + 1) % len(flat), second)
    return np.linalg.norm(flat[first] - flat[second], axis=1)


def classes(predicted: np.ndarray, count: int) -> dict[str, Any]:
    """Of predicted classes `[n]`: how many `modes` appear, `entropy` of their shares and `kl` to uniform, in nats."""
    shares = np.bincount(np.asarray(predicted), minlength=count) / len(predicted)
    occupied = shares[shares > 0]
    entropy = float(-(occupied * np.log(occupied)).sum())
    return {"modes": int((shares > 0).sum()), "entropy": entropy, "kl": float(np.log(count) - entropy)}


def density_and_coverage(real: np.ndarray, fake: np.ndarray, neighbors: int = 5) -> tuple[float, float]:
    """Naeem et al. (2020) in some feature space: `real` `[n, k]`, `fake` `[m, k]` -> `(density, coverage)`."""
    from sklearn.neighbors import NearestNeighbors

    radii = NearestNeighbors(n_neighbors=neighbors + 1).fit(real).kneighbors(real)[0][:, -1]
    inside = scipy.spatial.distance.cdist(real, fake) <= radii[:, None]
    return float(inside.sum() / (neighbors * len(fake))), float(inside.any(1).mean())
