"""Shared by the tests of transfer."""

import numpy as np
import pytest

from tf_gtn.transfer import tasks as tasks_lib


@pytest.fixture(scope="package")
def tasks():
    """Three tasks of four classes with three images 8x8 to train on and two held out."""
    rng = np.random.default_rng(0)
    return tasks_lib.Tasks("abc", rng.integers(0, 255, (3, 4, 5, 8, 8, 1), np.uint8), 2)
