"""Progress: a bar on a terminal, plain lines elsewhere."""

import io
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import programs
from tf_gtn import watching
from tf_gtn.runtime import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes when told to."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def test_lines(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(700, 20, "gtn") as bar:
        for step in range(21, 701):
            clock.now += 0.24
            bar.update(step, **({"loss": np.float32(0.53), "accuracy": 0.912345} if step % 50 == 0 else {}))
    lines = sys.stderr.getvalue().splitlines()
    assert lines[0] == "gtn 62/700 0.24 s/step eta 2:33 loss 0.53 accuracy 0.9123"
    assert len(lines) == 680 // 42 + 1 and lines[-1] == "gtn 700/700 0.24 s/step eta 0:00 loss 0.53 accuracy 0.9123"


def test_a_short_run_shows_its_end(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(2, description="gtn") as bar:
        bar.update(1, loss=3)
        bar.write("halfway")
        clock.now += 1
        bar.update(2)
        bar.update(2)
    assert sys.stderr.getvalue() == "halfway\ngtn 2/2 0.5 s/step eta 0:00 loss 3\n"


def test_slow_steps(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(100) as bar:
        clock.now += 125
        bar.update(1)
    assert sys.stderr.getvalue() == "1/100 1.2e+02 s/step eta 3:26:15\n"


def test_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress(10, 4, "gtn") as bar:
        bar.update(5, loss=0.123456)
        bar.write("a line")
        bar.update(10)
    text = sys.stderr.getvalue()
    assert "gtn" in text and "4/10" in text and "10/10" in text and "loss=0.1235" in text and "step" in text
    assert "a line\n" in text


def test_what_takes_long_at_first_is_said(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(3, 1, "trials", first="tracing the first step"):
        assert sys.stderr.getvalue() == "trials 1/3 tracing the first step\n"
    with progress.Progress(100, 0, "trials", first="tracing the first step") as bar:
        for step, seconds in ((1, 30), (2, 9), (3, 3)):
            clock.now += seconds
            bar.update(step)
    lines = ["trials 0/100 tracing the first step", "trials 1/100", "trials 3/100 6 s/step eta 9:42"]
    assert sys.stderr.getvalue().splitlines()[1:] == lines
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(3, 3, "trials", first="tracing the first step"):
        assert sys.stderr.getvalue() == ""  # nothing is left to do
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress(3, 1, "trials", first="tracing the first step") as bar:
        assert "tracing the first step" in sys.stderr.getvalue()
        bar.update(2, loss=1)
        bar.update(3, loss=1)
    assert "tracing" not in sys.stderr.getvalue().split("\r")[-1]


def test_an_old_accuracy_is_not_shown_as_a_new_one(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.Progress(100) as bar:
        for step, values in ((10, {"loss": 1, "accuracy": 0.5}), (20, {"loss": 2}), (30, {})):
            clock.now += 20
            bar.update(step, **values)
    endings = [line.split(" eta ")[1].split(" ", 1)[1:] for line in sys.stderr.getvalue().splitlines()]
    assert endings == [["loss 1 accuracy 0.5"], ["loss 2"], []]
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress(100) as bar:
        bar.update(10, loss=1, accuracy=0.5)
        bar.update(20, loss=2)
    assert "loss=2, accuracy=0.5 (step 10)" in sys.stderr.getvalue().split("\r")[-1]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_the_time_left_is_that_of_the_steps_that_are_left(stream, clock, monkeypatch):
    """50 of 90 steps to go, all of them half as long as the present ones."""
    monkeypatch.setattr(sys, "stderr", stream())
    with progress.Progress(100, description="gtn") as bar:
        clock.now += 20
        bar.update(10, left=45)
    assert ("<1:30," if stream is Terminal else "2 s/step eta 1:30") in sys.stderr.getvalue()


def test_a_terminal_without_room_gets_lines():
    """In a pseudo-terminal of size 0x0, as `docker run -t` and some editors start one."""
    ours, theirs = os.openpty()
    code = "from tf_gtn.runtime import progress\nwith progress.Progress(2, description='gtn') as bar:\n    bar.update(2)"
    subprocess.run([sys.executable, "-c", code], cwd=programs.ROOT, stderr=theirs, check=True)
    assert os.read(ours, 1000).startswith(b"gtn 2/2 ")


def test_long_loops_of_the_library_are_shown_where_a_program_listens(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    def loop(seconds):
        for item in watching.each(range(4), "learners"):
            clock.now += seconds
            list(watching.each("ab", "inner ones"))
            yield item

    assert list(loop(100)) == [0, 1, 2, 3]
    with progress.listening():
        assert list(loop(1)) == [0, 1, 2, 3]
        assert sys.stderr.getvalue() == ""
        assert list(loop(6)) == [0, 1, 2, 3]
    lines = sys.stderr.getvalue().splitlines()
    assert lines == ["learners 2/4 6 s/step eta 0:12", "learners 4/4 6 s/step eta 0:00"]
    list(loop(100))
    assert sys.stderr.getvalue().splitlines() == lines
