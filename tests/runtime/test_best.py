"""The parameters that validated best are kept, whatever ends a run, and change nothing of the last ones."""

import math

import pytest
import tensorflow as tf

from tests.toy import Toy
from tf_gtn.runtime import best, loop, metrics

FOUND = {2: 0.3, 4: 0.7, 6: math.nan, 8: 0.7, 10: 0.5}


def run(folder, steps=10, stop=None, keep=True):
    """Where a toy ended, and where it was best: its step and parameter."""
    toy = Toy(steps, stop=stop)
    kept = best.Best("good", [toy.parameter])
    taken = lambda t: int(t.update._optimizer.iterations.numpy())  # noqa: E731
    validate = lambda _, t: {"good": FOUND[taken(t)], "other": 1.0}  # noqa: E731
    options = {"log_every": 1, "checkpoint_every": 3, "validate_every": 2, "best": {"a": kept} if keep else None}
    loop.train({"a": toy}, str(folder), validate, **options)
    with kept.in_place():
        then = float(toy.parameter.numpy())
    return toy.state(), (int(kept.step), float(kept.value), then)


def test_the_first_of_the_best(tmp_path):
    state, (step, value, parameter) = run(tmp_path / "a")
    assert (step, value) == (4, 0.7) and state == run(tmp_path / "b", keep=False)[0]
    steps = tf.train.load_checkpoint(str(tmp_path / "a/checkpoints/ckpt-6")).get_tensor("a-best/2/.ATTRIBUTES/VARIABLE_VALUE")
    with pytest.raises(loop.Stopped):
        run(tmp_path / "c", stop=3)
    at_4 = tf.train.load_checkpoint(str(tmp_path / "c/checkpoints/ckpt-4")).get_tensor("a/0/.ATTRIBUTES/VARIABLE_VALUE")
    assert parameter == at_4 == steps != state[0]
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("stop", [2, 3, 4, 7])
def test_a_stop_changes_nothing(stop, tmp_path):
    with pytest.raises(loop.Stopped):
        run(tmp_path / "stopped", stop=stop)
    assert run(tmp_path / "stopped") == run(tmp_path / "whole")


def test_nothing_was_validated_yet():
    toy = Toy(3)
    kept = best.Best("good", [toy.parameter])
    kept.look(1, {"other": 1.0})
    kept.look(2, {"good": math.nan})
    assert int(kept.step) == 0
    kept.look(3, {"good": -5.0})
    assert int(kept.step) == 3


def test_a_run_of_a_version_that_kept_none_goes_on(tmp_path):
    with pytest.raises(loop.Stopped):
        run(tmp_path / "earlier", stop=5, keep=False)
    state, (step, value, _) = run(tmp_path / "earlier")
    assert (step, value) == (8, 0.7)  # of those since
    assert state == run(tmp_path / "whole")[0]
    assert metrics.read(str(tmp_path / "earlier")) == metrics.read(str(tmp_path / "whole"))
