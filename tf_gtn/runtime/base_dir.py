"""A run's folder: one run in it at a time, with one configuration.

<base_dir>/.lock        the run that holds it (`holding`)
<base_dir>/config.gin   the configuration, from before the first step; of a run that was extended also its lengths before that:
                        # extended from OUTER_STEPS = 400, 800
"""

import contextlib
import os
from collections.abc import Callable, Generator, Sequence

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import files, holding, progress

_RUN = ("checkpoints", "metrics.jsonl", "outcome.json", "evaluations.jsonl", "tuning.db", "parts")  # some run has one of these

_EXTENDED = "extended from "  # in config.gin, before the name of a setting that has grown


class Growing(str):
    """The name of an integer setting that may be larger when a run goes on: the run is extended."""


@contextlib.contextmanager
def open_base_dir(path: str, started: float | None = None) -> Generator[str, None, None]:
    """Creates a folder and holds it for one run; yields its path.

    The kernel drops the lock when the process ends, however it ends. Remote folders (`gs://...`) aren't locked. The run's
    seconds count from `started`, of time.monotonic(), or from now. Raises `UserError` if the folder is a file, can't be written
    to, or belongs to another run.
    """
    path = os.path.expanduser(files.local(path))
    lock = None
    try:
        with files.space(path):
            if files.is_remote(path):
                tf.io.gfile.makedirs(path)
            else:
                os.makedirs(path, exist_ok=True)
                lock = holding.take(path, started)
    except (OSError, tf.errors.OpError) as error:
        where = f" ({error.filename})" if getattr(error, "filename", path) not in (None, path) else ""
        complaint = "is a file" if os.path.isfile(path) else f"can't be written to: {files.reason(error)}{where}"
        raise errors.UserError(f"base_dir {path} {complaint}") from None
    try:
        yield path
    finally:
        if lock is not None:
            holding.release(lock)


@contextlib.contextmanager
def join_base_dir(path: str) -> Generator[str, None, None]:
    """Yields the path of a folder in which a run was begun, and does not lock it. `UserError` if there is no run."""
    path = os.path.expanduser(files.local(path))
    if not tf.io.gfile.exists(os.path.join(path, "config.gin")):
        raise errors.UserError(f"there is no run in {path} to join; the same command without --join begins one")
    yield path


def repeat(base_dir: str, k: int) -> str:
    """Where the k-th seed of a run lies: the first in `base_dir` itself, the others in `base_dir/repeats/<k>`."""
    return base_dir if k == 0 else os.path.join(base_dir, "repeats", str(k))


def extended(base_dir: str) -> dict[str, list[int]]:
    """`{setting: [its values before]}` of a run that was extended."""
    path = os.path.join(base_dir, "config.gin")
    before = _bindings(files.read_text(path)) if tf.io.gfile.exists(path) else {}
    return {
        name.removeprefix(_EXTENDED): [int(number) for number in numbers.split(",")]
        for name, numbers in before.items()
        if name.startswith(_EXTENDED)
    }


def check_same_config(
    base_dir: str,
    config: str,
    allowed: Sequence[str] = (),
    write: bool = True,
    current: Callable[[str], str] = str,
) -> None:
    """Writes config.gin at a run's start; at a resume, compares: another configuration would mix two runs.

    Args:
      base_dir: the run's folder.
      config: a binding a line, as `gin_config.config_str` gives it; also comments like `# seed = 3`.
      allowed: left-hand sides, such as names of macros, that may change; `Growing` ones may be larger alone. Of a run that is
        extended so, outcomes and analyses are deleted, since they are to be made again.
      write: whether to write the file; without, it is only compared.
      current: gives a file's text, perhaps of an earlier version, the names of this one.

    Raises:
      UserError: something else changed; names it, and the value then and now. Or the file can't be read, or is gone. Or a run
        can't be extended, since it has no checkpoint to go on from.
    """
    path = os.path.join(base_dir, "config.gin")
    if tf.io.gfile.exists(path):
        text = files.read_text(path)
        if not text.endswith("\n"):
            raise files.Damaged(path, "ends in the middle of a line, as if cut short")
        before, now = _bindings(current(text)), _bindings(config)
        notes = {name: before.pop(name) for name in [*before] if name.startswith(_EXTENDED)}
        grown = [name for name in allowed if isinstance(name, Growing) and _grows(base_dir, name, before, now)]
        allowed = [*grown, *(name for name in allowed if not isinstance(name, Growing))]
        changes = [
            _change(name, before.get(name), now.get(name))
            for name in {**before, **now}
            if before.get(name) != now.get(name) and name not in allowed
            if name in before or not name.startswith("data ")  # a run of an earlier version did not note its data
        ]
        if changes:
            more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
            raise errors.UserError(f"{base_dir} was started {'; '.join(changes[:3])}{more}; use another --base_dir")
        for name in grown if write else ():
            progress.say(
                f"{base_dir} is extended from {name} = {before[name]} to {now[name]}: from its last checkpoint on it is a run "
                f"of {now[name]}, also in what changes over a run's length, such as a learning rate"
            )
            key = _EXTENDED + name
            notes[key] = f"{notes[key]}, {before[name]}" if key in notes else before[name]
        config += "".join(f"# {name} = {numbers}\n" for name, numbers in notes.items())
        if text == config:
            return
        if grown and write:
            _forget_outcomes(base_dir)  # first: a kill in between leaves a run of the former length
    else:
        remnant = next((name for name in _RUN if tf.io.gfile.exists(os.path.join(base_dir, name))), None)
        if remnant is not None:
            raise files.Damaged(path, f"is not there, but {remnant} of a run is: nothing says how it was configured")
    if write:
        files.write(path, config)


def _grows(base_dir, name, before, now):
    """Whether a setting is a larger number now. `UserError` if it is a smaller one."""
    numbers = [values.get(name, "") for values in (before, now)]
    if numbers[0] == numbers[1] or not all(number.isdecimal() for number in numbers):
        return False
    if int(numbers[1]) < int(numbers[0]):
        change = _change(name, *numbers)
        raise errors.UserError(f"{base_dir} was started {change}: it can be extended, not shortened; use another --base_dir")
    return True


def _forget_outcomes(base_dir):
    """Deletes the outcomes and analyses of all seeds."""
    repeats = os.path.join(base_dir, "repeats")
    names = tf.io.gfile.listdir(repeats) if tf.io.gfile.isdir(repeats) else []
    folders = [base_dir, *(os.path.join(repeats, name.rstrip("/")) for name in names)]
    for folder in folders:
        outcome, checkpoints = (os.path.join(folder, name) for name in ("outcome.json", "checkpoints/ckpt-*.index"))
        if tf.io.gfile.exists(outcome) and not tf.io.gfile.glob(checkpoints):
            raise errors.UserError(f"{folder} can't be extended: it has no checkpoint to go on from; use another --base_dir")
    for folder in folders:
        if tf.io.gfile.isdir(analyses := os.path.join(folder, "analyses")):
            tf.io.gfile.rmtree(analyses)
        if tf.io.gfile.exists(outcome := os.path.join(folder, "outcome.json")):
            tf.io.gfile.remove(outcome)


def _bindings(config):
    """`{left-hand side: value}`; a line without a value is its own left-hand side."""
    return dict((line.removeprefix("# ").split(" = ", 1) + [""])[:2] for line in config.splitlines())


def _change(name, before, now):
    if name.startswith("data ") and before and now:
        return f"on other {name}: its images, labels or split have changed since (fingerprint {before}, now {now})"
    if before is None:
        return f"without {name}, now {name} = {now}"
    return f"with {name} = {before}, now {'without it' if now is None else now}"
