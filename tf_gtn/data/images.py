"""Images of any dtype and size as uint8 of one size."""

import numpy as np
import tensorflow as tf

from tf_gtn import errors


def to_uint8(images: np.ndarray, owner: str) -> np.ndarray:
    """`[N, H, W, C]` or grey `[N, H, W]` of another dtype -> uint8 `[N, H, W, C]`.

    bool becomes 0 and 255, integers are kept, floats are taken as parts of 1 and scaled to 255.

    Raises:
      errors.UserError: the rank, the dtype or the range is another; names `owner`, whose images they are.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4:
        raise errors.UserError(
            f"{owner}: images are [height, width, channels] or [height, width]; got {list(images.shape[1:])}"
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype == bool:
        return images.astype(np.uint8) * 255
    low, high = images.min(), images.max()
    if np.issubdtype(images.dtype, np.integer) and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    if np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1:
        return np.rint(images * 255).astype(np.uint8)
    raise errors.UserError(
        f"{owner}: images are {images.dtype} from {low} to {high}; expected uint8, bool, integers 0 to 255 or floats 0 to 1"
    )


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 `[N, H, W, C]` -> uint8 `[N, size[0], size[1], C]`: bilinear, averaging where it shrinks."""
    if images.shape[1:3] == tuple(size):
        return images
    result = np.empty((len(images), *size, images.shape[-1]), np.uint8)
    for start in range(0, len(images), 1024):  # in parts, because it goes through float32
        part = tf.image.resize(images[start : start + 1024], size, antialias=True).numpy()
        result[start : start + 1024] = np.clip(np.rint(part), 0, 255)
    return result


def mixed_sizes(owner: str, first: str, second: str) -> errors.UserError:
    """The `UserError` for images of several sizes; `first` and `second` say which, as in "a.png is 8x8"."""
    return errors.UserError(
        f"{owner}: images of several sizes, {first} and {second}; give image_size=(height, width) to resize"
    )
