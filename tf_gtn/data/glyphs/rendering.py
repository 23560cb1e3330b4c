"""Characters of matplotlib's DejaVu fonts as 28x28 images, each distorted in its own way.

A character of a face is drawn once, at a size at which its longer side has always the same length, and kept as the distance
of every point from its outline. An image reads these distances at the pixels' places after an affine map and an elastic one
(Simard, Steinkraus and Platt 2003), moves the outline in or out, which makes strokes thinner or bolder, and blends ink and
ground over one pixel.
"""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

SIZE = 28  # pixels per side
_CHUNK = 1000  # images that share a random stream
_LONGER_SIDE = 19.0  # of an undistorted character, in pixels
_CELLS = 64  # a side of a table of distances; the character's longer side spans 44
_CELLS_PER_PIXEL = 44 / _LONGER_SIDE
_REACH = 11.0  # no character's corner is farther from the image's middle than this, but for the elastic part
_KNOTS = 5  # random displacements along a side of the image


def render(
    characters: Sequence[str] | np.ndarray, faces: Sequence[str], first: int, count: int, seed: int = 0, stream: int = 0
) -> np.ndarray:
    """Images `first` to `first + count` of the endless sequence in which `characters` take turns.

    Image i shows `characters[i % len(characters)]` and depends on nothing else but `(seed, stream, i)`: however the sequence
    is cut into calls, its pixels are the same. White ink on black.

    Args:
      characters: one-character strings, or an array of them.
      faces: names of the faces, as in "DejaVuSans-Bold"; each image draws one, all are equally likely.
      first, count: which images, at least one.
      seed, stream: non-negative integers; other ones give images with no relation to these.

    Returns:
      uint8 `[count, 28, 28, 1]`.

    Raises:
      ValueError: a face has no such character.
    """
    parts = []
    for chunk in range(first // _CHUNK, -(-(first + count) // _CHUNK)):
        start = chunk * _CHUNK
        members = np.arange(max(first - start, 0), min(first + count - start, _CHUNK))
        # RandomState, because its numbers are the same in every version of NumPy.
        random = np.random.RandomState([seed, stream, chunk])
        uniform, knots = random.random_sample([_CHUNK, 9]), random.standard_normal([_CHUNK, 2, _KNOTS, _KNOTS])
        uniform, knots = uniform[members], knots[members]
        which_face = (uniform[:, 0] * len(faces)).astype(np.int64)
        drawn = [
            _outline(characters[index % len(characters)], faces[face])
            for index, face in zip(map(int, start + members), map(int, which_face))
        ]
        distances, halves = (np.stack(part) for part in zip(*drawn))
        parts.append(_distort(distances, halves, 2 * uniform[:, 1:] - 1, knots))
    return np.concatenate(parts)


def _distort(distances, halves, uniform, knots):
    """Distances `[N, 64, 64]` and half sides `[N, 2]` of N characters, numbers in [-1, 1] `[N, 8]`, displacements of knots."""
    angle, shear = np.deg2rad(15) * uniform[:, 0], 0.25 * uniform[:, 1]
    scale, ratio = 1.2 ** (uniform[:, 2] - 0.4), 1.2 ** uniform[:, 3]
    cos, sin = np.cos(angle), np.sin(angle)
    # Rows and columns are (x, y): a rotation, after a shear, after a scale.
    forward = np.stack([cos * ratio, (cos * shear - sin) / ratio, sin * ratio, (sin * shear + cos) / ratio], -1)
    forward = scale[:, np.newaxis, np.newaxis] * forward.reshape(-1, 2, 2)
    reach = np.einsum("nij,nj->ni", np.abs(forward), halves)
    shrink = np.minimum(1, _REACH / reach.max(1))
    forward *= shrink[:, np.newaxis, np.newaxis]
    shift = uniform[:, 4:6] * np.minimum(_REACH - reach * shrink[:, np.newaxis], 1.5)

    places = np.arange(SIZE) - (SIZE - 1) / 2
    target = np.stack(np.meshgrid(places, places), -1)  # [28, 28, (x, y)]
    source = np.einsum("nij,nrcj->nrci", np.linalg.inv(forward), target - shift[:, np.newaxis, np.newaxis])
    # Gaussians around the knots: a smooth field, about a pixel in root mean square.
    bumps = np.exp(-0.5 * ((places[:, np.newaxis] - np.linspace(-12, 12, _KNOTS)) / 4) ** 2)
    field = np.einsum("ra,nkab->nkrb", bumps, knots)
    source += 0.85 * np.einsum("nkrb,cb->nrck", field, bumps)

    scale *= shrink
    distance = scale[:, np.newaxis, np.newaxis] * _sample(distances, source * _CELLS_PER_PIXEL + (_CELLS - 1) / 2)
    bolder = 0.1 + 0.35 * uniform[:, 6]  # pixels on both sides of a stroke
    ink = np.clip(0.5 + bolder[:, np.newaxis, np.newaxis] - distance, 0, 1)
    brightness = 235 + 20 * uniform[:, 7]
    return np.rint(brightness[:, np.newaxis, np.newaxis] * ink).astype(np.uint8)[..., np.newaxis]


def _sample(tables, places):
    """Values of `tables` [N, 64, 64] at `places` [N, 28, 28, (x, y)], bilinear; beyond an edge the edge's."""
    places = np.clip(places, 0, _CELLS - 1.001)
    low = places.astype(np.int64)
    x, y = np.moveaxis(places - low, -1, 0)
    corner = (np.arange(len(tables))[:, np.newaxis, np.newaxis] * _CELLS + low[..., 1]) * _CELLS + low[..., 0]
    flat = tables.reshape(-1)
    upper = flat[corner] * (1 - x) + flat[corner + 1] * x
    lower = flat[corner + _CELLS] * (1 - x) + flat[corner + _CELLS + 1] * x
    return upper * (1 - y) + lower * y


@functools.lru_cache(maxsize=4096)
def _outline(character, face):
    """Signed distances in pixels from the outline, float32 `[64, 64]`, negative inside, and half its width and height `[2]`."""
    from scipy import ndimage

    ink = silhouette(character, face)
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    halves = np.array([np.ptp(columns) + 1, np.ptp(rows) + 1]) / (4 * _CELLS_PER_PIXEL)
    distance = ndimage.distance_transform_edt(~ink) - ndimage.distance_transform_edt(ink)
    coarse = distance.reshape(_CELLS, 2, _CELLS, 2).mean((1, 3))
    return (coarse / (2 * _CELLS_PER_PIXEL)).astype(np.float32), halves


def silhouette(character: str, face: str) -> np.ndarray:
    """The undistorted character, bool `[128, 128]`: its middle in the middle, its longer side 88.

    Raises:
      ValueError: the face has no such character, or nothing to draw for it.
    """
    from PIL import Image, ImageDraw

    if not has(character, face):
        raise ValueError(f"{face} has no character U+{ord(character):04X}")
    side, trial = 2 * _CELLS, 120
    image = Image.new("L", (4 * trial, 4 * trial))
    ImageDraw.Draw(image).text((trial, trial), character, 255, _font(face, trial))
    box = image.getbbox()
    if box is None:
        raise ValueError(f"{face} draws nothing for U+{ord(character):04X}")
    left, top, right, bottom = box
    factor = 2 * _CELLS_PER_PIXEL * _LONGER_SIDE / max(right - left, bottom - top)
    corner = (side / 2 - factor * ((left + right) / 2 - trial), side / 2 - factor * ((top + bottom) / 2 - trial))
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text(corner, character, 255, _font(face, factor * trial))
    return np.asarray(image) >= 128


def has(character: str, face: str) -> bool:
    """Whether the face's table of characters has this one."""
    return _table(face).get_char_index(ord(character)) != 0


@functools.lru_cache(maxsize=16)
def _table(face):
    from matplotlib import ft2font

    return ft2font.FT2Font(str(_path(face)))


@functools.lru_cache(maxsize=256)
def _font(face, size):
    from PIL import ImageFont

    # The basic layout, because another one might join or turn letters, and is not in every build of Pillow.
    return ImageFont.truetype(_path(face), size, layout_engine=ImageFont.Layout.BASIC)


def _path(face):
    import matplotlib

    return pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
