"""The figures of the teaching programs, from a run's numbers to `<base_dir>/figures/*.png`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.reporting import drawing, figures, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.runtime.metrics import column
from tf_gtn.teaching import export, plots, treatments

GRID_ROWS = 16


def draw_arms(folder: str, trainings: Mapping[str, Any]) -> None:
    """Of one outer run of each arm the losses, the learned schedules, and the batches of the first arm that makes any."""
    rows = metrics_lib.read(folder)
    figures.loss_curve(figures.path(folder, "outer_loss"), {name: column(rows, f"{name}/loss") for name in trainings})
    if rates := _rates(trainings):
        plots.schedule(figures.path(folder, "schedule"), rates)
    exportable = (training for training in trainings.values() if export.exportable(training))
    _grid(figures.path(folder, "samples"), next(exportable, next(iter(trainings.values()))))


def images(name: str, training: Any) -> dict[str, np.ndarray]:
    """What TensorBoard shows of an arm: `{"samples": uint8 [H, W, 4]}`, and its learned "schedule" if it is one of SGD's."""
    pictures = {"samples": drawing.image(lambda path: _grid(path, training))}
    if rates := _rates({name: training}):
        pictures["schedule"] = drawing.image(lambda path: plots.schedule(path, rates))
    return pictures


def draw_comparison(
    base_dir: str, arms: Sequence[str], outcomes: Sequence[Mapping], seconds: Mapping[str, float | None]
) -> None:
    """Test accuracy by inner step, validation accuracy by outer step and by time, and final test accuracy of each arm.

    `seconds` are those of an outer step, `{arm: number or None}`.
    """
    curves = {name: [np.asarray(o["curve"][name]) for o in outcomes] for name in arms}
    draw_inner_steps(base_dir, curves)
    validation: dict[str, tuple] = {}
    runs = [metrics_lib.read(base_dirs.repeat(base_dir, k)) for k in range(len(outcomes))]
    for name in arms:
        steps, mean = column(runs[0], f"{name}/validation_accuracy")
        if len(runs) == 1:
            low, high = (
                column(runs[0], f"{name}/validation_low")[1],
                column(runs[0], f"{name}/validation_high")[1],
            )
            validation[name] = (steps, mean, (low, high))
        else:
            validation[name] = (
                steps,
                np.stack([column(rows, f"{name}/validation_accuracy")[1] for rows in runs], 1),
            )
    plots.accuracy_by_outer_step(figures.path(base_dir, "accuracy_by_outer_step"), validation)
    by_seconds = {
        name: (steps * seconds_per_step, *accuracies)
        for name, (steps, *accuracies) in validation.items()
        if (seconds_per_step := seconds[name])
    }
    if len(by_seconds) > 1:
        path = figures.path(base_dir, "accuracy_by_seconds")
        plots.accuracy_by_outer_step(path, by_seconds, xlabel="seconds of outer steps")
    if len(arms) > 1:
        final = {name: {"test accuracy": statistics.units([o["accuracy"][name] for o in outcomes])[0]} for name in arms}
        figures.bars(figures.path(base_dir, "test_accuracy"), final, "test accuracy")
    stored = {name: number for name in arms if (number := outcomes[0].get("stored_floats", {}).get(name))}
    if len(stored) > 1:
        by_number = {
            name: (number, statistics.units([o["accuracy"][name] for o in outcomes])[0]) for name, number in stored.items()
        }
        plots.accuracy_by_stored_numbers(figures.path(base_dir, "accuracy_by_stored_numbers"), by_number)


def draw_inner_steps(base_dir: str, curves: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Accuracies by inner step over the learners of one seed, or over several seeds' means.

    `curves`: `{arm: for each seed [learners, T + 1]}`.
    """
    accuracies = {name: runs[0] if len(runs) == 1 else np.stack([run.mean(0) for run in runs]) for name, runs in curves.items()}
    plots.accuracy_by_inner_step(figures.path(base_dir, "accuracy_by_inner_step"), accuracies)


def _rates(trainings):
    """`{arm: (learning rate [T], momentum [T])}` of those that learn these two."""
    schedules = {name: training.hyperparameters.values() for name, training in trainings.items()}
    return {
        name: tuple(np.asarray(values[key]) for key in ("learning_rate", "momentum"))
        for name, values in schedules.items()
        if sorted(values) == ["learning_rate", "momentum"]
    }


def _grid(path, training):
    """One column per class, one row per inner step (GTN paper, figure 2c)."""
    steps = np.unique(np.linspace(0, training.inner_steps - 1, min(GRID_ROWS, training.inner_steps)).round().astype(int))
    classes = training.dataset.num_classes
    grid = np.full((len(steps), classes, *training.dataset.image_shape), np.nan, np.float32)
    for row, (images, labels) in enumerate(treatments.batches(training.treatment, steps=steps.tolist())):
        labels = np.argmax(labels, -1)
        for c in np.unique(labels):
            grid[row, c] = images[np.argmax(labels == c)]
    plots.sample_grid(path, grid, training.dataset.classes, steps + 1)
