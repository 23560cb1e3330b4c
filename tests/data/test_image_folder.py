"""`image_folder:PATH`, on folders of real image files; every mistake in one line that names the thing."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_gtn import data, errors
from tf_gtn.data import splitting


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
    return tmp_path


def _parts(loaded):
    return loaded.train, loaded.validation, loaded.test


def test_divided(folder):
    loaded = _load(folder)
    assert loaded.classes == ("cat", "dog") and loaded.image_shape == (6, 5, 3)
    assert loaded.name == f"image_folder:{folder}"
    parts = _parts(loaded)
    counts = np.array([np.bincount(part.labels) for part in parts])
    np.testing.assert_array_equal(counts.sum(0), [20, 30])
    # Binomial: two standard deviations around 70, 10 and 20 percent.
    np.testing.assert_allclose(counts.sum(1), [35, 5, 10], atol=0.99 * 2 * np.sqrt(50 * np.array([0.21, 0.09, 0.16])).max())
    assert counts.min() >= 1, "each split holds each class"
    assert set.union(*map(_values, parts)) == {*range(20), *range(100, 130)}
    for part in parts:
        np.testing.assert_array_equal(part.labels, part.images[:, 0, 0, 0] >= 100)
    assert len(set(loaded.train.labels[:5])) == 2, "not sorted by class"


def test_an_image_more_moves_no_other(folder):
    before, moved = _load(folder), 0
    places = [_values(part) for part in _parts(before)]
    for value in (30, 31, 32, 33, 140, 141):
        _write(folder / ("dog" if value > 99 else "cat") / f"0{value}.png", value)
        after = _load(folder)
        for mine, other in zip(places, map(_values, _parts(after))):
            assert mine <= other
            moved += len(other - mine)
        places = [_values(part) for part in _parts(after)]
        assert after.fingerprint != before.fingerprint
    assert moved == 6
    (folder / "cat" / "05.png").rename(folder / "cat" / "renamed.png")
    os.utime(folder / "cat" / "06.png", (1, 1))
    assert _load(folder).fingerprint == after.fingerprint
    _write(folder / "cat" / "renamed.png", 6)
    assert _load(folder).fingerprint != after.fingerprint, "replaced"


def test_neither_size_nor_colour_of_others_moves_an_image(folder):
    for path in [*folder.glob("*/[!.]*.png"), *folder.glob("*/*.PNG")]:
        Image.open(path).convert("L").save(path)
    places = [_values(part) for part in _parts(_load(folder))]
    _write(folder / "cat" / "colours.png", 99)
    for options in ({}, {"image_size": (3, 3)}):
        assert all(mine <= _values(other) for mine, other in zip(places, _parts(_load(folder, **options))))


def test_independent_of_the_file_systems_order(folder, monkeypatch):
    expected = _load(folder)
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path), reverse=True))
    loaded = _load(folder)
    for mine, other in zip(_parts(loaded), _parts(expected)):
        np.testing.assert_array_equal(mine.images, other.images)


def test_a_number_of_validation_images_and_seeds(folder):
    usual, seven, other = _load(folder), _load(folder, validation=7), _load(folder, seed=1)
    assert len(seven.validation) == 7
    assert _values(seven.test) == _values(usual.test) == _values(other.test)
    assert _values(other.validation) != _values(usual.validation)
    assert len(_load(folder, train=10).train) == 10


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
    carved = _load(tmp_path)
    assert sum(map(len, _parts(carved))) == 20 and all(len(set(part.labels)) == 2 for part in _parts(carved))
    for mine, other in zip(_parts(carved), _parts(carved)[1:]):
        assert not _values(mine) & _values(other), "an image that lies in two classes is in one split"
    os.rename(tmp_path / ".test", tmp_path / "test")
    loaded = _load(tmp_path, validation=6)
    assert [len(part) for part in _parts(loaded)] == [14, 6, 6]
    assert _values(loaded.test) == {100, 101, 102}
    _write(tmp_path / "test" / "cat" / "again.png", 3)
    with pytest.warns(errors.Notice, match="test images that are also in train: 1"):
        _load(tmp_path)
    os.rename(tmp_path / "test" / "dog", tmp_path / "test" / ".dog")
    with pytest.warns(errors.Notice, match=r"no image in test of 1 of its 2 classes, which will not be tested: 'dog'"):
        _load(tmp_path)


def test_classes_called_train_and_bus(tmp_path):
    for index in range(10):
        for kind in ("train", "bus"):
            _write(tmp_path / kind / f"{index}.png", index)
    assert _load(tmp_path).classes == ("bus", "train")


def test_formats_grey_colour_and_transparency(tmp_path):
    for index in range(4):
        _write(tmp_path / "grey" / f"{index}.png", 10 * index, (6, 5, 1))
    _write(tmp_path / "grey" / "4.bmp", 7, (6, 5, 1))
    for index in range(4):
        _write(tmp_path / "other" / f"{index}.png", 100 + index, (6, 5, 1))
    assert _load(tmp_path).image_shape == (6, 5, 1)
    for name in ("0.jpg", "1.jpeg", "2.bmp", "3.gif", "4.webp", "5.tif", "6.TIFF"):
        _write(tmp_path / "rgb" / name, 128 + int(name[0]))
    mixed = _load(tmp_path)
    assert mixed.image_shape == (6, 5, 3)
    assert set.union(*map(_values, _parts(mixed))) == {0, 10, 20, 30, 7, *range(100, 104), *range(128, 135)}
    assert all(image.min() == image.max() for part in _parts(mixed) for image in part.images)


def _whole(loaded):
    """All images, by their first value."""
    return {int(image[0, 0, 0]): image for part in _parts(loaded) for image in part.images}


def test_transparency_is_laid_on_white(folder):
    Image.fromarray(np.full([6, 5, 2], [50, 255], np.uint8), "LA").save(folder / "cat" / "opaque.png")
    shape = np.zeros([6, 5, 4], np.uint8)  # black ink on transparent black
    shape[0, 0] = 60, 60, 60, 255
    shape[0, 1, 3] = 127
    Image.fromarray(shape, "RGBA").save(folder / "cat" / "shape.png")
    shape[0, 0, :3] = 70
    Image.fromarray(shape[..., :1].repeat(3, -1)).quantize(4).save(folder / "cat" / "palette.gif", transparency=0)
    with pytest.warns(errors.Notice, match="transparent images, laid on white: 2$"):
        images = _whole(_load(folder))
    np.testing.assert_array_equal(images[50], 50)
    np.testing.assert_array_equal(images[60][0, 1:3, 0], [128, 255])


def _write16(path, values):
    encoded = tf.io.encode_png(np.broadcast_to(np.asarray(values, np.uint16), (6, 5, np.shape(values)[-1])))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.numpy())


def test_16_bits(folder):
    _write16(folder / "cat" / "grey.png", [50 * 257])
    _write16(folder / "cat" / "colours.png", [60 * 257 + 128, 61 * 257 + 129, 65535])
    Image.fromarray(np.full([6, 5], 70 * 257, np.uint16)).save(folder / "cat" / "grey.tif")
    images = _whole(_load(folder))
    np.testing.assert_array_equal(images[50], 50)
    np.testing.assert_array_equal(images[70], 70)
    np.testing.assert_array_equal(images[60][0, 0], [60, 62, 255])
    for path in (folder / "cat" / "colours.png", folder / "cat" / "grey.tif"):
        path.unlink()
    _write16(folder / "cat" / "grey.png", [255])  # 8 bits in the file's lower half
    assert "cat/grey.png' has 16 bits, and all such images stay within 255 of 65535" in _message(folder)


def test_what_is_no_image_is_counted_and_not_opened(folder):
    (folder / "cat" / "notes.txt").write_text("about")
    (folder / "cat" / "README").write_text("about")
    os.mkfifo(folder / "cat" / "pipe.png")
    os.symlink("/dev/zero", folder / "cat" / "zero.png")
    os.symlink("nowhere", folder / "cat" / "lost.png")
    os.symlink("..", folder / "cat" / "up")
    _write(folder / "cat" / "inner" / "deep" / "nested.png", 50)
    _write(folder / "loose.png")
    os.rename(folder / "cat" / "03.png", os.fsencode(folder / "cat") + b"/caf\xe9.png")
    with pytest.warns(errors.Notice) as said:
        loaded = _load(folder)
    assert str(said[0].message) == (
        f"image folder '{folder}': images in folders inside class folders, taken as of that class: 1; left out: files that end "
        "in .txt: 1, files without an ending: 1, images beside the class folders: 1, links that lead nowhere: 1, pipes, "
        "sockets or devices: 2"
    )
    assert {3, 50} <= {*_whole(loaded)} and sum(map(len, _parts(loaded))) == 51


def test_names_that_are_not_utf8(folder):
    os.mkdir(os.fsencode(folder) + b"/caf\xe9")
    assert _message(folder).endswith("caf\\xe9' has a name that is not UTF-8; rename it")
    assert "not UTF-8" in _message(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))


def test_one_class(tmp_path):
    for index in range(10):
        _write(tmp_path / "cat" / f"{index}.png", index)
    assert "training images are all of one class, 'cat'" in _message(tmp_path)


def test_few_images_a_class(folder, tmp_path_factory):
    _write(folder / "bird" / "0.png", 50)
    with pytest.warns(errors.Notice, match=r"no image in test of 1 of its 3 classes.*'bird' \(1 in all\)"):
        loaded = _load(folder)
    assert 50 in _values(loaded.train)
    _write(folder / "bird" / "1.png", 51)
    _write(folder / "bird" / "2.png", 52)
    assert all(0 in part.labels for part in _parts(_load(folder)))
    single = tmp_path_factory.mktemp("single")
    for index in range(30):
        _write(single / f"class{index}" / "0.png", index)
    assert "a class needs 3, one each to train, to validate and to test" in _message(single)


@pytest.mark.parametrize("seed", range(3))
def test_shares_by_content(seed):
    arrays = np.random.RandomState(seed).randint(0, 256, (3000, 2, 2, 1), np.uint8)
    arrays[1500:1700] = arrays[:200]  # duplicates
    labels = np.random.RandomState(seed).randint(0, 3, 3000).astype(np.int32)
    keys = splitting.content_keys(arrays)
    source = data.Source(("a", "b", "c"), data.Split(arrays, labels), stratified=True, keys=keys)
    parts = splitting.divide(source, seed=seed)
    np.testing.assert_allclose([len(part) / 3000 for part in parts], [0.7, 0.1, 0.2], atol=0.025)
    contents = [{image.tobytes() for image in part.images} for part in parts]
    assert not contents[0] & contents[1] and not contents[0] & contents[2] and not contents[1] & contents[2]


def test_animation_is_its_first_frame(tmp_path):
    for index in range(4):
        _write(tmp_path / "cat" / f"{index}.png", 3)
        _write(tmp_path / "cat" / f"other{index}.png", index)
        _write(tmp_path / "dog" / f"{index}.png", index)
    frames = [Image.fromarray(np.full([6, 5, 3], value, np.uint8)) for value in (3, 200)]
    frames[0].save(tmp_path / "cat" / "4.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(errors.Notice, match="images of several frames, of which the first is taken: 1$"):
        loaded = _load(tmp_path)
    assert sum(map(len, _parts(loaded))) == 13
    assert all(part.images.max() <= 3 for part in _parts(loaded))


def test_a_photo_is_upright(folder):
    held = Image.Exif()
    held[0x0112] = 6  # turned by a quarter
    shape = np.full([5, 6, 3], 250, np.uint8)
    shape[:, :2] = 0  # its left is up
    Image.fromarray(shape).save(folder / "cat" / "photo.jpg", exif=held, quality=100)
    photo = next(image for part in _parts(_load(folder)) for image in part.images if image.max() > 200)
    assert photo[0].max() < 30 and photo[5].min() > 220


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


def test_bmp_with_a_colour_table(folder):
    image = Image.fromarray(np.random.RandomState(0).randint(0, 255, (6, 5, 3), np.uint8)).quantize(64)
    image.save(folder / "cat" / "a.bmp")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(_whole(_load(folder))[expected[0, 0, 0]], expected)


def test_class_that_train_lacks(tmp_path):
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            _write(tmp_path / part / kind / "0.png")
    _write(tmp_path / "test" / "zebra" / "0.png")
    assert f"class folder '{tmp_path}/test/zebra' is of no class in '{tmp_path}/train'" in _message(tmp_path)


@pytest.mark.parametrize(
    "parts, wrong, right",
    [
        (("train", "val"), "val", "validation"),
        (("Train", "Test"), "Test", "test"),
        (("Training", "Testing"), "Testing", "test"),
        (("Train", "Val", "Test"), "Test", "test"),
    ],
)
def test_parts_in_names_of_others_are_no_classes(parts, wrong, right, tmp_path):
    for part in parts:
        _write(tmp_path / part / "cat" / "0.png")
    assert _message(tmp_path) == f"folder '{tmp_path}/{wrong}' must be named {right!r}"


def test_classes_may_have_such_names(tmp_path):
    for kind in ("Training", "Testing"):
        for value in range(20):
            _write(tmp_path / kind / f"{value}.png", value=value)
    assert _load(tmp_path).classes == ("Testing", "Training")


def test_misspelt_split(tmp_path):
    for part in ("train", "tset"):
        _write(tmp_path / part / "cat" / "0.png")
    assert _message(tmp_path).endswith("/train': 'tset'; did you mean 'test'?")
