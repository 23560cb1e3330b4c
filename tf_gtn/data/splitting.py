"""Training, validation and test images: the source's own splits where it has them, carved out of train elsewhere.

Two ways to carve. A data set that never changes is permuted by a seed, and an exact number held out. Where images come and go
(`Source.keys`), each image's own content says where it goes.
"""

import dataclasses
import fractions
import hashlib
from collections.abc import Iterable

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.data import dataset, images

_TEST_SEED = 0  # the test images are the same whatever a caller passes


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """What a loader hands over: labelled images in the splits that the source has of its own.

    Attributes:
      classes: names, by label.
      train: `dataset.Split`; what is missing below is carved out of it.
      validation, test: `dataset.Split`s, or None.
      validation_share, test_share: the parts of `train` that are carved.
      stratified: carve the same share of every class (to within one image), instead of uniformly.
      pixel_range: the values of black and white.
      keys: uint64 [N], numbers of `train`'s images that follow from their content alone (`content_keys`). An image is held out
        if its key says so, so that another image more or less moves none: of n images a share s is held out, give or take
        2 sqrt(n s (1 - s)). A class whose keys leave a split without an image gives it one, as far as it has so many; that
        image alone may move later. Images of one key go together.
    """

    classes: tuple[str, ...]
    train: dataset.Split
    validation: dataset.Split | None = None
    test: dataset.Split | None = None
    validation_share: fractions.Fraction = fractions.Fraction(1, 10)
    test_share: fractions.Fraction = fractions.Fraction(1, 5)
    stratified: bool = False
    pixel_range: tuple[int, int] = (0, 255)
    keys: np.ndarray | None = None

    def resize(self, size: tuple[int, int]) -> "Source":
        """The `Source` with all images at `size`, (height, width) in pixels."""
        parts = {part: getattr(self, part) for part in ("train", "validation", "test")}
        resized = {
            part: dataset.Split(images.resize(split.images, size), split.labels)
            for part, split in parts.items()
            if split is not None
        }
        return dataclasses.replace(self, **resized)


def content_keys(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """uint64 [N]: a hash of each array's shape and bytes."""
    return np.array([_hash(np.ascontiguousarray(array), str(array.shape)) for array in arrays], np.uint64)


@arguments.checked("splitting.divide")
def divide(
    source: Source, validation: arguments.Count | None = None, seed: int = 0, kept: arguments.Count | None = None
) -> tuple[dataset.Split, dataset.Split, dataset.Split]:
    """Divides a source into train, validation and test, which share no image.

    Args:
      source: `Source`.
      validation: the number of validation images, instead of the source's own number or share.
      seed: of the validation images' choice. The test images depend on no other argument.
      kept: the number of training images that are left, of every class its share; None: all.

    Returns:
      `(train, validation, test)`, three `dataset.Split`s.

    Raises:
      errors.UserError: `validation` or `kept` is no number of images from 1 to what there is, or there are too few to divide.
    """
    train, held_out, test, keys = source.train, source.validation, source.test, source.keys
    whole, share = len(train), source.validation_share
    if test is None:
        if keys is None:
            test, train = _carve(train, _share(whole, source.test_share), _TEST_SEED, source.stratified)
        else:
            more = held_out is None
            test, train, keys = _carve_by_content(train, keys, source.test_share, _TEST_SEED, 2 if more else 1)
            share = share / (1 - source.test_share)
    if held_out is None:
        if keys is None or validation:
            count = validation or _share(whole, share)
            held_out, train, keys = _carve_with_keys(train, count, seed, source.stratified, keys)
        else:
            held_out, train, keys = _carve_by_content(train, keys, share, f"validation {seed}")
    elif validation is not None:
        if validation > len(held_out):
            raise errors.UserError(f"validation={validation}: the data set has {len(held_out)} validation images of its own")
        held_out, _ = _carve(held_out, validation, seed, source.stratified, keep=0)
    if kept is not None:
        if kept > len(train):
            raise errors.UserError(f"train={kept}: the data set has {len(train)} training images")
        train, _, _ = _carve_with_keys(train, kept, seed, True, keys, keep=0)
    return train, held_out, test


def _hash(content, salt):
    key = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=key).digest(), "little")


def _places(keys, salt):
    """Keys -> numbers in [0, 1) that are uniform and new for every salt; equal keys have equal ones."""
    hashes = np.array([_hash(key.tobytes(), str(salt)) for key in keys.astype("<u8")], np.uint64)
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53


def _carve_by_content(split, keys, share, salt, leave=1):
    """Whose place is below `share`, at least one image of each class and leaving `leave`, where there are so many; the rest.

    Returns `(held out, left, keys of those left)`.
    """
    places = _places(keys, salt)
    chosen = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        of_class = split.labels == label
        class_places = np.unique(places[of_class])
        if len(class_places) > 1:
            count = np.clip((class_places < float(share)).sum(), 1, max(1, len(class_places) - leave))
            chosen |= of_class & (places <= class_places[count - 1])
    if not chosen.any():
        raise errors.UserError("too few images to divide: a class needs 3, one each to train, to validate and to test")
    order = np.argsort(places, kind="stable")
    held_out, left = order[chosen[order]], order[~chosen[order]]
    return split.take(held_out), split.take(left), keys[left]


def _share(whole, share):
    return max(1, round(whole * share))


def _carve(split, count, seed, stratified, keep=1):
    """`count` images of `split` at random, and the rest, both in random order. `keep`: how many are left at least."""
    return _carve_with_keys(split, count, seed, stratified, None, keep)[:2]


def _carve_with_keys(split, count, seed, stratified, keys, keep=1):
    """As `_carve`, in an order that follows from keys, if there are any; gives also the keys of the rest."""
    if count > len(split) - keep:
        raise errors.UserError(f"{count} images cannot be held out of {len(split)}: at least {keep} must be left to train on")
    if keys is None:
        # RandomState, because its numbers are the same in every version of NumPy.
        order = np.random.RandomState(seed).permutation(len(split))
    else:
        order = np.argsort(_places(keys, f"order {seed}"), kind="stable")
    chosen = order[:count]
    if stratified:
        # The r-th image of a class of n comes at (r + 1/2) / n, so that any first part holds its share of every class.
        place = np.empty(len(split))
        labels = split.labels[order]
        for label in np.unique(labels):
            members = order[labels == label]
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
        chosen = order[np.argsort(place[order], kind="stable")[:count]]
    is_chosen = np.zeros(len(split), bool)
    is_chosen[chosen] = True
    held_out, left = order[is_chosen[order]], order[~is_chosen[order]]
    return split.take(held_out), split.take(left), None if keys is None else keys[left]
