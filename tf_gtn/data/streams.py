"""`tf.data.Dataset`s of `(image, label)` pairs in one pass, with as much memory as a batch takes."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_gtn import errors


def batches(examples: tf.data.Dataset, where: str, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Arrays `(images [n, H, W] or [n, H, W, C], labels [n, ...])`, of a dataset that is batched or not.

    Args:
      examples: of `(image, label)` pairs, or of dictionaries with `image` and `label`; finite.
      where: which split it is, for errors.
      size: of batches, where the dataset has none of its own.

    Raises:
      errors.UserError: it never ends, has elements of another form, images of several shapes, or fails.
    """
    if examples.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise errors.UserError(f"{where}: the tf.data.Dataset never ends; leave out its repeat(), or end it with take(n)")
    spec = examples.element_spec
    if isinstance(spec, dict) and {"image", "label"} <= {*spec}:
        examples = examples.map(lambda example: (example["image"], example["label"]))
        spec = examples.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not all(isinstance(element, tf.TensorSpec) for element in spec):
        raise errors.UserError(f"{where}: the elements of a tf.data.Dataset are (image, label) pairs; these are {_text(spec)}")
    image, label = spec
    if image.shape.rank is None or label.shape.rank is None:
        raise errors.UserError(
            f"{where}: the tf.data.Dataset says no rank of its elements, {_text(spec)}; set it with tf.ensure_shape in a map"
        )
    if not _batched(image, label):
        if image.shape.rank not in (2, 3) or label.shape.rank > 1:
            raise errors.UserError(
                f"{where}: the elements of a tf.data.Dataset are pairs of an image [H, W, C] or [H, W] and a label, or batches "
                f"of them; these are {_text(spec)}"
            )
        examples = examples.batch(size)
    try:
        for images, labels in examples.prefetch(1).as_numpy_iterator():
            if len(images) != len(labels):
                raise errors.UserError(
                    f"{where}: there is one label per image; a batch has {len(images)} images and {len(labels)} labels"
                )
            if len(images):
                yield images, labels
    except tf.errors.OpError as error:
        if "batch" in error.message and "shape" in error.message:
            raise errors.UserError(f"{where}: images of several shapes; resize them to one in a map") from error
        reason = (error.message.strip().splitlines() or [type(error).__name__])[0]
        raise errors.UserError(f"{where}: the tf.data.Dataset fails: {reason}") from error


class Store:
    """Batches of one dtype, put together in memory, or in a file so that no more than one of them is in memory."""

    def __init__(self, path: str | None = None) -> None:
        self._path, self._parts, self._count = path, [], 0
        self._file = open(path, "wb") if path else None  # noqa: SIM115 - until `finish`

    def add(self, images: np.ndarray) -> None:
        """Appends `[n, H, W, C]`."""
        self._count, self._form = self._count + len(images), (images.dtype, images.shape[1:])
        if self._file:
            self._file.write(np.ascontiguousarray(images).data)
        else:
            self._parts.append(images)

    def finish(self) -> np.ndarray:
        """All of them, `[N, H, W, C]`; a read-only `np.memmap` if they are in a file."""
        if not self._file or self._path is None:
            return np.concatenate(self._parts)
        self._file.close()
        dtype, shape = self._form
        return np.memmap(self._path, dtype, "r", shape=(self._count, *shape))


def _batched(image, label):
    """Whether elements are batches, by their ranks: a label is a number or one-hot [K], an image [H, W] or [H, W, C]."""
    if image.shape.rank != 3 or label.shape.rank != 1:
        return image.shape.rank == 4 or (image.shape.rank == 3 and label.shape.rank == 2)
    count = image.shape[0]
    return label.shape[0] is None or (count == label.shape[0] and label.dtype.is_integer)


def _text(spec):
    if isinstance(spec, tuple):
        return f"({', '.join(map(_text, spec))})"
    if isinstance(spec, dict):
        return "{" + ", ".join(f"{name!r}: {_text(element)}" for name, element in spec.items()) + "}"
    return f"{spec.dtype.name} {spec.shape}" if isinstance(spec, tf.TensorSpec) else type(spec).__name__
