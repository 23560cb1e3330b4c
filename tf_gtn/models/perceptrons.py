"""Fully connected networks of vectors: policies and value functions."""

import keras

from tf_gtn import arguments


@arguments.checked("models.perceptron")
def perceptron(
    inputs: int,
    outputs: int,
    units: tuple[arguments.Count, ...] = (64,),
    activation: str | None = "tanh",
    name: str = "policy",
    dtype: str = "float32",
) -> keras.Sequential:
    """Vectors `[n, inputs]` -> `[n, outputs]`, without a last activation (GTN paper, appendix H: 64 units with tanh)."""
    layers = [keras.Input((inputs,), dtype=dtype)]
    for i, width in enumerate(units):
        layers.append(keras.layers.Dense(width, activation=activation, name=f"dense_{i + 1}", dtype=dtype))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, name="outputs", dtype=dtype)], name=name)
