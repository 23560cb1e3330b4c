"""Few-step accuracy of fresh learners."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import data, watching
from tf_gtn.core import optimizers, supervised
from tf_gtn.models import population as populations
from tf_gtn.teaching import inner_loop, protocols
from tf_gtn.teaching import training as trainings

Recall = Callable[[str, Callable[[], Any]], Any]
"""`(key, make) -> value`: the value that an earlier run has for a key, or else `make()`."""

VALIDATION_SEED, TEST_SEED = 1_000_001, 2_000_003  # of learners that judge, the same ones at every validation


class Evaluator:
    """Teaches fresh learners by a treatment and tests them; one trace for each template, kept.

    `hyper()` gives `{name: [T]}`, the inner optimiser's hyperparameters of the moment.

    Attributes:
      every_step: numbers of inner steps, from 0 to T.
    """

    def __init__(
        self,
        dataset: data.Dataset,
        population: populations.Distribution,
        treatment: protocols.Treatment,
        optimizer: optimizers.Optimizer,
        hyper: Callable[[], dict],
    ) -> None:
        self._dataset, self._population, self._hyper = dataset, population, hyper
        self.every_step = tuple(range(treatment.inner_steps + 1))
        self._loops = [inner_loop.InnerLoop(t, treatment, optimizer) for t in population.templates]
        self._functions = {}

    @classmethod
    def of(cls, training: trainings.Training, population: populations.Distribution | None = None) -> "Evaluator":
        """The evaluator of a training, on its own population or another."""
        return cls(
            training.dataset,
            population or training.population,
            training.treatment,
            training.inner_optimizer,
            training.hyperparameters.values,
        )

    def accuracies(
        self,
        split: data.Split,
        learners: int,
        seed: int,
        after: Sequence[int] | None = None,
        recall: Recall | None = None,
    ) -> np.ndarray:
        """Accuracies of fresh learners on a split.

        Args:
          split: a `data.Split`.
          learners: how many.
          seed: integer; the same seed gives the same architectures, initialisations and samples.
          after: numbers of inner steps, each once, after which learners are tested, such as `every_step`; None: after the last.
          recall: see `Recall`; None: no earlier run has values.

        Returns:
          Array `[learners]`, or `[learners, k]` for k numbers in `after`.
        """
        return self._teach("correct" if after is None else tuple(after), split, learners, seed, recall) / len(split)

    def probabilities(self, split: data.Split, learners: int, seed: int) -> np.ndarray:
        """Class probabilities `[learners, N, classes]` of the learners whose `accuracies` the same arguments give."""
        return self._teach("probabilities", split, learners, seed)

    def losses(self, split: data.Split, learners: int, seed: int) -> np.ndarray:
        """`[learners, 2]`: mean cross-entropy and accuracy of the learners whose `accuracies` the same arguments give."""
        return self._teach("losses", split, learners, seed) / len(split)

    def _teach(self, measured, split, learners, seed, recall=None):
        """What is `measured` of each of some fresh learners: an array `[learners, ...]`."""
        images, labels = tf.constant(split.images), tf.constant(split.labels)

        def measure_learner(i):
            draw = self._population.draw([seed, i])
            key = draw.template, measured
            if key not in self._functions:
                self._functions[key] = tf.function(functools.partial(self._lesson, *key), autograph=False)
            return self._functions[key](tf.constant([seed, i]), tf.constant(draw.widths, tf.int32), images, labels).numpy()

        recall = recall or (lambda _, make: make())
        indices = watching.each(range(learners), "learners")
        return np.stack([recall(f"learner {i}", functools.partial(measure_learner, i)) for i in indices])

    def _lesson(self, template, measured, seed, widths, images, labels):
        loop = self._loops[template]
        init, lesson = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        state = loop.initial_state(init, widths)

        def measure(state, params, _):
            def predict(images):
                return loop.logits(state, self._dataset.normalize(images))

            return supervised.count_correct(predict, params["images"], params["labels"])

        def measure_if(state, params, is_wanted):
            return tf.cond(is_wanted, lambda: measure(state, params, None), lambda: tf.zeros([], tf.int32))

        params, is_curve = {"images": images, "labels": labels}, isinstance(measured, tuple)
        wanted = tf.constant([is_curve and step in measured for step in self.every_step])
        measuring = {"measure": measure_if, "measure_params": params, "measure_xs": wanted[1:]} if is_curve else {}
        final, ys = loop.run(state, loop.xs(self._hyper(), lesson), recompute_every=0, **measuring)
        if is_curve:
            return tf.gather(tf.concat([measure_if(state, params, wanted[0])[None], ys["measured"]], 0), measured)
        if measured == "probabilities":
            return loop.probabilities(final, self._dataset.normalize(images))
        if measured == "losses":
            return supervised.sums(lambda part: loop.logits(final, self._dataset.normalize(part)), images, labels)
        return measure(final, params, None)
