"""The unrolled objective against finite differences, against its parts, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Adam, Functional, stacking, supervised
from tf_gtn.gan import objectives

OPTIMIZERS = {"sgd": SGD(0.3, 0.5), "adam": Adam(0.05, 0.5, 0.9, epsilon=1e-3)}


def perceptron(inputs, outputs, name):
    dense = [
        keras.layers.Dense(4, "tanh", name="hidden", dtype="float64"),
        keras.layers.Dense(outputs, name="out", dtype="float64"),
    ]
    return keras.Sequential([keras.Input((inputs,), dtype="float64"), *dense], name=name)


def game(optimizer, loss="minimax", warm=2):
    """Players and their states after `warm` steps, so that the moments are not zero."""
    nets = Functional(perceptron(3, 2, "generator")), Functional(perceptron(2, 1, "discriminator"))
    players = objectives.Players(*nets, OPTIMIZERS[optimizer], OPTIMIZERS[optimizer], loss)
    g, d = (
        supervised.initial_state(OPTIMIZERS[optimizer], *net.initial_values(tf.constant([1, k]))) for k, net in enumerate(nets)
    )
    for t in range(warm):
        real, noise = (x[0] for x in batches(1, 10 + t))
        d = players.discriminator_step(d, real, players.fake(g, noise))
    return players, g, d


def batches(count, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(count, 5, 2))), tf.constant(rng.normal(size=(count, 5, 3)))


def fixed(steps):
    real, noise = batches(1)
    return tf.repeat(real, steps + 1, 0), tf.repeat(noise, steps + 1, 0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("loss", objectives.LOSSES)
def test_the_gradient_is_that_of_finite_differences(optimizer, steps, loss):
    players, g, d = game(optimizer, loss)
    unrolled, data = objectives.Unrolled(steps), fixed(steps)
    _, gradients = unrolled.gradient(players, g, d, *data)
    rng, checked = np.random.default_rng(0), 0
    for path, value in g["params"].items():
        place = tuple(rng.integers(0, n) for n in value.shape)
        ends = []
        for sign in (1, -1):
            nudged = value.numpy()
            nudged[place] += sign * 1e-6
            moved = {**g, "params": {**g["params"], path: tf.constant(nudged)}}
            ends.append(float(unrolled.loss(players, moved, d, *data)))
        expected = (ends[0] - ends[1]) / 2e-6
        assert gradients[path].numpy()[place] == pytest.approx(expected, rel=1e-5, abs=1e-9)
        checked += abs(expected) > 1e-5
    assert checked >= 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_without_the_second_term_the_gradient_is_another(optimizer):
    players, g, d = game(optimizer)
    data = fixed(3)
    loss, whole = objectives.Unrolled(3).gradient(players, g, d, *data)
    same, first = objectives.Unrolled(3, first_order=True).gradient(players, g, d, *data)
    assert float(loss) == pytest.approx(float(same))
    difference = max(np.abs(whole[k] - first[k]).max() / np.abs(first[k]).max() for k in whole)
    assert difference > 0.01


def test_no_steps_are_the_plain_gan_bit_for_bit():
    players, g, d = game("adam")
    real, noise = fixed(0)
    _, gradients = objectives.Unrolled(0).gradient(players, g, d, real, noise)
    with tf.GradientTape() as tape:
        tape.watch(list(g["params"].values()))
        logits = [
            players.discriminator(d["params"], d["model"], x, training=True)[0][..., 0]
            for x in (real[0], players.generator(g["params"], g["model"], noise[0], training=True)[0])
        ]
        f = tf.reduce_mean(tf.math.log_sigmoid(logits[0])) + tf.reduce_mean(tf.math.log_sigmoid(-logits[1]))
    for path, expected in tape.gradient(f, g["params"]).items():
        np.testing.assert_array_equal(gradients[path], expected)


def test_unrolling_goes_on_from_the_live_moments_and_leaves_them():
    players, g, d = game("adam")
    before = tf.nest.map_structure(lambda x: x.numpy(), d)
    real, noise = fixed(2)
    _, advanced, _ = objectives.Unrolled(2)._advanced(players, g, d, real, noise)
    by_hand = d
    for t in range(2):
        by_hand = players.discriminator_step(by_hand, real[t], players.fake(g, noise[t]))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), advanced, by_hand)
    fresh = {**d, "slots": players.discriminator_optimizer.init(d["params"])}
    _, other, _ = objectives.Unrolled(2)._advanced(players, g, fresh, real, noise)
    assert any(not np.allclose(a, b) for a, b in zip(tf.nest.flatten(other["params"]), tf.nest.flatten(advanced["params"])))
    tf.nest.map_structure(np.testing.assert_array_equal, tf.nest.map_structure(lambda x: x.numpy(), d), before)


def test_a_discriminators_step_goes_up_f_and_a_generators_down():
    players, g, d = game("sgd")
    real, noise = (x[0] for x in fixed(0))
    fake = players.fake(g, noise)
    f = float(players.f(d, real, fake))
    assert float(players.f(players.discriminator_step(d, real, fake), real, fake)) > f
    assert float(players.f(d, real, players.fake(players.generator_step(g, d, real, noise), noise))) < f


def test_extrapolation_goes_further_in_the_direction_of_one_step():
    players, g, d = game("adam")
    data = fixed(1)
    _, plain = objectives.Unrolled(0).gradient(players, g, d, *(x[-1:] for x in data))
    _, one = objectives.Unrolled(1).gradient(players, g, d, *data)
    _, further = objectives.Unrolled(1, extrapolation=3.0).gradient(players, g, d, *data)
    for path in plain:
        np.testing.assert_allclose(further[path], plain[path] + 3 * (one[path] - plain[path]), rtol=1e-10)


def test_both_players_unrolled_by_finite_differences():
    players, g, d = game("sgd")
    unrolled, data = objectives.Unrolled(2, both=True), batches(3)
    _, gradients = unrolled.gradient(players, g, d, *data)
    path, value = next(iter(g["params"].items()))
    ends = []
    for sign in (1, -1):
        nudged = value.numpy()
        nudged[0, 0] += sign * 1e-6
        ends.append(float(unrolled.loss(players, {**g, "params": {**g["params"], path: tf.constant(nudged)}}, d, *data)))
    assert gradients[path].numpy()[0, 0] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("both", [False, True])
def test_one_minibatch_for_all_steps_is_that_minibatch_repeated(both):
    players, g, d = game("adam")
    unrolled = objectives.Unrolled(3, both=both)
    loss, gradients = unrolled.gradient(players, g, d, *batches(1))
    same, expected = unrolled.gradient(players, g, d, *fixed(3))
    assert float(loss) == pytest.approx(float(same), rel=1e-12)
    for path in gradients:
        np.testing.assert_allclose(gradients[path], expected[path], rtol=1e-9, atol=1e-14)


def test_networks_side_by_side_have_the_gradients_of_their_own():
    players, g, d = game("adam")
    nets = [stacking.Stacked(net, 2) for net in (players.generator, players.discriminator)]
    stacked_players = objectives.Players(*nets, OPTIMIZERS["adam"], OPTIMIZERS["adam"])
    other = tf.nest.map_structure(lambda x: x * 1.1, g)
    g2, d2 = (tf.nest.map_structure(lambda a, b: tf.stack([a, b]), *pair) for pair in ((g, other), (d, d)))
    for optimizer_state in (g2["slots"], d2["slots"]):  # products of betas are one number for all
        for name in ("beta_1_product", "beta_2_product"):
            optimizer_state[name] = optimizer_state[name][0]
    data = fixed(2)
    _, gradients = objectives.Unrolled(2).gradient(stacked_players, g2, d2, *(tf.stack([x, x], 1) for x in data))
    for n, generator in enumerate((g, other)):
        _, alone = objectives.Unrolled(2).gradient(players, generator, d, *data)
        for path in alone:
            np.testing.assert_allclose(gradients[path][n], alone[path], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("settings", [{"steps": -1}, {"steps": 2, "extrapolation": 1.0}])
def test_mistakes(settings):
    with pytest.raises(errors.UserError):
        objectives.Unrolled(**settings)
