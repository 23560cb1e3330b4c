"""Zero-cost proxies against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.nas import costs, proxies

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(6, 2, 2, 1)).astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]


def linear(*units):
    """A chain of dense layers without bias or activation, and its kernels."""
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    for width in units:
        model.add(keras.layers.Dense(width, use_bias=False))
    return model, [layer.kernel.numpy() for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def scored(name, model):
    return proxies.REGISTRY[name](model, tf.constant(IMAGES), tf.constant(LABELS))


def test_synflow_of_a_linear_network():
    """Each layer's sum of weight x gradient is the output's sum, so the total is that times the number of layers."""
    model, kernels = linear(5, 3)
    output = np.ones((1, 4)) @ np.abs(kernels[0].astype(np.float64)) @ np.abs(kernels[1].astype(np.float64))
    assert scored("synflow", model) == pytest.approx(np.log(2 * output.sum()))
    for kernel, layer in zip(kernels, [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]):
        np.testing.assert_array_equal(kernel, layer.kernel)  # as they were


def test_synflow_of_a_network_whose_sum_overflows_float32():
    model, _ = linear(*[200] * 40)
    assert 88 < scored("synflow", model) < 700 and np.isfinite(scored("synflow", model))


def test_gradient_proxies_of_a_softmax_layer():
    model, (kernel,) = linear(3)
    x = IMAGES.reshape(6, 4).astype(np.float64)
    logits = x @ kernel
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = x.T @ (p - LABELS) / 6
    assert scored("grad_norm", model) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    assert scored("snip", model) == pytest.approx(np.abs(kernel * gradient).sum(), rel=1e-5)


def test_nwot_counts_units_that_agree():
    model, _ = linear(7)
    model.add(keras.layers.ReLU())
    model.add(keras.layers.Dense(3))
    on = IMAGES.reshape(6, 4) @ model.layers[1].kernel.numpy() > 0
    alike = (on[:, None] == on[None]).sum(-1)
    assert scored("nwot", model) == pytest.approx(np.linalg.slogdet(alike.astype(float))[1], rel=1e-6)
    assert scored("nwot", linear(3)[0]) == -np.inf  # nothing is ever off


def test_jacov_of_gradients_that_are_one_another_s_multiples():
    """A linear network has the same gradient for all images: one eigenvalue is their number, the others are 0."""
    model, _ = linear(5, 3)
    expected = -(np.log(6 + 1e-5) + 1 / (6 + 1e-5)) - 5 * (np.log(1e-5) + 1e5)
    assert scored("jacov", model) == pytest.approx(expected, rel=1e-3)
    wide = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(3)]
    )
    assert scored("jacov", wide) > scored("jacov", model)  # differs from image to image


def test_costs():
    model, _ = linear(5, 3)
    assert scored("parameters", model) == costs.parameters(model) == 35 and scored("flops", model) == costs.flops(model)
