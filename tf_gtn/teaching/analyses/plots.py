"""What analyses draw of several arms: matrices, and lines in panels. See `reporting.figures`."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_gtn.reporting import drawing, statistics


def matrix(
    path: str,
    values: statistics.Values,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str = "test accuracy",
    caption: str | None = None,
) -> str:
    """A heat map with its numbers, such as trained teachers against the networks that they are tested on.

    Args:
      path: of the PNG.
      values: [rows, columns]; NaN where a cell has no value.
      rows: names.
      columns: names.
      label: of the colours.
      caption: text instead of the default.
    """
    values = np.asarray(values, np.float64)
    size = (2.6 + 0.72 * len(columns), 1.9 + 0.45 * len(rows))
    with drawing.to_png(
        path, caption or f"{label.capitalize()} of each row's teacher on each column's network.", size
    ) as figure:
        axes = figure.subplots()
        image = axes.imshow(values, cmap="viridis", aspect="auto")
        axes.set_xticks(
            range(len(columns)), [drawing.label(name) for name in columns], rotation=40, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(len(rows)), [drawing.label(name) for name in rows])
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        middle = np.mean(image.get_clim())
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "black" if value > middle else "white"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=color, fontsize=8)
        figure.colorbar(image, ax=axes, label=label, shrink=0.9)
    return path


def lines(
    path: str,
    panels: Mapping[str, Mapping[str, tuple[statistics.Values, statistics.Values]]],
    ylabel: str,
    integer: bool = True,
    caption: str | None = None,
    bounds: tuple[float, float] = statistics.SHARE,
) -> str:
    """Lines with 95% intervals in panels side by side.

    Args:
      path: of the PNG.
      panels: `{label of the x axis: {name: (x [k], values [n, k])}}`; drawn are the mean and the interval over n, if n > 1.
      ylabel: label of the y axis of all panels.
      integer: whole numbers on the x axes; otherwise they are logarithmic with base 2, one tick per value.
      caption: text instead of the default.
      bounds: of the quantity, see `statistics`.
    """
    with drawing.to_png(
        path, caption or f"{ylabel.capitalize()}: mean and 95% interval.", (max(7, 4.6 * len(panels)), 4)
    ) as figure:
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (xlabel, curves) in zip(all_axes, panels.items()):
            for name, (x, values) in curves.items():
                values = np.asarray(values, np.float64)
                interval = statistics.interval(values, bounds) if len(values) > 1 else None
                drawing.line(axes, name, curves, np.asarray(x), values.mean(0), interval)
            axes.set_xlabel(xlabel)
            if not integer:
                axes.set_xscale("log", base=2)
                ticks = sorted({value for x, _ in curves.values() for value in x})
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.minorticks_off()
        all_axes[0].set_ylabel(ylabel)
        drawing.finish(figure, *all_axes, integer=integer)
    return path
