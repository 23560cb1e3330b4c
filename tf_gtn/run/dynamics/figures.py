"""Figures of a part: curves of q, steps to thresholds, stages of outer training, and what a sweep found."""

import numpy as np

from tf_gtn.run.findings import drawing, figures


def part(base_dir, name, found):
    """`<base_dir>/figures/<name>.png` of what a part gives (see `parts`)."""
    stages = found.get("stages")
    caption = (
        "q, the share of each part of the task that is learned (left; bands: 95% over runs); median steps until it passes "
        "thresholds (middle)" + ("; inner steps to 0.8 as outer training goes on (right)." if stages else ".")
    )
    steps, labels = np.array(found["steps"], float), found["labels"]
    logarithmic = len(steps) > 2 and steps[-1] / max(steps[1], 1) > 300
    with drawing.to_png(figures.path(base_dir, name), caption, (4.3 * (3 if stages else 2), 3.4)) as figure:
        axes, *others = figure.subplots(1, 3 if stages else 2)
        for k, label in enumerate(labels):
            q, low, high = (np.array(found[key], float)[:, k] for key in ("q", "low", "high"))
            shown = np.maximum(steps, 0.5) if logarithmic else steps
            drawing.line(axes, label, labels, shown, q, (low, high))
        axes.set(xlabel="steps", ylabel="q", ylim=(-0.2, 1.2))
        if logarithmic:
            axes.set_xscale("log")
        for threshold, to in found["to"].items():
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
    if len(found.get("table", ())) > 1:
        _sweep(base_dir, name, found["table"])


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
            drawing.line(axes, label, names, [row["deviation"] for row in rows], ratios)
        axes.set(xlabel="standard deviation of the initial weights", ylabel="ratio", yscale="log")
        drawing.finish(figure, axes, integer=False)
