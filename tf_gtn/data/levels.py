"""Images of any numbers as uint8: exactly where they are integers from 0 to 255, in 256 levels elsewhere."""

from collections.abc import Mapping

import numpy as np

from tf_gtn import errors
from tf_gtn.data import parts

_EXACT = (0.0, 1.0)
_SCALES = (1, 16, 255)  # the highest values of scales that are in use: black and white, scikit-learn's digits, bytes


def of(split_parts: Mapping[str, parts.Part], owner: str) -> tuple[tuple[float, float], tuple[int, int]]:
    """`(levels, pixel_range)` of a data set's parts, as `dataset.Split` and `dataset.Dataset` have them.

    Integers from 0 to 255 stay what they are; black and white are then 0 and the first of 1, 16 and 255 that no value is
    above. Others have 256 levels between the lowest and the highest value of `train`.

    Raises:
      errors.UserError: all training images are of one value, or those of another part lie on another scale.
    """
    train = split_parts["train"]
    if all(part.exact for part in split_parts.values()):
        highest = max(part.high for part in split_parts.values())
        return _EXACT, (0, next(high for high in _SCALES if highest <= high))
    span = train.high - train.low
    if not span:
        raise errors.UserError(f"{owner}: all pixels of the training images are {train.low:g}; there is nothing to learn")
    for name, part in split_parts.items():
        far = part.low < train.low - span or part.high > train.high + span
        if far or part.high - part.low < span / 50:
            raise errors.UserError(
                f"{owner}: images of {name} lie in {part.low:g}..{part.high:g}, those of train in "
                f"{train.low:g}..{train.high:g}; bring all to one scale"
            )
    return (train.low, span / 255), (0, 255)


def to_uint8(images: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Images `[n, H, W, C]` -> uint8, the nearest levels; what lies outside of them becomes the first or the last."""
    if levels == _EXACT:
        return images.astype(np.uint8)
    offset, step = levels
    nearest = np.rint((parts.comparable(images).astype(np.float64) - offset) / step)
    return np.clip(nearest, 0, 255).astype(np.uint8)
