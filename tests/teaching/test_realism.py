"""Flips, ranks, means and recognition by hand; networks on real data, which see the training split alone."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import arms
from tf_gtn.models import population
from tf_gtn.teaching import realism


def test_flips_and_ranks_by_hand():
    predictions = np.array([[0, 1, 2, 0], [0, 2, 2, 1], [0, 1, 2, 0], [0, 1, 0, 1]])
    counts = realism.flips(predictions)
    np.testing.assert_array_equal(counts, [0, 2, 1, 3])
    np.testing.assert_array_equal(realism.ranked(counts), [0, 2, 1, 3])
    np.testing.assert_array_equal(realism.flips(predictions[:1]), [0, 0, 0, 0])
    tied = np.array([1, 0] * 20)
    order = realism.ranked(tied)
    assert sorted(order) == list(range(40)) and (np.diff(tied[order]) >= 0).all()
    assert (np.diff(order[:20]) < 0).any()  # ties in a random order
    np.testing.assert_array_equal(order, realism.ranked(tied))
    assert (order != realism.ranked(tied, seed=1)).any()


def test_class_means():
    images = np.arange(16.0).reshape(4, 2, 2, 1)
    means = realism.class_means(images, np.array([2, 0, 2, 0]), 3)
    np.testing.assert_array_equal(means[0], (images[1] + images[3]) / 2)
    np.testing.assert_array_equal(means[2], (images[0] + images[2]) / 2)
    assert np.isnan(means[1]).all()


def test_recognised_and_confidence_by_hand():
    probabilities = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.3, 0.7], [0.2, 0.8]]])  # means: .6 .4, .3 .7
    labels = np.array([0, 0])
    np.testing.assert_array_equal(realism.recognised(probabilities, labels), [True, False])
    np.testing.assert_allclose(realism.confidence(probabilities, labels), [0.6, 0.3])


def test_quarters():
    first, last = realism.quarters(np.array([[1.0, 3, 0, 0, 0, 0, 5, 7], [0, 0, 0, 0, 0, 0, 0, 2]]))
    np.testing.assert_array_equal(first, [2, 0])
    np.testing.assert_array_equal(last, [6, 1])
    assert realism.quarters(np.array([1.0, 2])) == (1, 2)


def test_images_are_those_of_the_lesson(tiny_dataset):
    treatment = arms.make(tiny_dataset, "full").treatment
    images, labels = realism.images(treatment)
    assert images.shape == (3, 6, 8, 8, 1)
    np.testing.assert_array_equal(labels.ravel(), np.arange(18) % 3)
    xs = treatment.xs(tf.constant([0, 0]))
    batch, _ = treatment.batch(treatment.params(), {k: v[1] for k, v in xs.items()})
    np.testing.assert_allclose(images[1], batch, rtol=1e-5, atol=1e-5)


def test_which_arms_show_every_learner_the_same(tiny_dataset):
    kinds = ("full", "shuffled_batch", "none", "distilled", "real")
    assert [k for k in kinds if realism.is_fixed(arms.make(tiny_dataset, k))] == ["full", "distilled"]


@pytest.fixture(scope="module")
def networks(tiny_dataset):
    people = population.Population(arms.MLP, tiny_dataset.image_shape, tiny_dataset.num_classes)
    return realism.RealNetworks(tiny_dataset, people, 60, 16)


def test_networks_learn_real_data(tiny_dataset, networks):
    assert networks.best_rate((1e-5, 0.05), 2, 0) == 0.05
    test = tiny_dataset.normalize(tiny_dataset.test.images).numpy()
    probabilities = networks.probabilities(test, 0.05, 3, 0)
    assert probabilities.shape == (3, 30, 3)
    assert realism.recognised(probabilities, tiny_dataset.test.labels).mean() > 0.8


def test_predictions_after_each_step_end_with_the_trained_network(tiny_dataset, networks):
    images = tiny_dataset.normalize(tiny_dataset.test.images).numpy()
    predictions = networks.predictions(images, 0.05, 1, 0)
    assert predictions.shape == (60, 30)
    np.testing.assert_array_equal(predictions[-1], networks.probabilities(images, 0.05, 2, 0)[1].argmax(-1))
    assert realism.flips(predictions).sum() > 0
    np.testing.assert_array_equal(predictions, networks.predictions(images, 0.05, 1, 0))


def test_the_test_split_has_no_say(tiny_dataset, networks):
    """With another test split, the same networks."""
    other = dataclasses.replace(tiny_dataset, test=tiny_dataset.test.take(np.arange(3)))
    people = population.Population(arms.MLP, tiny_dataset.image_shape, tiny_dataset.num_classes)
    images = tiny_dataset.normalize(tiny_dataset.validation.images).numpy()
    again = realism.RealNetworks(other, people, 60, 16)
    np.testing.assert_array_equal(again.probabilities(images, 0.05, 1, 0), networks.probabilities(images, 0.05, 1, 0))
