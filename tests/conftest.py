"""Shared by all tests: quiet TensorFlow, tiny problems, and the one time limit."""

import fcntl
import os

from tf_gtn.runtime import quiet

# A guard against hanging, not a measure: whatever a test waits for, its own seconds are the limit. pytest-timeout reads it.
os.environ.setdefault("PYTEST_TIMEOUT", str(2400 * float(os.environ.get("TEST_TIME_SCALE", 1))))

quiet.import_tensorflow()

import numpy as np  # noqa: E402 - after the quiet import
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from tf_gtn import data  # noqa: E402

# Graphs as they are traced: optimising each takes longer than the few steps that a test runs it for, a quarter of all time.
# What TensorFlow's optimisers make of them is tried by `optimized_graphs`, by a run of digits.gin in test_documents.py and by
# make digits.
PLAIN_GRAPHS = {"disable_meta_optimizer": True}
tf.config.optimizer.set_experimental_options(PLAIN_GRAPHS)


@pytest.fixture
def optimized_graphs():
    """Graphs are optimised in this test, as they are for users."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options(PLAIN_GRAPHS)


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def tiny_dataset():
    """64 images 8x8 in 3 classes, separable by brightness of a corner."""
    rng = np.random.default_rng(0)

    def split(n):
        labels = np.arange(n, dtype=np.int32) % 3
        images = rng.integers(0, 100, (n, 8, 8, 1), dtype=np.uint8)
        images[:, :4, :4] += (labels * 70).astype(np.uint8)[:, None, None, None]
        return data.Split(images, labels)

    return data.Dataset("tiny", split(64), split(30), split(30), ("a", "b", "c"))


@pytest.fixture(scope="session")
def mock_data(tmp_path_factory):
    """A folder of prepared data sets, for `--tfds_data_dir`; made once for all of xdist's workers."""
    from tests import mock_tfds  # imports TFDS, which most tests don't need

    session = tmp_path_factory.getbasetemp()
    session = session.parent if "PYTEST_XDIST_WORKER" in os.environ else session
    folder, whole = session / "tfds", session / "tfds_is_whole"
    with open(session / "tfds_lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            mock_tfds.prepare(folder)
            whole.touch()
    return folder
