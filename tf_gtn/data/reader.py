"""Real data inside a graph: random batches by index, normalised where they are used."""

import tensorflow as tf


class Reader:
    """Batches of one split of a data set, gathered and normalised in the graph.

    Images stay uint8 and are passed to `unroll` whole, as parameters; a step carries indices, so that T batches cost T * B
    integers.
    """

    def __init__(self, dataset, split):
        self.dataset = dataset
        self.size = len(split)
        self._images = tf.constant(split.images)
        self._labels = tf.constant(split.labels)

    def params(self):
        """The whole split, as tensors of integers."""
        return {"images": self._images, "labels": self._labels}

    def sample(self, shape, seed):
        """Uniform indices of that shape; `seed` is an integer tensor [2]."""
        return tf.random.stateless_uniform(shape, seed, 0, self.size, tf.int32)

    def batch(self, params, index):
        """`index` [B] -> images [B, H, W, C] of mean 0 and variance 1, one-hot labels [B, classes]."""
        images = self.dataset.normalize(tf.gather(params["images"], index))
        return images, tf.one_hot(tf.gather(params["labels"], index), self.dataset.num_classes)
