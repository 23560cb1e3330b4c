"""Progress of long work on stderr: a bar on a terminal or in a notebook, plain lines elsewhere; and other words to the user."""

import contextlib
import contextvars
import os
import sys
import time
from collections.abc import Generator
from typing import Any, TextIO

import tqdm

from tf_gtn import watching

_open = 0  # how many `Progress` are shown
_silent = contextvars.ContextVar("silent", default=False)  # of this thread


@contextlib.contextmanager
def silent() -> Generator[None, None, None]:
    """Nothing is shown or said in it, in this thread."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line, on stdout if no file is given, unless it is `silent`."""
    if not _silent.get():
        print(line, file=file, flush=True)


class Progress:
    """Shows steps, their speed, the time left, and losses.

    On a terminal a bar; elsewhere lines such as `gtn 120/700 0.24 s/step eta 2:19 loss 0.53`: one every `every` seconds at
    most, and one at the last step. The speed is that since the line before, without a first step that is said to take long. A
    line has the losses that came since the line before; a bar keeps older ones in view, with their step.
    """

    def __init__(
        self, total: int, initial: int = 0, description: str = "", every: float = 10.0, first: str = "", brief: bool = False
    ) -> None:
        """Shows `initial` of `total` steps as done.

        Args:
          total, initial, description, every: steps, steps, a word or two for the work, seconds.
          first: what the first step does that takes so long; shown until it ends.
          brief: no line is shown of what ends within `every` seconds; a bar goes when it ends.
        """
        self._total, self._description, self._every, self._brief = total, description, every, brief
        self._line_step, self._line_time, self._losses = initial, time.monotonic(), {}
        self._seconds_per_step: float | None = None  # of late
        self._settled, self._bar = False, None  # whether a line was due
        self._first = first if initial < total else ""
        self._silent = _silent.get()
        if _has_terminal() and not self._silent:
            options = {"leave": not brief, "delay": 2.0 if _open else 0.0}
            self._bar = _Bar(total=total, initial=initial, desc=description, unit="step", dynamic_ncols=True, **options)
            self._bar.set_postfix_str(self._first)
        elif self._first:
            self.write(f"{description} {initial}/{total} {self._first}".strip())

    def update(self, step: int, left: float | None = None, **losses: Any) -> None:
        """`step` steps are done; the losses stay in view until there are new ones.

        `left`: how many steps like the present ones the rest is worth, where they cost less or more later; None: as many.
        """
        left = self._total - step if left is None else left
        self._losses |= {name: (step, f"{float(value):.4g}") for name, value in losses.items()}
        seconds, steps = time.monotonic() - self._line_time, step - self._line_step
        ends = step == self._total and (self._settled or not self._brief)
        due = steps > 0 and (seconds >= self._every or ends)
        speed = ""
        if steps > 0 and not self._first and (due or not self._settled):
            self._seconds_per_step = seconds / steps
        eta = None if self._seconds_per_step is None else self._seconds_per_step * left
        if eta is not None:
            speed = f" {self._seconds_per_step:.2g} s/step eta {_clock(eta)}"
        if self._bar is not None:
            self._bar.eta = eta
            newest = max((when for when, _ in self._losses.values()), default=0)
            postfix = {k: v if when == newest else f"{v} (step {when})" for k, (when, v) in self._losses.items()}
            self._bar.set_postfix(postfix, refresh=False)
            self._bar.update(step - self._bar.n)
        elif due:
            words = "".join(f" {name} {value}" for name, (_, value) in self._losses.items())
            self.write(f"{self._description} {step}/{self._total}{speed}{words}".strip())
            self._losses = {}
        if due or (self._first and steps > 0):
            self._settled, self._first = not self._first, ""
            self._line_step, self._line_time = step, time.monotonic()

    def write(self, line: str) -> None:
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif not self._silent:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> "Progress":
        global _open
        _open += 1
        return self

    def __exit__(self, *_: Any) -> None:
        global _open
        _open -= 1
        self.close()


@contextlib.contextmanager
def listening() -> Generator[None, None, None]:
    """Shows the library's long loops (`watching`), as far as they take long."""

    @contextlib.contextmanager
    def show(total, what):
        with Progress(total, description=what, brief=True) as bar:
            yield bar.update

    with watching.by(show):
        yield


class _Bar(tqdm.tqdm):
    """A bar whose time left is told to it: tqdm takes every step to cost the same."""

    eta = None

    def __init__(self, **options):
        super().__init__(bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{eta}, {rate_fmt}{postfix}]", **options)

    @property
    def format_dict(self):
        return {**super().format_dict, "eta": "?" if self.eta is None else _clock(self.eta)}


def _has_terminal():
    """Whether stderr is a terminal on which a bar has room, or a notebook's, which takes a bar as well."""
    if type(sys.stderr).__module__.startswith("ipykernel."):
        return True
    if not sys.stderr.isatty():
        return False
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except OSError:
        return True


def _clock(seconds):
    """`2:19`, or `1:02:19` from an hour on."""
    hours, minutes, seconds = int(seconds) // 3600, int(seconds) // 60 % 60, int(seconds) % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
