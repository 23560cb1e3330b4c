"""One image file's bytes as an array of grey or colours: png, jpg, bmp, gif, webp and tiff."""

import io

import numpy as np
import tensorflow as tf

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # no others of Pillow's decoders are tried
_GREY, _GREY16 = ("1", "L", "LA", "La"), ("I;16", "I;16B", "I;16L")


def decode(content: bytes) -> tuple[np.ndarray, list[str]]:
    """The first frame of an image, upright: `(array [H, W, C], what was done to it, a list of phrases)`, C of 1 or 3.

    uint8, or uint16 if it has 16 bits a channel. What is transparent is laid on white.

    Raises:
      ValueError: it cannot be decoded; the message says why.
    """
    try:
        array, frames = _decode(content)
    except Exception as error:  # a decoder raises anything at a damaged file
        raise ValueError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error
    done = ["images of several frames, of which the first is taken"] * (frames > 1)
    if array.shape[-1] in (1, 3):
        return array, done
    white = np.iinfo(array.dtype).max
    alpha = array[..., -1:] / white
    laid = np.rint(array[..., :-1] * alpha + white * (1 - alpha)).astype(array.dtype)
    return laid, done + ["transparent images, laid on white"] * bool(alpha.min() < 1)


def _decode(content):
    from PIL import Image, ImageOps, UnidentifiedImageError  # not at import: most data sets are no files of images

    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[24:25] == b"\x10":  # Pillow halves the bits of colours
        return tf.io.decode_png(content, dtype=tf.uint16).numpy(), 1
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"its content is none of {', '.join(_FORMATS)}") from None
    with image:
        frames = getattr(image, "n_frames", 1)
        image.load()
        if image.mode in _GREY16:
            return np.asarray(image).astype(np.uint16)[..., np.newaxis], frames
        if image.mode in ("I", "F"):
            raise ValueError("it has 32 bits a pixel; save it with 8 or 16")
        mode = ("L" if image.mode in _GREY else "RGB") + ("A" if image.has_transparency_data else "")
        array = np.asarray(ImageOps.exif_transpose(image).convert(mode))  # cameras note how they were held
    return array.reshape(*array.shape[:2], -1), frames
