"""Callbacks hear what happens, in order, and change nothing; what one raises ends the run, which goes on by itself."""

import pytest

import tf_gtn
from tests.toy import Toy
from tf_gtn import errors
from tf_gtn.runtime import callbacks, loop, metrics


class Ear(callbacks.Callback):
    def __init__(self, raises=None):
        self.heard, self._raises = [], raises

    def begin(self, begun):
        self.heard.append(("begin", begun.step, sorted(begun.trainings)))

    def step(self, step, values):
        if step == self._raises:
            raise RuntimeError("the other side hung up")
        self.heard.append(("step", step, values))

    def validated(self, step, name, training):
        self.heard.append(("validated", step, name, int(training.update._optimizer.iterations.numpy())))

    def saved(self, step):
        self.heard.append(("saved", step))

    def end(self):
        self.heard.append(("end",))


def run(folder, *heard, steps=4, **options):
    made = {"a": Toy(steps), "b": Toy(3, bad={1})}
    validate = lambda name, _: {"good": 0.1, "bad": float("nan")}  # noqa: E731
    loop.train(made, str(folder), validate, **{"log_every": 2, "checkpoint_every": 4} | options, callbacks=heard)
    return (folder / "metrics.jsonl").read_bytes()


def test_they_hear_everything_in_order_and_change_nothing(tmp_path):
    ear = Ear()
    assert run(tmp_path / "heard", ear) == run(tmp_path / "unheard")
    rows = metrics.read(str(tmp_path / "heard"))
    values = {row.pop("step"): row for row in rows}
    assert values[4]["a/bad"] is None and values[4]["a/good"] == 0.1
    assert ear.heard == [
        ("begin", 0, ["a", "b"]),
        ("step", 2, values[2]),
        ("step", 3, values[3]),
        ("validated", 3, "b", 2),
        ("step", 4, values[4]),
        ("validated", 4, "a", 4),
        ("saved", 4),
        ("end",),
    ]


def test_what_one_raises_ends_the_run_which_goes_on_from_its_last_checkpoint(tmp_path):
    whole, (first, bad) = run(tmp_path / "whole", checkpoint_every=2), (Ear(), Ear(raises=4))
    with pytest.raises(RuntimeError, match="hung up"):
        run(tmp_path / "broken", first, bad, checkpoint_every=2)
    assert first.heard[-1] == bad.heard[-1] == ("end",)
    again = Ear()
    assert run(tmp_path / "broken", again, checkpoint_every=2) == whole
    assert again.heard[0] == ("begin", 2, ["a", "b"])


def test_one_that_can_t_begin_is_not_told_of_the_end(tmp_path):
    class Closed(Ear):
        def begin(self, begun):
            raise OSError("no network")

    ear, closed = Ear(), Closed()
    with pytest.raises(OSError, match="no network"):
        run(tmp_path, ear, closed)
    assert ear.heard[-1] == ("end",) and closed.heard == []


def test_by_name(monkeypatch):
    monkeypatch.setattr(callbacks, "REGISTRY", type(callbacks.REGISTRY)("callback"))
    tf_gtn.register.callback("ear")(Ear)
    callbacks.check("X.callbacks", ("ear", Ear()))
    first, second = callbacks.make(("ear", "ear"))
    assert isinstance(first, Ear) and first is not second
    for given, words in (
        (("eer",), "unknown callback 'eer'; did you mean 'ear'?"),
        ("ear", "X.callbacks is a tuple, of names or of callbacks; got 'ear'"),
        ((Ear,), "X.callbacks has names of callbacks, or objects of subclasses of "),
        ((print,), "X.callbacks has names of callbacks, or objects of subclasses of "),
    ):
        with pytest.raises(errors.UserError, match=f"^{words}".replace("?", r"\?")):
            callbacks.check("X.callbacks", given)
