"""Evaluations: of the network that the text says, the same again, each budget by itself."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data
from tf_gtn.nas import cells, costs, evaluation, plain
from tf_gtn.teaching import loading

SPACE = plain.Plain()
TEXT = "depth=1,filters=4,kernel=3,pool=none,head=flatten,units=0,normalization=batch,activation=relu"


@pytest.fixture(scope="module")
def small(digits):
    """The digits with 200 training images."""
    return dataclasses.replace(digits, train=digits.train.take(np.arange(200)))


@pytest.fixture(scope="module")
def by_gtn(small):
    return evaluation.evaluate(SPACE, TEXT, 3, evaluation.GTN(steps=4, learning_rate_limit=1.0), small)


def test_a_row_is_complete_and_of_that_network(by_gtn):
    (row,) = by_gtn
    model = SPACE.build(SPACE.parse(TEXT), (8, 8, 1), 10)
    assert row["architecture"] == TEXT and row["seed"] == 3 and row["budget"] == "gtn"
    assert row["parameters"] == costs.parameters(model) and row["flops"] == costs.flops(model)
    assert 0 < row["training_seconds"] < row["seconds"] and 0.05 < row["accuracy"] <= 1


def test_accuracy_is_of_the_network_with_that_text_trained_so(small, by_gtn):
    """The published script paired scores and encodings wrongly: trained by hand, the same text and seed give the same score."""
    gtn = loading.load("digits")
    model = SPACE.build(SPACE.parse(TEXT), (8, 8, 1), 10)
    from tf_gtn.core import functional

    fresh = functional.Functional(model)
    fresh.assign(*fresh.initial_values(tf.constant([3, 0])))
    gtn.train(model, 4, learning_rate_scale=1.0, weight_norm=True)
    predicted = model.predict(gtn.normalize(small.validation.images), verbose=0).argmax(-1)
    assert by_gtn[0]["accuracy"] == pytest.approx((predicted == small.validation.labels).mean())


def test_each_number_of_epochs_is_a_training_of_its_own(small):
    both = evaluation.evaluate(SPACE, TEXT, 1, evaluation.Real(epochs=(0.5, 2)), small)
    (alone,) = evaluation.evaluate(SPACE, TEXT, 1, evaluation.Real(epochs=2), small)
    assert [row["budget"] for row in both] == ["real_0.5", "real_2"]
    assert both[1]["accuracy"] == alone["accuracy"] and both[1]["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert both[0]["loss"] > both[1]["loss"]


def test_real_training_with_everything_on(small):
    budget = evaluation.Real(epochs=0.5, augment=True, cutout=3, weight_decay=1e-3)
    assert np.isfinite(evaluation.evaluate(SPACE, TEXT, 1, budget, small)[0]["loss"])


def test_a_network_that_diverges_has_failed(small):
    (row,) = evaluation.evaluate(SPACE, TEXT, 1, evaluation.Real(epochs=1, learning_rate=1e38), small)
    assert row["failed"] == "the loss is not finite" and "accuracy" not in row


@pytest.mark.slow
def test_the_papers_network_takes_two_steps():
    """N = 6 and F = 36 (section 2) on images like CIFAR10's, with cutout and augmentation."""
    rng = np.random.default_rng(0)

    def split(n):
        return data.Split(rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, n).astype(np.int32))

    mock = data.Dataset("mock", split(8), split(4), split(4), tuple("0123456789"))
    space = cells.Cells(repeats=6, filters=36)
    budget = evaluation.Real(epochs=(1,), batch_size=4, augment=True, cutout=16, weight_decay=3e-4, learning_rate=0.024)
    (row,) = evaluation.evaluate(space, str(space.sample(rng)), 0, budget, mock)
    assert np.isfinite(row["loss"]) and 1e6 < row["parameters"] < 3e7
