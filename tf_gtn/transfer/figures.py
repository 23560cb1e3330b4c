"""The figures of transfer, from a run's numbers to `<base_dir>/figures/*.png`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.reporting import drawing, figures, statistics

_SMOOTHED = 5  # steps on a task in one mean: single batches of 20 images say little


def draw(
    base_dir: str,
    experiment: Any,
    outcomes: Sequence[Mapping],
    quantities: Mapping[str, Sequence],
    rows: Sequence[Sequence[Mapping]],
) -> None:
    """Errors by number of tasks, curves on held-out tasks, losses during pretraining (figure 5), rho (figure 4).

    An arm that diverged in any seed is left out.

    Args:
      base_dir: the run's folder.
      experiment: the `experiment.Transfer`.
      outcomes: one per seed.
      quantities: `{name: [a value per seed]}`.
      rows: for each seed the lines of its metrics.jsonl.
    """
    quantities = figures.whole(quantities)
    over = f"mean and 95% interval over {len(outcomes)} seeds" if len(outcomes) > 1 else "one seed"
    if len(experiment.pretraining) > 1:
        _by_tasks(base_dir, experiment, quantities, over)
    if not experiment.pretraining:
        _in_turn(base_dir, experiment, quantities)
        return
    most = max(experiment.pretraining)
    curves = figures.whole({arm: [o["curve"][f"{arm}_{most}"] for o in outcomes] for arm in experiment.arms})
    curves = {
        arm: np.array([figures.moving_mean(np.asarray(curve, float), _SMOOTHED) for curve in values])
        for arm, values in curves.items()
    }
    caption = f"Training error on tasks held out, from each initialisation, after {most} tasks of pretraining; {over}."
    _lines(figures.path(base_dir, "held_out_tasks"), caption, curves, "steps on the task", "training error")
    losses = {}
    for arm in curves:
        points = [[(row["step"], row[f"{arm}_{most}/loss"]) for row in seed if f"{arm}_{most}/loss" in row] for seed in rows]
        if len(points[0]) > 1:
            losses[arm] = np.array(points, float)
    if losses:
        caption = f"Mean loss on the tasks of pretraining as it goes on ({most} tasks; figure 5 of the paper); {over}."
        path = figures.path(base_dir, "pretraining")
        with drawing.to_png(path, caption) as figure:
            axes = figure.subplots()
            for arm, values in losses.items():
                interval = statistics.interval(values[..., 1], statistics.NOT_NEGATIVE) if len(values) > 1 else None
                drawing.line(axes, arm, losses, values[0, :, 0], values[..., 1].mean(0), interval)
            axes.set(xlabel="meta-gradient steps", ylabel="mean loss of a task's training")
            drawing.finish(figure, axes)
    if outcomes[0]["rho"]:
        _rho(base_dir, outcomes, over)


def _in_turn(base_dir, experiment, quantities):
    """Errors on each held-out task (Table 3)."""
    for table in ("error", "area"):
        groups = {}
        for arm in experiment.arms:
            for name, values in quantities.items():
                if name.startswith(f"{table}/{arm}_"):
                    groups.setdefault(name.removeprefix(f"{table}/{arm}_"), {})[arm] = statistics.units(values)[0]
        figures.bars(figures.path(base_dir, f"{table}_in_turn"), groups, f"{table} on the held-out task")


def _by_tasks(base_dir, experiment, quantities, over):
    caption = f"What is left of the error on held-out images of held-out tasks, and the area under the training curve; {over}."
    with drawing.to_png(figures.path(base_dir, "by_number_of_tasks"), caption, (9, 4.2)) as figure:
        panels = figure.subplots(1, 2)
        for axes, table, words in zip(panels, ("error", "area"), ("test error", "area under the training curve")):
            for arm in experiment.arms:
                counts = [n for n in experiment.pretraining if f"{table}/{arm}_{n}" in quantities]
                if not counts:
                    continue
                values = np.array([statistics.units(quantities[f"{table}/{arm}_{n}"])[0] for n in counts])
                interval = statistics.interval(values.T, statistics.SHARE) if values.shape[1] > 1 else None
                drawing.line(axes, arm, experiment.arms, counts, values.mean(1), interval)
            axes.set(xlabel="tasks of pretraining", ylabel=words, ylim=(0, None))
        drawing.finish(figure, *panels)


def _rho(base_dir, outcomes, over):
    caption = f"Relative precision of the identity for the first convolution's Jacobian (figure 4 of the paper); {over}."
    curves = {name: np.array([o["rho"][name] for o in outcomes]) for name in outcomes[0]["rho"]}
    _lines(figures.path(base_dir, "rho"), caption, curves, "steps", "rho", "log", 1, statistics.NOT_NEGATIVE)


def _lines(path, caption, curves, xlabel, ylabel, scale="linear", first=0, bounds=statistics.SHARE):
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        for name, values in curves.items():
            interval = statistics.interval(values, bounds) if len(values) > 1 else None
            drawing.line(axes, name, curves, np.arange(values.shape[1]) + first, values.mean(0), interval)
        axes.set(xlabel=xlabel, ylabel=ylabel, yscale=scale)
        drawing.finish(figure, axes)
