"""The figures of GANs, to `<base_dir>/figures/*.png`."""

import os

import numpy as np
import tensorflow as tf

from tf_gtn.run.findings import drawing, figures


def modes(base_dir, table, total):
    """Captured modes by iteration: each seed a thin line, the mean a thick one."""
    caption = (
        f"Modes captured (of {total}, at least one of the samples within 3 sigma) by iteration; mean and range over seeds."
    )
    with drawing.to_png(figures.path(base_dir, "modes"), caption) as figure:
        axes = figure.subplots()
        for name, (iterations, columns) in table.items():
            values = columns["modes"]
            drawing.line(axes, name, table, iterations, values.mean(1), (values.min(1), values.max(1)))
        axes.set(xlabel="iteration", ylabel="modes captured", ylim=(-0.2, total + 0.3))
        drawing.finish(figure, axes)


def heat_maps(base_dir, arms, learned, shown, iterations):
    """Samples of the first seed as training goes on, the data last (unrolled GAN paper, figure 1)."""
    found = {arm: _evenly(tf.io.gfile.glob(os.path.join(base_dir, "samples", f"{arm}-*.npy")), shown) for arm in arms}
    reach = 1.4 * np.abs(learned.centers).max()
    data = learned.sample((20_000,), [0, 1]).numpy()
    caption = "Samples of the first seed's generator as training goes on (iterations above), and the data."
    columns = max(map(len, found.values())) + 1
    with drawing.to_png(figures.path(base_dir, "heat_maps"), caption, (1.5 * columns, 1.6 * len(arms))) as figure:
        grid = figure.subplots(len(arms), columns, squeeze=False)
        for row, arm in zip(grid, arms):
            for axes, path in zip(row, found[arm]):
                with tf.io.gfile.GFile(path, "rb") as file:
                    _heat(axes, np.load(file, allow_pickle=False), reach)
                step = int(os.path.basename(path).rsplit("-", 1)[1].split(".")[0])
                axes.set_title(f"{step * iterations[arm]:,}")
            _heat(row[-1], data, reach)
            row[-1].set_title("data")
            row[0].set_ylabel(drawing.label(arm))


def _heat(axes, points, reach):
    counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=64, range=[[-reach, reach]] * 2)
    axes.imshow(np.sqrt(counts), origin="lower", cmap="Greens")
    axes.set(xticks=[], yticks=[])


def _evenly(paths, count):
    paths = sorted(paths)
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))]
