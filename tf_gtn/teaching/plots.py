"""The GTN paper's kinds of figures, from arrays: accuracy by step, schedules, samples by step, trials."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tf_gtn.reporting import drawing, pictures, statistics


def accuracy_by_inner_step(
    path: str, curves: Mapping[str, ArrayLike], batch_size: int | None = None, caption: str | None = None
) -> str:
    """Mean test accuracy after each inner step, and its 95% interval (GTN paper, figure 2b).

    Args:
      path: of the PNG.
      curves: `{treatment: [learners, T + 1]}`, accuracies from before the first step on.
      batch_size: examples in an inner step, for the axis label.
      caption: text instead of the default.

    Returns:
      `path`; so do all functions here.
    """
    caption = caption or (
        f"Test accuracy of fresh learners after each inner step: mean and 95% interval{_learners(curves.values())}."
    )
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        for name, curve in curves.items():
            curve = np.asarray(curve, np.float64)
            drawing.line(
                axes, name, curves, np.arange(curve.shape[1]), curve.mean(0), statistics.interval(curve, statistics.SHARE)
            )
        axes.set_xlabel("inner SGD step" + (f" (batches of {batch_size})" if batch_size else ""))
        axes.set_ylabel("test accuracy")
        drawing.finish(figure, axes)
    return path


def accuracy_by_outer_step(
    path: str,
    curves: Mapping[str, tuple],
    ylabel: str = "validation accuracy",
    caption: str | None = None,
    xlabel: str = "outer step",
) -> str:
    """Few-step accuracy as the outer loop goes on (GTN paper, figures 1c and 2a).

    Args:
      path: of the PNG.
      curves: `{treatment: (steps [k], accuracies)}` with accuracies [k, learners] or their means [k]; or
        `{treatment: (steps, means, (low [k], high [k]))}`.
      ylabel: label of the axis.
      caption: text instead of the default.
      xlabel: label of the other axis, where `steps` are something else.
    """
    caption = caption or f"The {ylabel} of learners after the whole inner loop, by {xlabel}: mean and 95% interval."
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        for name, (steps, values, *interval) in curves.items():
            values = np.asarray(values, np.float64)
            if values.ndim == 2:
                interval, values = [statistics.interval(values.T, statistics.SHARE)], values.mean(1)
            drawing.line(axes, name, curves, np.asarray(steps), values, interval[0] if interval else None)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        drawing.finish(figure, axes, integer=xlabel == "outer step")
    return path


def accuracy_by_stored_numbers(path: str, arms: Mapping[str, tuple[int, ArrayLike]], caption: str | None = None) -> str:
    """Final test accuracy by how many numbers a lesson is made from; arms that differ in a number at the end are joined.

    Args:
      path: of the PNG.
      arms: `{arm: (stored numbers, accuracies [n])}`, the accuracies of learners, or of seeds' means; "pixels_64" and
        "pixels_256" make one line.
      caption: text instead of the default.
    """
    lines: dict[str, list[str]] = {}
    for name in sorted(arms, key=lambda arm: arms[arm][0]):
        lines.setdefault(re.sub(r"_\d+$", "", name), []).append(name)
    text = "Test accuracy by how many numbers a lesson is made from (of real data: the training images): mean and 95% interval."
    with drawing.to_png(path, caption or text) as figure:
        axes = figure.subplots()
        for line, names in lines.items():
            values = [np.asarray(arms[name][1], np.float64) for name in names]
            x, mean = [arms[name][0] for name in names], np.array([each.mean() for each in values])
            color, _, _ = drawing.style(line, lines)
            low, high = np.array([statistics.interval(each[:, None], statistics.SHARE) for each in values])[..., 0].T
            axes.errorbar(x, mean, (mean - low, high - mean), fmt="none", ecolor=color, capsize=3)
            drawing.line(axes, line, lines, x, mean)
        axes.set_xscale("log")
        axes.set_xlabel("stored numbers")
        axes.set_ylabel("test accuracy")
        drawing.finish(figure, axes, integer=False)
    return path


def schedule(
    path: str,
    learning_rate: Any,
    momentum: ArrayLike | None = None,
    caption: str | None = None,
) -> str:
    """Learned learning rate and momentum of each inner step, in one panel each.

    Args:
      path: of the PNG.
      learning_rate: [T]; or `{treatment: (learning_rate [T], momentum [T])}` and no further argument.
      momentum: [T].
      caption: text instead of the default.
    """
    curves = learning_rate if isinstance(learning_rate, dict) else {"gtn": (learning_rate, momentum)}
    with drawing.to_png(path, caption or "Learned learning rate and momentum of each inner step.", (9, 3.8)) as figure:
        panels = figure.subplots(1, 2)
        for part, (axes, title) in enumerate(zip(panels, ("learning rate", "momentum"))):
            for name, learned in curves.items():
                values = np.asarray(learned[part], np.float64)
                drawing.line(axes, name, curves, np.arange(1, len(values) + 1), values)
            axes.set_xlabel("inner SGD step")
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
        drawing.finish(figure, *panels)
    return path


def sample_grid(
    path: str,
    images: ArrayLike,
    class_names: Sequence[Any],
    steps: ArrayLike | None = None,
    low: float = -2.0,
    high: float = 2.0,
    rows: int = 16,
    caption: str | None = None,
) -> str:
    """Images of a curriculum: one column per class, one row per inner step, early ones on top (GTN paper, figure 2c).

    Args:
      path: of the PNG.
      images: [T, classes, H, W, C] with C of 1 or 3; NaN where there is none.
      class_names: [classes].
      steps: [T], the number of each inner step; by default from 1.
      low: the value shown as black.
      high: the value shown as white, or a colour at its full.
      rows: at most so many of the T steps are shown, evenly spaced.
      caption: text instead of the default.

    Raises:
      ValueError: the images aren't [T, classes, H, W, 1 or 3].
    """
    images = np.asarray(images, np.float64)
    if images.ndim != 5 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be [steps, classes, H, W, 1 or 3]; got {list(images.shape)}")
    steps = np.arange(1, len(images) + 1) if steps is None else np.asarray(steps)
    chosen = np.unique(np.linspace(0, len(images) - 1, min(rows, len(images))).round().astype(int))
    count, classes, height, width, _ = images[chosen].shape
    gap = max(1, round(0.06 * min(height, width)))
    in_order = images[chosen].reshape(count * classes, *images.shape[2:])
    mosaic = pictures.mosaic(in_order, classes, low, high, gap)[:-gap, :-gap]
    caption = caption or "Generated images: one column per class, one row per inner step, the first one on top."
    cell = min(0.5, 12 / classes)
    with drawing.to_png(path, caption, (max(3, 1.1 + cell * classes), max(2, 1.1 + cell * count * height / width))) as figure:
        axes = figure.subplots()
        axes.imshow(mosaic, interpolation="nearest")
        every = max(1, classes // 40)
        names = [str(name) for name in class_names][::every]
        slant: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 2 else {}
        axes.set_xticks(np.arange(0, classes, every) * (width + gap) + (width - 1) / 2, names, **slant)
        axes.set_yticks(np.arange(count) * (height + gap) + (height - 1) / 2, [str(step) for step in steps[chosen]])
        axes.tick_params(length=0)
        axes.set_xlabel("class")
        axes.set_ylabel("inner SGD step")
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return path


def boxes(path: str, groups: Mapping[str, Any], ylabel: str = "final loss", caption: str | None = None) -> str:
    """One box per group, and its single values as points (GTN paper, figure 1b).

    The axis is logarithmic if the values span more than a factor of 100. A box is from the lower to the upper quartile, with
    the median in it; whiskers reach to the furthest value within 1.5 of its heights. What is not finite diverged: it counts as
    the largest value, lies at the upper edge, and is counted under the box.

    Args:
      path: of the PNG.
      groups: `{group: values [n]}`.
      ylabel: label of the axis.
      caption: text instead of the default.
    """
    groups = {name: np.where(np.isfinite(v), v, np.inf) for name, v in ((n, np.asarray(v, float)) for n, v in groups.items())}
    finite = np.concatenate([v[np.isfinite(v)] for v in groups.values()] or [np.zeros(0)])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    logarithmic = low > 0 and high > 100 * low
    edge = high * (high / low) ** 0.1 if logarithmic else high + 0.1 * max(high - low, 0.1 * abs(high), 1e-6)
    any_diverged = any(np.isinf(v).any() for v in groups.values())
    caption = caption or (
        f"The {ylabel} of single runs (points), their quartiles and median (boxes)"
        + ("; crosses at the upper edge: diverged." if any_diverged else ".")
    )
    with drawing.to_png(path, caption, (max(5, 1.8 * len(groups)), 4.2)) as figure:
        axes = figure.subplots()
        if logarithmic:
            axes.set_yscale("log")
        labels = []
        for x, (name, values) in enumerate(groups.items()):
            color, _, marker = drawing.style(name, groups)
            diverged = np.isinf(values)
            axes.bxp(
                [{key: np.minimum(value, edge) for key, value in box(values).items()} | {"fliers": []}],
                positions=[x],
                widths=0.5,
                patch_artist=True,
                boxprops={"facecolor": color, "alpha": 0.25, "edgecolor": color},
                medianprops={"color": color, "linewidth": 2},
                showfliers=False,
            )
            spread = x + np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.array([x])
            axes.plot(spread[~diverged], values[~diverged], marker, color=color, alpha=0.8, markersize=4)
            axes.plot(spread[diverged], np.full(diverged.sum(), edge), "x", color="#222222", markersize=6)
            count = f"\ndiverged {diverged.sum()} of {len(values)}" if any_diverged else ""
            labels.append(drawing.label(name) + count)
        axes.set_xticks(range(len(groups)), labels)
        axes.grid(False, axis="x")
        axes.set_ylabel(ylabel)
    return path


def box(values: ArrayLike) -> dict[str, float]:
    """What `boxes` draws of `values` [n]: the quartiles `q1`, `med`, `q3` and the whiskers' ends `whislo`, `whishi`."""
    values = np.asarray(values, np.float64)
    q1, median, q3 = statistics.quartiles(values)
    low, high = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)) if np.isfinite(q3) else (-np.inf, np.inf)
    inside = values[(values >= low) & (values <= high)]
    return {"q1": q1, "med": median, "q3": q3, "whislo": inside.min(), "whishi": inside.max()}


def _learners(curves):
    """` of 20 learners`, if it is the same number in all curves."""
    counts = {len(curve) for curve in curves}
    return f" over {counts.pop()} learners" if len(counts) == 1 else ""
