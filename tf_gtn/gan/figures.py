"""The figures of GANs, to `<base_dir>/figures/*.png`."""

import os

import numpy as np

from tf_gtn.reporting import drawing, figures
from tf_gtn.runtime import files

SIDE = 5  # images of a sample sheet, across and down
SHOWN = SIDE * SIDE


def modes(base_dir, table, total):
    """Captured modes by iteration: each seed a thin line, the mean a thick one."""
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


def samples(base_dir, checks, learned, shown, iterations):
    """Samples of the first seed as training goes on, the data last (unrolled GAN paper, figures 1 and 2).

    Args:
      base_dir: the run's folder.
      checks: `{arm: names of its files in samples/}`, by step.
      learned: the source.
      shown: how many checks.
      iterations: `{arm: its iterations}`.
    """
    found = {arm: _evenly([os.path.join(base_dir, "samples", name) for name in names], shown) for arm, names in checks.items()}
    found = {arm: paths for arm, paths in found.items() if paths}  # another diverged before the first check
    if not found:
        return
    points = len(learned.sample_shape) == 1
    data = learned.sample((20_000 if points else 64,), [0, 1]).numpy()
    draw = _heat(1.4 * np.abs(learned.centers).max()) if points else _tiles
    caption = "Samples of the first seed's generator as training goes on (iterations above), and the data."
    columns, size = max(map(len, found.values())) + 1, 1.5 if points else 2.0
    path = figures.path(base_dir, "heat_maps" if points else "samples")
    with drawing.to_png(path, caption, (size * columns, (size + 0.1) * len(found))) as figure:
        grid = figure.subplots(len(found), columns, squeeze=False)
        for row, arm in zip(grid, found):
            last = _step(found[arm][-1])
            for axes, name in zip(row, found[arm]):
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
    """So many rows of images, from [-1, 1]."""
    shown = np.clip((images[: side * side] + 1) / 2, 0, 1)
    shown = np.pad(shown, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=1)
    height, width, channels = shown.shape[1:]
    mosaic = (
        shown.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4).reshape(side * height, side * width, -1)
    )
    axes.imshow(np.repeat(mosaic, 3, -1) if channels == 1 else mosaic, interpolation="nearest")


def _evenly(paths, count):
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))]
