"""Fully connected networks of vectors: policies and value functions."""

import keras

from tf_gtn import errors


def perceptron(inputs, outputs, units=(64,), activation="tanh", name="policy", dtype="float32"):
    """Vectors `[n, inputs]` -> `[n, outputs]`, without a last activation (GTN paper, appendix H: 64 units with tanh)."""
    errors.at_least_one("models.perceptron", units=units)
    layers = [keras.Input((inputs,), dtype=dtype)]
    for i, width in enumerate(units):
        layers.append(keras.layers.Dense(width, activation=activation, name=f"dense_{i + 1}", dtype=dtype))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, name="outputs", dtype=dtype)], name=name)
