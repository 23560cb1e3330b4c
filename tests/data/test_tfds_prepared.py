"""TensorFlow Datasets that are really built, written and read back: small ones, each with something of its own."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tf_gtn import data, errors


def _lengths(loaded):
    return [len(part) for part in (loaded.train, loaded.validation, loaded.test)]


def _message(name, **options):
    with pytest.raises(errors.UserError) as raised:
        data.load(name, **options)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 800
    return str(raised.value)


class _Made(tfds.core.GeneratorBasedBuilder):
    """A small data set; its subclasses, which TFDS registers, say what differs."""

    VERSION = tfds.core.Version("1.0.0")
    SKIP_REGISTRATION = True
    code_path = None  # no checksums or citation beside this file
    splits = {"train": 40, "test": 10}
    features = {"image": tfds.features.Image(shape=(4, 4, 1)), "label": tfds.features.ClassLabel(names=["cat", "dog"])}

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self.features))

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part, count) for part, count in self.splits.items()}

    def _generate_examples(self, part, count):
        for index in range(count):
            yield f"{part}{index}", self.example(part, index)

    def example(self, part, index):
        image = np.full([4, 4, 1], index + 100 * (part == "test"), np.uint8)
        return {"image": image, "label": index % 2}


class PlainMade(_Made):
    """Train and test."""


class ValidatedMade(_Made):
    """All three splits."""

    splits = {"train": 40, "validation": 8, "test": 10}


class UnlabelledMade(_Made):
    """A test split without labels."""

    def example(self, part, index):
        return {**super().example(part, index), **({"label": -1} if part == "test" else {})}


class UnlabelledTrainMade(_Made):
    """No labels at all."""

    def example(self, part, index):
        return {**super().example(part, index), "label": -1}


class TrainOnlyMade(_Made):
    """Train alone."""

    splits = {"train": 40}


class TestOnlyMade(_Made):
    """Test alone."""

    __test__ = False
    splits = {"test": 10}


class SizesMade(_Made):
    """Images of several sizes."""

    features = {**_Made.features, "image": tfds.features.Image(shape=(None, None, 3))}

    def example(self, part, index):
        return {"image": np.full([4 + index % 2, 5, 3], index, np.uint8), "label": index % 2}


class NamesMade(_Made):
    """Other features."""

    features = {"picture": tfds.features.Image(shape=(4, 4, 1)), "kind": tfds.features.ClassLabel(num_classes=2)}

    def example(self, part, index):
        return {"picture": np.zeros([4, 4, 1], np.uint8), "kind": 0}


class TextLabelMade(_Made):
    """Labels that are words."""

    features = {**_Made.features, "label": tfds.features.Text()}

    def example(self, part, index):
        return {**super().example(part, index), "label": "cat"}


class GreyMade(_Made):
    """Grey images [H, W] of bools."""

    features = {**_Made.features, "image": tfds.features.Tensor(shape=(4, 4), dtype=np.bool_)}

    def example(self, part, index):
        return {"image": np.eye(4, dtype=np.bool_), "label": index % 2}


class FloatMade(_Made):
    """Floats from 0 to 1."""

    features = {**_Made.features, "image": tfds.features.Tensor(shape=(4, 4, 2), dtype=np.float32)}

    def example(self, part, index):
        return {"image": np.full([4, 4, 2], index / 40, np.float32), "label": index % 2}


class WideMade(_Made):
    """Integers beyond 255."""

    features = {**_Made.features, "image": tfds.features.Tensor(shape=(4, 4, 1), dtype=np.int32)}

    def example(self, part, index):
        return {"image": np.full([4, 4, 1], 100 * index, np.int32), "label": index % 2}


@pytest.fixture(scope="module")
def prepare(tmp_path_factory):
    """Builds a made data set into a folder of its own (once) and returns the options to load it."""
    folder = str(tmp_path_factory.mktemp("tfds"))

    def build(name):
        tfds.builder(name, data_dir=folder).download_and_prepare()
        return {"tfds_data_dir": folder}

    return build


def _values(split):
    return set(split.images[:, 0, 0, 0].tolist())


def test_plain(prepare):
    options = prepare("plain_made")
    loaded = data.load("plain_made", **options)
    assert loaded.classes == ("cat", "dog") and _lengths(loaded) == [36, 4, 10]
    assert _values(loaded.test) == set(range(100, 110))
    assert _values(loaded.train) | _values(loaded.validation) == set(range(40))
    for part in (loaded.train, loaded.validation, loaded.test):
        np.testing.assert_array_equal(part.labels, part.images[:, 0, 0, 0] % 2)
    again = data.load("plain_made", **options)
    np.testing.assert_array_equal(loaded.train.images, again.train.images)


def test_own_validation(prepare):
    assert _lengths(data.load("validated_made", **prepare("validated_made"))) == [40, 8, 10]


@pytest.mark.parametrize("name", ["unlabelled_made", "train_only_made"])
def test_test_is_carved_where_there_is_none_with_labels(prepare, name):
    loaded = data.load(name, **prepare(name))
    assert _lengths(loaded) == [28, 4, 8]
    assert _values(loaded.train) | _values(loaded.validation) | _values(loaded.test) == set(range(40))


def test_sizes(prepare):
    options = prepare("sizes_made")
    message = _message("sizes_made", **options)
    assert "4x5x3" in message and "5x5x3" in message and "image_size=" in message
    assert data.load("sizes_made", image_size=(3, 3), **options).image_shape == (3, 3, 3)


def test_dtypes(prepare):
    grey = data.load("grey_made", **prepare("grey_made"))
    assert grey.image_shape == (4, 4, 1)
    np.testing.assert_array_equal(grey.train.images[0, ..., 0], 255 * np.eye(4))
    floats = data.load("float_made", **prepare("float_made"))
    assert floats.image_shape == (4, 4, 2)
    assert _values(floats.train) | _values(floats.validation) == {round(255 * index / 40) for index in range(40)}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("test_only_made", "has no split 'train'; it has test"),
        ("unlabelled_train_made", "images without labels"),
        ("names_made", "has no features 'image' and 'label'; it has kind, picture"),
        ("text_label_made", "its label is Text, not a ClassLabel"),
        ("wide_made", "images are int32 from 0 to 3900"),
    ],
)
def test_not_usable(prepare, name, expected):
    assert expected in _message(name, **prepare(name))


def test_damaged(prepare):
    folder = pathlib.Path(prepare("plain_made")["tfds_data_dir"])
    copy = folder / "damaged"
    shutil.copytree(folder / "plain_made", copy / "plain_made")
    record = next(copy.glob("plain_made/1.0.0/*train.tfrecord*"))
    record.write_bytes(record.read_bytes()[:-7])
    assert "is unreadable" in _message("plain_made", tfds_data_dir=str(copy))
    record.unlink()
    assert "plain_made" in _message("plain_made", tfds_data_dir=str(copy))
    (copy / "plain_made" / "1.0.0" / "dataset_info.json").write_text("{")
    assert "plain_made" in _message("plain_made", tfds_data_dir=str(copy))
