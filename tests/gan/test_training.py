"""Training: seeds side by side are what they are alone, a stop costs nothing, an export gives the same samples."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import Adam, outer_update
from tf_gtn.data import mixtures
from tf_gtn.gan import export, objectives, training
from tf_gtn.models import gans
from tf_gtn.teaching import trust


def make(seed=0, networks=1, steps=1, **settings):
    return training.UnrolledGAN(
        gans.ring_generator(noise=4, units=(8,)),
        gans.ring_discriminator(units=(8,)),
        mixtures.ring(),
        seed,
        3,
        iterations=4,
        parallel_seeds=networks,
        unrolled=objectives.Unrolled(steps),
        generator_optimizer=Adam(1e-2, 0.5),
        discriminator_optimizer=Adam(1e-2, 0.5),
        batch_size=16,
        **settings,
    )


def test_seeds_side_by_side_are_what_they_are_alone():
    together, alone = make(networks=2), [make(seed) for seed in (0, 1)]
    for trained in (together, *alone):
        for index in range(2):
            trained.step(index)
    for player in ("generator", "discriminator"):
        for path, value in together.state()[player]["params"].items():
            for n in (0, 1):
                np.testing.assert_allclose(value[n], alone[n].state()[player]["params"][path], rtol=2e-4, atol=1e-6)


def test_a_resumed_run_gives_the_same_numbers():
    whole, first, second = make(), make(), make()
    expected = [{k: float(v) for k, v in whole.step(i).items()} for i in range(3)]
    first.step(0)
    for mine, other in zip(second.variables, first.variables, strict=True):
        mine.assign(other)
    assert [{k: float(v) for k, v in second.step(i).items()} for i in (1, 2)] == expected[1:]
    assert int(second.taken.numpy()) == 3


@pytest.mark.parametrize("settings", [{"resample": True}, {"discriminator_unrolled": 2}, {"loss": "non_saturating"}], ids=str)
def test_variants_train_otherwise(settings):
    plain, other = make(steps=2), make(steps=2, **settings)
    one, two = plain.step(0), other.step(0)
    assert np.isfinite(float(two["loss"])) and float(one["gradient_norm"]) != float(two["gradient_norm"])


def test_what_is_not_finite_changes_nothing():
    trained = make()
    trained.source = mixtures.Mixture(np.full((1, 2), np.nan), 0.1)
    before = [v.numpy() for v in tf.nest.flatten(trained._state)]
    trained.step(0)
    for old, new in zip(before, tf.nest.flatten(trained._state)):
        np.testing.assert_array_equal(old, new)
    assert int(trained.skipped.numpy()) == int(trained.consecutively_skipped.numpy()) == 1


def test_a_network_that_is_not_finite_holds_up_no_other_one():
    whole, broken = make(networks=3), make(networks=3)
    bad = tf.nest.flatten(broken._state["generator"]["params"])[0]
    bad.assign(tf.tensor_scatter_nd_update(bad.value, [[1]], tf.fill([1, *bad.shape[1:]], 3e38)))
    before = [v.numpy() for v in tf.nest.flatten(broken._state)]
    for index in range(outer_update.MAX_SKIPPED + 1):
        whole.step(index)
        broken.step(index)
    for old, mine, other in zip(before, *(tf.nest.flatten(t._state) for t in (broken, whole)), strict=True):
        if len(mine.shape):
            np.testing.assert_array_equal(mine.numpy()[[0, 2]], other.numpy()[[0, 2]])
            np.testing.assert_array_equal(mine.numpy()[1], old[1])
    assert broken.diverged == [1] and int(broken.consecutively_skipped) == 0
    assert int(broken.skipped) == outer_update.MAX_SKIPPED and whole.diverged == []
    bad.assign(bad * np.nan)
    for index in range(outer_update.MAX_SKIPPED):
        broken.step(index)
    assert broken.diverged == [0, 1, 2] and int(broken.consecutively_skipped) == outer_update.MAX_SKIPPED


@pytest.mark.parametrize("networks", [1, 2])
def test_the_export_makes_the_same_samples(tmp_path, networks):
    trained = make(networks=networks)
    trained.step(0)
    export.save(trained, str(tmp_path), 3)
    path = export.save(trained, str(tmp_path), 3)  # again, in its place
    assert os.listdir(tmp_path) == ["3"] and trust.read_graph(path).signature_def
    noise = tf.random.stateless_normal([5, 4], [1, 1])
    exported = tf.saved_model.load(path).signatures["serving_default"](noise=noise)["sample"]
    state, net = trained.state()["generator"], trained.players.generator
    if networks > 1:
        net, state = net.functional, {k: tf.nest.map_structure(lambda x: x[0], state[k]) for k in ("params", "model")}
    np.testing.assert_allclose(exported, net(state["params"], state["model"], noise)[0], rtol=1e-5)


def test_restarted_it_is_the_other_seed():
    trained, other = make(), make(seed=7)
    trained.step(0)
    trained.restart(other)
    assert {k: float(v) for k, v in trained.step(0).items()} == {k: float(v) for k, v in other.step(0).items()}


@pytest.mark.parametrize("of", ["conv", pytest.param("rnn", marks=pytest.mark.slow)])
def test_image_networks_take_a_step(of, tmp_path):
    class Images:
        sample_shape = (8, 8, 1)

        def sample(self, shape, seed):
            return tf.tanh(tf.random.stateless_normal((*shape, 8, 8, 1), seed))

    made = gans.conv_generator((8, 8, 1), 6, filters=(8, 4)) if of == "conv" else gans.rnn_generator((8, 8, 1), 6, 8)
    trained = training.UnrolledGAN(
        made,
        gans.conv_discriminator((8, 8, 1), filters=(4, 4)),
        Images(),
        0,
        1,
        iterations=1,
        unrolled=objectives.Unrolled(1),
        loss="non_saturating",
        generator_optimizer=Adam(1e-3),
        discriminator_optimizer=Adam(1e-3),
        batch_size=4,
    )
    metrics = trained.step(0)
    assert np.isfinite(float(metrics["loss"])) and float(metrics["gradient_norm"]) > 0
    assert trained.samples(3, 0).shape == (1, 3, 8, 8, 1) and np.abs(trained.samples(3, 0)).max() <= 1
    path = export.save(trained, str(tmp_path / of), 1)
    trust.read_graph(path)
    served = tf.saved_model.load(path).signatures["serving_default"]
    assert served(noise=tf.zeros([0, 6]))["sample"].shape == (0, 8, 8, 1)
    noise = tf.random.stateless_normal([5, 6], [1, 1])
    several, alone = served(noise=noise)["sample"], served(noise=noise[:1])["sample"]
    np.testing.assert_allclose(several[:1], alone, atol=1e-5)  # whatever stands beside it
    assert np.ptp(several.numpy(), 0).max() > 1e-3


def test_mistakes():
    with pytest.raises(errors.UserError, match="batch_size"):
        training.UnrolledGAN(None, None, None, 0, 1, batch_size=0)
    with pytest.raises(errors.UserError, match="non_saturating"):
        make(loss="non_saturatin")
