"""Architectures that a GTN never saw: its lesson against real data in the same number of steps."""

import tensorflow as tf

from tf_gtn.data import reader
from tf_gtn.models import learners
from tf_gtn.teaching import lesson

RATES = (0.3, 0.1, 0.03, 0.01)
MOMENTA = (0.5, 0.9)
_SELECTION = 1_000_003  # seeds of the learners that choose real data's rate; other ones are tested


def compare(gtn, dataset, name, count, seed, selection_learners=5):
    """Test accuracies of fresh networks of a registered architecture, taught by the GTN and by real data.

    The GTN's lesson finds the limit of its learning rates by itself, on synthetic loss. Real data gets as many batches of the
    same size, and the best of 4 learning rates x 2 momenta by mean validation accuracy.

    Args:
      gtn: a `loading.LoadedGTN`.
      dataset: a `data.Dataset`.
      name: of `models.learners.REGISTRY`; free widths are at their largest.
      count: fresh networks tested, the same ones for both.
      seed: integer.
      selection_learners: fresh networks that choose real data's rate.

    Returns:
      `{"gtn": [count accuracies], "real": [count], "limits": [count], "real_rate": (learning rate, momentum)}`.
    """
    family = learners.family(name, dataset.image_shape, dataset.num_classes)
    teacher = lesson.Lesson(family.build(tuple(high for _, high in family.ranges)))
    synthetic = gtn.lesson()
    steps, batch_size = synthetic["image"].shape[:2]
    batches = reader.Reader(dataset, dataset.train)
    draw = tf.function(teacher.learner.initial_values, autograph=False)
    test, validation = ((dataset.normalize(s.images), s.labels) for s in (dataset.test, dataset.validation))

    def real(index, rate, momentum):
        """Real batches of the learner number `index`."""
        images, labels = batches.batch(batches.params(), batches.sample((steps * batch_size,), tf.constant([seed, index])))
        return {
            "image": tf.reshape(images, synthetic["image"].shape),
            "label": tf.reshape(labels, synthetic["label"].shape),
            "learning_rate": tf.fill([steps], rate),
            "momentum": tf.fill([steps], momentum),
        }

    def taught(index, rate, momentum, split):
        trained, _, _ = teacher.teach(draw(tf.constant([seed, index])), real(index, rate, momentum))
        return teacher.accuracy(trained, *split)

    def mean_validation(setting):
        return sum(taught(_SELECTION + i, *setting, validation) for i in range(selection_learners)) / selection_learners

    best = max(((r, m) for r in RATES for m in MOMENTA), key=mean_validation)
    result = {"gtn": [], "real": [], "limits": [], "real_rate": best}
    for i in range(count):
        trained, _, limit, _ = teacher.best(draw(tf.constant([seed, i])), synthetic)
        result["gtn"].append(teacher.accuracy(trained, *test))
        result["limits"].append(limit)
        result["real"].append(taught(i, *best, test))
    return result
