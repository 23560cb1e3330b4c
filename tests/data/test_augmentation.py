"""Augmentations: what each does to an image, at random by the seed alone, with exact gradients."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from tf_gtn import errors
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


def test_cutout_blanks_one_square():
    images = augmentation.cutout(tf.ones([50, 8, 8, 2]), tf.constant([1, 2]), 4)
    blanked = (images[..., 0] == 0).numpy()
    np.testing.assert_array_equal(images[..., 0], images[..., 1])
    assert blanked.sum((1, 2)).max() == 16 and blanked.any((1, 2)).all() and not blanked.all((1, 2)).any()
    assert len({tuple(row) for row in blanked.reshape(50, -1)}) > 20


def by_kind(images, kind, seed=(3, 4)):
    return augmentation.differentiable(images, tf.constant(seed), (kind,)).numpy()


@pytest.fixture(scope="module")
def waves():
    """Images of float64 [40, 16, 16, 3] without two equal pixels."""
    return tf.constant(np.random.RandomState(1).normal(size=(40, 16, 16, 3)))


@pytest.mark.parametrize("kind", augmentation.KINDS)
def test_gradients_of_each_kind_are_exact(waves, kind):
    """Against finite differences in a random direction: all kinds are linear in the image, or smooth."""
    images, seed, h = waves[:3], tf.constant([3, 4]), 1e-5
    direction = tf.constant(np.random.RandomState(2).normal(size=images.shape))

    def loss(x):
        return tf.reduce_sum(augmentation.differentiable(x, seed, (kind,)) ** 3)

    with tf.GradientTape() as tape:
        tape.watch(images)
        value = loss(images)
    exact = tf.reduce_sum(tape.gradient(value, images) * direction)
    np.testing.assert_allclose(exact, (loss(images + h * direction) - loss(images - h * direction)) / (2 * h), rtol=1e-6)


def test_crop_moves_by_whole_pixels(waves):
    moves = set()
    for image, moved in zip(waves.numpy(), by_kind(waves, "crop")):
        padded = np.pad(image, [[2, 2], [2, 2], [0, 0]])
        windows = {(y - 2, x - 2): padded[y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
        moves |= {place for place, window in windows.items() if np.array_equal(window, moved)}
    assert len(moves) > 10 and {y for y, _ in moves} == {x for _, x in moves} == {-2, -1, 0, 1, 2}


def test_flip_mirrors_half(waves):
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(waves.numpy(), by_kind(waves, "flip"))]
    same = [np.array_equal(a, b) for a, b in zip(waves.numpy(), by_kind(waves, "flip"))]
    assert all(np.logical_xor(mirrored, same)) and 10 <= sum(mirrored) <= 30


def test_color_is_linear_in_the_image_and_keeps_its_pattern(waves):
    for before, after in zip(waves.numpy(), by_kind(waves, "color")):
        grey, new_grey = before.mean(-1).ravel(), after.mean(-1).ravel()
        assert np.corrcoef(grey, new_grey)[0, 1] > 1 - 1e-9  # brightness and contrast
        saturation, new_saturation = before[..., 0].ravel() - grey, after[..., 0].ravel() - new_grey
        assert np.corrcoef(saturation, new_saturation)[0, 1] > 1 - 1e-9
        assert 0.5 <= new_grey.std() / grey.std() <= 1.5


def turned(image, degrees):
    """By `scipy.ndimage`: another implementation."""
    return ndimage.rotate(image, degrees, reshape=False, order=1, mode="constant")


def test_rotation_and_scaling_are_about_the_centre():
    """As SciPy's, in the middle, where no border plays a part."""
    y, x = np.mgrid[-15.5:16, -15.5:16]
    image = np.exp(-((y - 3) ** 2 + (x + 4) ** 2) / 40)[..., None]
    images = tf.constant(np.stack([image] * 8))
    middle = slice(8, 24)
    for result in by_kind(images, "rotate")[..., 0]:
        angles = np.linspace(-15, 15, 301)
        errors = [abs(turned(image[..., 0], angle) - result)[middle, middle].max() for angle in angles]
        assert min(errors) < 2e-3 and abs(turned(image[..., 0], 0) - result).max() < 0.5
    for result in by_kind(images, "scale")[..., 0]:
        centers = [(result * axis).sum() / result.sum() for axis in (y, x)]
        assert 3 / 1.21 <= centers[0] <= 3 * 1.21 and -4 * 1.21 <= centers[1] <= -4 / 1.21  # what grows moves outwards


def test_one_kind_a_batch_and_all_come(waves):
    draws = [augmentation.differentiable(waves[:4], tf.constant([i, 0])).numpy() for i in range(40)]
    alone = [{k: by_kind(waves[:4], k, (i, 0)) for k in augmentation.KINDS} for i in range(40)]
    kinds = [{k for k, one in ones.items() if np.array_equal(draw, one)} for draw, ones in zip(draws, alone)]
    assert all(len(kind) == 1 for kind in kinds) and set().union(*kinds) == set(augmentation.KINDS)


def test_integers_stay_integers_in_their_range(images):
    images = tf.constant(np.where(images > 128, 255, 0).astype(np.uint8))
    for kind in augmentation.KINDS:
        result = augmentation.differentiable(images, tf.constant([1, 2]), (kind,))
        assert result.dtype == tf.uint8 and result.shape == images.shape
    graph = tf.function(
        augmentation.differentiable, input_signature=[tf.TensorSpec([None, 6, 5, 3], tf.uint8), tf.TensorSpec([2], tf.int32)]
    )
    np.testing.assert_array_equal(graph(images, [1, 2]), augmentation.differentiable(images, tf.constant([1, 2])))


def test_a_kind_that_is_not_known(waves):
    with pytest.raises(errors.UserError, match="unknown kind of augmentation 'colour'; did you mean 'color'"):
        augmentation.differentiable(waves, tf.constant([1, 2]), ("colour",))
    with pytest.raises(errors.UserError, match="kinds are some of color, crop"):
        augmentation.differentiable(waves, tf.constant([1, 2]), ())


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ("flip", r"X is a function \(images, seed\) -> images; got 'flip'"),
        (lambda images: images, r"X is a function \(images, seed\) -> images: too many positional arguments"),
        (lambda images, seed: images[:, 1:], r"uint8 \[2, 4, 4, 1\]; it gave uint8 \[2, 3, 4, 1\]"),
        (lambda images, seed: tf.cast(images, tf.float32), r"it gave float32 \[2, 4, 4, 1\]"),
    ],
)
def test_an_augmentation_of_a_users_own_is_tried_first(augment, words):
    with pytest.raises(errors.UserError, match=words):
        augmentation.check(augment, "X", tf.zeros([2, 4, 4, 1], tf.uint8))
