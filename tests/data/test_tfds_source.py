"""TensorFlow Datasets by their real names: mocked, not prepared, unknown."""

import importlib.util
import shlex
import subprocess
import sys

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


@pytest.mark.filterwarnings("ignore::tf_gtn.errors.Notice")  # mocked labels are random: a class may be missing
@pytest.mark.parametrize(
    "name, shape, classes, lengths",
    [
        ("mnist", (28, 28, 1), 10, [50, 10, 60]),
        ("fashion_mnist", (28, 28, 1), 10, [54, 6, 60]),
        ("cifar10", (32, 32, 3), 10, [54, 6, 60]),
        ("svhn_cropped", (32, 32, 3), 10, [54, 6, 60]),
        ("cifar10_corrupted/fog_1", (32, 32, 3), 10, [54, 6, 60]),
        ("mnist:3.*.*", (28, 28, 1), 10, [50, 10, 60]),
        ("omniglot", (105, 105, 3), 1623, [84, 12, 24]),  # train and test hold other characters: divided together
    ],
)
def test_mocked(name, shape, classes, lengths, tmp_path):
    with tfds.testing.mock_data(num_examples=60):
        loaded = data.load(name, tfds_data_dir=str(tmp_path))
    assert loaded.name == name and loaded.image_shape == shape and loaded.num_classes == classes
    assert _lengths(loaded) == lengths
    assert loaded.train.images.dtype == np.uint8 and loaded.train.labels.dtype == np.int32
    normal = loaded.normalize(loaded.train.images).numpy().astype(np.float64)
    np.testing.assert_allclose(normal.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(normal.var((0, 1, 2)), 1, atol=1e-4)


@pytest.mark.filterwarnings("ignore::tf_gtn.errors.Notice")
def test_mocked_options():
    with tfds.testing.mock_data(num_examples=60):
        loaded = data.load("cifar10", validation=20, image_size=(16, 8))
    assert _lengths(loaded) == [40, 20, 60] and loaded.image_shape == (16, 8, 3)


def test_mocked_images_of_several_sizes():
    with tfds.testing.mock_data(num_examples=10):
        assert "several sizes" in _message("cats_vs_dogs")
        loaded = data.load("cats_vs_dogs", image_size=(12, 10))
    assert loaded.image_shape == (12, 10, 3) and loaded.classes == ("cat", "dog")


def test_not_prepared(tmp_path, monkeypatch):
    folder = tmp_path / "with space"
    for _ in range(2):  # the second time the folder is there, and empty
        message = _message("mnist", tfds_data_dir=str(folder))
        assert message.startswith(f"data set 'mnist' is not prepared in {folder}; get it with: ")
        assert f"tfds build mnist --data_dir='{folder}' " in message
        folder.mkdir(exist_ok=True)
    assert list(folder.iterdir()) == [], "nothing is written or downloaded"
    other = _message("cifar10_corrupted/fog_1", tfds_data_dir=str(tmp_path))
    assert f"tfds build cifar10_corrupted/fog_1 --data_dir={tmp_path} " in other
    (folder / "mnist" / "3.0.1").mkdir(parents=True)  # a build that was broken off
    assert _message("mnist", tfds_data_dir=str(folder)) == message

    called = []
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", lambda self: called.append((self.name, self.data_dir))
    )
    python, option, code = shlex.split(message[message.index("python -c") :])
    assert (python, option) == ("python", "-c")
    exec(code, {})
    assert called == [("mnist", f"{folder}/mnist/3.0.1")], "the command, as a shell reads it, prepares what was missing"


def test_not_prepared_in_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path), raising=False)
    message = _message("mnist")
    assert f"is not prepared in {tmp_path};" in message and f"--data_dir={tmp_path} " in message


def test_unknown_config_and_version(tmp_path):
    assert "did you mean 'fog_1'?" in _message("cifar10_corrupted/fog1", tfds_data_dir=str(tmp_path))
    assert "mnist" in _message("mnist/fog", tfds_data_dir=str(tmp_path))
    assert "3.0.1" in _message("mnist:9.9.9", tfds_data_dir=str(tmp_path))


def test_imported_only_when_needed():
    assert importlib.util.find_spec("tensorflow_datasets")
    code = "import sys, tf_gtn.data; assert not {'tensorflow_datasets', 'gin'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "TensorFlow Datasets cannot be imported" in _message("mnist")
    assert len(data.load("digits").test) == 400
