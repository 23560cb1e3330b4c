"""`data.of`: the same data in every form is the same `Dataset`; every mistake is one line that says where and what to do."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data, errors
from tf_gtn.data import normalization

_RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
IMAGES = (_RNG.integers(0, 200, (90, 6, 5, 1)) + 20 * LABELS[:, None, None, None]).astype(np.uint8)
IMAGES[0, 0, 0], IMAGES[1, 0, 0] = 0, 255  # the ends of the scale


def _parts(dataset):
    return dataset.train, dataset.validation, dataset.test


def _same(dataset, other):
    assert (
        dataset.fingerprint == other.fingerprint
        and dataset.classes == other.classes
        and dataset.pixel_range == other.pixel_range
    )
    for mine, its in zip(_parts(dataset), _parts(other)):
        np.testing.assert_array_equal(mine.images, its.images)
        np.testing.assert_array_equal(mine.labels, its.labels)


@pytest.fixture(scope="module")
def dataset():
    return data.of({"train": (IMAGES, LABELS)})


def test_arrays_in_the_splits_of_a_name_are_that_data_set(digits):
    def raw(split):  # as scikit-learn has them: floats 0 to 16, without a channel
        return split.images[..., 0].astype(float), split.labels

    again = data.of({"test": raw(digits.test), "train": raw(digits.train), "validation": raw(digits.validation)})
    _same(again, digits)
    assert again.normalization == digits.normalization and again.name == "given" and again.given_range == (0, 16)


def test_names_and_data_sets_are_taken(digits):
    assert data.of(digits) is digits
    assert data.of("digits", validation=50).fingerprint == data.load("digits", validation=50).fingerprint


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (x[..., 0], y),
        lambda x, y: (x.astype(np.float64), y.astype(np.float32)),
        lambda x, y: (tf.constant(x, tf.int32), tf.one_hot(y, 3)),
        lambda x, y: (x.tolist(), y.tolist()),
        lambda x, y: (x, y[:, None]),
        lambda x, y: (x[::-1], y[::-1]),
        lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)),
        lambda x, y: tf.data.Dataset.from_tensor_slices((x[..., 0], np.eye(3)[y])),
        lambda x, y: tf.data.Dataset.from_tensor_slices((x.astype(np.float32), y)).shuffle(90).batch(16),
        lambda x, y: tf.data.Dataset.from_tensor_slices({"image": x, "label": y}).batch(45, drop_remainder=True),
    ],
    ids=["grey", "floats", "tensors", "lists", "column", "other order", "stream", "one-hot", "shuffled", "batched"],
)
def test_every_form_is_the_same_data_set(dataset, form):
    _same(data.of({"train": form(IMAGES, LABELS)}), dataset)


def test_a_missing_split_is_carved_and_the_split_never_changes(dataset):
    assert [len(part) for part in _parts(dataset)] == [62, 9, 19], "part of every number that is reported on such data"
    every = {image.tobytes() for part in _parts(dataset) for image in part.images}
    assert len(every) == 90 == sum(map(len, _parts(dataset)))
    assert all(len(np.unique(part.labels)) == 3 for part in _parts(dataset))
    assert data.of({"train": (IMAGES, LABELS)}, seed=1).same_test(dataset.fingerprint)
    partly = data.of({"train": (IMAGES[:60], LABELS[:60]), "test": (IMAGES[60:], LABELS[60:])}, validation=6)
    assert [len(part) for part in _parts(partly)] == [54, 6, 30]
    np.testing.assert_array_equal(partly.test.images, IMAGES[60:])


def test_options(dataset):
    small = data.of({"train": (IMAGES, LABELS)}, image_size=(3, 4), train=30, classes=["a", "b", "c"], name="mine")
    assert small.image_shape == (3, 4, 1) and len(small.train) == 30 and small.classes == ("a", "b", "c")
    assert small.name == "mine" and small.fingerprint != dataset.fingerprint
    with pytest.raises(errors.UserError, match=r"unknown option of a data set of arrays.* 'clases'; did you mean 'classes'"):
        data.of({"train": (IMAGES, LABELS)}, clases=3)
    with pytest.raises(errors.UserError, match="unknown option of a data set by name 'cache_dir'"):
        data.of("digits", cache_dir="x")
    with pytest.raises(errors.UserError, match=r"no options of a data\.Dataset"):
        data.of(dataset, seed=1)


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-1.0, 1.0), (-40.5, 300.0)])
def test_other_floats_keep_their_scale(low, high, dataset):
    raw = low + (high - low) / 255 * IMAGES
    scaled = data.of({"train": (raw, LABELS)})
    # The split follows from the values, which are others here; the images of each level are the same.
    assert {image.tobytes() for part in _parts(scaled) for image in part.images} == {image.tobytes() for image in IMAGES}
    np.testing.assert_allclose(scaled.given_range, (low, high), rtol=1e-6)
    expected = scaled.normalize(scaled.train.images).numpy()
    assert abs(expected.mean()) < 1e-5 and abs(expected.var() - 1) < 1e-5
    # What an export says of its data: raw images come out as learners saw them.
    as_given = normalization.normalize(scaled.train.as_given(), **scaled.normalization)
    np.testing.assert_allclose(as_given, expected, atol=1e-4)
    assert scaled.test.as_given().dtype == np.float32 and scaled.test.take([0]).as_given().shape == (
        1,
        6,
        5,
        1,
    )
    assert scaled.fingerprint != data.of({"train": (raw * 2, LABELS)}).fingerprint
    assert dataset.train.as_given() is dataset.train.images


def test_levels_are_those_of_train_and_the_nearest():
    raw = _RNG.normal(size=(90, 4, 4))
    scaled = data.of({"train": (raw, LABELS), "test": (1.5 * raw, LABELS), "validation": (raw, LABELS)})
    assert scaled.train.images.min() == 0 and scaled.train.images.max() == 255
    step = (raw.max() - raw.min()) / 255
    np.testing.assert_allclose(scaled.train.as_given()[..., 0], raw, atol=0.501 * step)
    clipped = np.clip(1.5 * raw, raw.min(), raw.max())
    np.testing.assert_allclose(scaled.test.as_given()[..., 0], clipped, atol=0.501 * step)


def _with(images=IMAGES, labels=LABELS):
    return {"train": (images, labels)}


def _nan():
    images = IMAGES.astype(float)
    images[7, 2, 2] = np.nan
    return images


@pytest.mark.parametrize(
    "parts, message",
    [
        (3, r"data is a name, a data.Dataset, or \{'train'"),
        ({}, "data has no 'train'; it has nothing"),
        ({"train": (IMAGES, LABELS), "tset": 1}, "unknown split 'tset'; did you mean 'test'"),
        ({"train": IMAGES}, r"data\['train'\]: a split is a pair .* got ndarray"),
        (_with(IMAGES[:80]), "got 80 images and 90 as labels"),
        (_with(IMAGES, 3), "got 90 images and a single one as labels"),
        (_with(IMAGES[:0], LABELS[:0]), "there are no images"),
        (_with(_nan()), "image number 7 has values that are NaN or infinite"),
        (_with(IMAGES.astype(float) * 1e300), "NaN or infinite"),
        (_with(IMAGES.reshape(90, 30)), r"images are \[N, H, W, C\] or \[N, H, W\]; got \[90, 30\]"),
        (_with(LABELS, IMAGES), r"images are \[N, H, W, C\]"),
        (_with([[[1, 2]], [[3]]], [0, 1]), "images are no array: their rows differ in shape"),
        (_with(np.array([IMAGES[0], None], object), [0, 1]), "got objects"),
        (_with(IMAGES.astype(str)), "images are numbers, .* got text"),
        (_with(np.full((90, 2, 2), 0.5)), "all pixels of the training images are 0.5"),
        (_with(labels=np.array(["cat", "dog", "owl"])[LABELS]), "got text, such as .*'cat'.*Number the classes"),
        (_with(labels=LABELS - 1), "labels are integers from 0 on; got -1"),
        (_with(labels=LABELS + 0.5), "labels are integers from 0 on; got 0.5"),
        (_with(labels=LABELS + 1), "the highest is 3, but no image has label 0"),
        (_with(labels=LABELS * 10**9), "no image has label 1;"),
        (_with(labels=np.eye(3)[LABELS] / 2), "are one-hot, a single 1 per row"),
        (_with(labels=np.zeros((90, 2, 2))), r"labels are \[N\], or one-hot"),
        (_with(labels=LABELS * 0), "all of one class"),
        (_with() | {"test": (IMAGES, LABELS + 1)}, r"data\['test'\]: label 3 is of no image in train"),
        (_with() | {"test": (IMAGES[:, :4], LABELS)}, r"data\['test'\]: images are \[4, 5, 1\], those of train \[6, 5, 1\]"),
        (_with(IMAGES / 255) | {"test": (IMAGES, LABELS)}, r"images of test lie in 0..255, those of train in 0..1; bring"),
        (_with() | {"test": (IMAGES / 255, LABELS)}, r"images of test lie in 0..1, those of train in 0..255; bring"),
        (
            _with(labels=np.eye(4)[LABELS]) | {"test": (IMAGES, np.eye(5)[LABELS])},
            "one-hot labels are for 5 classes, where",
        ),
        (_with(IMAGES[:2], LABELS[:2]), "too few images to divide"),
    ],
)
@pytest.mark.filterwarnings("ignore::tf_gtn.errors.Notice")
def test_mistakes_are_one_line(parts, message):
    with pytest.raises(errors.UserError, match=message) as raised:
        data.of(parts)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


def test_classes_are_as_many_as_there_are():
    with pytest.raises(errors.UserError, match=r"label 2 has no name; the classes are labels 0 to 1"):
        data.of(_with(), classes=["a", "b"])
    for classes in ("abc", 3, ["a", "a", "b"]):
        with pytest.raises(errors.UserError, match="classes are a list of names"):
            data.of(_with(), classes=classes)
    with pytest.warns(errors.Notice, match="no image in train of 1 of its 4 classes"):
        assert data.of(_with(), classes=["a", "b", "c", "d"]).num_classes == 4


def _failing():
    def fail(index):
        raise RuntimeError("the disk is gone")

    return tf.data.Dataset.range(4).map(lambda i: (tf.ensure_shape(tf.numpy_function(fail, [i], tf.uint8), (2, 2)), i))


@pytest.mark.parametrize(
    "stream, message",
    [
        (lambda: tf.data.Dataset.from_tensors((IMAGES[0], 1)).repeat(), "never ends; leave out its repeat"),
        (lambda: tf.data.Dataset.range(3), r"are \(image, label\) pairs; these are int64 \(\)"),
        (lambda: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, LABELS)), "pairs; these are"),
        (lambda: tf.data.Dataset.from_tensor_slices((LABELS, LABELS)), r"an image \[H, W, C\] or \[H, W\] and a label"),
        (lambda: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).take(0), "there are no images"),
        (lambda: tf.data.Dataset.from_tensor_slices((IMAGES.astype(str), LABELS)), "images are numbers"),
        (
            lambda: tf.data.Dataset.from_generator(
                lambda: ((np.zeros((n, 3)), 0) for n in (2, 3)),
                output_signature=(tf.TensorSpec([None, 3]), tf.TensorSpec([], tf.int32)),
            ),
            "images of several shapes; resize",
        ),
        (
            lambda: tf.data.Dataset.from_generator(lambda: iter([(IMAGES[0], 0)]), output_types=(tf.uint8, tf.int32)),
            "says no rank of its elements",
        ),
        (_failing, "the tf.data.Dataset fails: .*the disk is gone"),
    ],
)
def test_mistakes_of_streams_are_one_line(stream, message):
    with pytest.raises(errors.UserError, match=message) as raised:
        data.of({"train": stream()})
    assert str(raised.value).startswith("data['train']") and "\n" not in str(raised.value)
