"""Other orders, more steps, larger batches: what learners get, and with which hyperparameters."""

import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import arms
from tf_gtn.teaching import closed_loop, evaluation, pixels, presentations

SEED = tf.constant([3, 4])


def batches(evaluator):
    """The noise or indices that an evaluator's learners get."""
    return evaluator._loops[0].xs(evaluator._hyper(), SEED)


def test_a_lesson_that_goes_on_begins_again_with_the_last_rate(tiny_dataset):
    training = arms.make(tiny_dataset, "full")
    evaluator = presentations.repeated(training, 7)
    assert evaluator.every_step == tuple(range(8))
    xs, once = batches(evaluator), batches(evaluation.Evaluator.of(training))
    noise, rate = once["treatment"]["noise"], once["hyper"]["learning_rate"].numpy()
    np.testing.assert_array_equal(xs["treatment"]["noise"], np.concatenate([noise, noise, noise[:1]]))
    np.testing.assert_array_equal(xs["hyper"]["learning_rate"], np.concatenate([rate, 4 * [rate[-1]]]))
    accuracies = evaluator.accuracies(tiny_dataset.test, 3, 5, after=(7, 3))
    np.testing.assert_array_equal(accuracies[:, 1], evaluation.Evaluator.of(training).accuracies(tiny_dataset.test, 3, 5))


def test_full_is_the_evaluators_own_number(tiny_dataset):
    training = arms.make(tiny_dataset, "full", steps=6)
    expected = evaluation.Evaluator.of(training).accuracies(tiny_dataset.test, 6, 7)
    accuracies = {
        order: presentations.reordered(training, order).accuracies(tiny_dataset.test, 6, 7) for order in ("full", "reversed")
    }
    np.testing.assert_array_equal(accuracies["full"], expected)
    assert (accuracies["reversed"] != expected).any()


def test_orders_hold_the_same_codes_and_keep_the_schedule(tiny_dataset):
    training = arms.make(tiny_dataset, "full", steps=4)
    training.hyperparameters.variables[0].assign([0.1, 0.2, 0.3, 0.4])
    trained_order = batches(evaluation.Evaluator.of(training))
    by_order = {o: batches(presentations.reordered(training, o)) for o in ("reversed", "shuffled_batch", "all_shuffled")}
    noise = trained_order["treatment"]["noise"].numpy()
    np.testing.assert_array_equal(by_order["reversed"]["treatment"]["noise"], noise[::-1])
    for order, xs in by_order.items():
        np.testing.assert_array_equal(xs["hyper"]["learning_rate"], trained_order["hyper"]["learning_rate"])
        got = xs["treatment"]["noise"].numpy()
        assert got.shape == noise.shape and (got != noise).any()
        whole = {batch.tobytes() for batch in noise}
        assert (order == "all_shuffled") == ({batch.tobytes() for batch in got} != whole)
        assert sorted(map(bytes, got.reshape(-1, 4))) == sorted(map(bytes, noise.reshape(-1, 4)))


def test_the_shape_is_that_of_a_batch_whatever_else_a_step_gets(tiny_dataset):
    class Augmented(pixels.Distilled):
        def xs(self, seed):
            return {"augmentation": tf.zeros([self.inner_steps, 2], tf.int32), **super().xs(seed)}

    settings = np.zeros((3, 6, *tiny_dataset.image_shape), np.float32), tiny_dataset.num_classes
    assert presentations.shape(Augmented(*settings)) == presentations.shape(pixels.Distilled(*settings)) == (3, 6)
    treatment = arms.make(tiny_dataset, "full", steps=3, batch=6).treatment
    watching = closed_loop.ClosedLoop(treatment.generator.model, treatment.curriculum, SEED, units=4)
    assert presentations.shape(treatment) == presentations.shape(watching) == (3, 6)


@pytest.mark.parametrize("kind", ["none", "real"])
def test_more_steps_and_larger_batches(tiny_dataset, kind):
    training = arms.make(tiny_dataset, kind, steps=3, batch=6)
    assert presentations.shape(training.treatment) == (3, 6)
    training.hyperparameters.variables[0].assign([0.1, 0.2, 0.3])
    rates = training.hyperparameters.values()["learning_rate"].numpy()
    for steps, batch in ((1, 1), (2, 1), (1, 4)):
        evaluator = presentations.enlarged(training, steps=steps, batch=batch)
        xs = batches(evaluator)
        assert tf.nest.flatten(xs["treatment"])[0].shape[:2] == (3 * steps, 6 * batch)
        np.testing.assert_array_equal(xs["hyper"]["learning_rate"], np.r_[rates, np.full(3 * (steps - 1), rates[-1])])
    assert evaluator.accuracies(tiny_dataset.test, 2, 0).shape == (2,)
    np.testing.assert_array_equal(
        presentations.enlarged(training).accuracies(tiny_dataset.test, 3, 5),
        evaluation.Evaluator.of(training).accuracies(tiny_dataset.test, 3, 5),
    )


def test_continued():
    schedule = {"learning_rate": tf.constant([1.0, 2.0, 3.0])}
    np.testing.assert_array_equal(presentations.continued(schedule, 5)["learning_rate"], [1, 2, 3, 3, 3])
    np.testing.assert_array_equal(presentations.continued(schedule, 2)["learning_rate"], [1, 2])


def test_which_arms_have_an_order_and_which_are_endless(tiny_dataset):
    kinds = ("full", "shuffled_batch", "none", "distilled", "real")
    trainings = {kind: arms.make(tiny_dataset, kind) for kind in kinds}
    assert [k for k in kinds if presentations.has_order(trainings[k])] == ["full"]
    assert [k for k in kinds if presentations.is_endless(trainings[k])] == ["none", "real"]
