"""A run's folder: one run in it at a time, with one configuration.

<base_dir>/.lock        the run that holds it (`holding`)
<base_dir>/config.gin   the configuration, from before the first step
"""

import contextlib
import os

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import files, holding

_RUN = ("checkpoints", "metrics.jsonl", "outcome.json", "evaluations.jsonl", "tuning.db", "parts")  # some run has one of these


@contextlib.contextmanager
def open_base_dir(path, started=None):
    """Creates a folder and holds it for one run; yields its path.

    The kernel drops the lock when the process ends, however it ends. Remote folders (`gs://...`) aren't locked. The run's
    seconds count from `started`, of time.monotonic(), or from now.

    Raises:
      UserError: it is a file, can't be written to, or belongs to another run.
    """
    path = os.path.expanduser(files.local(path))
    lock = None
    try:
        with files.space(path):
            tf.io.gfile.makedirs(path) if files.is_remote(path) else os.makedirs(path, exist_ok=True)
            if not files.is_remote(path):
                lock = holding.take(path, started)
    except (OSError, tf.errors.OpError) as error:
        where = f" ({error.filename})" if getattr(error, "filename", path) not in (None, path) else ""
        what = "is a file" if os.path.isfile(path) else f"can't be written to: {files.reason(error)}{where}"
        raise errors.UserError(f"base_dir {path} {what}") from None
    try:
        yield path
    finally:
        if lock is not None:
            holding.release(lock)


@contextlib.contextmanager
def join_base_dir(path):
    """Yields the path of a folder in which a run was begun, and does not lock it.

    Raises:
      UserError: there is no run.
    """
    path = os.path.expanduser(files.local(path))
    if not tf.io.gfile.exists(os.path.join(path, "config.gin")):
        raise errors.UserError(f"there is no run in {path} to join; the same command without --join begins one")
    yield path


def repeat(base_dir, k):
    """Where the k-th seed of a run lies: the first in `base_dir` itself, the others in `base_dir/repeats/<k>`."""
    return base_dir if k == 0 else os.path.join(base_dir, "repeats", str(k))


def check_same_config(base_dir, config, allowed=(), write=True, current=str):
    """Writes config.gin at a run's start; at a resume, compares: another configuration would mix two runs.

    Args:
      base_dir: the run's folder.
      config: a binding a line, as `gin_config.config_str` gives it; also comments like `# seed = 3`.
      allowed: left-hand sides, such as names of macros, that may change.
      write: whether to write the file; without, it is only compared.
      current: gives a file's text, perhaps of an earlier version, the names of this one.

    Raises:
      UserError: something else changed; names it, and the value then and now. Or the file can't be read, or is gone.
    """
    path = os.path.join(base_dir, "config.gin")
    if tf.io.gfile.exists(path):
        text = files.read_text(path)
        if not text.endswith("\n"):
            raise files.Damaged(path, "ends in the middle of a line, as if cut short")
        before, now = _bindings(current(text)), _bindings(config)
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
    else:
        left = next((name for name in _RUN if tf.io.gfile.exists(os.path.join(base_dir, name))), None)
        if left is not None:
            raise files.Damaged(path, f"is not there, but {left} of a run is: nothing says how it was configured")
    if write:
        files.write(path, config)


def _bindings(config):
    """`{left-hand side: value}`; a line without a value is its own left-hand side."""
    return dict((line.removeprefix("# ").split(" = ", 1) + [""])[:2] for line in config.splitlines())


def _change(name, before, now):
    if name.startswith("data ") and before and now:
        return f"on other {name}: its images, labels or split have changed since (fingerprint {before}, now {now})"
    if before is None:
        return f"without {name}, now {name} = {now}"
    return f"with {name} = {before}, now {'without it' if now is None else now}"
