"""Few-step accuracy of fresh learners, and intervals over them."""

import functools

import numpy as np
import scipy.stats
import tensorflow as tf

from tf_gtn.teaching import inner_loop

_CHUNK = 1000  # images a forward pass


def correct(loop, state, images, labels, normalize):
    """How many images `[n, H, W, C]` (raw) the learner classifies right: integer scalar; graph-safe."""

    def body(start, count):
        stop = start + _CHUNK
        predicted = tf.argmax(loop.logits(state, normalize(images[start:stop])), -1, tf.int32)
        return stop, count + tf.math.count_nonzero(predicted == labels[start:stop], dtype=tf.int32)

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, 0))[1]


class Evaluator:
    """Teaches fresh learners by a treatment and tests them; one trace for each template, kept.

    `hyper()` gives `{name: [T]}`, the inner optimiser's hyperparameters of the moment.
    """

    def __init__(self, dataset, population, treatment, optimizer, hyper):
        self._dataset, self._population, self._hyper = dataset, population, hyper
        self._loops = [inner_loop.InnerLoop(t, treatment, optimizer) for t in population.templates]
        self._functions = {}

    @classmethod
    def of(cls, training, population=None):
        """Of a `training.Training`, on its own population or another."""
        return cls(
            training.dataset,
            population or training.population,
            training.treatment,
            training.inner_optimizer,
            training.hyperparameters.values,
        )

    def accuracies(self, split, learners, seed, curve=False):
        """Accuracies of fresh learners on a split.

        Args:
          split: a `data.Split`.
          learners: how many.
          seed: integer; the same seed gives the same architectures, initialisations and samples.
          curve: also before the first and after every inner step.

        Returns:
          Array `[learners]`, or `[learners, T + 1]` with `curve`.
        """
        images, labels = tf.constant(split.images), tf.constant(split.labels)
        rows = []
        for i in range(learners):
            draw = self._population.draw([seed, i])
            key = draw.template, curve
            if key not in self._functions:
                self._functions[key] = tf.function(functools.partial(self._lesson, *key), autograph=False)
            rows.append(self._functions[key](tf.constant([seed, i]), tf.constant(draw.widths, tf.int32), images, labels))
        return np.stack([row.numpy() for row in rows]) / len(split)

    def _lesson(self, template, curve, seed, widths, images, labels):
        loop = self._loops[template]
        init, lesson = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        state = loop.initial_state(init, widths)

        def measure(state, params, _):
            return correct(loop, state, params["images"], params["labels"], self._dataset.normalize)

        params = {"images": images, "labels": labels}
        during = {"measure": measure, "measure_params": params} if curve else {"measure": lambda *_: ()}
        final, ys = loop.run(state, self._hyper(), lesson, recompute_every=0, **during)
        if curve:
            return tf.concat([measure(state, params, None)[None], ys["measured"]], 0)
        return measure(final, params, None)


def bootstrap(values, resamples=1000, seed=3):
    """Mean of `values` and its bootstrapped 95% percentile interval: `(mean, (low, high))`.

    "the mean and its 95% confidence intervals from (n=1,000) bootstrapping" (seed 001, section 3).
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return mean, (mean, mean)
    result = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, method="percentile", rng=np.random.default_rng(seed)
    )
    return mean, (float(result.confidence_interval.low), float(result.confidence_interval.high))
