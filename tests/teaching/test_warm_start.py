"""A run begins from another's variables, by training and place; the first thing that does not fit is named."""

import keras
import numpy as np
import pytest

from tf_gtn import errors
from tf_gtn.runtime import checkpoints
from tf_gtn.teaching import warm_start


def variables(*values):
    return [keras.Variable(value, dtype=np.asarray(value).dtype.name, name=f"v{i}") for i, value in enumerate(values)]


@pytest.fixture
def other(tmp_path):
    """A run's folder, after steps 3 and 12."""
    for step in (3, 12):
        kernel = np.full((2, 3), step, "float32")
        saved = {"gtn": variables(kernel, np.float32(0.5), np.int32(7)), "real": variables(np.float32(2))}
        checkpoints.Checkpoints(str(tmp_path / "other"), saved).save(step)
    return tmp_path / "other"


def test_the_newest_values_by_name_and_place(other):
    start = warm_start.WarmStart("X.warm_start", f"file://{other}")
    assert start.step == 12
    own = {"gtn": variables(np.zeros((2, 3), "float32"), np.float32(0)), "real": variables(np.float32(0))}
    start.load(own)
    assert [v.numpy().tolist() for v in own["gtn"]] == [[[12.0] * 3] * 2, 0.5] and own["real"][0].numpy() == 2


@pytest.mark.parametrize(
    "own, words",
    [
        ({"gtm": [np.float32(0)]}, "has no 'gtm'; it has 'gtn', 'real'"),
        ({"gtn": [np.zeros((2, 4), "float32")]}, "its variable 0, v0 [2, 4] float32, is [2, 3] float32 there"),
        ({"gtn": [np.zeros((2, 3), "float32"), np.int32(0)]}, "its variable 1, v1 [] int32, is [] float32 there"),
        ({"real": [np.float32(5), np.float32(0)]}, "its variable 1, v1 [] float32, is not there"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_set(own, words, other):
    own = {"real": variables(np.float32(5))} | {name: variables(*values) for name, values in own.items()}
    with pytest.raises(errors.UserError) as caught:
        warm_start.WarmStart("X.warm_start", str(other)).load(own)
    assert str(caught.value).startswith("X.warm_start: ") and words in str(caught.value)
    assert str(other / "checkpoints/ckpt-12") in str(caught.value) and own["real"][0].numpy() == 5


def test_what_is_not_there_or_damaged(other, tmp_path):
    for folder, words in ((tmp_path / "none", "is not there; name the folder of a run"), (tmp_path, "has no checkpoints")):
        with pytest.raises(errors.UserError, match=f"^X.warm_start: {folder} {words}"):
            warm_start.WarmStart("X.warm_start", str(folder))
    (data,) = other.glob("checkpoints/ckpt-12.data*")
    content, twelve = data.read_bytes(), np.full(6, 12, "float32").tobytes()
    assert content.count(twelve) == 1
    data.write_bytes(content.replace(twelve, np.full(6, 13, "float32").tobytes()))
    with pytest.raises(errors.UserError, match=r"^X.warm_start: the checkpoint .*/ckpt-12 can't be read"):
        warm_start.WarmStart("X.warm_start", str(other)).values({"gtn": variables(np.zeros((2, 3), "float32"))})
