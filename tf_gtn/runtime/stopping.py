"""How signals end a program: at once, or inside `signals()` after the present step.

A thread hears of a signal as it comes, also while the main thread is in a long call of TensorFlow's, where no Python handler
runs: it says what will happen, and a second Ctrl-C ends the process there and then. That is as harmless as SIGKILL: every file
is written whole or not at all.

A call from Python has no such thread (`watch`): there the second Ctrl-C raises `KeyboardInterrupt`, once Python's handlers run.
A time limit is one signal more, SIGALRM, that the process sends itself.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Generator

import tqdm

from tf_gtn.runtime import progress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMIT = signal.SIGALRM
_TOGETHER = 0.5  # seconds; one Ctrl-C can arrive twice, from the terminal and from a program around this one

_LATER = "stopping after the present step; a second Ctrl-C stops now"
_LIMIT_REACHED = "the time limit is reached: stopping after the present step; Ctrl-C stops now"

_deferring = 0  # how many `signals()` are entered
_watched = False  # whether `watch` was called
_limited = False  # whether there is a time limit


class Interrupted(KeyboardInterrupt):
    """A signal came where nothing has to be finished first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Stopped(Exception):
    """A signal stopped the run, after it was saved."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {name(number)} after step {step}, which is saved: the same command goes on from there")
        self.signal = number


def name(number: int) -> str:
    """The name of what stops a program, for whoever reads why it ended."""
    return "--time_limit" if number == LIMIT else signal.Signals(number).name


def exit_code(number: int) -> int:
    """128 + the signal's number; after a time limit that of `EX_TEMPFAIL`, 75: begin again, nothing is wrong."""
    return os.EX_TEMPFAIL if number == LIMIT else 128 + number


def watch(seconds: float | None = None) -> None:
    """From here on signals raise `Interrupted` outside `signals()`, and a second Ctrl-C ends the process.

    `seconds`: until a time limit, which comes as a signal does; None: there is none.
    """
    global _limited, _watched
    _limited = seconds is not None
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_forget)
    _handle(_interrupt)
    threading.Thread(target=_listen, args=(read,), daemon=True).start()
    _watched = True
    if seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))


@contextlib.contextmanager
def signals() -> Generator[list[int], None, None]:
    """Collects the numbers of signals instead of dying of them; none outside the main thread, which alone gets them."""
    global _deferring
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = _handle(_collect(received))
    _deferring += 1
    try:
        yield received
    finally:
        _deferring -= 1
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python


def _collect(received):
    """A handler that appends to `received`; where nobody watches, it also does what `_listen` does."""
    first = time.monotonic()

    def handler(number, _):
        nonlocal first
        now = time.monotonic()
        if not _watched and not received:
            first = now
            progress.say(_LATER, file=sys.stderr)
        elif not _watched and number == signal.SIGINT and now - first > _TOGETHER:
            raise Interrupted(number)
        received.append(number)

    return handler


def _handle(handler):
    """Sets a handler; returns those before. A SIGHUP that is ignored, as under nohup, stays so."""
    numbers = [LIMIT] if _limited else []
    numbers += [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in numbers}


def _interrupt(number, _):
    raise Interrupted(number)


def _forget():
    """A forked child is not this program."""
    with contextlib.suppress(ValueError):  # forked from another thread than the main one
        signal.set_wakeup_fd(-1)


def _listen(read):
    first = None
    while True:
        for number in os.read(read, 100):
            if number not in (*SIGNALS, LIMIT):
                continue
            if first is None:
                first = time.monotonic()
                if _deferring:
                    _say(_LIMIT_REACHED if number == LIMIT else _LATER)
            elif number == signal.SIGINT and time.monotonic() - first > _TOGETHER:
                _say("stopped now; the same command goes on from what was saved last")
                os._exit(128 + number)


def _say(line):
    tqdm.tqdm.write(line, file=sys.stderr)  # above a bar
    sys.stderr.flush()
