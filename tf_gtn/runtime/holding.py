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
class _Lock:
    """A locked file of a folder; `earlier`: seconds of the runs before this one, which began at `started`."""

    path: str
    folder: str
    started: float
    earlier: float | None


_locks: dict[int, _Lock] = {}  # by descriptor; a forked child lets go of its copies, or it would hold the lock after us
os.register_at_fork(after_in_child=lambda: [os.close(_locks.popitem()[0]) for _ in list(_locks)])


def take(folder: str, started: float | None = None) -> int:
    """Locks a folder for this process and returns the lock's descriptor; the kernel drops it when the process ends.

    `started` is the time.monotonic() from which its seconds count. Raises `OSError` if the folder can't be written to,
    `UserError` if another run holds it.
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
        recorded = re.search(r"^(\d+\.\d+) seconds", _content(lock), re.M)
    except BaseException:
        os.close(lock)
        raise
    earlier = float(recorded[1]) if recorded else 0.0
    if not recorded and os.path.exists(os.path.join(folder, "config.gin")):
        progress.say(f"{path} does not say how long earlier runs took: wall_seconds is of this run")
    keep(lock, path, folder, time.monotonic() if started is None else started, earlier)
    _record_seconds(lock)
    return lock


def keep(descriptor: int, path: str, folder: str, started: float = 0.0, earlier: float | None = None) -> None:
    """From now on `check` looks at this locked file of a folder, too."""
    _locks[descriptor] = _Lock(path, folder, started, earlier)


def release(descriptor: int) -> None:
    """Lets go of a lock; does nothing in a forked child."""
    if descriptor in _locks:
        _record_seconds(descriptor)
        del _locks[descriptor]
        os.close(descriptor)


def check() -> None:
    """Records the seconds in all folders that this process holds; `UserError` if one is no longer that which it locked.

    It was deleted, moved or replaced: files that are written there now would be lost, or another run's.
    """
    for descriptor, lock in _locks.items():
        _record_seconds(descriptor)
        try:
            same_file = os.path.samestat(os.stat(lock.path), os.fstat(descriptor))
        except (FileNotFoundError, NotADirectoryError):
            same_file = False
        if not same_file:
            raise errors.UserError(
                f"{lock.folder} was deleted, moved or replaced while this run used it ({lock.path} is not the one that it "
                "locked): the run stops, and writes nothing more"
            )


def seconds(folder: str, started: float) -> float:
    """Wall-clock seconds of all runs in a folder, this one since `started`; of this one alone where the folder isn't held."""
    return time.monotonic() - started + sum(lock.earlier or 0.0 for lock in _locks.values() if lock.folder == folder)


def _record_seconds(descriptor):
    lock = _locks[descriptor]
    if lock.earlier is None:
        return
    total = lock.earlier + time.monotonic() - lock.started
    text = f"process {os.getpid()} on {socket.gethostname()}\n{total:.3f} seconds, with those of the runs before it\n".encode()
    with contextlib.suppress(OSError):  # a full disk
        os.pwrite(descriptor, text, 0)  # before the file is cut: a kill in between leaves the seconds
        os.ftruncate(descriptor, len(text))


def _content(descriptor):
    return os.pread(descriptor, 1000, 0).decode(errors="replace")
