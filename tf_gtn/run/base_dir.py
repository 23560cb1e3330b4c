"""A run's folder: one run in it at a time, with one configuration.

<base_dir>/.lock        process and host of the run that holds it
<base_dir>/config.gin   the configuration, from before the first step
"""

import contextlib
import errno
import fcntl
import os
import socket

import tensorflow as tf
from absl import logging

from tf_gtn import errors

_held = set()  # file descriptors of locks; a forked child lets go of its copies, or it would hold the lock after us
os.register_at_fork(after_in_child=lambda: [os.close(_held.pop()) for _ in list(_held)])


@contextlib.contextmanager
def open_base_dir(path):
    """Creates a folder and holds it for one run; yields its path.

    The kernel drops the lock when the process ends, however it ends. Remote folders (`gs://...`) aren't locked.

    Raises:
      UserError: it is a file, can't be written to, or belongs to another run.
    """
    path = os.path.expanduser(path)
    try:
        if is_remote(path):
            tf.io.gfile.makedirs(path)
            lock = None
        else:
            os.makedirs(path, exist_ok=True)
            lock = os.open(os.path.join(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
    except (OSError, tf.errors.OpError) as error:
        what = "is a file" if os.path.isfile(path) else f"can't be written to: {_reason(error)}"
        raise errors.UserError(f"base_dir {path} {what}") from None
    if lock is None:
        yield path
        return
    _held.add(lock)
    try:
        _acquire(lock, path)
        yield path
    finally:
        if lock in _held:  # not in a forked child
            _held.remove(lock)
            os.close(lock)


@contextlib.contextmanager
def join_base_dir(path):
    """Yields the path of a folder in which a run was begun, and does not lock it.

    Raises:
      UserError: there is no run.
    """
    path = os.path.expanduser(path)
    if not tf.io.gfile.exists(os.path.join(path, "config.gin")):
        raise errors.UserError(f"there is no run in {path} to join; the same command without --join begins one")
    yield path


def is_remote(path):
    """Whether a path is for TensorFlow's file systems alone, such as `gs://bucket/run`."""
    return "://" in path


def repeat(base_dir, k):
    """Where the k-th seed of a run lies: the first in `base_dir` itself, the others in `base_dir/repeats/<k>`."""
    return base_dir if k == 0 else os.path.join(base_dir, "repeats", str(k))


def write_text(path, text):
    """Writes a file whole or, if killed meanwhile, not at all."""
    if is_remote(path):  # an object store shows an object when it is closed
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def check_same_config(base_dir, config, allowed=(), write=True):
    """Writes config.gin at a run's start; at a resume, compares: another configuration would mix two runs.

    Args:
      base_dir: the run's folder.
      config: a binding a line, as `gin_config.config_str` gives it; also comments like `# seed = 3`.
      allowed: left-hand sides, such as names of macros, that may change.
      write: whether to write the file; without, it is only compared.

    Raises:
      UserError: something else changed; names it, and the value then and now.
    """
    path = os.path.join(base_dir, "config.gin")
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            text = file.read()
        before, now = _bindings(text), _bindings(config)
        changes = [
            _change(name, before.get(name), now.get(name))
            for name in {**before, **now}
            if before.get(name) != now.get(name) and name not in allowed
            if name in before or not name.startswith("data ")  # a run of an earlier version did not note its data
        ]
        if changes:
            more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
            raise errors.UserError(f"{base_dir} was started {'; '.join(changes[:3])}{more}; use another --base_dir")
        if text == config:
            return
    if write:
        write_text(path, config)


def _acquire(lock, path):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 1000, 0).decode(errors="replace").strip()
        raise errors.UserError(f"another run is using {path}" + (f" ({holder})" if holder else "")) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        logging.warning("%s is on a file system without locks: see to it that no other run uses it", path)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _bindings(config):
    """`{left-hand side: value}`; a line without a value is its own left-hand side."""
    return dict((line.removeprefix("# ").split(" = ", 1) + [""])[:2] for line in config.splitlines())


def _change(name, before, now):
    if name.startswith("data ") and before and now:
        return f"on other {name}: its images, labels or split have changed since (fingerprint {before}, now {now})"
    if before is None:
        return f"without {name}, now {name} = {now}"
    return f"with {name} = {before}, now {'without it' if now is None else now}"


def _reason(error):
    return getattr(error, "strerror", None) or str(getattr(error, "message", error)).splitlines()[0]
