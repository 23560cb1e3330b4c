"""`of`: a data set from what a user has: a name, arrays, or `tf.data.Dataset`s, also ones that do not fit in memory."""

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.data import cache, dataset, levels, parts, registry, splitting
from tf_gtn.data import images as pictures

_PARTS = ("train", "validation", "test")


def of(data: Any, **options: Any) -> dataset.Dataset:
    """A `Dataset` of what `data` is.

    Args:
      data: a name and the options of `load`; a `Dataset`, which is taken as it is; or `{"train": ..., "validation": ...,
        "test": ...}`, the latter two optional. Each of them is `(images, labels)`, a `Split`, or a finite `tf.data.Dataset`
        of such pairs, batched or not. Images are `[N, H, W, C]` or `[N, H, W]` of any numbers: integers from 0 to 255 stay
        exact, whatever their type; others get 256 levels between the lowest and the highest value of `train`. Labels are
        integers `[N]` from 0 on, or one-hot `[N, K]`.
      **options: of `load`, or of `from_parts`.

    A missing split is carved out of `train`: 10% to validate, 20% to test, of every class. What an image holds decides
    where it goes, not its place: a data set in another order is divided the same way. Images of a `tf.data.Dataset`,
    which may be shuffled, are kept in an order that their content says; arrays that are not divided keep theirs.

    Raises:
      errors.UserError: the data cannot be used, or an option is wrong; the message says which split, and what to do.
    """
    if isinstance(data, dataset.Dataset):
        _check_options(options, (), "a data.Dataset, which is taken as it is")
        return data
    if isinstance(data, str):
        _check_options(options, list(inspect.signature(registry.load).parameters)[1:], "a data set by name")
        return registry.load(data, **options)
    if not isinstance(data, Mapping):
        raise errors.UserError(
            f"data is a name, a data.Dataset, or {{'train': (images, labels), 'test': (images, labels)}} of arrays or of "
            f"tf.data.Datasets; got {type(data).__name__}"
        )
    _check_options(options, list(inspect.signature(from_parts).parameters)[1:], "a data set of arrays or tf.data.Datasets")
    return from_parts(data, **options)


@arguments.checked("data.of")
def from_parts(
    data: Mapping[str, Any],
    *,
    name: str = "given",
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    validation: arguments.Count | None = None,
    train: arguments.Count | None = None,
    augment: Callable | None = None,
    zca: arguments.Positive | None = None,
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
) -> dataset.Dataset:
    """A `Dataset` of splits, as `of` describes them.

    Args:
      data: `{"train": ..., "validation": ..., "test": ...}`.
      name: what an export calls the data set.
      classes: names by label; without, the labels' own numbers.
      image_size, validation, train, augment, zca, seed: as `registry.load`.
      cache_dir: a folder on local disk for images that do not fit in memory (`cache.through`). They are decoded once, and
        read from there, now and whenever the same data comes again.

    Raises:
      errors.UserError: as `of`.
    """
    for part in data:
        if part not in _PARTS:
            raise errors.unknown("split", part, _PARTS)
    if "train" not in data:
        raise errors.UserError(f"data has no 'train'; it has {', '.join(map(repr, data)) or 'nothing'}")
    listed = isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str)
    if classes is not None and not (listed and len({*map(str, classes)}) == len(classes)):
        raise errors.UserError(f"classes are a list of names by label, all different; got {classes!r}")
    data = {part: data[part] for part in _PARTS if data.get(part) is not None}
    settings = {
        "classes": None if classes is None else [str(name) for name in classes],
        "image_size": registry.check_size(image_size),
        "validation": validation,
        "train": train,
        "seed": seed,
    }
    if cache_dir is None:
        divided = _divided(data, None, **settings)
    else:
        divided = cache.through(
            os.path.expanduser(cache_dir), data, settings, lambda folder: _divided(data, folder, **settings)
        )
    loaded = dataset.Dataset(
        name,
        divided.splits["train"],
        divided.splits["validation"],
        divided.splits["test"],
        tuple(divided.classes),
        augment=augment,
        zca=zca,
        pixel_range=divided.pixel_range,
    )
    registry.check_classes(loaded)
    return loaded


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """Images of a `Part` by their places: what `splitting.divide` divides, with no image moved."""

    part: parts.Part
    index: np.ndarray

    @property
    def labels(self):
        return self.part.labels[self.index]

    def __len__(self):
        return len(self.index)

    def take(self, indices):
        return _Rows(self.part, self.index[indices])


def _divided(data, folder, classes, image_size, validation, train, seed):
    """`cache.Made` of the parts in `data`; images are in files of `folder`, unless it is None."""

    def file(name):
        return None if folder is None else os.path.join(folder, name)

    read = {name: parts.read(value, f"data[{name!r}]", file(f"{name}.decoded")) for name, value in data.items()}
    for name, part in read.items():
        if part.images.shape[1:] != read["train"].images.shape[1:]:
            wanted, got = (list(split.images.shape[1:]) for split in (read["train"], part))
            raise errors.UserError(f"data[{name!r}]: images are {got}, those of train {wanted}; bring all to one shape")
    class_names = _classes(read, classes)
    scale, pixel_range = levels.of(read, "data")
    rows: dict[str, Any] = {}
    for name, part in read.items():
        # A tf.data.Dataset may come in another order each time; then the content says one.
        shuffled = isinstance(data[name], tf.data.Dataset)
        order = np.lexsort((part.labels, part.keys)) if shuffled else np.arange(len(part))
        rows[name] = _Rows(part, order)
    keys = read["train"].keys[rows["train"].index]
    divided = splitting.divide(splitting.Source(class_names, stratified=True, keys=keys, **rows), validation, seed, train)
    splits = {name: _written(rows, scale, image_size, file(name)) for name, rows in zip(_PARTS, divided)}
    signs = {name: parts.signs(part.keys, part.labels) for name, part in read.items()}
    return cache.Made(splits, class_names, pixel_range, signs)


def _written(rows, scale, image_size, path):
    """The `Split` of rows, in memory or in a file."""
    shape = (len(rows), *(image_size or rows.part.images.shape[1:3]), rows.part.images.shape[3])
    images = np.empty(shape, np.uint8) if path is None else np.memmap(path, np.uint8, "w+", shape=shape)
    for chunk in parts.chunks(len(rows)):
        pixels = levels.to_uint8(rows.part.images[rows.index[chunk]], scale)
        images[chunk] = pictures.resize(pixels, image_size) if image_size else pixels
    return dataset.Split(images, rows.labels, scale)


def _classes(read, classes):
    """The classes' names, by label; a `UserError` for a label that is none of them or that train lacks."""
    train = read["train"]
    known = len(classes) if classes is not None else max(train.width, int(train.labels.max()) + 1)
    counted = classes is not None or train.width
    for name, part in read.items():
        labels = np.unique(part.labels)
        if part.width and counted and part.width != known:
            raise errors.UserError(f"data[{name!r}]: one-hot labels are for {part.width} classes, where there are {known}")
        if classes is not None and labels[-1] >= known:
            raise errors.UserError(f"data[{name!r}]: label {labels[-1]} has no name; the classes are labels 0 to {known - 1}")
        unknown = np.setdiff1d(labels, train.labels)
        if len(unknown):
            raise errors.UserError(
                f"data[{name!r}]: label {unknown[0]} is of no image in train; leave those images out, or give train some"
            )
    missing = np.setdiff1d(np.arange(min(known, len(train) + 1)), train.labels)
    if len(missing) and not counted:
        raise errors.UserError(
            f"data['train']: labels are 0 to K - 1, and the highest is {known - 1}, but no image has label {missing[0]}; "
            "number the classes anew, or name all of them by classes=[...]"
        )
    return tuple(map(str, range(known))) if classes is None else tuple(classes)


def _check_options(options, known, what):
    for option in options:
        if option not in known:
            if not known:
                raise errors.UserError(f"there are no options of {what}; got {option!r}")
            raise errors.unknown(f"option of {what}", option, known)
