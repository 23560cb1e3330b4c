"""GTN-GAN: the sum of two gradients, each as by itself, and a discriminator that learns beside it."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data, errors
from tf_gtn.core import SGD, Adam
from tf_gtn.gan import gtn_gan
from tf_gtn.models import gans, generators, population
from tf_gtn.teaching import curricula, training, treatments


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def make(digits, weight=1.0, adversarial=0.5, seed=0, with_adversary=True):
    curriculum = curricula.Curriculum(2, 8, 4, 10, tf.constant([seed, 1]))
    treatment = treatments.GTN(generators.conditional((8, 8, 1), 10, 4, 8, 4, 4), curriculum, tf.constant([seed, 2]))
    people = population.Population({"mlp": {"units": ((8, 8), (8, 8))}}, (8, 8, 1), 10)
    discriminator = gans.conv_discriminator((8, 8, 1), filters=(4,))
    adversary = gtn_gan.Adversary(digits, discriminator, Adam(1e-2, 0.5), seed, adversarial, batch_size=8)
    trained = training.Training(
        digits,
        people,
        treatment,
        SGD(),
        outer_steps=10,
        outer_batch=8,
        weight=weight,
        auxiliary=adversary if with_adversary else None,
        seed=seed,
    )
    return gtn_gan.GTNGAN(trained, adversary)


def gradients(gtn_gan, monkeypatch):
    """Of the first step, as the outer update gets them."""
    seen = []
    monkeypatch.setattr(gtn_gan.training._update, "apply", lambda loss, gradient: seen.append((loss, gradient)) or tf.zeros([]))
    tf.config.run_functions_eagerly(True)
    try:
        gtn_gan.step(0)
    finally:
        tf.config.run_functions_eagerly(False)
    ((loss, gradient),) = seen
    return float(loss), [g.numpy() for g in gradient]


def test_the_gradient_is_the_weighted_sum_of_both(digits, monkeypatch):
    loss, of_both = gradients(make(digits, 2.0), monkeypatch)
    taught_loss, taught = gradients(make(digits, with_adversary=False), monkeypatch)
    adversarial_loss, adversarial = gradients(make(digits, 0.0), monkeypatch)
    assert loss == pytest.approx(2 * taught_loss + adversarial_loss, rel=1e-5)
    for whole, one, other in zip(of_both, taught, adversarial):
        np.testing.assert_allclose(whole, 2 * one + other, rtol=1e-3, atol=1e-6)
    assert any(np.abs(g).max() > 1e-6 for g in taught) and any(np.abs(g).max() > 1e-6 for g in adversarial)


def test_without_a_lesson_the_hyperparameters_stay(digits):
    gtn_gan = make(digits, 0.0)
    before = [v.numpy() for v in gtn_gan.training.hyperparameters.variables]
    gtn_gan.step(0)
    for old, new in zip(before, gtn_gan.training.hyperparameters.variables):
        np.testing.assert_array_equal(old, new)


def test_the_discriminator_learns_to_tell(digits):
    gtn_gan = make(digits, 0.0, adversarial=1e-6)
    losses = [float(gtn_gan.step(i)["discriminator_loss"]) for i in range(60)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_resumed_run_gives_the_same_numbers(digits):
    whole, second = make(digits), make(digits)
    whole.step(0)
    for mine, other in zip(second.variables, whole.variables, strict=True):
        mine.assign(other)
    expected = [{k: float(v) for k, v in whole.step(i).items()} for i in (1, 2)]
    assert [{k: float(v) for k, v in second.step(i).items()} for i in (1, 2)] == expected
    other = make(digits, seed=1)
    second.restart(other)
    assert second.training.seed == 1 and int(second.taken.numpy()) == 0
    np.testing.assert_array_equal(second.samples(4, 0), other.samples(4, 0))


def test_samples_are_images(digits):
    samples = make(digits).samples(6, 1).numpy()
    assert samples.shape == (1, 6, 8, 8, 1) and np.isfinite(samples).all()


def test_mistakes(digits):
    with pytest.raises(errors.UserError, match="weight"):
        make(digits, 0.5, with_adversary=False)
