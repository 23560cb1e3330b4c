"""Random batches in a graph: what is drawn, and that training images alone are augmented."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_gtn.data import augmentation, reader


def test_batches_are_normalised_training_images_with_their_labels(tiny_dataset):
    source = reader.Reader(tiny_dataset, tiny_dataset.train)
    sample = source.sample((3, 5), tf.constant([1, 2]))
    assert set(sample) == {"index"} and sample["index"].shape == (3, 5)
    index = sample["index"].numpy()
    assert index.min() >= 0 and index.max() < len(tiny_dataset.train) and len(np.unique(index)) > 5
    images, labels = source.batch(source.params(), {"index": sample["index"][1]})
    np.testing.assert_array_equal(images, tiny_dataset.normalize(tiny_dataset.train.images[index[1]]))
    np.testing.assert_array_equal(labels.numpy().argmax(-1), tiny_dataset.train.labels[index[1]])


def test_training_images_are_augmented_anew_each_time_and_others_never(tiny_dataset):
    augmented = dataclasses.replace(tiny_dataset, augment=augmentation.random_crop_flip)
    source = reader.Reader(augmented, augmented.train)
    sample = source.sample((4, 6), tf.constant([1, 2]))
    assert sample["seed"].shape == (4, 2) and len(np.unique(sample["seed"])) == 8
    first, second = ({"index": sample["index"][0], "seed": sample["seed"][t]} for t in (0, 1))
    images = [source.batch(source.params(), s)[0].numpy() for s in (first, first, second)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.abs(images[0] - images[2]).max() > 0
    raw = augmentation.random_crop_flip(augmented.train.images[first["index"].numpy()], first["seed"])
    np.testing.assert_array_equal(images[0], augmented.normalize(raw))
    for split in (augmented.validation, augmented.test):
        assert set(reader.Reader(augmented, split).sample((4, 6), tf.constant([1, 2]))) == {"index"}
