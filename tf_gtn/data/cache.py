"""Data sets on disk, for what does not fit in memory.

    <cache_dir>/
      lock                           held while one process decodes; others wait, then read
      unfinished/                    what a process is decoding, or a killed one has left: the next one starts anew
      data/                          appears whole or not at all
        train, validation, test      uint8 images, row after row
        <split>.labels.npy           int32 [N]
        <part>.signs.npy             uint64 [N], sorted, which follow from the images and labels that were given
        about.json                   shapes, levels, classes, and the settings

Decoding takes the room of the decoded images once more, and four times as much if they are no bytes.
"""

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, parts

_FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """A divided data set: `dataset.Split`s by name, class names, the values of black and white, `parts.signs` by part."""

    splits: Mapping[str, dataset.Split]
    classes: tuple[str, ...]
    pixel_range: tuple[int, int]
    signs: Mapping[str, np.ndarray]


def through(folder: str, data: Mapping[str, Any], settings: Mapping[str, Any], make: Callable[[str], Made]) -> Made:
    """The result of `make`, with images that stay on disk: `make` is called once, later calls read its files.

    Args:
      folder: of the cache alone; it is made if it does not exist.
      data: the parts before they are divided.
      settings: all that the result depends on beside them, of JSON's types.
      make: writes the images as files `train`, `validation` and `test` of the folder that it gets.

    Raises:
      errors.UserError: the folder can't be used, or holds other data: other settings, other forms of images, or the
        first images of `data` are not among its own.
    """
    about = {"format": _FORMAT, "settings": settings, "data": {name: _form(value) for name, value in data.items()}}
    about = json.loads(json.dumps(about))
    try:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            whole = os.path.join(folder, "data")
            if os.path.isdir(whole):
                _check(folder, whole, about, data)
            else:
                _write(os.path.join(folder, "unfinished"), whole, about, make)
            return _read(whole)
    except OSError as error:
        raise errors.UserError(f"cache folder {folder!r} cannot be used: {error.strerror or error}") from error


def _write(unfinished, whole, about, make):
    shutil.rmtree(unfinished, ignore_errors=True)
    os.mkdir(unfinished)
    divided = make(unfinished)
    for name, split in divided.splits.items():
        split.images.flush()
        np.save(os.path.join(unfinished, f"{name}.labels.npy"), split.labels)
    for name, signs in divided.signs.items():
        np.save(os.path.join(unfinished, f"{name}.signs.npy"), np.sort(signs))
    about["splits"] = {name: list(split.images.shape) for name, split in divided.splits.items()}
    about |= {"levels": divided.splits["train"].levels, "classes": divided.classes, "pixel_range": divided.pixel_range}
    with open(os.path.join(unfinished, "about.json"), "w") as file:
        json.dump(about, file, indent=2)
    for name in os.listdir(unfinished):
        if name.endswith(".decoded"):
            os.remove(os.path.join(unfinished, name))
    os.rename(unfinished, whole)


def _about(whole):
    try:
        with open(os.path.join(whole, "about.json")) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise errors.UserError(f"cache folder {os.path.dirname(whole)!r} is damaged: delete it, to decode anew") from error


def _check(folder, whole, about, data):
    cached = _about(whole)
    other = [name for name in about if cached.get(name) != about[name]]
    for name, value in data.items() if not other else ():
        signs = np.load(os.path.join(whole, f"{name}.signs.npy"), allow_pickle=False)
        if not np.isin(parts.sample(value, f"data[{name!r}]"), signs).all():
            other.append(f"images of {name}")
    if other:
        raise errors.UserError(
            f"cache folder {folder!r} holds another data set: other {', '.join(other)}. Delete it, to decode anew, or "
            "name another cache_dir"
        )


def _read(whole):
    about, splits = _about(whole), {}
    for name, shape in about["splits"].items():
        path = os.path.join(whole, name)
        if os.path.getsize(path) != np.prod(shape, dtype=np.int64):
            raise errors.UserError(f"cache folder {os.path.dirname(whole)!r} is damaged: delete it, to decode anew")
        labels = np.load(os.path.join(whole, f"{name}.labels.npy"), allow_pickle=False)
        images = np.memmap(path, np.uint8, "r", shape=tuple(shape))
        splits[name] = dataset.Split(images, labels, tuple(about["levels"]))
    return Made(splits, tuple(about["classes"]), tuple(about["pixel_range"]), {})


def _form(value):
    if isinstance(value, tf.data.Dataset):
        return f"{value.element_spec} {int(value.cardinality())}"
    return "arrays"
