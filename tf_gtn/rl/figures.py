"""The figures of reinforcement learning, from a run's numbers to `<base_dir>/figures/*.png`."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_gtn.reporting import drawing, figures, statistics


def draw(
    base_dir: str,
    arms: Sequence[str],
    rows: Sequence[Sequence[Mapping]],
    tables: Mapping[str, Sequence],
    bounds: tuple[float, float],
) -> None:
    """Score by environment steps (GTN paper, figure 8), and bars of each further table.

    Args:
      base_dir: the run's folder.
      arms: names.
      rows: for each seed the lines of metrics.jsonl.
      tables: `{"<table>/<name>": for each seed returns}`.
      bounds: of scores, see `statistics`.
    """
    by_arm = {name: [columns(row, name, "validation_return") for row in rows] for name in arms}
    curves = {name: by_environment_steps(seeds) for name, seeds in by_arm.items() if all(len(steps) for steps, _ in seeds)}
    caption = (
        "Score by steps in the real environment, at each validation: a GTN's fresh policies after their few synthetic steps, "
        "an agent's own policy. Mean" + (f" and 95% interval over {len(rows)} seeds." if len(rows) > 1 else ".")
    )
    path = figures.path(base_dir, "score_by_environment_steps")
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        for name, (steps, values) in curves.items():
            interval = statistics.interval(values, bounds) if len(values) > 1 else None
            drawing.line(axes, name, curves, steps, values.mean(0), interval)
        axes.set(xlabel="steps in the real environment", ylabel="return", xscale="log")
        drawing.finish(figure, axes, integer=False)
    tables = figures.whole(tables)
    for table in dict.fromkeys(name.split("/")[0] for name in tables):
        groups = {
            name.split("/")[1]: {"return": statistics.units(values)[0]}
            for name, values in tables.items()
            if name.startswith(f"{table}/")
        }
        figures.bars(figures.path(base_dir, table), groups, "return", bounds=bounds)


def learning(base_dir: str, game: str, arms: Sequence[str], rows: Sequence[Mapping[str, Sequence[Mapping]]]) -> None:
    """Scores while a game is learned, by arm; `rows`: for each seed `{arm: lines of metrics.jsonl}`."""
    by_arm = {name: [columns(row[name], name) for row in rows] for name in arms}
    curves = {name: by_environment_steps(seeds) for name, seeds in by_arm.items() if all(len(s) for s, _ in seeds)}
    caption = f"Mean score of the newest episodes while {game} is learned, from each encoder."
    with drawing.to_png(figures.path(base_dir, f"learning_{game}"), caption) as figure:
        axes = figure.subplots()
        for name, (steps, values) in curves.items():
            interval = statistics.interval(values) if len(values) > 1 else None
            drawing.line(
                axes,
                name.removeprefix(f"{game}_"),
                [arm.removeprefix(f"{game}_") for arm in arms],
                steps,
                values.mean(0),
                interval,
            )
        axes.set(xlabel="steps in the game", ylabel="score")
        drawing.finish(figure, axes, integer=False)


def by_environment_steps(seeds: Sequence[tuple[np.ndarray, np.ndarray]], points: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Curves of several seeds on one axis: `(steps [points], values [seeds, points])`.

    `seeds`: `(steps, values)` each, which are interpolated at steps that all seeds cover, evenly on a logarithmic scale.
    """
    low, high = max(steps[0] for steps, _ in seeds), min(steps[-1] for steps, _ in seeds)
    common = np.geomspace(max(low, 1), max(high, low, 1), points)
    return common, np.stack([np.interp(common, steps, values) for steps, values in seeds])


def strip(folder: str, name: str, frames: np.ndarray | None) -> None:
    """Frames `[n, H, W]` or `[n, H, W, 3]` of bytes, side by side; nothing if there are none."""
    if frames is None:
        return
    with drawing.to_png(figures.path(folder, f"episode_{name}"), f"One greedy episode of {name}.", (9, 1.6)) as figure:
        for axes, frame in zip(np.atleast_1d(figure.subplots(1, len(frames))), frames):
            axes.imshow(frame, cmap="gray")
            axes.axis("off")


def columns(rows: Sequence[Mapping], name: str, quantity: str = "return") -> tuple[np.ndarray, np.ndarray]:
    """Environment steps [k] and a quantity [k] of an arm, from the lines of metrics.jsonl."""
    keys = (f"{name}/environment_steps", f"{name}/{quantity}")
    points = [tuple(row[k] for k in keys) for row in rows if all(row.get(k) is not None for k in keys)]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps, values
