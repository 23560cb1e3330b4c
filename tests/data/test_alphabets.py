"""Characters by alphabet: `glyphs` drawn here, `omniglot` mocked."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tf_gtn import errors
from tf_gtn.data import alphabets
from tf_gtn.data.glyphs import characters


def test_glyphs(mock_data):
    images_by_alphabet = alphabets.load(tfds_data_dir=str(mock_data))
    assert list(images_by_alphabet) == list(characters.alphabets())
    for name, images in images_by_alphabet.items():
        assert images.dtype == np.uint8 and images.shape == (len(characters.alphabets()[name]), 6, 28, 28, 1)
        assert np.median(images) < 128  # ink is white
    small = alphabets.load(tfds_data_dir=str(mock_data), image_size=(14, 14))
    assert small["hebrew"].shape[2:] == (14, 14, 1)


def test_omniglot_mocked(tmp_path):
    with tfds.testing.mock_data(num_examples=40):
        images_by_alphabet = alphabets.load("omniglot", tfds_data_dir=str(tmp_path), image_size=(28, 28))
    assert all(images.ndim == 5 and images.shape[2:] == (28, 28, 1) for images in images_by_alphabet.values())


def test_mistakes(mock_data, tmp_path):
    with pytest.raises(errors.UserError, match="not in alphabets"):
        alphabets.load("mnist", tfds_data_dir=str(mock_data))
    with pytest.raises(errors.UserError, match="not prepared"):
        alphabets.load("omniglot", tfds_data_dir=str(tmp_path))
