"""Curricula: which latent codes and labels the generator sees at each inner step (GTN paper, section 3.2)."""

import keras
import numpy as np
import tensorflow as tf


def cycling_labels(inner_steps, batch_size, classes):
    """Class indices `[T, B]` that go through the classes in turn, on across batches: every batch as even as it can be."""
    return (np.arange(inner_steps * batch_size, dtype=np.int32) % classes).reshape(inner_steps, batch_size)


class FullCurriculum:
    """A learned deterministic sequence of batches: latent codes are outer parameters, labels are fixed.

    "GTN - Full Curriculum": "learns a deterministic sequence of 32 batches of 128 samples" (GTN paper, section 3.2).
    """

    name = "full"

    def __init__(self, inner_steps, batch_size, latent, classes, seed, dtype="float32"):
        """Draws the first codes from a unit Gaussian; `seed` is an integer tensor [2]."""
        self.labels = cycling_labels(inner_steps, batch_size, classes)
        noise = tf.random.stateless_normal((inner_steps, batch_size, latent), seed, dtype=dtype)
        self.noise = keras.Variable(noise, dtype=dtype, name="noise")
        self.inner_steps, self._classes, self._dtype = inner_steps, classes, dtype

    @property
    def trainable_variables(self):
        return [self.noise]

    def xs(self, seed):
        """`{"noise": [T, B, latent], "label": [T, B, classes]}`; `seed` is not used: nothing is random here."""
        del seed
        return {"noise": tf.convert_to_tensor(self.noise), "label": tf.one_hot(self.labels, self._classes, dtype=self._dtype)}
