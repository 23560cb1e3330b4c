"""Raw images to the learners' scale, whitened if asked; images on another scale are told."""

import dataclasses
import warnings

import numpy as np
import pytest
from scipy import linalg

import tf_gtn
from tf_gtn import data, errors
from tf_gtn.data import normalization

MNIST = {"mean": [33.3], "std": [78.6]}


@pytest.mark.parametrize("pixel_range", [(0, 16), None])
def test_images_scaled_already_are_told(digits, monkeypatch, pixel_range):
    gtn = tf_gtn.load("digits")
    monkeypatch.setitem(gtn.metadata, "pixel_range", pixel_range)
    images = digits.test.images.astype(np.float32)
    for scaled in (images / 16, images / 8 - 1, (images - 4.9) / 6.0, images * 255 / 16):
        with pytest.warns(errors.Notice, match="those of digits") as caught:
            gtn.normalize(scaled)
        assert caught[0].filename == __file__ and (pixel_range is None or "lie in 0..16:" in str(caught[0].message))
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.Notice)
        for fitting in (images, images[:1], digits.test.images, images[..., 0], np.zeros((3, 8, 8, 1)), images[:0]):
            gtn.normalize(fitting)


def test_bytes_divided_by_255_are_told_without_a_range():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)) * (np.random.default_rng(1).random((5, 28, 28, 1)) < 0.2)
    for scale, fits in ((1, True), (1 / 255, False), (2 / 255, False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", errors.Notice)
            scaled = images * scale
            normalization.warn_of_other_range(scaled, normalization.normalize(scaled, **MNIST), None, "mnist")
        assert bool(caught) != fits


@pytest.fixture(scope="module")
def correlated():
    """A data set of 400 images 3x2x2 whose pixels hang together."""
    rng = np.random.default_rng(0)
    images = 120 + 12 * rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12)) / 2
    split = data.Split(np.clip(np.rint(images), 0, 255).astype(np.uint8).reshape(400, 3, 2, 2), np.arange(400) % 2)
    return data.Dataset("correlated", split, split, split, ("a", "b"))


def test_whitened_pixels_have_variance_1_and_no_correlation(correlated):
    whitened = dataclasses.replace(correlated, zca=1e-9).normalize(correlated.train.images).numpy()
    assert whitened.shape == (400, 3, 2, 2)
    flat = whitened.reshape(400, -1).astype(np.float64)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.T @ flat / 400, np.eye(12), atol=2e-3)


def test_whitening_is_the_symmetric_root_and_strength_limits_it(correlated):
    """Of all maps to uncorrelated pixels the one that moves an image least; with strength, rare directions stay fainter."""
    plain = correlated.normalize(correlated.train.images).numpy().reshape(400, -1).astype(np.float64)
    covariance = np.cov(plain.T, bias=True)
    root = np.real(linalg.sqrtm(np.linalg.inv(covariance)))
    whitening = dataclasses.replace(correlated, zca=1e-9).whitening
    np.testing.assert_allclose(whitening.matrix, root, rtol=1e-3, atol=1e-3)
    softer = dataclasses.replace(correlated, zca=0.1).whitening
    values, directions = np.linalg.eigh(covariance)
    expected = (directions / np.sqrt(values + 0.1 * values.mean())) @ directions.T
    factor = softer.matrix[0, 0] / expected[0, 0]
    np.testing.assert_allclose(softer.matrix, factor * expected, rtol=1e-3, atol=1e-4)
    assert np.trace(softer.matrix @ covariance @ softer.matrix) / 12 == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("zca", [None, 0.1])
def test_denormalize_undoes_normalize(correlated, zca):
    dataset = dataclasses.replace(correlated, zca=zca)
    images = correlated.train.images[:20]
    np.testing.assert_allclose(dataset.denormalize(dataset.normalize(images)), images, atol=0.05)


def test_whitening_is_asked_for_by_load_and_of(correlated):
    images, labels = correlated.train.images, correlated.train.labels
    assert tf_gtn.data.of({"train": (images, labels)}, zca=0.2).whitening.strength == 0.2
    assert tf_gtn.data.load("digits", zca=0.1).whitening.matrix.shape == (64, 64)
    assert tf_gtn.data.load("digits").whitening is None
    for wrong in (0.0, -1.0):
        with pytest.raises(errors.UserError, match=r"data.load.zca must be above 0"):
            tf_gtn.data.load("digits", zca=wrong)
        with pytest.raises(errors.UserError, match="zca is a number above 0, or None"):
            dataclasses.replace(correlated, zca=wrong)
    assert np.isfinite(tf_gtn.data.load("digits", zca=0.1).whitening.matrix).all()  # some pixels of theirs never change


def test_images_too_large_to_whiten_are_told():
    split = data.Split(np.zeros((2, 128, 128, 3), np.uint8), np.array([0, 1]))
    large = data.Dataset("large", split, split, split, ("a", "b"), zca=0.1)
    with pytest.raises(errors.UserError, match=r"a matrix of 49152 x 49152 numbers for images \[128, 128, 3\]"):
        large.normalize(split.images)
