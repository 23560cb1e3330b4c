"""Data sets on disk: the same data, the same batches, decoded once; another one is never taken for it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import core, data, errors
from tf_gtn.data import augmentation, reader

LABELS = np.arange(2100) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (2100, 4, 3, 2), np.uint8)


def _stream(images=IMAGES, labels=LABELS, read=None):
    def note(image, label):
        if read is not None:
            tf.numpy_function(lambda _: read.append(1), [label], [])
        return image, label

    return tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(3000).map(note).batch(64)


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255 - 0.5], ids=["bytes", "floats"])
def test_the_same_data_in_memory_and_on_disk(images, tmp_path):
    options = {"image_size": (3, 3), "validation": 50, "augment": augmentation.random_crop_flip}
    memory, disk = data.of({"train": (images, LABELS)}, **options), None
    for _ in range(2):  # decoded, then read
        disk = data.of({"train": _stream(images)}, cache_dir=tmp_path / "cache", **options)
        assert disk.fingerprint == memory.fingerprint and disk.normalization == memory.normalization
        assert disk.given_range == memory.given_range and disk.classes == memory.classes
        for part in ("train", "validation", "test"):
            assert isinstance(getattr(disk, part).images, np.memmap)
            np.testing.assert_array_equal(getattr(disk, part).images, getattr(memory, part).images)
    held = {path.name for path in (tmp_path / "cache" / "data").iterdir()}
    splits = {"train", "validation", "test"}
    assert held == {*splits, *(f"{part}.labels.npy" for part in splits), "train.signs.npy", "about.json"}
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"lock", "data"}


def test_batches_of_a_seed_are_the_same_inside_an_unrolled_loop(tmp_path):
    """Also where a step is computed again on the way back; the images are no parameter, so nothing holds them all."""

    def lesson(dataset):
        source = reader.Reader(dataset, dataset.train)
        assert ("images" in source.params()) == (not isinstance(dataset.train.images, np.memmap))

        def step(params, state, x):
            images, labels = source.batch(params["real"], x)
            images = tf.reshape(images, [-1, 24])
            state = state + 0.01 * tf.linalg.matmul(images, labels - tf.nn.softmax(images @ state), transpose_a=True)
            return state * params["rate"], tf.reduce_sum(images)

        @tf.function(autograph=False)
        def run(seed, rate):
            with tf.GradientTape() as tape:
                tape.watch(rate)
                xs = source.sample((5, 8), seed)
                state, sums = core.unroll(step, {"rate": rate, "real": source.params()}, tf.zeros([24, 3]), xs)
                loss = tf.reduce_sum(state**2)
            return state, sums, tape.gradient(loss, rate)

        return [value.numpy() for value in run(tf.constant([3, 4]), tf.constant(0.9))]

    memory = data.of({"train": (IMAGES, LABELS)})
    disk = data.of({"train": _stream()}, cache_dir=tmp_path)
    for mine, other in zip(lesson(disk), lesson(memory)):
        assert np.abs(mine).max() > 0
        np.testing.assert_array_equal(mine, other)


def test_a_data_set_is_decoded_once(tmp_path):
    read = []
    data.of({"train": _stream(read=read)}, cache_dir=tmp_path)
    assert len(read) == 2100
    again = data.of({"train": _stream(read=read)}, cache_dir=tmp_path, name="again")
    assert again.name == "again" and len(read) <= 2 * 2100
    (tmp_path / "data").rename(tmp_path / "unfinished")  # as a killed process leaves it
    assert data.of({"train": _stream()}, cache_dir=tmp_path).fingerprint == again.fingerprint


@pytest.mark.parametrize(
    "change, options, message",
    [
        (lambda x, y: (255 - x, y), {}, "other images of train"),
        (lambda x, y: (x, (y + 1) % 3), {}, "other images of train"),
        (lambda x, y: (x[:2000], y[:2000]), {}, "other data"),
        (lambda x, y: (x[..., :1], y), {}, "other data"),
        (lambda x, y: (x, y), {"seed": 1}, "other settings"),
        (lambda x, y: (x, y), {"classes": ["a", "b", "c"]}, "other settings"),
    ],
)
def test_another_data_set_is_refused(change, options, message, tmp_path):
    data.of({"train": _stream()}, cache_dir=tmp_path)
    with pytest.raises(errors.UserError, match=f"holds another data set: {message}. Delete it"):
        data.of({"train": _stream(*change(IMAGES, LABELS))}, cache_dir=tmp_path, **options)


def test_a_folder_that_cannot_be_used_or_is_damaged(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.UserError, match=r"cache folder .* cannot be used: "):
        data.of({"train": _stream()}, cache_dir=tmp_path / "file")
    with pytest.raises(errors.UserError, match="never ends"):
        data.of({"train": _stream().repeat()}, cache_dir=tmp_path / "cache")
    data.of({"train": _stream()}, cache_dir=tmp_path / "cache")
    folder = tmp_path / "cache" / "data"
    assert json.loads((folder / "about.json").read_text())["levels"] == [0.0, 1.0]
    with open(folder / "train", "r+b") as file:
        file.truncate(100)
    with pytest.raises(errors.UserError, match="is damaged: delete it"):
        data.of({"train": _stream()}, cache_dir=tmp_path / "cache")
    (folder / "about.json").write_text("{")
    with pytest.raises(errors.UserError, match="is damaged: delete it"):
        data.of({"train": _stream()}, cache_dir=tmp_path / "cache")
