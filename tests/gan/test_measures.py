"""Measures on constructed samples."""

import numpy as np
import pytest

from tf_gtn.data import mixtures
from tf_gtn.gan import measures


def test_the_ring_has_eight_centres_at_equal_angles():
    ring = mixtures.ring()
    distance = np.linalg.norm(ring.centers[:, None] - ring.centers[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(distance.min(1), 2 * 2 * np.sin(np.pi / 8))
    assert len(mixtures.grid().centers) == 25


def test_samples_of_a_mixture_are_of_all_modes_and_of_its_width():
    ring = mixtures.ring()
    points = ring.sample((4, 1000), [1, 2]).numpy().reshape(-1, 2)
    measured = measures.modes(points, ring)
    assert measured["modes"] == 8 and measured["high_quality"] > 0.98 and measured["reverse_kl"] < 0.01
    nearest = np.linalg.norm(points[:, None] - ring.centers[None], axis=-1).argmin(1)
    assert (points - ring.centers[nearest]).std() == pytest.approx(0.02, rel=0.05)


def test_modes_by_hand():
    ring = mixtures.ring()
    points = np.concatenate([np.repeat(ring.centers[:1], 30, 0), np.repeat(ring.centers[3:4] + [0.5, 0], 10, 0)])
    measured = measures.modes(points, ring)
    assert measured["modes"] == 1 and measured["high_quality"] == 0.75
    assert measured["reverse_kl"] == pytest.approx(0.75 * np.log(0.75 * 8) + 0.25 * np.log(0.25 * 8))
    assert measures.held(measured["shares"]) == 2 and measures.held(measured["shares"], 0.5) == 1


def test_classes_by_hand():
    measured = measures.classes([0, 0, 1, 1], 10)
    assert measured == {"modes": 2, "entropy": pytest.approx(np.log(2)), "kl": pytest.approx(np.log(10) - np.log(2))}


def test_distances_of_pairs():
    samples = np.zeros((50, 2, 2))
    assert (measures.pairwise_distances(samples) == 0).all()
    spread = measures.pairwise_distances(np.random.default_rng(0).normal(size=(500, 100)))
    assert np.median(spread) == pytest.approx(np.sqrt(200), rel=0.05)


def test_density_and_coverage_of_the_same_and_of_a_collapsed_distribution():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 400, 3))
    density, coverage = measures.density_and_coverage(real, fake)
    assert density == pytest.approx(1, abs=0.15) and coverage > 0.9
    _, collapsed = measures.density_and_coverage(real, np.repeat(fake[:2], 200, 0))
    assert collapsed < 0.1
