"""How recognisable generated images are, and how often their labels flip (GTN paper, appendix K).

The paper's authors picked the recognisable images by eye. Here networks trained on real data do: an image is recognised if
their mean probabilities give it its label. They see the training split alone; their learning rate is chosen on the
validation split.
"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_gtn import data, watching
from tf_gtn.core import optimizers, supervised
from tf_gtn.models import population as populations
from tf_gtn.teaching import inner_loop, protocols, treatments
from tf_gtn.teaching import training as trainings


def is_fixed(training: trainings.Training) -> bool:
    """Whether all learners get the same images in the same order."""
    treatment, curriculum = training.treatment, treatments.curriculum_of(training.treatment)
    if isinstance(treatment, protocols.Watching):
        return False
    return treatment.name != "real" if curriculum is None else curriculum.order == "full"


def images(treatment: protocols.Treatment, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All images of a lesson in their order: images `[T, B, H, W, C]`, labels int `[T, B]`, soft ones by their largest.

    `seed` decides what is random in them.
    """
    pictures, labels = zip(*treatments.batches(treatment, seed))
    return np.stack(pictures), np.argmax(np.stack(labels), -1)


def class_means(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Pixel-wise mean of each class, NaN without images: `[n, ...]`, labels int `[n]` -> `[classes, ...]` (figure 11)."""
    means = np.full((classes, *images.shape[1:]), np.nan)
    for c in np.unique(labels):
        means[c] = images[labels == c].mean(0)
    return means


def flips(predictions: np.ndarray) -> np.ndarray:
    """How often each image's predicted class changes between adjacent steps: int `[S, n]` -> int `[n]` (figure 14).

    Toneva et al. 2018 count "forgetting events"; the GTN paper counts any change of the label.
    """
    return (predictions[1:] != predictions[:-1]).sum(0)


def ranked(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """The order of images by their `counts` [n], fewest first, ties broken by `seed`: a permutation `[n]` (figure 15)."""
    return np.lexsort((np.random.default_rng(seed).permutation(len(counts)), counts))


def recognised(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether networks' mean probabilities give an image its label: `[networks, n, classes]`, int `[n]` -> bool `[n]`."""
    return np.mean(probabilities, 0).argmax(-1) == labels


def confidence(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The probability of each image's label, a mean over networks: `[networks, n, classes]`, int `[n]` -> `[n]`."""
    return np.mean(probabilities, 0)[np.arange(len(labels)), labels]


def quarters(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of `values` [..., T] over the first and the last quarter of the steps, at least one step each: two `[...]`."""
    count = max(1, values.shape[-1] // 4)
    return values[..., :count].mean(-1), values[..., -count:].mean(-1)


class RealNetworks:
    """Fresh networks of a population, trained on real data by SGD with constant settings; one trace per template and use."""

    def __init__(
        self, dataset: data.Dataset, population: populations.Distribution, steps: int, batch_size: int, momentum: float = 0.9
    ) -> None:
        """`steps` of SGD on `batch_size` random training images each."""
        self._dataset, self._population, self._steps, self._momentum = dataset, population, steps, momentum
        treatment = treatments.Real(dataset, steps, batch_size)
        self._loops = [inner_loop.InnerLoop(t, treatment, optimizers.SGD()) for t in population.templates]
        self._functions = {}

    def best_rate(self, rates: Sequence[float], networks: int, seed: int) -> float:
        """The learning rate with the best mean validation accuracy of fresh networks."""
        split = self._dataset.validation
        accuracy_by_rate = {
            rate: np.mean([self._train("validate", i, rate, seed, split.images, split.labels) for i in range(networks)])
            for rate in watching.each(rates, "learning rates")
        }
        return max(rates, key=accuracy_by_rate.__getitem__)

    def predictions(self, images: np.ndarray, rate: float, index: int, seed: int) -> np.ndarray:
        """Predicted classes of normalised images [n, H, W, C] after each step of network number `index`: int `[S, n]`."""
        return self._train("predictions", index, rate, seed, images)

    def probabilities(self, images: np.ndarray, rate: float, networks: int, seed: int) -> np.ndarray:
        """Class probabilities of normalised images [n, H, W, C] by trained networks: `[networks, n, classes]`."""
        return np.stack(
            [self._train("probabilities", i, rate, seed, images) for i in watching.each(range(networks), "networks")]
        )

    def _train(self, use, index, rate, seed, *inputs):
        draw = self._population.draw([seed, index])
        key = draw.template, use
        if key not in self._functions:
            self._functions[key] = tf.function(functools.partial(self._run, *key), autograph=False)
        widths = tf.constant(draw.widths, tf.int32)
        return self._functions[key](tf.constant([seed, index]), widths, tf.constant(rate), *map(tf.constant, inputs)).numpy()

    def _run(self, template, use, seed, widths, rate, images, labels=None):
        loop = self._loops[template]
        init, lesson = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        hyper = {"learning_rate": tf.fill([self._steps], rate), "momentum": tf.fill([self._steps], self._momentum)}

        def classify(state, images, _):
            return tf.argmax(loop.probabilities(state, images), -1, tf.int32)

        during = {"measure": classify, "measure_params": images} if use == "predictions" else {}
        state, ys = loop.run(loop.initial_state(init, widths), loop.xs(hyper, lesson), recompute_every=0, **during)
        if use == "predictions":
            return ys["measured"]
        if use == "probabilities":
            return loop.probabilities(state, images)
        return supervised.count_correct(lambda chunk: loop.logits(state, self._dataset.normalize(chunk)), images, labels)
