"""Treatments: where the batches of the inner loop come from (GTN paper, section 3.3).

Each has `name`, `inner_steps` (T), `trainable_variables` (outer parameters), `params()` and `xs(seed)`, the tensors that it
hands to `unroll` once and step by step, and `batch(params, x) -> (images [B, H, W, C], labels [B, classes])`, which runs inside
the inner step.
"""

import keras
import tensorflow as tf

from tf_gtn.core import functional
from tf_gtn.data import reader
from tf_gtn.teaching import curricula


class GTN:
    """Batches from a generator that is trained together with its curriculum."""

    name = "gtn"

    def __init__(self, generator, curriculum, seed, weight_norm=True):
        """Draws the generator's weights anew.

        Args:
          generator: Keras model of `{"noise", "label"}` -> images, with batch statistics where it has BatchNorm.
          curriculum: gives `{"noise", "label"}` for each inner step.
          seed: integer tensor [2].
          weight_norm: whether the generator's kernels are weight-normalised.
        """
        self.curriculum, self.inner_steps = curriculum, curriculum.inner_steps
        self.generator = functional.Functional(generator, weight_norm)
        params, self._state = self.generator.initial_values(seed)
        self._params = tf.nest.map_structure(lambda value: keras.Variable(value, dtype=value.dtype, name="generator"), params)

    @property
    def trainable_variables(self):
        return tf.nest.flatten(self._params) + self.curriculum.trainable_variables

    def params(self):
        return tf.nest.map_structure(tf.convert_to_tensor, self._params)

    def xs(self, seed):
        return self.curriculum.xs(seed)

    def batch(self, params, x):
        images, _ = self.generator(params, self._state, x, training=True)
        return images, x["label"]

    def generate(self, noise, label):
        """Images for `noise` [n, latent] and `label` [n, classes], each by itself.

        BatchNorm uses the statistics of the whole curriculum here, so that an image does not depend on its neighbours in
        the batch; within the curriculum itself each batch uses its own, as in training.
        """
        params = self.params()
        return self.generator(params, self.population_state(params), {"noise": noise, "label": label}, training=False)[0]

    def population_state(self, params):
        """BatchNorm statistics of the curriculum: the mean over its batches."""
        xs = self.xs(tf.zeros([2], tf.int32))
        total = tf.nest.map_structure(tf.zeros_like, self._state)
        for t in range(self.inner_steps):
            _, state = self.generator(params, self._state, tf.nest.map_structure(lambda x: x[t], xs), training=True)  # noqa: B023
            total = tf.nest.map_structure(lambda a, b: a + b / self.inner_steps, total, state)
        return total


class Distilled:
    """Dataset distillation: the pixels themselves are the outer parameters (Wang et al. 2019; GTN paper, section 3.3)."""

    name = "distilled"

    def __init__(self, inner_steps, batch_size, image_shape, classes, seed):
        self.pixels = keras.Variable(tf.random.stateless_normal((inner_steps, batch_size, *image_shape), seed), name="pixels")
        self._labels = curricula.cycling_labels(inner_steps, batch_size, classes)
        self._classes, self.inner_steps = classes, inner_steps

    @property
    def trainable_variables(self):
        return [self.pixels]

    def params(self):
        return {}

    def xs(self, seed):
        del seed
        return {"image": tf.convert_to_tensor(self.pixels), "label": tf.one_hot(self._labels, self._classes)}

    def batch(self, params, x):
        del params
        return x["image"], x["label"]


class Real:
    """Random mini-batches of the real training data; only the inner optimiser's hyperparameters are learned."""

    name = "real"

    def __init__(self, dataset, inner_steps, batch_size):
        self._reader = reader.Reader(dataset, dataset.train)
        self._shape, self.inner_steps = (inner_steps, batch_size), inner_steps

    @property
    def trainable_variables(self):
        return []

    def params(self):
        return {"real": self._reader.params()}

    def xs(self, seed):
        return {"index": self._reader.sample(self._shape, seed)}

    def batch(self, params, x):
        return self._reader.batch(params["real"], x["index"])


class Exported:
    """The curriculum of a loaded export: fixed images, labels and schedule."""

    name = "gtn"
    trainable_variables = ()

    def __init__(self, lesson):
        """`lesson`: `{"image": [T, B, H, W, C], "label": [T, B, classes]}`."""
        self._xs = {"image": lesson["image"], "label": lesson["label"]}
        self.inner_steps = lesson["image"].shape[0]

    def params(self):
        return {}

    def xs(self, seed):
        del seed
        return self._xs

    def batch(self, params, x):
        del params
        return x["image"], x["label"]
