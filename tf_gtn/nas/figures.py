"""The figures of architecture search, to `<base_dir>/figures/*.png`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.nas import cells, ranking
from tf_gtn.nas import drawing as cell_drawing
from tf_gtn.nas import space as spaces
from tf_gtn.reporting import drawing, figures


def scatter(base_dir: str, table: ranking.Table, reference: str) -> None:
    """Every budget's score against the reference's, one point per architecture (GTN paper, figure 3c)."""
    budgets = [budget for budget in table if budget != reference]
    caption = (
        f"Score by each evaluation (accuracy, but for zero-cost proxies) against that of {reference}, an architecture a point; "
        "squares: the top tenth by the evaluation at hand, those that a search would select."
    )
    with drawing.to_png(figures.path(base_dir, "ranking"), caption, (3.4 * len(budgets), 3.4)) as figure:
        for axes, budget in zip(np.atleast_1d(figure.subplots(1, len(budgets))), budgets):
            x, y = np.array(table[budget]["score"]), np.array(table[reference]["score"])
            best = np.argsort(-x, kind="stable")[: max(1, len(x) // 10)]
            axes.plot(x, y, "o", color="#D55E00", alpha=0.6)
            axes.plot(x[best], y[best], "s", color="#0072B2")
            axes.set(xlabel=drawing.label(budget), ylabel=drawing.label(reference))
            axes.locator_params(axis="x", nbins=5)
            axes.ticklabel_format(axis="x", scilimits=(-3, 4))


def bars(base_dir: str, accuracies: Mapping[str, Sequence[float]]) -> None:
    """Final accuracy of the best by each budget and of a random pick."""
    groups = {name: {"accuracy": np.array(values)} for name, values in accuracies.items()}
    figures.bars(figures.path(base_dir, "final"), groups, "final accuracy")


def front(base_dir: str, rows: Sequence[Mapping[str, Any]], cost: str) -> None:
    """The Pareto front."""
    with drawing.to_png(
        figures.path(base_dir, "front"), f"Accuracy against {cost} of the networks that no other beats."
    ) as figure:
        axes = figure.subplots()
        axes.plot([row[cost] for row in rows], [row["accuracy"] for row in rows], "o-", color="#0072B2")
        axes.set(xlabel=cost, ylabel="accuracy", xscale="log")


def best(base_dir: str, space: spaces.Space, picked: Mapping[str, str]) -> None:
    """The cells of the best architecture by the first budget."""
    if not isinstance(space, cells.Cells):
        return
    name = next(name for name in [*picked][1:] or [*picked])
    with drawing.to_png(
        figures.path(base_dir, "best_cells"), f"The cells of the best architecture by {name}.", (9, 5)
    ) as figure:
        cell_drawing.picture(space.parse(picked[name]), lambda n: [*np.atleast_1d(figure.subplots(1, n))])
