"""What was found is found once."""

import numpy as np
import pytest

from tf_gtn.teaching import memory


def never():
    raise AssertionError("it is known")


def test_what_was_found_is_not_looked_for_again(tmp_path):
    first = memory.Memory(str(tmp_path), "a")
    assert first("one", lambda: np.float32(0.1)) == pytest.approx(0.1)
    assert first("two", lambda: {"x": np.arange(2)}) == {"x": [0, 1]}
    path = tmp_path / "finished.jsonl"
    path.write_text(path.read_text() + '{"key": "three", "val')  # what a kill leaves
    again = memory.Memory(str(tmp_path), "a")
    assert again("one", never) == first("one", never) and again("two", never) == {"x": [0, 1]}
    assert again("three", lambda: 3) == 3
    assert memory.Memory(str(tmp_path), "a")("three", never) == 3
    assert memory.Memory(str(tmp_path), "b")("one", lambda: 5) == 5  # of something else
    assert memory.Memory(str(tmp_path), "a")("one", lambda: 6) == 6
