"""Real data inside a graph: random batches by index, augmented and normalised where they are used."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_gtn.data import dataset as dataset_lib


class Reader:
    """Batches of one split of a data set, gathered and normalised in the graph.

    Images stay uint8 and are passed to `unroll` whole, as parameters; a step carries indices, so that T batches cost T * B
    integers. Training images are augmented if the data set says how (`Dataset.augment`).

    Images on disk (`np.memmap`) stay there: NumPy reads the rows of each batch, called from the graph, in this process. That
    takes some 0.1 ms per batch of 128 images of 28x28 that the system has in its cache, and gives the same batches.
    """

    def __init__(self, dataset: dataset_lib.Dataset, split: dataset_lib.Split) -> None:
        self.dataset = dataset
        self.size = len(split)
        self._augment = dataset.augment if split is dataset.train else None
        self._disk = split.images if isinstance(split.images, np.memmap) else None
        self._images = None if self._disk is not None else tf.constant(split.images)
        self._labels = tf.constant(split.labels)

    def params(self) -> dict[str, tf.Tensor]:
        """The whole split, as tensors of integers; without the images if they are on disk."""
        return {"labels": self._labels} if self._images is None else {"images": self._images, "labels": self._labels}

    def sample(self, shape: Sequence[int], seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `batch` needs for a random choice: uniform indices `[..., B]`, and a seed `[..., 2]` if images are augmented.

        `shape` is `(..., B)`; `seed` is an integer tensor [2].
        """
        index, augmentation = tf.unstack(tf.random.experimental.stateless_split(seed, 2)) if self._augment else (seed, None)
        sample = {"index": tf.random.stateless_uniform(shape, index, 0, self.size, tf.int32)}
        if self._augment:
            limits = {"minval": None, "maxval": None, "dtype": tf.int32}
            sample["seed"] = tf.random.stateless_uniform((*shape[:-1], 2), augmentation, **limits)
        return sample

    def batch(self, params: Mapping[str, tf.Tensor], sample: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """`sample` of B indices -> images [B, H, W, C] of mean 0 and variance 1, one-hot labels [B, classes]."""
        images = self._rows(sample["index"]) if self._images is None else tf.gather(params["images"], sample["index"])
        if self._augment:
            images = self._augment(images, sample["seed"])
        return self.dataset.normalize(images), tf.one_hot(
            tf.gather(params["labels"], sample["index"]), self.dataset.num_classes
        )

    def _rows(self, index):
        disk = self._disk
        assert disk is not None
        images = tf.numpy_function(lambda rows: np.asarray(disk[rows]), [index], tf.uint8, stateful=False)
        return tf.ensure_shape(images, index.shape + disk.shape[1:])
