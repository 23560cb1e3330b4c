"""Versions of a SavedModel in a folder: each is there whole or not at all.

<directory>/<version>/               whole
<directory>/.unfinished-<version>/   being written or deleted
<directory>/.replaced-<version>/     whole: set aside for the moment in which its successor takes its place
"""

import os
import re
import zlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import files

GRAPH = "saved_model.pb"
_UNFINISHED, _REPLACED = ".unfinished-", ".replaced-"


def publish(directory: str | os.PathLike, version: int | str, write: Callable[[str], Any]) -> str:
    """Has `write(path)` make a version, and shows it as `<directory>/<version>/`; returns that path.

    A version is a number, where `find` is to find it, or a name.

    Killed at any moment, it leaves the version as it was or as it is now: in place, or set aside, where `find` looks too and
    whence the next `publish` takes it back. Raises `UserError` if the directory, or that above it, is a file.
    """
    directory = os.fspath(directory)
    path, unfinished, replaced = (os.path.join(directory, f"{prefix}{version}") for prefix in ("", _UNFINISHED, _REPLACED))
    for folder in (os.path.dirname(directory), directory):
        if tf.io.gfile.exists(folder) and not tf.io.gfile.isdir(folder):
            raise errors.UserError(f"{folder} is a file, and a folder of exports belongs there: move it away")
    tf.io.gfile.makedirs(directory)
    _tidy(directory)
    write(unfinished)
    if tf.io.gfile.exists(path):
        tf.io.gfile.rename(path, replaced)
    tf.io.gfile.rename(unfinished, path)
    _tidy(directory)
    return path


def copy(source: str, directory: str | os.PathLike, version: int | str, replace: bool = False) -> str:
    """Shows the files of the version in the folder `source` as `<directory>/<version>/`, too; returns that path. See `publish`.

    Raises:
      UserError: another one is there under that version, and may not be replaced.
    """
    path = os.path.join(directory, str(version))
    if not replace and (find(path) is not None or tf.io.gfile.exists(path)):
        if _whole(path) and digest(path) == digest(source):
            return path
        raise errors.UserError(f"{path} is there already: take another folder, or remove it")

    def write(unfinished):
        for folder, _, names in tf.io.gfile.walk(source):
            target = os.path.join(unfinished, os.path.relpath(folder, source))
            tf.io.gfile.makedirs(target)
            for name in names:
                tf.io.gfile.copy(os.path.join(folder, name), os.path.join(target, name))

    return publish(directory, version, write)


def find(path: str) -> str | None:
    """The folder of the highest whole version in `path` or `path/export`, or `path` itself if it is one; None if there is none.

    Folders that hold no SavedModel, whatever their name, are passed over.
    """
    path = path.rstrip("/") or path
    parent, name = os.path.split(path)
    aside = os.path.join(parent, _REPLACED + name)
    for folder in (path, aside if name.isdecimal() else path):
        if _whole(folder):
            return folder
    for folder in (path, os.path.join(path, "export")):
        matches = [re.fullmatch(rf"({re.escape(_REPLACED)})?([0-9]+)", name) for name in _names(folder)]
        versions = [m for m in matches if m and _whole(os.path.join(folder, m[0]))]
        if versions:
            return os.path.join(folder, max(versions, key=lambda m: (int(m[2]), not m[1]))[0])
    return None


def digest(folder: str) -> str:
    """A checksum of the names and contents of all files in a folder, as text."""
    number = 0
    for path, _, names in sorted(tf.io.gfile.walk(folder)):
        for name in sorted(names):
            number = zlib.crc32(files.read(os.path.join(path, name)), zlib.crc32(name.encode(), number))
    return f"{number:08x}"


def never_empty(make: Callable[..., tf.Tensor], *batches: tf.Tensor) -> tf.Tensor:
    """`make(*batches)` of batches `[n, ...]` -> `[n, ...]`, also for n = 0, where TensorFlow's convolutions fail."""
    count = tf.shape(batches[0])[0]
    missing = tf.maximum(1 - count, 0)
    return make(*(tf.pad(x, [[0, missing], *[[0, 0]] * (x.shape.rank - 1)]) for x in batches))[:count]


def _whole(folder):
    return tf.io.gfile.exists(os.path.join(folder, GRAPH))


def _tidy(directory):
    """Takes back what was set aside and has no successor; deletes the rest."""
    for name in _names(directory):
        if name.startswith(_UNFINISHED):
            tf.io.gfile.rmtree(os.path.join(directory, name))
    for name in _names(directory):
        if name.startswith(_REPLACED):
            version = name.removeprefix(_REPLACED)
            aside, path = os.path.join(directory, name), os.path.join(directory, version)
            if tf.io.gfile.exists(path):
                leftover = os.path.join(directory, _UNFINISHED + version)  # half deleted, it must not be taken for a version
                tf.io.gfile.rename(aside, leftover)
                tf.io.gfile.rmtree(leftover)
            else:
                tf.io.gfile.rename(aside, path)


def _names(folder):
    return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)] if tf.io.gfile.isdir(folder) else []
