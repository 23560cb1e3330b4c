"""Real data inside a graph: random batches by index, augmented and normalised where they are used."""

import tensorflow as tf


class Reader:
    """Batches of one split of a data set, gathered and normalised in the graph.

    Images stay uint8 and are passed to `unroll` whole, as parameters; a step carries indices, so that T batches cost T * B
    integers. Training images are augmented if the data set says how (`Dataset.augment`).
    """

    def __init__(self, dataset, split):
        self.dataset = dataset
        self.size = len(split)
        self._augment = dataset.augment if split is dataset.train else None
        self._images = tf.constant(split.images)
        self._labels = tf.constant(split.labels)

    def params(self):
        """The whole split, as tensors of integers."""
        return {"images": self._images, "labels": self._labels}

    def sample(self, shape, seed):
        """What `batch` needs for a random choice: uniform indices `[..., B]`, and a seed `[..., 2]` if images are augmented.

        `shape` is `(..., B)`; `seed` is an integer tensor [2].
        """
        index, augmentation = tf.unstack(tf.random.experimental.stateless_split(seed, 2)) if self._augment else (seed, None)
        sample = {"index": tf.random.stateless_uniform(shape, index, 0, self.size, tf.int32)}
        if self._augment:
            limits = {"minval": None, "maxval": None, "dtype": tf.int32}
            sample["seed"] = tf.random.stateless_uniform((*shape[:-1], 2), augmentation, **limits)
        return sample

    def batch(self, params, sample):
        """`sample` of B indices -> images [B, H, W, C] of mean 0 and variance 1, one-hot labels [B, classes]."""
        images = tf.gather(params["images"], sample["index"])
        if self._augment:
            images = self._augment(images, sample["seed"])
        return self.dataset.normalize(images), tf.one_hot(
            tf.gather(params["labels"], sample["index"]), self.dataset.num_classes
        )
