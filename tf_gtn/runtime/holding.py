"""The lock on a run's folder: one run at a time, in a folder that is still the same, and how long it took so far.

<base_dir>/.lock    process and host of the run that holds it; the seconds of all runs in it
"""

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import socket
import time

from tf_gtn import errors
from tf_gtn.runtime import progress

LOCK = ".lock"


@dataclasses.dataclass(frozen=True)
class _Held:
    """A locked file of a folder; `earlier`: seconds of the runs before this one, which began at `started`."""

    path: str
    folder: str
    started: float
    earlier: float | None


_held = {}  # {descriptor: _Held}; a forked child lets go of its copies, or it would hold the lock after us
os.register_at_fork(after_in_child=lambda: [os.close(_held.popitem()[0]) for _ in list(_held)])


def take(folder, started=None):
    """Locks a folder for this process and returns the lock's descriptor; the kernel drops it when the process ends.

    `started` is the time.monotonic() from which its seconds count.

    Raises:
      OSError: the folder can't be written to.
      UserError: another run holds it.
    """
    path = os.path.join(folder, LOCK)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = (_content(lock).splitlines() or [""])[0].strip()
            raise errors.UserError(f"another run is using {folder}" + (f" ({holder})" if holder else "")) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            errors.warn(f"{folder} is on a file system without locks: see to it that no other run uses it")
        noted = re.search(r"^(\d+\.\d+) seconds", _content(lock), re.M)
    except BaseException:
        os.close(lock)
        raise
    earlier = float(noted[1]) if noted else 0.0
    if not noted and os.path.exists(os.path.join(folder, "config.gin")):
        progress.say(f"{path} does not say how long earlier runs took: wall_seconds is of this run")
    keep(lock, path, folder, time.monotonic() if started is None else started, earlier)
    _note(lock)
    return lock


def keep(descriptor, path, folder, started=0.0, earlier=None):
    """From now on `check` looks at this locked file of a folder, too."""
    _held[descriptor] = _Held(path, folder, started, earlier)


def release(descriptor):
    """Lets go of a lock; does nothing in a forked child."""
    if descriptor in _held:
        _note(descriptor)
        del _held[descriptor]
        os.close(descriptor)


def check():
    """Looks whether all folders that this process holds are still those that it locked, and notes the seconds.

    Raises:
      UserError: one was deleted, moved or replaced meanwhile: what is written there now would be lost, or another run's.
    """
    for descriptor, held in _held.items():
        _note(descriptor)
        try:
            there = os.path.samestat(os.stat(held.path), os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError):
            there = False
        if not there:
            raise errors.UserError(
                f"{held.folder} was deleted, moved or replaced while this run used it ({held.path} is not the one that it "
                "locked): the run stops, and writes nothing more"
            )


def seconds(folder, started):
    """Wall-clock seconds of all runs in a folder, this one since `started`; where none is held, of this one."""
    return time.monotonic() - started + sum(held.earlier or 0.0 for held in _held.values() if held.folder == folder)


def _note(descriptor):
    held = _held[descriptor]
    if held.earlier is None:
        return
    taken = held.earlier + time.monotonic() - held.started
    text = f"process {os.getpid()} on {socket.gethostname()}\n{taken:.3f} seconds, with those of the runs before it\n".encode()
    with contextlib.suppress(OSError):  # a full disk
        os.pwrite(descriptor, text, 0)  # before the file is cut: a kill in between leaves the seconds
        os.ftruncate(descriptor, len(text))


def _content(descriptor):
    return os.pread(descriptor, 1000, 0).decode(errors="replace")
