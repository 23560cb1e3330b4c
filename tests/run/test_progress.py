"""Progress: a bar on a terminal, plain lines elsewhere."""

import io
import sys
import time

import numpy as np
import pytest

from tf_gtn.run import progress


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
