"""Ensembles by hand, and an evaluator's probabilities, which are those of the learners whose accuracies it gives."""

import numpy as np
import pytest

from tests.teaching import arms
from tf_gtn.teaching import ensembles, evaluation

# Three learners, four images, two classes; probability of class 1.
ONES = np.array([[0.9, 0.4, 0.1, 0.6], [0.8, 0.9, 0.2, 0.3], [0.3, 0.4, 0.3, 0.2]])
PROBABILITIES = np.stack([1 - ONES, ONES], -1)
LABELS = np.array([1, 1, 0, 0])


def test_by_hand():
    np.testing.assert_array_equal(ensembles.individual_accuracies(PROBABILITIES, LABELS), [0.5, 1.0, 0.5])
    assert ensembles.accuracy(PROBABILITIES, LABELS) == 1.0  # means of class 1: 0.67, 0.57, 0.2, 0.37
    # the learners answer 1001, 1100, 0000: they differ on 2, 2 and 2 of 4 images
    assert ensembles.disagreement(PROBABILITIES) == pytest.approx(0.5)
    assert ensembles.disagreement(PROBABILITIES[:1]) == 0.0
    assert ensembles.disagreement(PROBABILITIES[[0, 0]]) == 0.0


def test_sizes():
    assert ensembles.sizes(32) == [1, 2, 4, 8, 16, 32]
    assert ensembles.sizes(5) == [1, 2, 4, 5]
    assert ensembles.sizes(1) == [1]


def test_accuracy_by_size_ends_at_single_learners_and_at_all():
    accuracies = ensembles.accuracy_by_size(PROBABILITIES, LABELS, subsets=200)
    assert accuracies[0] == pytest.approx(2 / 3) and accuracies[-1] == 1.0
    # pairs: means of class 1 are .85 .65 .15 .45 (right: 4), .6 .4 .2 .4 (3), .55 .65 .25 .25 (4)
    assert accuracies[1] == pytest.approx((1 + 0.75 + 1) / 3, abs=0.03)
    np.testing.assert_array_equal(accuracies, ensembles.accuracy_by_size(PROBABILITIES, LABELS, subsets=200))


def test_probabilities_are_those_of_the_learners_of_accuracies(tiny_dataset):
    evaluator = evaluation.Evaluator.of(arms.make(tiny_dataset, "shuffled_batch"))
    probabilities = evaluator.probabilities(tiny_dataset.test, 4, seed=9)
    assert probabilities.shape == (4, len(tiny_dataset.test), 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    accuracies = evaluator.accuracies(tiny_dataset.test, 4, seed=9)
    np.testing.assert_allclose(ensembles.individual_accuracies(probabilities, tiny_dataset.test.labels), accuracies)
    np.testing.assert_allclose(
        evaluator.accuracies(tiny_dataset.test, 4, seed=9, after=evaluator.every_step)[:, -1], accuracies
    )
