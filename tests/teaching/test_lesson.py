"""Keras models of users' own, taught by the GTN that comes with the package and tested on the real digits."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_gtn
from tf_gtn import errors
from tf_gtn.models import learners, saved
from tf_gtn.teaching import lesson

L = keras.layers


@pytest.fixture(scope="module")
def gtn():
    return tf_gtn.load("digits")


def taught(gtn, digits, model, **options):
    """`(history, accuracy on the test images)`; what is doubtful is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.Notice)
        history = gtn.train(model, **options)
    return history, (model.predict(gtn.normalize(digits.test.images), verbose=0).argmax(-1) == digits.test.labels).mean()


def branch(images, activation):
    hidden = L.Conv2D(16, 3, activation="relu")(images)
    return L.Dense(10, activation=activation)(L.Flatten()(hidden))


def average(activation):
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    return keras.Model(images, L.Average()([branch(images, activation) for _ in range(3)]))


def test_an_average_of_softmaxes_learns_as_one_of_logits(gtn, digits, tmp_path):
    average("softmax").save(tmp_path / "mine.keras")
    for model in (average("softmax"), saved.load(str(tmp_path / "mine.keras"))):
        history, accuracy = taught(gtn, digits, model)
        assert accuracy > 0.9
        assert history["synthetic_accuracy"] > 0.7 and not history["at_chance"]
    told, _ = taught(gtn, digits, average("softmax"), from_logits=False, learning_rate_scale=1.0)
    assert told["loss"] == pytest.approx(history["loss"], rel=1e-4)
    with pytest.raises(errors.UserError, match="from_logits must be True or False or None"):
        gtn.train(average("softmax"), from_logits="no")
    mistold, _ = taught(gtn, digits, average("softmax"), from_logits=True, learning_rate_scale=1.0)
    assert mistold["loss"][-1] > history["loss"][-1] + 0.5


def convolution(**options):
    keras.utils.set_random_seed(0)
    first = L.Conv2D(32, 3, activation="relu", **options)
    return keras.Sequential([keras.Input((8, 8, 1)), first, L.Flatten(), L.Dense(10)])


def test_regularisers_and_constraints_count(gtn, digits):
    plain, regularised = convolution(), convolution(kernel_regularizer=keras.regularizers.L2(0.05))
    for model in (plain, regularised):
        assert taught(gtn, digits, model)[1] > 0.9
    size = [float(np.square(model.layers[0].kernel).sum()) for model in (plain, regularised)]
    assert size[1] < 0.8 * size[0]
    positive = convolution(kernel_constraint=keras.constraints.NonNeg())
    assert taught(gtn, digits, positive)[1] > 0.9
    assert positive.layers[0].kernel.numpy().min() >= 0


def test_submodels_with_equal_layer_names_are_taught(gtn, digits):
    def part(name):
        inputs = keras.Input((8, 8, 1))
        hidden = L.Flatten(name="flat")(L.Conv2D(16, 3, activation="relu", name="conv")(inputs))
        return keras.Model(inputs, L.Dense(10, name="out")(hidden), name=name)

    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, L.Average()([part("one")(images), part("two")(images)]))
    assert taught(gtn, digits, model)[1] > 0.9


def test_a_lesson_that_did_not_take_is_told(gtn):
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Lambda(keras.ops.zeros_like), L.Flatten(), L.Dense(10)])
    with pytest.warns(errors.Notice, match="did not take: its accuracy on its own synthetic batches is 0.1.*chance") as caught:
        history = gtn.train(model)
    assert caught[0].filename == __file__
    assert history["at_chance"] and history["synthetic_accuracy"] < 0.15


@pytest.mark.parametrize(
    ("losses", "limit", "tried"),
    [
        ((0.2, 0.3, 0.1, 0.1, 0.1), 1.0, 2),  # it learns, and a lower limit is worse
        ((0.4, 0.2, 0.3, 0.1, 0.1), 0.3, 3),
        ((2.3, 2.4, 2.3, 0.5, 0.7), 0.03, 5),  # nothing is learned before: no loss ends the search
        ((1.2, 1.3, 1.4, 1.1, 1.0), 0.01, 5),  # above half of log(10)
        ((np.nan, np.inf, 1.0, 1.2, 1.3), 0.1, 4),
        ((np.nan,) * 5, 1.0, 5),
    ],
)
def test_the_search_of_a_limit_ends_when_a_network_that_learns_gets_no_better(gtn, monkeypatch, losses, limit, tried):
    teacher = lesson.Lesson(learners.family("mlp_plain", (8, 8, 1), 10).build(()), (8, 8, 1))
    given = iter(losses)
    monkeypatch.setattr(teacher, "teach", lambda start, xs: lesson.Taught(xs, "losses", tf.constant(next(given)), "hits"))
    taught, found, after = teacher.best(None, gtn.lesson())
    assert found == limit and len(after) == tried
    rates = gtn.lesson()["learning_rate"]
    np.testing.assert_array_equal(taught.network["learning_rate"], tf.minimum(rates, limit * tf.reduce_max(rates)))


def test_a_constant_answer_costs_the_entropy_of_the_labels_or_their_variance():
    labels = tf.one_hot([[0, 1], [2, 0]], 3)
    network = learners.family("mlp_plain", (8, 8, 1), 3).build(())
    by_entropy, by_variance = (lesson.Lesson(network, (8, 8, 1), loss=loss)._constant_loss(labels) for loss in lesson.LOSSES)
    assert by_entropy == pytest.approx(-(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)))
    assert by_variance == pytest.approx(np.var(labels.numpy().reshape(4, 3), axis=0).mean())
