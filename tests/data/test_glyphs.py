"""`glyphs`: the characters and their images, the builder on its own, and `load` end to end on few images."""

import pathlib
import sys
import types
import unicodedata
import zlib

import numpy as np
import pytest
import simple_parsing
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.scripts.cli import build

from tf_gtn import data, errors
from tf_gtn.data import glyphs
from tf_gtn.data.glyphs import glyphs_dataset_builder, rendering

try:
    from tensorflow_datasets.testing import dataset_builder_testing
except ModuleNotFoundError:  # TFDS's testing imports dill, which TFDS doesn't install, for tests of features alone
    sys.modules["dill"] = types.ModuleType("dill")
    from tensorflow_datasets.testing import dataset_builder_testing

    del sys.modules["dill"]

FOLDER = pathlib.Path(glyphs.__file__).parent
FACE = ("DejaVuSans",)
CONFIGS = {config.name: config for config in glyphs_dataset_builder.Builder.BUILDER_CONFIGS}


class _Few:
    """Has no tests of its own."""

    DATASET_CLASS = glyphs_dataset_builder.Builder
    EXAMPLE_DIR = FOLDER  # nothing is downloaded


class DigitsTest(_Few, dataset_builder_testing.DatasetBuilderTestCase):
    """TFDS's own test, on digits in two splits."""

    SPLITS = {"train": 40, "test": 20}
    BUILDER_CONFIG_NAMES_TO_TEST = [
        glyphs_dataset_builder.Config(name="few_digits", alphabets={"d": "0123456789"}, samples={"train": 4, "test": 2})
    ]


class AlphabetsTest(_Few, dataset_builder_testing.DatasetBuilderTestCase):
    """TFDS's own test, on two alphabets."""

    SPLITS = {"train": 30}
    BUILDER_CONFIG_NAMES_TO_TEST = [
        glyphs_dataset_builder.Config(
            name="few_letters", alphabets={"x": "abc", "y": "\u03b1\u03b2"}, samples={"train": 6}, grouped=True
        )
    ]


@pytest.fixture
def few(monkeypatch):
    """Both configurations with few images: 5 of each digit to train and 2 to test, 5 of the letters of two alphabets."""
    monkeypatch.setattr(CONFIGS["digits"], "samples", {"train": 5, "test": 2})
    monkeypatch.setattr(CONFIGS["alphabets"], "samples", {"train": 5})
    chosen = {name: members for name, members in glyphs.alphabets().items() if name in ("greek_small", "ogham")}
    monkeypatch.setattr(CONFIGS["alphabets"], "alphabets", chosen)
    monkeypatch.setattr("tf_gtn.data.glyphs.characters.alphabets", lambda: chosen)


def _lengths(loaded):
    return [len(part) for part in (loaded.train, loaded.validation, loaded.test)]


def _rows(split):
    return {image.tobytes() for image in split.images}


def test_alphabets():
    alphabets = glyphs.alphabets()
    assert list(alphabets) == sorted(alphabets)
    assert len(alphabets) == 47 and min(map(len, alphabets.values())) == 24 and max(map(len, alphabets.values())) == 125
    everything = "".join(alphabets.values())
    assert len(everything) == len(set(everything)) == 2574
    # The labels are part of every result: another list is another version of the data set.
    assert zlib.crc32("\n".join(f"{name} {members}" for name, members in alphabets.items()).encode()) == 3364317055
    assert alphabets["latin_small"] == "abcdefghijklmnopqrstuvwxyz"
    assert len({unicodedata.name(character) for character in everything}) == len(everything)


def test_every_character_is_drawn_and_none_twice(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "has", lambda *_: True)
        box = rendering.silhouette("\uffff", *FACE).ravel()  # what the font draws for what it hasn't
    assert box.any()
    for name, members in glyphs.alphabets().items():
        assert all(rendering.has(character, *FACE) for character in members), name
        shapes = [rendering.silhouette(character, *FACE).ravel() for character in members]
        shapes = np.stack([*shapes, box]).astype(np.float32)
        ink = shapes.sum(1)
        assert ink.min() > 200, name
        common = shapes @ shapes.T
        overlap = common / (ink[:, np.newaxis] + ink - common)
        np.fill_diagonal(overlap, 0)
        assert overlap.max() < 0.9, (name, np.unravel_index(overlap.argmax(), overlap.shape))


def test_a_character_that_a_face_has_not():
    with pytest.raises(ValueError, match=r"DejaVuSans has no character U\+4E00"):
        rendering.render("\u4e00", FACE, 0, 1)
    with pytest.raises(ValueError, match=r"DejaVuSans draws nothing for U\+0020"):
        rendering.render(" ", FACE, 0, 1)


def test_all_digits_are_in_all_faces():
    faces = CONFIGS["digits"].faces
    assert len(set(faces)) == 12
    shapes = {rendering.silhouette(digit, face).tobytes() for digit in "0123456789" for face in faces}
    assert len(shapes) == 120


def test_images():
    images = rendering.render("0123456789", CONFIGS["digits"].faces, 0, 1000)
    assert images.shape == (1000, 28, 28, 1) and images.dtype == np.uint8
    assert images.max((1, 2, 3)).min() > 200  # ink in each
    assert 20 < images.mean() < 45
    edge = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], 1)
    assert (edge.max((1, 2)) > 64).mean() < 0.01  # next to none is cut off
    assert len({image.tobytes() for image in images}) == 1000


def test_an_image_depends_on_its_number_alone():
    faces = CONFIGS["digits"].faces
    whole = rendering.render("0123", faces, 0, 1030)
    for first, count in ((0, 3), (990, 25), (1000, 7), (1029, 1)):
        part = rendering.render("0123", faces, first, count)
        np.testing.assert_array_equal(part, whole[first : first + count])
    assert not (rendering.render("0123", faces, 0, 20, stream=1) == whole[:20]).all((1, 2, 3)).any()
    assert not (rendering.render("0123", faces, 0, 20, seed=1) == whole[:20]).all((1, 2, 3)).any()


def test_labels_are_right():
    """The nearest silhouette by correlation is mostly the label's: images and labels belong together."""
    images = rendering.render("0123456789", FACE, 0, 500)[..., 0].reshape(500, -1).astype(float)
    means = np.stack([images[digit:250:10].mean(0) for digit in range(10)])
    scores = (images[250:] - images[250:].mean(1, keepdims=True)) @ (means - means.mean(1, keepdims=True)).T
    assert (scores.argmax(1) == np.arange(250, 500) % 10).mean() > 0.6


def test_sizes_of_the_configurations():
    digits, alphabets = CONFIGS["digits"], CONFIGS["alphabets"]
    assert digits.characters == "0123456789" and digits.samples == {"train": 6000, "test": 1000}
    assert alphabets.alphabets == glyphs.alphabets() and alphabets.samples == {"train": 20}


def test_load_digits(few, tmp_path, capsys):
    folder = str(tmp_path / "new")
    active = tqdm_utils._active
    loaded = data.load("glyphs", tfds_data_dir=folder)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"rendering glyphs/digits (once) into {folder} ...\n"
    assert tqdm_utils._active == active
    assert loaded.classes == tuple("0123456789") and loaded.image_shape == (28, 28, 1)
    assert _lengths(loaded) == [42, 8, 20]
    assert not _rows(loaded.train) & _rows(loaded.test) and not _rows(loaded.train) & _rows(loaded.validation)
    expected = rendering.render("0123456789", CONFIGS["digits"].faces, 0, 20, stream=1)
    assert {(image.tobytes(), label) for image, label in zip(loaded.test.images, loaded.test.labels.tolist())} == {
        (image.tobytes(), index % 10) for index, image in enumerate(expected)
    }
    again = data.load("glyphs/digits", tfds_data_dir=folder, image_size=(14, 14))
    assert capsys.readouterr() == ("", "")
    assert again.image_shape == (14, 14, 1)
    np.testing.assert_array_equal(again.train.labels, loaded.train.labels)


def test_load_alphabets(few, tmp_path, capsys):
    loaded = data.load("glyphs/alphabets", tfds_data_dir=str(tmp_path))
    assert loaded.num_classes == 51 and loaded.classes[0] == "GREEK SMALL LETTER ALPHA"
    assert _lengths(loaded) == [178, 26, 51]
    np.testing.assert_array_equal(np.bincount(loaded.test.labels), np.ones(51))
    ogham = data.load("glyphs/alphabets:ogham", tfds_data_dir=str(tmp_path))
    assert ogham.classes == loaded.classes[25:] and _lengths(ogham) == [91, 13, 26]
    assert _rows(ogham.train) | _rows(ogham.validation) | _rows(ogham.test) == {
        image.tobytes()
        for part in (loaded.train, loaded.validation, loaded.test)
        for image, label in zip(part.images, part.labels)
        if label >= 25
    }
    builder = tfds.builder("glyphs/alphabets", data_dir=tmp_path)
    for example in builder.as_dataset(split="train").take(20).as_numpy_iterator():
        alphabet = builder.info.features["alphabet"].int2str(example["alphabet"])
        character = glyphs.alphabets()[alphabet][example["alphabet_char_id"]]
        assert builder.info.features["label"].int2str(example["label"]) == unicodedata.name(character)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("glyphs/digit", "unknown config of data set 'glyphs' 'digit'; did you mean 'digits'?"),
        ("glyphs/alphabets:grek_small", "'grek_small'; did you mean 'greek_small'?"),
        ("glyphs:greek_small", "'greek_small'"),
        ("glyphs/digits:ogham", "has no alphabets; got 'ogham'"),
        ("glyph", "did you mean 'glyphs'?"),
    ],
)
def test_wrong_names(name, expected, tmp_path):
    with pytest.raises(errors.UserError) as raised:
        data.load(name, tfds_data_dir=str(tmp_path))
    assert expected in str(raised.value) and "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_folder_that_cannot_be_written(few, below, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    active = tqdm_utils._active
    with pytest.raises(errors.UserError) as raised:
        data.load("glyphs", tfds_data_dir=str(tmp_path / "file") + below)
    message = str(raised.value)
    assert message.startswith(f"data set 'glyphs/digits' cannot be rendered into {tmp_path}/file{below}: ")
    assert "\n" not in message and tqdm_utils._active == active
    assert capsys.readouterr() == ("", "")


def test_broken_off(few, tmp_path, monkeypatch):
    """What is broken off leaves nothing that a later load would take for the data set."""
    render, active = rendering.render, tqdm_utils._active

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(rendering, "render", stop)
    with pytest.raises(KeyboardInterrupt):
        data.load("glyphs", tfds_data_dir=str(tmp_path))
    assert tqdm_utils._active == active
    assert not list(tmp_path.rglob("*.tfrecord*"))
    monkeypatch.setattr(rendering, "render", render)
    assert _lengths(data.load("glyphs", tfds_data_dir=str(tmp_path))) == [42, 8, 20]


def test_two_at_once(few, tmp_path, monkeypatch):
    """The second to finish finds the data set of the first, and takes that."""
    render, depth = rendering.render, []

    def meanwhile(*arguments):
        if not depth:
            depth.append(None)
            depth.append(data.load("glyphs", tfds_data_dir=str(tmp_path)))
        return render(*arguments)

    monkeypatch.setattr(rendering, "render", meanwhile)
    loaded = data.load("glyphs", tfds_data_dir=str(tmp_path))
    np.testing.assert_array_equal(loaded.train.images, depth[1].train.images)
    assert [path.name for path in (tmp_path / "glyphs" / "digits").iterdir()] == ["1.0.0"]


def test_a_damaged_folder(few, tmp_path):
    data.load("glyphs", tfds_data_dir=str(tmp_path))
    (tmp_path / "glyphs" / "digits" / "1.0.0" / "dataset_info.json").write_text("{")
    with pytest.raises(errors.UserError, match="glyphs/digits") as raised:
        data.load("glyphs", tfds_data_dir=str(tmp_path))
    assert "\n" not in str(raised.value)


def test_tfds_build_in_the_folder(tmp_path, monkeypatch):
    """The command's own class, since the program `tfds` imports packages that TFDS doesn't install."""
    monkeypatch.chdir(FOLDER)
    arguments = [f"--data_dir={tmp_path}", "--config=digits", "--max_examples_per_split=3"]
    try:
        simple_parsing.parse(build.Args, args=arguments).execute()
    finally:
        for module in [name for name in sys.modules if name.partition(".")[0] == "glyphs"]:
            del sys.modules[module]
    assert tfds.builder("glyphs/digits", data_dir=tmp_path).info.splits["train"].num_examples == 3
