"""`table:PATH`: CSV and Parquet of pixels hold the same images; every mistake in one line."""

import gzip

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from tf_gtn import data, errors

LABELS = np.arange(60) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), np.uint8)
NAMES = [f"pixel{n}" for n in range(16)]


def _csv(path, images=IMAGES, labels=LABELS, names=("label", *NAMES), separator=","):
    rows = [separator.join(names)] if names else []
    rows += [separator.join(map(str, (label, *image.ravel()))) for image, label in zip(images, labels)]
    text = "\n".join(rows) + "\n"
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def _same(dataset, other):
    assert dataset.fingerprint == other.fingerprint and dataset.classes == other.classes


@pytest.fixture
def expected():
    return data.of({"train": (IMAGES, LABELS)})


def test_every_format_is_the_same_data_set(tmp_path, expected):
    dataset = data.load(f"table:{_csv(tmp_path / 'a.csv')}")
    _same(dataset, expected)
    assert dataset.image_shape == (4, 4, 1) and dataset.pixel_range == (0, 255)
    _same(data.load(f"table:{_csv(tmp_path / 'a.csv.gz')}"), expected)
    _same(data.load(f"table:{_csv(tmp_path / 'a.tsv', separator=chr(9))}"), expected)
    _same(data.load(f"table:{_csv(tmp_path / 'b.csv', names=())}?header=no"), expected)
    columns = {"digit": LABELS, **dict(zip(NAMES, IMAGES.reshape(60, 16).T)), "id": [f"row {n}" for n in range(60)]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    _same(data.load(f"table:{tmp_path / 'a.parquet'}?label=digit&drop=id"), expected)


def test_shape_and_files_of_their_own(tmp_path):
    train, test = _csv(tmp_path / "train.csv"), _csv(tmp_path / "test.csv", 255 - IMAGES)
    dataset = data.load(f"table:{train}?test={test}&shape=2x4x2", validation=6)
    assert dataset.image_shape == (2, 4, 2) and [len(dataset.train), len(dataset.validation), len(dataset.test)] == [54, 6, 60]
    np.testing.assert_array_equal(dataset.test.images, 255 - IMAGES.reshape(60, 2, 4, 2))
    np.testing.assert_array_equal(dataset.test.labels, LABELS)


def test_labels_of_text_and_numbers_that_do_not_start_at_0(tmp_path):
    named = data.load(f"table:{_csv(tmp_path / 'a.csv', labels=np.array(['owl', 'cat', 'dog'])[LABELS])}")
    assert named.classes == ("cat", "dog", "owl")
    by_image = {image.tobytes(): label for image, label in zip(IMAGES, LABELS)}
    assert all(
        named.classes[label] == ("owl", "cat", "dog")[by_image[image.tobytes()]]
        for image, label in zip(named.test.images, named.test.labels)
    )
    assert data.load(f"table:{_csv(tmp_path / 'b.csv', labels=9 + LABELS)}").classes == ("9", "10", "11")


def test_floats_keep_their_scale(tmp_path):
    dataset = data.load(f"table:{_csv(tmp_path / 'a.csv', IMAGES / 255)}")
    np.testing.assert_allclose(dataset.given_range, (0, 1))
    assert {image.tobytes() for image in dataset.test.images} <= {image.tobytes() for image in IMAGES}


def _change(place, row):
    def write(path):
        lines = _csv(path).read_text().splitlines()
        lines[place] = row
        path.write_text("\n".join(lines))

    return write


ROW = ["1"] * 17


@pytest.mark.parametrize(
    "write, config, message",
    [
        (_csv, "label=lable", "unknown column of table .* 'lable'; did you mean 'label'"),
        (_csv, "drop=id", "unknown column of table .* 'id'"),
        (_csv, "lable=x", "unknown option of data set 'table' 'lable'; did you mean 'label'"),
        (_csv, "header=none", "header is yes or no; got 'none'"),
        (_csv, "drop=pixel3", "has 15 pixels per row, which make no square; say .shape="),
        (_csv, "shape=4", "shape is HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS; got '4'"),
        (_csv, "shape=3x5", "has 16 pixels per row; shape=3x5 takes 15"),
        (_csv, "test=nowhere.csv", "table 'nowhere.csv' does not exist"),
        (lambda path: _csv(path, names=()), "", "two columns have the name|unknown column"),
        (lambda path: _csv(path, IMAGES[:0], LABELS[:0]), "", "has no rows"),
        (lambda path: path.write_text(""), "", "cannot be read: Empty CSV file"),
        (_change(5, "1,2,3"), "", "cannot be read: .*Expected 17 columns, got 3"),
        (_change(5, ",".join([*ROW[:5], "x", *ROW[6:]])), "", "column 'pixel4' holds 'x', which is no number"),
        (_change(5, ",".join([*ROW[:5], "", *ROW[6:]])), "", "column 'pixel4' has 1 empty cells, the first in row 4"),
        (_change(5, ",".join([*ROW[:5], "nan", *ROW[6:]])), "", "(has values that are NaN|1 empty cells)"),
        (_change(5, ",".join(["", *ROW[1:]])), "", "column 'label' has 1 empty cells"),
        (_change(5, ",".join(["1.5", *ROW[1:]])), "", "labels are integers or text; column 'label' has double"),
    ],
)
def test_mistakes_are_one_line(write, config, message, tmp_path):
    write(tmp_path / "a.csv")
    with pytest.raises(errors.UserError, match=message) as raised:
        data.load(f"table:{tmp_path / 'a.csv'}?{config}")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.parquet").write_text("no parquet")
    (tmp_path / "a.xlsx").write_text("")
    for path, message in (
        ("", "needs a path, as in table:PATH"),
        (tmp_path / "b.csv", "does not exist"),
        (tmp_path, "is no file"),
        (tmp_path / "a.xlsx", "must end in .csv, .tsv, .parquet, .pq"),
        (tmp_path / "a.parquet", "cannot be read: "),
    ):
        with pytest.raises(errors.UserError, match=message):
            data.load(f"table:{path}")


def test_files_that_do_not_go_together(tmp_path):
    train = _csv(tmp_path / "train.csv")
    other = _csv(tmp_path / "other.csv", names=["label", *NAMES[1:], "more"])
    with pytest.raises(errors.UserError, match="has other columns of pixels than"):
        data.load(f"table:{train}?test={other}")
    more = _csv(tmp_path / "more.csv", labels=LABELS + 1)
    with pytest.raises(errors.UserError, match=r"more\.csv': label '3' is of no row in .*train.csv"):
        data.load(f"table:{train}?test={more}")
