"""Training, validation and test images: the source's own splits where it has them, carved out of train elsewhere."""

import dataclasses
import fractions
import operator

import numpy as np

from tf_gtn import errors
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
    """

    classes: tuple
    train: dataset.Split
    validation: dataset.Split | None = None
    test: dataset.Split | None = None
    validation_share: fractions.Fraction = fractions.Fraction(1, 10)
    test_share: fractions.Fraction = fractions.Fraction(1, 5)
    stratified: bool = False
    pixel_range: tuple = (0, 255)

    def resize(self, size):
        """The `Source` with all images at `size`, (height, width) in pixels."""
        parts = {part: getattr(self, part) for part in ("train", "validation", "test")}
        resized = {
            part: dataset.Split(images.resize(split.images, size), split.labels)
            for part, split in parts.items()
            if split is not None
        }
        return dataclasses.replace(self, **resized)


def divide(source, validation=None, seed=0, kept=None):
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
    train, held_out, test = source.train, source.validation, source.test
    whole = len(train)
    if test is None:
        test, train = _carve(train, _share(whole, source.test_share), _TEST_SEED, source.stratified)
    count = None if validation is None else _count("validation", validation)
    if held_out is None:
        count = count or _share(whole, source.validation_share)
        held_out, train = _carve(train, count, seed, source.stratified)
    elif count is not None:
        if count > len(held_out):
            raise errors.UserError(f"validation={count}: the data set has {len(held_out)} validation images of its own")
        held_out, _ = _carve(held_out, count, seed, source.stratified, keep=0)
    if kept is not None:
        if _count("train", kept) > len(train):
            raise errors.UserError(f"train={kept}: the data set has {len(train)} training images")
        train, _ = _carve(train, kept, seed, stratified=True, keep=0)
    return train, held_out, test


def _share(whole, share):
    return max(1, round(whole * share))


def _count(name, value):
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise errors.UserError(f"{name} is a number of images, at least 1; got {value!r}")
    return count


def _carve(split, count, seed, stratified, keep=1):
    """`count` images of `split` at random, and the rest, both in random order. `keep`: how many are left at least."""
    if count > len(split) - keep:
        raise errors.UserError(f"{count} images cannot be held out of {len(split)}: at least {keep} must be left to train on")
    # RandomState, because its numbers are the same in every version of NumPy.
    order = np.random.RandomState(seed).permutation(len(split))
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
    return split.take(order[is_chosen[order]]), split.take(order[~is_chosen[order]])
