"""`random_crop_flip`: every output is a window of the padded image, or its mirror image, at random by the seed alone."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.data import augmentation


def _windows(image, padding):
    """Every crop of the padded image and its mirror image: {bytes: (top, left, mirrored)}."""
    height, width, _ = image.shape
    padded = np.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    window_places = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            window = padded[top : top + height, left : left + width]
            window_places[window.tobytes()] = (top, left, False)
            window_places[np.ascontiguousarray(window[:, ::-1]).tobytes()] = (top, left, True)
    return window_places


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).randint(1, 256, (400, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("flip", [True, False])
def test_windows_of_the_padded_image(images, dtype, flip):
    images = images.astype(dtype)
    result = augmentation.random_crop_flip(images, [3, 4], padding=2, flip=flip)
    assert result.dtype == dtype and result.shape == images.shape
    places = np.array([_windows(image, 2)[window.tobytes()] for image, window in zip(images, result.numpy())])
    for column in (0, 1):  # 400 images over 5 offsets: 80 each, with a standard deviation of 8
        counts = np.bincount(places[:, column], minlength=5)
        assert len(counts) == 5 and counts.min() > 45 and counts.max() < 115
    assert abs(places[:, 2].mean() - (0.5 if flip else 0)) < (0.1 if flip else 1e-9)
    assert abs(np.corrcoef(places[:, 0], places[:, 1])[0, 1]) < 0.2


def test_the_seed_decides(images):
    first, again, other = (
        augmentation.random_crop_flip(images, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2, 3)).mean() > 0.9


def test_graph_with_unknown_sizes(images):
    specs = [tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)]
    graph = tf.function(augmentation.random_crop_flip, input_signature=specs)
    np.testing.assert_array_equal(graph(images, [1, 2]), augmentation.random_crop_flip(images, [1, 2]))
    assert graph(images[:0], [1, 2]).shape == (0, 6, 5, 3)


def test_static_shape_is_kept():
    graph = tf.function(augmentation.random_crop_flip).get_concrete_function(
        tf.TensorSpec([None, 8, 8, 1]), tf.constant([0, 0])
    )
    assert graph.structured_outputs.shape.as_list() == [None, 8, 8, 1]


def test_no_padding_no_flip_is_the_identity(images):
    np.testing.assert_array_equal(augmentation.random_crop_flip(images, [0, 0], padding=0, flip=False), images)


def test_gradients_flow():
    images = tf.ones([2, 4, 4, 1])
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(augmentation.random_crop_flip(images, [0, 5], padding=1))
    # Each pixel inside the window counts once.
    gradient = tape.gradient(total, images).numpy()
    assert set(np.unique(gradient)) <= {0.0, 1.0} and gradient.sum() == total.numpy()


def test_wrong_arguments(images):
    with pytest.raises(ValueError, match=r"\[N, H, W, C\]"):
        augmentation.random_crop_flip(images[0], [0, 0])
    with pytest.raises(ValueError, match="at least 0; got -1"):
        augmentation.random_crop_flip(images, [0, 0], padding=-1)
