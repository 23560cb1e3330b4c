"""The figures of the teaching programs, from a run's numbers to `<base_dir>/figures/*.png`."""

import os

import numpy as np
import tensorflow as tf

from tf_gtn.run import metrics as metrics_lib
from tf_gtn.run.findings import figures
from tf_gtn.teaching import export

GRID_ROWS = 16


def draw(base_dir, trainings, curves, unseen=None):
    """Everything that a finished training can show.

    Args:
      base_dir: the run's folder, with its metrics.jsonl.
      trainings: `{treatment: Training}`.
      curves: `{treatment: test accuracies [learners, T + 1]}`.
      unseen: `{architecture: held_out.compare(...)}` or None.
    """
    rows = metrics_lib.read(base_dir)
    figures.loss_curve(_path(base_dir, "outer_loss"), {name: _column(rows, f"{name}/loss") for name in trainings})
    validation = {}
    for name in trainings:
        steps, mean = _column(rows, f"{name}/validation_accuracy")
        low, high = _column(rows, f"{name}/validation_low")[1], _column(rows, f"{name}/validation_high")[1]
        validation[name] = (steps, mean, (low, high))
    figures.accuracy_by_outer_step(_path(base_dir, "accuracy_by_outer_step"), validation)
    schedules = {name: t.hyperparameters.values() for name, t in trainings.items() if export.exportable(t)}
    if schedules:
        rates = {n: tuple(np.asarray(s[k]) for k in ("learning_rate", "momentum")) for n, s in schedules.items()}
        figures.schedule(_path(base_dir, "schedule"), rates)
    _grid(base_dir, trainings["gtn"])
    draw_evaluation(base_dir, curves, unseen)


def draw_evaluation(base_dir, curves, unseen=None):
    """What can be shown of an export alone."""
    figures.accuracy_by_inner_step(_path(base_dir, "accuracy_by_inner_step"), curves)
    if unseen:
        figures.bars(
            _path(base_dir, "held_out"),
            {name: {"gtn": found["gtn"], "real": found["real"]} for name, found in unseen.items()},
            "test accuracy",
        )


def _grid(base_dir, training):
    """A column a class, a row an inner step (GTN paper, figure 2c)."""
    treatment = training.treatment
    steps = np.unique(np.linspace(0, training.inner_steps - 1, min(GRID_ROWS, training.inner_steps)).round().astype(int))
    params, xs = treatment.params(), treatment.xs(tf.zeros([2], tf.int32))
    classes = training.dataset.num_classes
    grid = np.full((len(steps), classes, *training.dataset.image_shape), np.nan, np.float32)
    for row, t in enumerate(steps):
        images, labels = treatment.batch(params, tf.nest.map_structure(lambda x: x[t], xs))  # noqa: B023
        labels = np.argmax(labels, -1)
        for c in range(classes):
            if (labels == c).any():
                grid[row, c] = images[int(np.argmax(labels == c))]
    figures.sample_grid(_path(base_dir, "samples"), grid, training.dataset.classes, steps + 1)


def _path(base_dir, name):
    return os.path.join(base_dir, "figures", f"{name}.png")


def _column(rows, key):
    """The steps and values of one key of metrics.jsonl."""
    found = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    return np.array([s for s, _ in found]), np.array([v for _, v in found])
