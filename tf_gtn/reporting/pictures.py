"""Figures made of images, many side by side. See `figures`."""

from collections.abc import Sequence

import numpy as np

from tf_gtn.reporting import drawing

_MARK = "#E69F00"  # of images that stand out


def mosaic(images: np.ndarray, columns: int, low: float = 0.0, high: float = 1.0, gap: int = 0) -> np.ndarray:
    """Images side by side in row-major order as one image, values in [0, 1].

    Args:
      images: [n, H, W, C] with C of 1 or 3; NaN, where there is none, is light grey.
      columns: images in a row; places that are left in the last row are white.
      low, high: the values shown as black and as white.
      gap: white pixels to the right of each image and below it.

    Returns:
      `[rows * (H + gap), columns * (W + gap), 3]`.
    """
    count, height, width, channels = images.shape
    scaled = np.nan_to_num(np.clip((images - low) / (high - low), 0, 1), nan=0.94)
    tiles = np.pad(scaled, [(0, -count % columns), (0, gap), (0, gap), (0, 0)], constant_values=1)
    tiles = tiles.reshape(-1, columns, height + gap, width + gap, channels).transpose(0, 2, 1, 3, 4)
    rows = tiles.shape[0]
    return np.broadcast_to(tiles, (*tiles.shape[:4], 3)).reshape(rows * (height + gap), columns * (width + gap), 3)


def sheet(
    path: str,
    images: np.ndarray,
    columns: int | None = None,
    names: Sequence[str] | None = None,
    marked: Sequence[bool] | np.ndarray | None = None,
    low: float = -2.0,
    high: float = 2.0,
    caption: str | None = None,
) -> str:
    """Images side by side in row-major order, so that batches wrap (GTN paper, figures 11 to 13 and 15).

    Args:
      path: of the PNG.
      images: [n, H, W, C] with C of 1 or 3; NaN where a pixel has no value.
      columns: images in a row; by default as many as make the sheet about twice as wide as high.
      names: a label for each column, or None.
      marked: bool [n]: which images get a frame; or None.
      low: the value shown as black.
      high: the value shown as white, or a colour at its full.
      caption: text instead of the default.

    Raises:
      ValueError: the images aren't [n, H, W, 1 or 3].
    """
    images = np.asarray(images, np.float64)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be [n, H, W, 1 or 3]; got {list(images.shape)}")
    count, height, width, _ = images.shape
    columns = min(columns or int(np.ceil(np.sqrt(2 * count))), count)
    frame = max(1, round(0.08 * min(height, width)))
    framed = np.ones((count, height + 2 * frame, width + 2 * frame, 3))
    if marked is not None:
        framed[np.asarray(marked, bool)] = [int(_MARK[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    framed[:, frame:-frame, frame:-frame] = np.nan_to_num(np.clip((images - low) / (high - low), 0, 1), nan=0.94)
    whole = mosaic(framed, columns)
    wide = max(min(0.5 * columns, 9), whole.shape[1] / 120)  # inches of 120 pixels: no image pixel is lost
    size = (wide + 0.3, wide * whole.shape[0] / whole.shape[1] + (0.5 if names is not None else 0.2))
    with drawing.to_png(path, caption or "Images side by side, row by row.", size) as figure:
        axes = figure.subplots()
        axes.imshow(whole, interpolation="nearest")
        axes.set_yticks([])
        axes.set_xticks([])
        if names is not None:
            axes.set_xticks(np.arange(columns) * framed.shape[2] + (framed.shape[2] - 1) / 2, list(names)[:columns])
            axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return path
