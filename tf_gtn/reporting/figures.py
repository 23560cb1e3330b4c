"""Figures of a run, drawn from arrays: curves and bars. `pictures` has those made of images.

    <base_dir>/figures/<name>.png   its caption is inside, as the PNG's Description (`drawing.caption`)

A treatment has the same colour, line and marker in every figure. Equal arrays give equal bytes.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.reporting import drawing, statistics


def loss_curve(
    path: str,
    curves: Mapping[str, tuple[statistics.Values, statistics.Values]],
    smoothing: int | None = None,
    ylabel: str = "outer loss",
    caption: str | None = None,
) -> str:
    """Losses by outer step: raw values faint, their moving mean strong; logarithmic if they span more than a factor of 100.

    Args:
      path: of the PNG.
      curves: `{name: (steps [k], values [k])}`; NaN leaves a gap.
      smoothing: points in the moving mean; 1 for none, by default a 40th of the points.
      ylabel: label of the axis.
      caption: text instead of the default.
    """
    widths = {name: smoothing or max(1, len(values) // 40) for name, (_, values) in curves.items()}
    smooth = any(width > 1 for width in widths.values())
    caption = caption or f"The {ylabel} by outer step{'; faint: single values, strong: their moving mean' if smooth else ''}."
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        finite = []
        for name, (steps, values) in curves.items():
            steps, values = np.asarray(steps), np.asarray(values, np.float64)
            color, dashes, marker = drawing.style(name, curves)
            if widths[name] > 1:
                axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.8)
            axes.plot(
                steps,
                moving_mean(values, widths[name]),
                dashes,
                color=color,
                label=drawing.label(name),
                marker=marker if len(values) == 1 else None,
            )
            finite.append(values[np.isfinite(values)])
        losses = np.concatenate(finite) if finite else np.zeros(0)
        if losses.size and losses.min() > 0 and losses.max() > 100 * losses.min():
            axes.set_yscale("log")
        axes.set_xlabel("outer step")
        axes.set_ylabel(ylabel)
        drawing.finish(figure, axes)
    return path


def bars(
    path: str,
    groups: Mapping[str, Mapping[str, statistics.Values]],
    ylabel: str = "test accuracy",
    caption: str | None = None,
    bounds: tuple[float, float] = statistics.SHARE,
) -> str:
    """Bars with 95% intervals, such as GTN against real data on architectures that the GTN never saw.

    Args:
      path: of the PNG.
      groups: `{group: {series: (mean, (low, high))}}`, or with single values [n] instead, whose mean and interval are
        drawn.
      ylabel: label of the axis.
      caption: text instead of the default.
      bounds: of the quantity, see `statistics`.
    """
    series = dict.fromkeys(name for group in groups.values() for name in group)
    width = 0.8 / max(len(series), 1)
    caption = caption or f"{ylabel.capitalize()}: mean and 95% interval."
    with drawing.to_png(path, caption, (max(7, 1.3 * len(groups)), 4.2)) as figure:
        axes = figure.subplots()
        for i, name in enumerate(series):
            rows = [(x, *_mean_and_interval(group[name], bounds)) for x, group in enumerate(groups.values()) if name in group]
            x, mean, low, high = (np.array(column, np.float64) for column in zip(*rows))
            x = x + (i - (len(series) - 1) / 2) * width
            axes.bar(
                x,
                mean,
                0.92 * width,
                color=drawing.style(name, series)[0],
                label=drawing.label(name),
                edgecolor="white",
                hatch=("", "//", "..", "xx")[i % 4],
            )
            axes.errorbar(
                x, mean, np.maximum([mean - low, high - mean], 0), fmt="none", ecolor="#222222", elinewidth=1.2, capsize=4
            )
            for at, value, top in zip(x, mean, np.fmax(mean, high)):
                axes.annotate(f"{value:.3g}", (at, top), (0, 4), textcoords="offset points", ha="center", fontsize=8)
        slant: dict[str, Any] = {"rotation": 30, "ha": "right"} if len(groups) > 6 else {}
        axes.set_xticks(range(len(groups)), [drawing.label(group) for group in groups], **slant)
        axes.grid(False, axis="x")
        axes.set_ylabel(ylabel)
        drawing.finish(figure, axes, integer=False)
    return path


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Centred mean over `width` points of `values` [n], fewer at the ends; a NaN stays NaN and is in no other point's mean."""
    if not values.size:
        return values
    finite = np.isfinite(values)
    window = np.ones(min(width, len(values)))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.convolve(np.where(finite, values, 0), window, "same") / np.convolve(finite, window, "same")
    return np.where(finite, mean, np.nan)


def whole(table: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Of `{name: for each seed its values, or None}` what can be drawn: the quantities that no seed lacks."""
    return {name: per_seed for name, per_seed in table.items() if not any(values is None for values in per_seed)}


def path(base_dir: str, name: str) -> str:
    """Where the figure of that name lies."""
    return os.path.join(base_dir, "figures", f"{name}.png")


def _mean_and_interval(value, bounds):
    if len(value) == 2 and (value[1] is None or np.ndim(value[1]) == 1):
        return value[0], *((None, None) if value[1] is None else value[1])
    return np.mean(value), *statistics.interval(value, bounds)
