"""`load` and the registry, on the built-in `digits`."""

import zlib

import numpy as np
import pytest

from tf_gtn import data, errors
from tf_gtn.data import registry


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def _rows(split):
    return {(image.tobytes(), label) for image, label in zip(split.images, split.labels)}


def test_digits_are_the_real_ones(digits):
    from sklearn import datasets

    bunch = datasets.load_digits()
    assert digits.name == "digits" and digits.classes == tuple("0123456789")
    assert digits.image_shape == (8, 8, 1)
    assert [len(part) for part in (digits.train, digits.validation, digits.test)] == [1197, 200, 400]
    parts = (digits.train, digits.validation, digits.test)
    images = np.concatenate([part.images for part in parts])[..., 0].astype(float)
    assert images.max() == 16
    order, expected = np.lexsort(images.reshape(1797, 64).T), np.lexsort(bunch.images.reshape(1797, 64).T)
    np.testing.assert_array_equal(images[order], bunch.images[expected])
    labels = np.concatenate([part.labels for part in parts])
    np.testing.assert_array_equal(labels[order], bunch.target[expected])


def test_digits_do_not_overlap(digits):
    train, held_out, test = map(_rows, (digits.train, digits.validation, digits.test))
    assert len(train) + len(held_out) + len(test) == 1797
    assert not train & held_out and not train & test and not held_out & test


def test_digits_are_stratified(digits):
    for part in (digits.train, digits.validation, digits.test):
        share = np.bincount(part.labels) / len(part)
        np.testing.assert_allclose(share, 0.1, atol=0.006)


def test_digits_stay_the_same(digits):
    # Which images are which is part of every number reported on them.
    again = data.load("digits")
    np.testing.assert_array_equal(again.train.images, digits.train.images)
    sums = [zlib.crc32(part.images.tobytes()) for part in (digits.train, digits.validation, digits.test)]
    assert sums == [3444175875, 3053026170, 3158186549]
    other = data.load("digits", seed=3)
    np.testing.assert_array_equal(other.test.images, digits.test.images)
    assert _rows(other.validation) != _rows(digits.validation)


def test_digits_normalised(digits):
    normal = digits.normalize(digits.train.images).numpy().astype(np.float64)
    assert abs(normal.mean()) < 1e-6 and abs(normal.var() - 1) < 1e-6


def test_validation_and_image_size():
    small = data.load("digits", validation=50, image_size=(4, 6))
    assert small.image_shape == (4, 6, 1)
    assert [len(part) for part in (small.train, small.validation, small.test)] == [1347, 50, 400]
    assert small.test.images.dtype == np.uint8 and 0 < small.test.images.max() <= 16


@pytest.mark.parametrize("size", [4, (4,), (4, 0), (4, 4, 1), "8x8", ("a", "b")])
def test_image_size_is_two_numbers(size):
    with pytest.raises(errors.UserError, match=r"image_size is \(height, width\)"):
        data.load("digits", image_size=size)


@pytest.mark.parametrize("name", [None, "", 3])
def test_name_is_a_string(name):
    with pytest.raises(errors.UserError, match="given by its name"):
        data.load(name)


def test_digits_have_no_config():
    with pytest.raises(errors.UserError, match="no configs; got 'upper'"):
        data.load("digits/upper")


@pytest.mark.parametrize(
    "name, expected",
    [
        ("digit", "did you mean 'digits'?"),
        ("mnst", "did you mean 'mnist'?"),
        ("cifar_10", "did you mean 'cifar10'?"),
        ("imagefolder:/tmp", "did you mean 'image_folder'?"),
        ("qqqqqqqq", "known: digits"),
        ("huggingface:mnist", ""),
    ],
)
def test_unknown_names(name, expected, tmp_path):
    with pytest.raises(errors.UserError) as raised:
        data.load(name, tfds_data_dir=str(tmp_path))
    message = str(raised.value)
    assert message.startswith("unknown data set") and expected in message
    assert "\n" not in message and len(message) < 250


def test_malformed_name():
    with pytest.raises(errors.UserError, match=r"^cannot open data set 'a b': Parsing.*failed\.$"):
        data.load("a b")


def test_register():
    seen = {}

    @data.register("for_this_test")
    def load(config="", image_size=None, **_):
        seen.update(config=config, image_size=image_size)
        images = np.arange(160, dtype=np.uint8).reshape(10, 4, 4, 1)
        return data.Source(("a", "b"), data.Split(images, np.arange(10, dtype=np.int32) % 2), stratified=True)

    try:
        loaded = data.load("for_this_test/some/config:1", image_size=(2, 2))
        assert seen == {"config": "some/config:1", "image_size": (2, 2)}
        assert loaded.name == "for_this_test/some/config:1" and loaded.image_shape == (2, 2, 1)
        assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [7, 1, 2]
        with pytest.raises(errors.UserError, match=r"the data set 'for_this_test' is there already \(.*load\): take another"):
            data.register("for_this_test")(lambda **_: None)
        with pytest.raises(errors.UserError, match="did you mean 'for_this_test'"):
            data.load("for_this_tset")
        data.register("of_this_test")(lambda **_: load().train)
        with pytest.raises(errors.UserError, match=r"'of_this_test' is a function that gives a data.Source; it gave Split"):
            data.load("of_this_test")
    finally:
        for name in ("for_this_test", "of_this_test"):
            registry._LOADERS.pop(name, None)
    with pytest.raises(errors.UserError, match="letters"):
        data.register("a/b")
