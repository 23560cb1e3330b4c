"""One step of training is Keras', penalties and constraints included; what comes out tells probabilities from logits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Functional, stacking, supervised

L = keras.layers


class Penalised(L.Layer):
    def call(self, x):
        self.add_loss(0.01 * keras.ops.sum(x * x))
        return x


def regularised():
    return keras.Sequential(
        [
            keras.Input((5,)),
            L.Dense(4, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.3), activity_regularizer="l1"),
            Penalised(),
            L.Dense(3, kernel_constraint=keras.constraints.NonNeg(), bias_constraint=keras.constraints.MaxNorm(0.01)),
        ]
    )


def test_a_step_is_that_of_keras_fit():
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(6, 5)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 6)]
    model = regularised()
    learner, hyper = Functional(model), {"learning_rate": 0.2, "momentum": 0.5}
    stacked = stacking.Stacked(learner, 2)
    states = [supervised.initial_state(SGD(), *learner.values())]
    states.append(supervised.initial_state(SGD(), *tf.nest.map_structure(lambda x: tf.stack([x, x]), learner.values())))
    losses = []
    for _ in range(3):
        states[0], loss, _ = supervised.update(learner, SGD(), states[0], inputs, labels, hyper)
        losses.append(float(loss))
        states[1], _, _ = supervised.update(
            stacked, SGD(), states[1], tf.stack([inputs, inputs]), tf.stack([labels, labels]), hyper,
            lambda labels, logits: 2 * supervised.cross_entropy(labels, logits),
        )  # fmt: skip
    # Keras: velocity <- momentum velocity - rate gradient, the same steps at a constant rate
    model.compile(keras.optimizers.SGD(0.2, 0.5), keras.losses.CategoricalCrossentropy(from_logits=True))
    seen = model.train_on_batch(inputs, labels), model.evaluate(inputs, labels, verbose=0)
    np.testing.assert_allclose(losses[:2], [float(np.asarray(loss)) for loss in seen], rtol=1e-5)
    model.fit(inputs, labels, batch_size=6, epochs=2, verbose=0)
    for variable in model.trainable_variables:
        np.testing.assert_allclose(states[0]["params"][variable.path], variable, rtol=1e-5, atol=1e-6)
        for values in states[1]["params"][variable.path]:
            np.testing.assert_allclose(values, variable, rtol=1e-5, atol=1e-6)
    assert model.layers[-1].kernel.numpy().min() == 0 and np.linalg.norm(model.layers[-1].bias) < 0.011


def test_what_would_ignore_penalties_refuses_them():
    learner = Functional(regularised())
    values = learner.values()
    with pytest.raises(errors.UserError, match="has a regulariser or constraint, which this way of training would ignore"):
        learner(*values, tf.zeros([2, 5]), training=True)
    assert learner(*values, tf.zeros([2, 5]))[0].shape == (2, 3)
    outputs, _, penalties = learner(*values, tf.zeros([2, 5]), training=True, losses=True)
    assert outputs.shape == (2, 3) and len(penalties) == 3


def test_a_constraint_and_weight_normalisation_exclude_each_other():
    with pytest.raises(errors.UserError, match="has a constraint, which weight normalisation does not keep"):
        Functional(regularised(), weight_norm=True)


def averaged():
    images = keras.Input((4,))
    return keras.Model(images, L.Average()([L.Dense(3, activation="softmax")(images) for _ in range(3)]))


def uniform_at_first():
    return keras.Sequential(
        [keras.Input((4,)), L.Dense(4, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(0.25))]
    )


@pytest.mark.parametrize(
    "make, expected",
    [
        (averaged, True),
        (lambda: keras.Sequential([keras.Input((4,)), averaged()]), True),
        (lambda: keras.Sequential([averaged(), L.Dense(3)]), False),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3), L.Softmax()]), True),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, activation=keras.ops.softmax)]), True),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, activation="softmax", dtype="bfloat16")]), True),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, activation="sigmoid")]), False),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, activation="log_softmax")]), False),
        (uniform_at_first, False),
    ],
)  # fmt: skip
def test_probabilities_are_told_from_logits_by_what_comes_out(make, expected):
    learner = Functional(make())
    assert supervised.gives_probabilities(learner, *learner.values(), (4,)) == expected
