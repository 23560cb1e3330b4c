"""A Keras model as a pure function: same outputs, differentiable state, fresh weights from its own initialisers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import functional, unrolling, weight_norm
from tf_gtn.models import layers, learners


def small(normalization=keras.layers.BatchNormalization, dtype="float64"):
    return keras.Sequential(
        [
            keras.Input((6, 6, 2), dtype=dtype),
            keras.layers.Conv2D(3, 3, dtype=dtype),
            normalization(momentum=0.0, dtype=dtype),
            keras.layers.Activation("tanh", dtype=dtype),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(4, dtype=dtype),
        ]
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(5, 6, 6, 2))


@pytest.mark.parametrize("with_weight_norm", [False, True])
def test_same_as_the_model_and_the_model_stays(images, with_weight_norm):
    model = small()
    pure = functional.Functional(model, with_weight_norm)
    before = [v.numpy().copy() for v in model.variables]
    params, state = pure.values()
    outputs, new_state = pure(params, state, images, training=True)
    for b, v in zip(before, model.variables):
        np.testing.assert_array_equal(b, v.numpy())
    np.testing.assert_allclose(outputs, model(images, training=True), rtol=1e-9)
    for variable in model.non_trainable_variables:  # the call above moved the statistics
        np.testing.assert_allclose(new_state[variable.path], variable, rtol=1e-12)
    np.testing.assert_allclose(pure(params, new_state, images)[0], model(images), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(learners.REGISTRY))
@pytest.mark.parametrize("with_weight_norm", [False, True])
def test_fresh_weights_of_every_learner(name, with_weight_norm):
    family = learners.family(name, (8, 8, 1), 10)
    model = family.build(tuple(low for low, _ in family.ranges))
    pure = functional.Functional(model, with_weight_norm)
    draw = tf.function(pure.initial_values, autograph=False)
    one, state = draw(tf.constant([0, 1]))
    again, _ = draw(tf.constant([0, 1]))
    other, _ = draw(tf.constant([1, 1]))
    tf.nest.map_structure(np.testing.assert_array_equal, one, again)
    weights, others = pure.weights(one), pure.weights(other)
    for variable in model.trainable_variables:
        value = weights[variable.path].numpy()
        assert value.shape == variable.shape
        if variable.name.endswith("kernel"):
            assert np.abs(value - others[variable.path].numpy()).max() > 0
            assert value.std() == pytest.approx(variable.numpy().std(), rel=0.35)  # the same initialiser's scale
        else:
            np.testing.assert_array_equal(value, variable.numpy())  # zeros and ones
    outputs, _ = pure(one, state, np.zeros((2, 8, 8, 1), np.float32), training=True)
    assert outputs.shape == (2, 10)


def test_every_learner_survives_saving(tmp_path):
    for name in learners.REGISTRY:
        family = learners.family(name, (8, 8, 1), 10)
        model = family.build(tuple(low for low, _ in family.ranges))
        model.save(tmp_path / "m.keras")
        images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
        loaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
        np.testing.assert_allclose(loaded(images), model(images), rtol=1e-6)


def test_dropout_draws_anew_from_its_state(images):
    model = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Dropout(0.5)])
    pure = functional.Functional(model)
    _, state = pure.initial_values(tf.constant([3, 4]))
    first, state = pure({}, state, images, training=True)
    second, _ = pure({}, state, images, training=True)
    assert np.abs(first.numpy() - second.numpy()).max() > 0


@pytest.mark.parametrize("normalization", [keras.layers.BatchNormalization, layers.MeanOnlyBatchNormalization])
def test_gradient_through_the_carried_state(images, normalization):
    """The statistics of the batch at step t decide the outputs at inference after it: d outputs / d images, by differences."""
    pure = functional.Functional(small(normalization))
    params, state = pure.initial_values(tf.constant([0, 0]))
    probe = tf.constant(np.random.default_rng(1).normal(size=(3, 6, 6, 2)))

    def judged(batches):
        def step(params, state, batch):
            _, state = pure(params, state, batch, training=True)
            return state, ()

        final, _ = unrolling.unroll(step, params, state, batches)
        return tf.reduce_sum(tf.square(pure(params, final, probe)[0]))

    batches = tf.constant(np.stack([images, 2 * images + 1]))
    with tf.GradientTape() as tape:
        tape.watch(batches)
        loss = tf.function(judged, autograph=False)(batches)
    gradient = tape.gradient(loss, batches).numpy()
    assert np.abs(gradient[0]).max() == 0  # momentum 0: only the last batch counts
    direction = np.random.default_rng(2).normal(size=batches.shape)
    numeric = (judged(batches + 1e-5 * direction) - judged(batches - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose((gradient * direction).sum(), numeric, rtol=1e-6)


def test_mean_only_batch_normalization_by_hand():
    layer = layers.MeanOnlyBatchNormalization(momentum=0.25)
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype(np.float32)
    mean = x.mean((0, 1, 2))
    np.testing.assert_allclose(layer(x, training=True), x - mean, atol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, 0.75 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer(x), x - 0.75 * mean, atol=1e-6)


def test_weight_norm_by_hand_and_at_zero():
    v = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 2, 4)))
    parameter = weight_norm.split(v, (0, 1, 2))
    np.testing.assert_allclose(parameter["g"][0, 0, 0], np.sqrt((v.numpy() ** 2).sum((0, 1, 2))), rtol=1e-9)
    np.testing.assert_allclose(weight_norm.join({"v": 5 * v, "g": 2 * parameter["g"]}, (0, 1, 2)), 2 * v, rtol=1e-9)
    zero = tf.zeros([3, 2])
    with tf.GradientTape() as tape:
        tape.watch(zero)
        joined = weight_norm.join(weight_norm.split(zero, (0,)), (0,))
        loss = tf.reduce_sum(joined)
    assert np.isfinite(tape.gradient(loss, zero)).all()


def test_weight_norm_axes_of_every_kind_of_kernel():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
            keras.layers.SeparableConv2D(6, 3, name="separable"),
            keras.layers.Conv2D(5, 1, name="conv"),
            keras.layers.Conv2DTranspose(7, 3, name="transposed"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="dense"),
        ]
    )
    params, _ = functional.Functional(model, weight_norm=True).values()
    shapes = {path.split("/", 1)[1]: tuple(p["g"].shape) for path, p in params.items() if isinstance(p, dict)}
    assert shapes == {
        "depthwise/kernel": (1, 1, 4, 2),
        "separable/depthwise_kernel": (1, 1, 8, 1),
        "separable/pointwise_kernel": (1, 1, 1, 6),
        "conv/kernel": (1, 1, 1, 5),
        "transposed/kernel": (1, 1, 7, 1),
        "dense/kernel": (1, 3),
    }


@pytest.mark.parametrize("with_weight_norm", [False, True])
def test_nested_models_with_equal_layer_names_keep_weights_of_their_own(images, with_weight_norm):
    def part(name):
        inputs = keras.Input((6, 6, 2))
        hidden = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(3, 3, name="conv")(inputs))
        return keras.Model(inputs, keras.layers.Dense(4, name="out")(keras.layers.Flatten(name="flat")(hidden)), name=name)

    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, keras.layers.Concatenate()([part("one")(inputs), part("two")(inputs)]))
    assert len({v.path for v in model.variables}) < len(model.variables)
    pure = functional.Functional(model, with_weight_norm)
    params, state = pure.values()
    assert len(params) + len(state) == len(model.variables)
    np.testing.assert_allclose(pure(params, state, images)[0], model(images), rtol=1e-5, atol=1e-6)
    fresh, state = pure.initial_values(tf.constant([0, 1]))
    outputs, _ = pure(fresh, state, images)
    assert np.abs(outputs[:, :4] - outputs[:, 4:]).max() > 0.1
    pure.assign(fresh, state)
    np.testing.assert_allclose(outputs, model(images), rtol=1e-5, atol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="has no weights yet"):
        functional.Functional(keras.Sequential([keras.layers.Dense(2)]))

    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.thing = self.add_weight(shape=(2,), name="thing")

        def call(self, x):
            return x + self.thing

    with pytest.raises(ValueError, match=r"odd.*thing_initializer"):
        functional.Functional(keras.Sequential([keras.Input((2,)), Odd(name="odd")])).initial_values(tf.constant([0, 0]))


def test_neighbouring_seeds_share_nothing():
    """Keras counts up from a seed, one a variable: kernel 2 of seed [0, 0] must not be kernel 1 of seed [0, 1]."""
    model = keras.Sequential([keras.Input((4,))] + [keras.layers.Dense(4, use_bias=False, name=f"d{i}") for i in range(3)])
    pure = functional.Functional(model)
    kernels = [k.numpy() for seed in range(3) for k in pure.initial_values(tf.constant([0, seed]))[0].values()]
    for i, one in enumerate(kernels):
        for other in kernels[:i]:
            assert np.abs(one - other).max() > 1e-3


def test_an_lstms_forget_gate_starts_open():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(4)])
    params, _ = functional.Functional(model).initial_values(tf.constant([0, 1]))
    drawn = {path.rsplit("/", 1)[1]: value.numpy() for path, value in params.items()}
    np.testing.assert_array_equal(drawn["bias"], np.repeat([0, 1, 0, 0], 4))
    np.testing.assert_array_equal(drawn["bias"], model.layers[-1].cell.bias)
    np.testing.assert_allclose(drawn["recurrent_kernel"] @ drawn["recurrent_kernel"].T, np.eye(4), atol=1e-5)
