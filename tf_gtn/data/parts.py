"""One split of labelled images as its owner has it, arrays or a `tf.data.Dataset`, looked at once and checked."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, splitting, streams

_CHUNK = 1024  # images that are looked at together


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A checked split.

    Attributes:
      images: `[N, H, W, C]` of bools, integers or floats, in memory or a `np.memmap`.
      labels: int32 `[N]`.
      keys: uint64 `[N]`, which follow from an image's values alone, whatever their type (`splitting.content_keys`).
      low, high: the lowest and the highest value.
      exact: whether all values are integers from 0 to 255.
      width: the number of classes that one-hot labels have; 0 for labels that are numbers.
    """

    images: np.ndarray
    labels: np.ndarray
    keys: np.ndarray
    low: float
    high: float
    exact: bool
    width: int

    def __len__(self) -> int:
        return len(self.labels)


def read(value: Any, where: str, path: str | None = None) -> Part:
    """Looks at every image and label once.

    Args:
      value: `(images, labels)`, a `dataset.Split`, or a finite `tf.data.Dataset` of pairs.
      where: which split it is, for errors.
      path: a file that the images of a `tf.data.Dataset` are written to, instead of memory.

    Raises:
      errors.UserError: the form, a type, a shape, a value or a label cannot be used; the message says which.
    """
    store, images = None, np.zeros(0)
    if isinstance(value, tf.data.Dataset):
        store, chunks = streams.Store(path), streams.batches(value, where, _CHUNK)
    else:
        images, labels = _pair(value, where)
        chunks = ((images[start : start + _CHUNK], labels[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK))
    all_labels, keys, seen, first = [], [], 0, None
    low, high, exact, width = np.inf, -np.inf, True, 0
    for chunk, label in chunks:
        chunk, (label, width) = check_images(chunk, where), check_labels(label, where)
        first = chunk.shape[1:] if first is None else first
        if chunk.shape[1:] != first:
            raise errors.UserError(
                f"{where}: images of several shapes, {list(first)} and {list(chunk.shape[1:])}; resize them to one"
            )
        values = comparable(chunk)
        if not np.isfinite(values).all():
            place = seen + int(np.argmin(np.isfinite(values).all((1, 2, 3))))
            raise errors.UserError(f"{where}: image number {place} has values that are NaN or infinite; mend or leave out such")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        exact = exact and (chunk.dtype in (np.uint8, bool) or bool((values == np.rint(values)).all()))
        all_labels.append(label)
        keys.append(splitting.content_keys(values))
        seen += len(chunk)
        if store:
            store.add(chunk if chunk.dtype == np.uint8 else values)
    if not seen:
        raise errors.UserError(f"{where}: there are no images; leave the split out, or give it some")
    images = store.finish() if store else check_images(images, where)
    labels, exact = np.concatenate(all_labels), bool(exact and low >= 0 and high <= 255)
    return Part(images, labels, np.concatenate(keys), low, high, exact, width)


def sample(value: Any, where: str) -> np.ndarray:
    """uint64 numbers of the first images with their labels, as `signs` of a `Part` has them: a cheap look at the content."""
    if isinstance(value, tf.data.Dataset):
        first = next(streams.batches(value, where, _CHUNK), None)
        if first is None:
            raise errors.UserError(f"{where}: there are no images")
        images, labels = first
    else:
        images, labels = (array[:_CHUNK] for array in _pair(value, where))
    keys = splitting.content_keys(comparable(check_images(images, where)))
    return signs(keys, check_labels(labels, where)[0])


def signs(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint64 `[N]` that follow from an image and its label: keys and labels `[N]` in one number."""
    return keys ^ (labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def comparable(images: np.ndarray) -> np.ndarray:
    """float32 of images of any type, so that equal values are equal bytes."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and said to be
        return images.astype(np.float32) + np.float32(0)  # -0.0 becomes 0.0


def check_images(images: np.ndarray, where: str) -> np.ndarray:
    """Numbers `[N, H, W]` or `[N, H, W, C]` -> `[N, H, W, C]`; raises `UserError` for anything else."""
    if images.dtype.kind not in "buif":
        raise errors.UserError(f"{where}: images are numbers, uint8 or floats, all of one shape; got {_kind(images)}")
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise errors.UserError(f"{where}: images are [N, H, W, C] or [N, H, W]; got {list(images.shape)}")
    return images if images.ndim == 4 else images[..., np.newaxis]


def check_labels(labels: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    """Labels `[N]`, `[N, 1]` or one-hot `[N, K]` -> `(int32 [N], K of one-hot ones or 0)`; raises `UserError` for others."""
    if labels.dtype.kind not in "buif":
        raise errors.UserError(
            f"{where}: labels are numbers from 0 on; got {_kind(labels)}. Number the classes, and name them by classes=[...]"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()):
            raise errors.UserError(
                f"{where}: labels of shape {list(labels.shape)} are one-hot, a single 1 per row and 0 elsewhere; these are not"
            )
        return labels.argmax(1).astype(np.int32), labels.shape[1]
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1:
        raise errors.UserError(f"{where}: labels are [N], or one-hot [N, K]; got {list(labels.shape)}")
    wrong = labels[~((labels >= 0) & (labels < 2**31 - 1) & (labels == np.floor(labels)))]
    if len(wrong):
        raise errors.UserError(f"{where}: labels are integers from 0 on; got {wrong[0]}")
    return labels.astype(np.int32), 0


def _pair(value, where):
    if isinstance(value, dataset.Split):
        value = value.as_given(), value.labels
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise errors.UserError(
            f"{where}: a split is a pair (images, labels) of arrays, or a tf.data.Dataset of such pairs; got {_form(value)}"
        )
    images, labels = (_array(array, what, where) for array, what in zip(value, ("images", "labels")))
    images = check_images(images, where)
    if len(labels.shape) == 0 or len(labels) != len(images):
        count = len(labels) if labels.ndim else "a single one"
        raise errors.UserError(f"{where}: there is one label per image; got {len(images)} images and {count} as labels")
    return images, labels


def _array(value, what, where):
    try:
        array = np.asarray(value)
        return array.astype(np.float32) if array.dtype.kind == "V" and not array.dtype.names else array  # bfloat16
    except (ValueError, TypeError, NotImplementedError):
        raise errors.UserError(f"{where}: {what} are no array: their rows differ in shape or are no numbers") from None


def _kind(array):
    named = {"O": "objects: rows that differ in shape, or no numbers", "U": "text", "S": "text"}
    example = f", such as {str(array.flat[0])[:40]!r}" if array.dtype.kind in "US" and array.size else ""
    return named.get(array.dtype.kind, str(array.dtype)) + example


def _form(value):
    return f"{len(value)} things" if isinstance(value, tuple | list) else type(value).__name__


def chunks(count: int) -> Iterator[slice]:
    """Slices that go through `count` images in parts."""
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))
