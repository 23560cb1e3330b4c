"""A classifier of real images, to judge what generators make: their classes, and features to compare samples in."""

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import data
from tf_gtn.core import functional
from tf_gtn.gan import sources
from tf_gtn.models import learners


class Classifier:
    """A small convolutional network trained by Adam on a data set's training images; the same seed, the same network.

    Attributes:
      accuracy: on the validation images.
    """

    def __init__(
        self,
        dataset: data.Dataset,
        seed: int = 0,
        epochs: int = 30,
        batch_size: int = 64,
        filters: tuple[int, int] = (16, 32),
        units: int = 64,
    ) -> None:
        """Trains it: seconds for small images."""
        self._dataset = dataset
        model = learners.family("conv_plain", dataset.image_shape, dataset.num_classes, filters=filters, units=units).build(())
        net = functional.Functional(model)
        net.assign(*net.initial_values(tf.constant([seed, 0])))
        model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        examples = tf.data.Dataset.from_tensor_slices((dataset.normalize(dataset.train.images), dataset.train.labels))
        examples = examples.shuffle(len(dataset.train), seed=seed, reshuffle_each_iteration=True).batch(batch_size)
        model.fit(examples, epochs=epochs, shuffle=False, verbose=0)
        both_outputs = keras.Model(model.inputs, [model.layers[-2].output, model.outputs[0]])
        self._features_and_logits = tf.function(
            lambda images: both_outputs(images, training=False), autograph=False, reduce_retracing=True
        )
        predicted = self._outputs(dataset.validation.images)[1].argmax(-1)
        self.accuracy = float((predicted == dataset.validation.labels).mean())

    def features_and_classes(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images `[n, H, W, C]` in [-1, 1] -> `(features [n, units], classes [n])`."""
        features, logits = self._outputs(sources.raw(samples, self._dataset))
        return features, logits.argmax(-1)

    def _outputs(self, images, chunk=1000):
        parts = [
            [x.numpy() for x in self._features_and_logits(self._dataset.normalize(images[start : start + chunk]))]
            for start in range(0, len(images), chunk)
        ]
        return tuple(np.concatenate(part) for part in zip(*parts))
