"""`image_folder:PATH`, on folders of real image files; every mistake in one line that names the thing."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_gtn import data, errors


def _write(path, value=0, shape=(6, 5, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full(shape, value, np.uint8)
    Image.fromarray(image[..., 0] if shape[-1] == 1 else image).save(path)


def _load(path, **options):
    return data.load(f"image_folder:{path}", **options)


def _message(path, **options):
    with pytest.raises(errors.UserError) as raised:
        _load(path, **options)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500
    return str(raised.value)


def _values(split):
    return set(split.images[:, 0, 0, 0].tolist())


@pytest.fixture
def folder(tmp_path):
    """20 cats of value 0 to 19 and 30 dogs of 100 to 129, written in no order, among files that don't count."""
    for index in np.random.RandomState(0).permutation(30):
        if index < 20:
            _write(tmp_path / "cat" / f"{index:02}.png", index)
        _write(tmp_path / "dog" / f"{index:02}.PNG", 100 + index)
    (tmp_path / "README.txt").write_text("about")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "._00.png").write_text("not an image")
    (tmp_path / "cat" / "notes.txt").write_text("about")
    return tmp_path


def test_divided(folder):
    loaded = _load(folder)
    assert loaded.classes == ("cat", "dog") and loaded.image_shape == (6, 5, 3)
    assert loaded.name == f"image_folder:{folder}"
    parts = (loaded.train, loaded.validation, loaded.test)
    assert [np.bincount(part.labels).tolist() for part in parts] == [[14, 21], [2, 3], [4, 6]]
    assert set.union(*map(_values, parts)) == {*range(20), *range(100, 130)}
    for part in parts:
        np.testing.assert_array_equal(part.labels, part.images[:, 0, 0, 0] >= 100)
        assert len(set(part.labels[:5])) == 2, "not sorted by class"


def test_independent_of_the_file_systems_order(folder, monkeypatch):
    expected = _load(folder)
    listdir = tf.io.gfile.listdir
    monkeypatch.setattr(tf.io.gfile, "listdir", lambda path: sorted(listdir(path), reverse=True))
    loaded = _load(folder)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(loaded, part).images, getattr(expected, part).images)


def test_own_splits(tmp_path):
    for part, start, count in (("train", 0, 10), ("validation", 50, 2), ("test", 100, 3)):
        for index in range(count):
            for kind in ("cat", "dog"):
                _write(tmp_path / part / kind / f"{index}.png", start + index)
    loaded = _load(tmp_path)
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [20, 4, 6]
    assert _values(loaded.test) == {100, 101, 102} and _values(loaded.validation) == {50, 51}
    for part in ("validation", "test"):
        os.rename(tmp_path / part, tmp_path / f".{part}")
    assert [len(part) for part in (lambda d: (d.train, d.validation, d.test))(_load(tmp_path))] == [14, 2, 4]
    os.rename(tmp_path / ".test", tmp_path / "test")
    loaded = _load(tmp_path, validation=6)
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [14, 6, 6]
    assert _values(loaded.test) == {100, 101, 102}


def test_classes_called_train_and_bus(tmp_path):
    for index in range(10):
        for kind in ("train", "bus"):
            _write(tmp_path / kind / f"{index}.png", index)
    assert _load(tmp_path).classes == ("bus", "train")


def test_formats_grey_colour_and_transparency(tmp_path):
    for index in range(4):
        _write(tmp_path / "grey" / f"{index}.png", 10 * index, (6, 5, 1))
    _write(tmp_path / "grey" / "4.bmp", 7, (6, 5, 1))
    Image.fromarray(np.full([6, 5, 2], 9, np.uint8), "LA").save(tmp_path / "grey" / "5.png")
    grey = _load(tmp_path)
    assert grey.image_shape == (6, 5, 1)
    for name in ("0.jpg", "1.jpeg", "2.bmp", "3.gif"):
        _write(tmp_path / "rgb" / name, 128)
    Image.fromarray(np.full([6, 5, 4], 50, np.uint8), "RGBA").save(tmp_path / "rgb" / "4.png")
    mixed = _load(tmp_path)
    assert mixed.image_shape == (6, 5, 3)
    for part in (mixed.train, mixed.validation, mixed.test):
        for image, label in zip(part.images, part.labels):
            assert image.min() == image.max()
            assert label == 0 or image.min() in (50, 128)


def test_animation_is_its_first_frame(tmp_path):
    for index in range(4):
        _write(tmp_path / "cat" / f"{index}.png", 3)
    frames = [Image.fromarray(np.full([6, 5, 3], value, np.uint8)) for value in (3, 200)]
    frames[0].save(tmp_path / "cat" / "4.gif", save_all=True, append_images=frames[1:])
    loaded = _load(tmp_path)
    assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == 5
    assert all(part.images.max() == 3 for part in (loaded.train, loaded.validation, loaded.test))


def test_path(tmp_path):
    assert "needs a path" in _message("")
    assert _message(tmp_path / "nothing") == f"image folder '{tmp_path}/nothing' does not exist"
    _write(tmp_path / "image.png")
    assert _message(tmp_path / "image.png").endswith("image.png' is not a folder")
    assert "no class folders in" in _message(tmp_path)
    assert "cannot be listed" in _message("nowhere://bucket/images")


def test_empty(folder):
    (folder / "bird").mkdir()
    assert f"class folder '{folder}/bird' holds no images" in _message(folder)
    (folder / "bird" / "notes.txt").write_text("about")
    assert f"class folder '{folder}/bird' holds no images" in _message(folder)


def test_mixed_sizes(folder):
    _write(folder / "dog" / "99.png", 0, (7, 5, 3))
    message = _message(folder)
    assert f"'{folder}/cat/00.png' is 6x5" in message and f"'{folder}/dog/99.png' is 7x5" in message
    assert "image_size=" in message
    assert _load(folder, image_size=(4, 3)).image_shape == (4, 3, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif"])
def test_unreadable(folder, name):
    path = folder / "cat" / name
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (6, 5, 3), np.uint8)).save(path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no image"):
        path.write_bytes(damaged)
        assert f"image '{path}' cannot be read" in _message(folder)
    path.unlink()
    path.mkdir()
    assert f"image '{path}' cannot be read" in _message(folder)


def test_bmp_with_a_colour_table(folder):
    image = Image.fromarray(np.random.RandomState(0).randint(0, 255, (6, 5, 3), np.uint8))
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "cat" / "a.bmp")
    assert "a.bmp' cannot be read: a BMP with a colour table" in _message(folder)


def test_class_that_train_lacks(tmp_path):
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            _write(tmp_path / part / kind / "0.png")
    _write(tmp_path / "test" / "zebra" / "0.png")
    assert f"class folder '{tmp_path}/test/zebra' is of no class in '{tmp_path}/train'" in _message(tmp_path)


def test_misspelt_split(tmp_path):
    for part in ("train", "val"):
        _write(tmp_path / part / "cat" / "0.png")
    assert _message(tmp_path).endswith("/train': 'val'; known: test, train, validation")


def test_too_few(tmp_path):
    _write(tmp_path / "cat" / "0.png")
    assert "cannot be held out of 1" in _message(tmp_path)
