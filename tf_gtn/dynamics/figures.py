"""Figures of a part: curves of q, steps to thresholds, stages of outer training, and the results of a sweep."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np

from tf_gtn.reporting import drawing, figures


def part(base_dir: str, name: str, results: Mapping[str, Any], paper: str | None = None) -> None:
    """`<base_dir>/figures/<name>.png` of a part's results (see `part`), and others beside it; `paper`: what the paper has."""
    stages = results.get("stages")
    caption = (
        "q, the share of each part of the task that is learned (left; bands: 95% over runs); median steps until it passes "
        "thresholds (middle)" + ("; inner steps to 0.8 as outer training goes on (right)." if stages else ".")
    )
    caption += (
        (" Of the first setting:" if len(results.get("table", ())) > 1 else "")
        + f" {ratio_in_words(results['numbers'])}"
        + (f" The paper: {paper}." if paper else "")
    )
    steps, labels = np.array(results["steps"], float), results["labels"]
    logarithmic = len(steps) > 2 and steps[-1] / max(steps[1], 1) > 300
    with drawing.to_png(figures.path(base_dir, name), caption, (4.3 * (3 if stages else 2), 3.4)) as figure:
        axes, *others = figure.subplots(1, 3 if stages else 2)
        for k, label in enumerate(labels):
            q, low, high = (np.array(results[key], float)[:, k] for key in ("q", "low", "high"))
            x = np.maximum(steps, 0.5) if logarithmic else steps
            drawing.line(axes, label, labels, x, q, (low, high))
        axes.set(xlabel="steps", ylabel="q", ylim=(-0.2, 1.2))
        if logarithmic:
            axes.set_xscale("log")
        for threshold, to in results["to"].items():
            values = [np.nan if v is None else v for v in to]
            others[0].plot(range(len(labels)), values, "o-", label=f"q > {threshold}")
        others[0].set(ylabel="steps", ylim=(0, None))
        others[0].set_xticks(range(len(labels)), labels, rotation=30, ha="right")
        others[0].legend()
        if stages:
            to = np.array([[np.nan if v is None else v for v in row] for row in stages["to"]], float)
            for k, label in enumerate(labels):
                color, dashes, marker = drawing.style(label, labels)
                others[1].plot(stages["episodes"], to[:, k], dashes, color=color, marker=marker)
            others[1].set(xlabel="episodes of outer training", ylabel="steps to q > 0.8", ylim=(0, None))
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(5, len(names)))
    if stages:
        _stages(base_dir, name, steps, labels, stages)
    if "loss" in results:
        _by_loss(base_dir, name, results)
    if "values" in results:
        _by_value(base_dir, name, steps, results["values"])
    if "prior" in results.get("values", ()):
        _prior(base_dir, name, results["values"]["prior"])
    if len(results.get("table", ())) > 1:
        _sweep(base_dir, name, results["table"])


def ratio_in_words(numbers: Mapping[str, float | None]) -> str:
    """A sentence about a part's `ratio` and its interval."""
    value, low, high = (numbers.get(key) for key in ("ratio", "ratio_low", "ratio_high"))
    if value is None:
        return "The first or the last part is not reached in half of the runs or more."
    interval = "" if low is None else f" ({low:.3g} to {'never' if high is None else f'{high:.3g}'})"
    return f"The last part takes {value:.3g} times as long as the first{interval}."


def _stages(base_dir, name, steps, labels, stages):
    """Inner curves at stages of outer training, six at most (figures 14a to 16a)."""
    episodes = np.array(stages["episodes"])
    chosen = np.unique(np.linspace(0, len(episodes) - 1, min(6, len(episodes))).round().astype(int))
    caption = f"Inner curves of {drawing.label(name)} at stages of outer training, from left to right."
    with drawing.to_png(figures.path(base_dir, f"{name}_stages"), caption, (2.6 * len(chosen) + 0.6, 3.0)) as figure:
        panels = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
        for axes, k in zip(panels, chosen):
            for mode, label in enumerate(labels):
                drawing.line(axes, label, labels, steps, np.array(stages["q"][k], float)[:, mode])
            axes.set(title=f"{episodes[k]:,} episodes", xlabel="steps", ylim=(-0.2, 1.2))
        panels[0].set_ylabel("q")
        drawing.finish(figure, *panels)


def _by_loss(base_dir, name, results):
    """How much of each part is learned where the loss is what it is (figures 4, 7b, 10)."""
    loss, q, labels = np.array(results["loss"], float), np.array(results["q"], float), results["labels"]
    finite = np.isfinite(loss)  # a learner may diverge
    if not finite.any():
        return
    negative_losses, chosen = np.unique(-loss[finite], return_index=True)
    q = q[finite][chosen]
    caption = f"q of each part of {drawing.label(name)} (colour) against the negative of the loss, which grows to the right."
    with drawing.to_png(figures.path(base_dir, f"{name}_by_loss"), caption, (5.4, 0.6 + 0.5 * len(labels))) as figure:
        axes = figure.subplots()
        mesh = axes.pcolormesh(negative_losses, range(len(labels)), q.T, vmin=0, vmax=1, shading="nearest", cmap="viridis")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlabel="negative loss")
        axes.invert_yaxis()
        axes.grid(False)
        figure.colorbar(mesh, ax=axes, label="q")


def _by_value(base_dir, name, steps, values):
    """Curves by singular value, darker for larger ones, and steps to thresholds (figures 1, 3, 5)."""
    s, q = np.array(values["s"], float), np.array(values["q"], float)
    end = values.get("prior", {}).get("percentile")
    caption = (
        f"Singular modes of {drawing.label(name)} by singular value, darker for larger ones: effective value (left), its "
        "share q (middle), steps until q passes thresholds (right)"
        + ("; blue: of matrices below the prior's 95th percentile (line), red: modes beyond it." if end else ".")
    )
    with drawing.to_png(figures.path(base_dir, f"{name}_by_value"), caption, (11, 3.4)) as figure:
        effective, share, to = figure.subplots(1, 3)
        for k, value in enumerate(s):
            color = _shade("Reds" if values["beyond"][k] else "Blues", k, len(s))
            effective.plot(steps, value * q[:, k], color=color)
            share.plot(steps, q[:, k], color=color)
        effective.set(xlabel="steps", ylabel="effective singular value")
        share.set(xlabel="steps", ylabel="q", ylim=(-0.2, 1.2))
        for threshold, reached in values["to"].items():
            to.plot(s, [np.nan if v is None else v for v in reached], "o-", label=f"q > {threshold}")
        if end is not None:
            to.axvline(end, color="#D55E00")
        to.set(xlabel="singular value", ylabel="steps", ylim=(0, None))
        to.legend()


def _shade(name, k, count):
    return matplotlib.colormaps[name](0.35 + 0.6 * k / max(1, count - 1))


def _prior(base_dir, name, prior):
    """Singular values of the tasks that a meta-learner is trained on (figures 2, A1b)."""
    sample, end = np.array(prior["sample"], float), prior["percentile"]
    caption = (
        f"Singular values of the tasks of {drawing.label(name)}: the first two of each (left; dot: their means), all of them "
        "(right; line: the 95th percentile)."
    )
    with drawing.to_png(figures.path(base_dir, f"{name}_prior"), caption, (7.4, 3.2)) as figure:
        joint, marginal = figure.subplots(1, 2)
        second = sample[:, min(1, sample.shape[1] - 1)]  # of one dimension there is none
        joint.plot(sample[:, 0], second, ".", color="#56B4E9", markersize=3)
        joint.plot(sample[:, 0].mean(), second.mean(), "o", color="#E69F00", markersize=8)
        joint.set(xlabel="largest", ylabel="second")
        marginal.hist(sample.ravel(), 40, density=True, color="#56B4E9")
        marginal.axvline(end, color="#D55E00")
        marginal.set(xlabel="singular value", ylabel="density")


def _sweep(base_dir, name, table):
    """How many times as long the last context takes as the first, by initial scale and noise of the gradient."""
    batches = sorted({row["batch_size"] for row in table})
    caption = (
        "How many times as long the last context takes as the first (medians over runs), by the initial weights' standard "
        "deviation, for batches of several sizes; missing: the last one was not learned in most runs."
    )
    with drawing.to_png(figures.path(base_dir, f"{name}_by_setting"), caption) as figure:
        axes = figure.subplots()
        names = ["exact gradient" if batch == 0 else f"batch {batch}" for batch in batches]
        for batch, label in zip(batches, names):
            rows = [row for row in table if row["batch_size"] == batch]
            ratios = [np.nan if row["ratio"] is None else row["ratio"] for row in rows]
            drawing.line(axes, label, names, np.array([row["deviation"] for row in rows]), np.array(ratios))
        axes.set(xlabel="standard deviation of the initial weights", ylabel="ratio", yscale="log")
        drawing.finish(figure, axes, integer=False)
