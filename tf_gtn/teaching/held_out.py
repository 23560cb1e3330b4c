"""Architectures that a GTN never saw: its lesson against real data in the same number of steps."""

import functools
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import data, watching
from tf_gtn.core import optimizers
from tf_gtn.data import reader
from tf_gtn.models import learners
from tf_gtn.teaching import evaluation, lesson, loading

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
MOMENTA = (0.0, 0.5, 0.9)
DECAYS = ("constant", "linear")
SETTINGS = tuple(itertools.product(RATES, MOMENTA, DECAYS))
"""Of plain SGD on real data, `(learning rate, momentum, decay)`: those that the best is chosen from."""
LARS_SETTINGS = tuple(itertools.product((0.1, 0.03, 0.01), MOMENTA, DECAYS))
"""The same of LARS, for a GTN whose learners learn by it."""


def schedule(setting: tuple[float, float, str], steps: int) -> dict[str, np.ndarray]:
    """`{"learning_rate": [steps], "momentum": [steps]}` of one of `SETTINGS`."""
    learning_rate, momentum, decay = setting
    fall = np.linspace(1, 0, steps, endpoint=False) if decay == "linear" else np.ones(steps)
    return {"learning_rate": (learning_rate * fall).astype(np.float32), "momentum": np.full(steps, momentum, np.float32)}


def compare(
    gtn: loading.LoadedGTN,
    dataset: data.Dataset,
    name: str,
    count: int,
    seed: int,
    selection_learners: int = 6,
    recall: evaluation.Recall | None = None,
) -> dict[str, Any]:
    """Test accuracies of fresh networks of a registered architecture, taught by the GTN and by real data.

    The GTN's lesson finds the limit of its learning rates by itself, on synthetic loss. Real data gets as many batches of the
    same size, and the best of SGD's 6 learning rates x 3 momenta x (constant, falling to zero) by mean validation accuracy; if
    the GTN is for learners of LARS, also of LARS's 3 x 3 x 2.

    Args:
      gtn: a `loading.LoadedGTN`.
      dataset: a `data.Dataset`.
      name: of `models.learners.REGISTRY`; free widths are at their largest.
      count: fresh networks tested, the same ones for both.
      seed: integer.
      selection_learners: fresh networks, other ones, that choose real data's setting.
      recall: as in `evaluation.Evaluator.accuracies`.

    Returns:
      `{"gtn": [count accuracies], "real": [count], "limits": [count], "real_optimizer": "sgd" or "lars",
      "real_setting": (learning rate, momentum, decay)}`.
    """
    family = learners.family(name, dataset.image_shape, dataset.num_classes)
    model = family.build(tuple(high for _, high in family.ranges))
    teachers = {
        name: lesson.Lesson(model, dataset.image_shape, optimizer=optimizers.WITH_MOMENTUM[name]())
        for name in dict.fromkeys(("sgd", gtn.metadata.get("optimizer", "sgd")))
    }
    teacher = teachers[gtn.metadata.get("optimizer", "sgd")]
    settings = [("sgd", setting) for setting in SETTINGS]
    settings += [("lars", setting) for setting in LARS_SETTINGS if "lars" in teachers]
    synthetic = gtn.lesson()
    steps, batch_size = synthetic["image"].shape[:2]
    batches = reader.Reader(dataset, dataset.train)
    draw = tf.function(teacher.learner.initial_values, autograph=False)
    tested, validation = ((dataset.normalize(s.images), s.labels) for s in (dataset.test, dataset.validation))
    streams = tf.random.experimental.stateless_split(tf.constant([seed, 0]), 2)

    def start(index):
        return draw(tf.random.experimental.stateless_fold_in(streams[0], index))

    def real(index, setting):
        """Real batches of the learner number `index`."""
        sample = batches.sample((steps * batch_size,), tf.random.experimental.stateless_fold_in(streams[1], index))
        images, labels = batches.batch(batches.params(), sample)
        return {
            "image": tf.reshape(images, synthetic["image"].shape),
            "label": tf.reshape(labels, synthetic["label"].shape),
            **{name: tf.constant(values) for name, values in schedule(setting, steps).items()},
        }

    def by_real(index, optimizer, setting, split):
        taught = teachers[optimizer].teach(start(index), real(index, setting), judged=False)
        return teacher.accuracy(taught.network, *split)

    def mean_validation(optimizer, setting):
        return np.mean([by_real(count + i, optimizer, setting, validation) for i in range(selection_learners)])

    def test(index):
        taught, limit, _ = teacher.best(start(index), synthetic)
        return {
            "gtn": teacher.accuracy(taught.network, *tested),
            "limits": limit,
            "real": by_real(index, *best, tested),
        }

    recall = recall or (lambda _, make: make())
    validation_accuracies = [
        recall(
            f"{name} on real data, {setting}" + ("" if optimizer == "sgd" else f", {optimizer}"),
            functools.partial(mean_validation, optimizer, setting),
        )
        for optimizer, setting in watching.each(settings, f"{name}: settings of real data")
    ]
    best = settings[int(np.argmax(validation_accuracies))]
    rows = [
        recall(f"{name}, learner {i}", functools.partial(test, i)) for i in watching.each(range(count), f"{name}: learners")
    ]
    chosen = {"real_optimizer": best[0], "real_setting": best[1]}
    return {**chosen, **{kind: [row[kind] for row in rows] for kind in ("gtn", "real", "limits")}}
