"""The figures of GANs, to `<base_dir>/figures/*.png`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.reporting import drawing, figures, pictures
from tf_gtn.runtime import files

SIDE = 5  # images of a sample sheet, across and down
SHOWN = SIDE * SIDE


def modes(base_dir: str, table: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]], total: int) -> None:
    """Captured modes by iteration, mean and range over seeds; `table`: `{arm: (iterations [k], {measure: [k, seeds]})}`."""
    caption = (
        f"Modes captured by iteration (of {total}; points: within 3 sigma, images: by a classifier); mean and range over seeds."
    )
    with drawing.to_png(figures.path(base_dir, "modes"), caption) as figure:
        axes = figure.subplots()
        for name, (iterations, columns) in table.items():
            values = columns["modes"]
            drawing.line(axes, name, table, iterations, values.mean(1), (values.min(1), values.max(1)))
        axes.set(xlabel="iteration", ylabel="modes captured", ylim=(-0.2, total + 0.3))
        drawing.finish(figure, axes)


def samples(
    base_dir: str, checks: Mapping[str, Sequence[str]], learned: Any, count: int, iterations: Mapping[str, int]
) -> None:
    """Samples of the first seed as training goes on, the data last (unrolled GAN paper, figures 1 and 2).

    Args:
      base_dir: the run's folder.
      checks: `{arm: names of its files in samples/}`, by step.
      learned: the source.
      count: how many checks are shown.
      iterations: `{arm: its iterations}`.
    """
    paths = {
        arm: _evenly([os.path.join(base_dir, "samples", name) for name in names], count)
        for arm, names in checks.items()
        if names  # an arm without any diverged before the first check
    }
    if not paths:
        return
    points = len(learned.sample_shape) == 1
    data = learned.sample((20_000 if points else 64,), [0, 1]).numpy()
    draw = _heat(1.4 * np.abs(learned.centers).max()) if points else _tiles
    caption = "Samples of the first seed's generator as training goes on (iterations above), and the data."
    columns, size = max(map(len, paths.values())) + 1, 1.5 if points else 2.0
    path = figures.path(base_dir, "heat_maps" if points else "samples")
    with drawing.to_png(path, caption, (size * columns, (size + 0.1) * len(paths))) as figure:
        grid = figure.subplots(len(paths), columns, squeeze=False)
        for row, arm in zip(grid, paths):
            last = _step(paths[arm][-1])
            for axes, name in zip(row, paths[arm]):
                draw(axes, files.read_array(name))
                axes.set_title(f"{_step(name) * iterations[arm] // last:,}")
            draw(row[-1], data)
            row[-1].set_title("data")
            row[0].set_ylabel(drawing.label(arm))
            for axes in row:
                axes.set(xticks=[], yticks=[])
                axes.grid(False)


def _step(path):
    return int(os.path.basename(path).rsplit("-", 1)[1].split(".")[0])


def _heat(reach):
    def draw(axes, points):
        counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=64, range=[[-reach, reach]] * 2)
        axes.imshow(np.sqrt(counts), origin="lower", cmap="Greens")

    return draw


def _tiles(axes, images, side=SIDE):
    """`side` rows of `side` images each, whose values are in [-1, 1]."""
    mosaic = pictures.mosaic(images[: side * side], side, low=-1.0, high=1.0, gap=1)
    axes.imshow(mosaic, interpolation="nearest")


def _evenly(paths, count):
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))]
