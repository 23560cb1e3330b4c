"""A run's own files: read whole, or one line says which is not, what is wrong with it and what to do.

A file that is written here is there whole or not at all, whatever ends the run. JSON and arrays carry a checksum, so that a
changed byte is noticed; files without one, of earlier versions, are read as well.

    {..., "crc32": "89abcdef"}    of `json.dumps` of the rest
    <.npy> and four bytes         which `np.load` does not read
"""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import holding, progress

PUT_BACK = "put it back, or begin again in another --base_dir"
_CHECKSUM = "crc32"


class Damaged(errors.UserError):
    """A file that can't be used: `wrong` says which and why, the message also what to do."""

    def __init__(self, path: str, what: str, remedy: str = PUT_BACK) -> None:
        self.wrong = f"{path} {what}"
        super().__init__(f"{self.wrong}: {remedy}")


class NoSpace(Exception):
    """The disk is full; one line."""


def local(path: str) -> str:
    """A path without `file://`: such a folder is locked and written to as any local one. `UserError` if it names a host."""
    if not path.startswith("file://"):
        return path
    host, slash, rest = path.removeprefix("file://").partition("/")
    if host not in ("", "localhost") or not slash:
        raise errors.UserError(f"{path} names the host {host!r}; a path on this machine is file:///... or goes without file://")
    return slash + rest


def is_remote(path: str) -> bool:
    """Whether a path is for TensorFlow's file systems alone, such as `gs://bucket/run`."""
    return "://" in path


def folder(path: str) -> str:
    """Makes a folder with those above it; returns its path. `UserError` if it can't be made."""
    with writing(path):
        if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
            raise errors.UserError(f"{path} is a file, and a folder is needed there: move it away")
        tf.io.gfile.makedirs(path)
    return path


def write(path: str, content: str | bytes) -> None:
    """Writes text or bytes, whole or, if killed meanwhile, not at all; makes the folder if need be.

    Raises `NoSpace` if the disk is full, `UserError` if the file can't be written otherwise or the run's folder is gone.
    """
    content = content.encode() if isinstance(content, str) else content
    holding.check()
    folder(os.path.dirname(path) or ".")
    with writing(path, len(content)):
        if is_remote(path):  # an object store shows an object when it is closed
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(content)
            return
        temporary = f"{path}.tmp"  # one run holds the folder: the next write takes the file that a kill left
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(temporary)
            raise


def append(path: str, lines: Sequence[str]) -> None:
    """Appends lines of text. Raises as `write`; a kill may leave a part of the last line."""
    holding.check()
    with writing(path, sum(map(len, lines))), tf.io.gfile.GFile(path, "a") as file:
        file.write("".join(lines))


def read(path: str, remedy: str = PUT_BACK) -> bytes:
    """The bytes of a file. Raises `Damaged`, with this `remedy`, if there is none or it can't be read."""
    if not tf.io.gfile.exists(path):
        raise Damaged(path, "is not there", remedy)
    if tf.io.gfile.isdir(path):
        raise Damaged(path, "is a folder instead of a file", remedy)
    if not is_remote(path) and not os.path.isfile(path):
        raise Damaged(path, "is no regular file", remedy)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    except (OSError, tf.errors.OpError) as error:
        raise Damaged(path, f"can't be read ({reason(error)})", remedy) from None


def read_text(path: str, remedy: str = PUT_BACK) -> str:
    """The text of a file, not empty. Raises `Damaged`."""
    content = read(path, remedy)
    if not content.strip(b"\0 \t\r\n"):
        raise Damaged(path, "is empty" if not content else "holds nothing but blanks or zeros", remedy)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Damaged(path, f"is not text (byte {error.start} is not UTF-8)", remedy) from None


def write_json(path: str, value: Mapping[str, Any], indent: int | None = None) -> None:
    """Writes an object of plain values as JSON, with a checksum."""
    write(path, json.dumps(sealed(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str, keys: Sequence[str] = (), remedy: str = PUT_BACK) -> dict[str, Any]:
    """The object in a file, without its checksum. Raises `Damaged`, also if one of `keys` is missing."""
    text = read_text(path, remedy)
    try:
        return unsealed(text, keys)
    except ValueError as error:
        raise Damaged(path, str(error), remedy) from None


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its checksum as the last key."""
    return {**value, _CHECKSUM: _checksum(value)}


def unsealed(text: str | bytes, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The object that a text holds, without its checksum. Raises `ValueError`, which says what is wrong, in a few words."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not valid JSON, perhaps truncated ({str(error)[:100]})") from None
    if not isinstance(value, dict):
        raise ValueError("doesn't fit: it holds no JSON object")
    checksum = value.pop(_CHECKSUM, None)
    missing = [key for key in keys if key not in value]
    if missing:
        raise ValueError(f"doesn't fit: it lacks {missing[0]!r}")
    if checksum is not None and checksum != _checksum(value):
        raise ValueError("was changed after it was written: its checksum is another")
    return value


def made(
    path: str, make: Callable[[], Any], keys: Sequence[str] = (), check: Callable[[Any], None] = lambda value: None
) -> dict[str, Any]:
    """The object in a JSON file; if there is none, or it or `check(value)` raises `Damaged`, `make()` gives it anew."""
    if tf.io.gfile.exists(path):
        try:
            value = read_json(path, keys)
            check(value)
            return value
        except Damaged as error:
            again(error)
    write_json(path, make())
    return read_json(path, keys)


def again(damaged: Damaged) -> None:
    """Says that what a file held is made again."""
    progress.say(f"{damaged.wrong}: it is made again")


def write_array(path: str, array: np.ndarray) -> None:
    """Writes an array as a .npy file, with a checksum."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write(path, buffer.getvalue() + zlib.crc32(buffer.getvalue()).to_bytes(4, "big"))


def read_array(path: str, remedy: str = PUT_BACK) -> np.ndarray:
    """The array in a .npy file. Raises `Damaged`."""
    content = read(path, remedy)
    intact = zlib.crc32(content[:-4]).to_bytes(4, "big") == content[-4:]
    buffer = io.BytesIO(content)
    try:
        array = np.load(buffer, allow_pickle=False)
    except Exception:  # NumPy's errors of a broken header are of any kind, and speak of pickle
        raise Damaged(path, "is not a whole .npy file", remedy) from None
    if not intact and buffer.tell() != len(content):
        raise Damaged(path, "was changed after it was written: its checksum is another", remedy)
    return array


@contextlib.contextmanager
def writing(path: str, needed: int | None = None) -> Generator[None, None, None]:
    """An error in here, where `path` is written with `needed` bytes, ends in one line: `NoSpace`, or a `UserError`."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if _full(error):
            raise _no_space(path, needed) from error
        raise errors.UserError(f"{path} can't be written: {reason(error)}") from error


@contextlib.contextmanager
def space(path: str) -> Generator[None, None, None]:
    """A full disk in here raises `NoSpace`, which names the file that was written if the error does, else `path`."""
    try:
        yield
    except NoSpace:
        raise
    except Exception as error:  # the errors of TensorFlow, Keras, h5py, SQLite, ...
        full = _full(error)
        if full is None:
            raise
        named = re.search(r"(/[^\s;:]+)[;:]? No space left", str(full))
        raise _no_space(str(getattr(full, "filename", None) or (named and named[1]) or path)) from error


def _no_space(path, needed=None):
    existing = path
    while existing and not os.path.exists(existing):
        existing = os.path.dirname(existing)
    free = "unknown" if is_remote(path) else _size(shutil.disk_usage(existing or ".").free)
    sizes = f"needed: {_size(needed)}, free: {free}" if needed else f"free: {free}"
    return NoSpace(f"no space is left to write {path} ({sizes}): make room, then the same command goes on")


def _full(error):
    """Of an error and those that led to it, the one that says that a disk is full or a quota used up; or None."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return error
        if re.search("no space left on device|disk quota exceeded|disk is full", str(error), re.IGNORECASE):
            return error
        error = error.__cause__ or error.__context__
    return None


def _size(count):
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def reason(error: Exception) -> str:
    """Why a file can't be read or written, in the words of the system."""
    return getattr(error, "strerror", None) or (str(getattr(error, "message", error)).splitlines() or ["?"])[0][:200]


def _checksum(value):
    return f"{zlib.crc32(json.dumps(value).encode()):08x}"
