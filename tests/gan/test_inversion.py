"""Reconstruction: least squares where it has a closed form, and the best of several starts where it has none."""

import numpy as np
import tensorflow as tf

from tf_gtn.gan import inversion


def test_a_linear_generator_gives_the_projection():
    rng = np.random.default_rng(0)
    basis, targets = rng.normal(size=(3, 8)), rng.normal(size=(5, 4, 2))

    def generate(z):
        return tf.reshape(z @ tf.constant(basis), [-1, 4, 2])

    nearest, errors = inversion.reconstruct(generate, targets, 3, tf.constant([0, 1]))
    codes = np.linalg.lstsq(basis.T, targets.reshape(5, 8).T, rcond=None)[0].T
    np.testing.assert_allclose(nearest, (codes @ basis).reshape(5, 4, 2), atol=1e-5)
    np.testing.assert_allclose(errors, np.square(codes @ basis - targets.reshape(5, 8)).mean(1), rtol=1e-6)


def test_the_best_start_stays():
    def generate(z):  # from below 0 the best that can be reached is 0.5
        return tf.where(z > 0, z, 0.5 * (1 - tf.exp(tf.minimum(z, 0.0))))

    targets = tf.ones([20, 1])
    single, several = (inversion.reconstruct(generate, targets, 1, tf.constant([3, 3]), starts=n)[1].numpy() for n in (1, 5))
    assert 0.2 < (single < 1e-6).mean() < 0.8 < (several < 1e-6).mean()
    assert single.max() > 0.2


def test_the_same_seed_gives_the_same():
    reconstructions = [inversion.reconstruct(tf.tanh, tf.ones([3, 2]) / 2, 2, tf.constant([1, 2])) for _ in range(2)]
    np.testing.assert_array_equal(reconstructions[0][0], reconstructions[1][0])
    np.testing.assert_allclose(reconstructions[0][0], 0.5, atol=1e-3)
