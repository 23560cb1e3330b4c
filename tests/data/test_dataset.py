"""`Split` and `Dataset`: what they hold, and the scale they give to learners."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data


def _split(images):
    return data.Split(images, np.zeros(len(images), np.int32))


def _dataset(train, **options):
    return data.Dataset("made", _split(train), _split(train[:1]), _split(train[:1]), ("only",), **options)


@pytest.fixture(scope="module")
def images():
    values = np.random.RandomState(0).randint(0, 256, (5000, 4, 5, 3), np.uint8)
    return (values // np.array([1, 2, 3], np.uint8)).astype(np.uint8)


def test_moments_are_those_of_train(images):
    dataset = _dataset(images)
    values = images.astype(np.float64)
    np.testing.assert_allclose(dataset.mean, values.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(dataset.std, values.std((0, 1, 2)), rtol=1e-12)
    assert dataset.normalization == {"mean": list(dataset.mean), "std": list(dataset.std)}
    assert all(type(number) is float for number in dataset.mean + dataset.std)
    assert (dataset.image_shape, dataset.num_classes, len(dataset.train)) == ((4, 5, 3), 1, 5000)


def test_normalised_train_has_mean_0_and_variance_1(images):
    dataset = _dataset(images)
    normal = dataset.normalize(images).numpy().astype(np.float64)
    assert dataset.normalize(images).dtype == tf.float32
    np.testing.assert_allclose(normal.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(normal.var((0, 1, 2)), 1, atol=1e-6)


def test_given_moments_are_kept(images):
    dataset = _dataset(images, mean=(0.0, 0.0, 0.0), std=(2.0, 2.0, 2.0))
    np.testing.assert_array_equal(dataset.normalize(images[:2]), images[:2] / np.float32(2))


def test_constant_channel_becomes_zero():
    train = np.full([3, 2, 2, 1], 7, np.uint8)
    dataset = _dataset(train)
    assert dataset.std == (1.0,)
    np.testing.assert_array_equal(dataset.normalize(train), np.zeros([3, 2, 2, 1]))


def test_normalize_takes_arrays_tensors_grey_images_and_unknown_n():
    train = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    dataset = _dataset(train)
    expected = dataset.normalize(train)
    graph = tf.function(dataset.normalize, input_signature=[tf.TensorSpec([None, 3, 4, 1], tf.float32)])
    for result in (
        dataset.normalize(train[..., 0]),
        dataset.normalize(tf.constant(train)),
        dataset.normalize(train.astype(np.float64)),
        graph(tf.cast(train, tf.float32)),
    ):
        assert result.shape == (2, 3, 4, 1)
        np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 4, 3, 1), (2, 3, 4, 3), (3, 4)])
def test_normalize_refuses_other_shapes(shape):
    dataset = _dataset(np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1))
    with pytest.raises(ValueError, match=r"images \[N, 3, 4, 1\]"):
        dataset.normalize(np.zeros(shape, np.uint8))


def test_full_range(digits):
    full = digits.in_full_range()
    assert digits.pixel_range == (0, 16) and full.pixel_range == (0, 255)
    for part in ("train", "validation", "test"):
        before, after = getattr(digits, part), getattr(full, part)
        np.testing.assert_array_equal(after.images, np.rint(before.images * (255 / 16)))
        np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_allclose(full.normalize(full.train.images), digits.normalize(digits.train.images), atol=0.01)
    assert full.in_full_range() is full


def test_fingerprint_is_of_the_content(images):
    train, test = _split(images[:8]), _split(images[8:12])

    def of(train=train, validation=test, test=test, classes=("a", "b"), name="made"):
        return data.Dataset(name, train, validation, test, classes).fingerprint

    assert len(of()) == 32 and of() == of(name="other") == of(train=data.Split(images[:8].copy(), train.labels.copy()))
    changed = images[:8].copy()
    changed[3, 2, 1, 0] ^= 1
    relabelled = data.Split(train.images, (np.arange(8) == 2).astype(np.int32))
    others = of(_split(changed)), of(relabelled), of(validation=train), of(_split(images[:7])), of(classes=("a", "c"))
    assert len({of(), of(test=train), *others}) == 7
    dataset = data.Dataset("made", train, test, test, ("a", "b"))
    assert dataset.same_test(of(_split(changed))) and not dataset.same_test(of(test=train))


def test_frozen(images):
    dataset = _dataset(images[:3])
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.mean = (0.0,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.train.images = images


def test_split_refuses_other_types():
    images, labels = np.zeros([2, 3, 3, 1], np.uint8), np.zeros([2], np.int32)
    for bad in ((images / 2, labels), (images[..., 0], labels), (images, labels / 2), (images, labels[:1])):
        with pytest.raises(ValueError, match=r"^(images|labels) are"):
            data.Split(*bad)


def test_labels_of_any_integers_are_kept_as_int32():
    split = data.Split(np.zeros([2, 3, 3, 1], np.uint8), np.array([1, 0], np.uint8))
    assert split.labels.dtype == np.int32 and split.labels.tolist() == [1, 0]


def test_dataset_refuses_what_does_not_fit_together(images):
    train = _split(images[:2])
    with pytest.raises(ValueError, match="no training images"):
        data.Dataset("made", _split(images[:0]), train, train, ("only",))
    with pytest.raises(ValueError, match="mixes images"):
        data.Dataset("made", train, train, _split(images[:2, :3]), ("only",))
    with pytest.raises(ValueError, match=r"pixels from .* outside 0 to 16"):
        _dataset(np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1), pixel_range=(0, 16))
    with pytest.raises(ValueError, match="labels from 1 to 2 for 2 classes"):
        data.Dataset("made", data.Split(train.images, np.array([1, 2], np.int32)), train, train, ("a", "b"))
