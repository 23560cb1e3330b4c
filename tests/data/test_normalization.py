"""Raw images to the learners' scale; images on another scale are told."""

import warnings

import numpy as np
import pytest

import tf_gtn
from tf_gtn import errors
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
