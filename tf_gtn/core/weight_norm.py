"""Weight normalisation of any Keras model's kernels: W = g V / ||V|| (Salimans & Kingma 2016; GTN paper, section 2).

A reparametrisation of explicit weights, not a layer: the model stays as it is, its parameters become
`{"v": V, "g": g}` for each kernel, with one norm an output channel, and `g` starts at ||W||, so that nothing changes at
the start.
"""

import keras
import tensorflow as tf

_TINY = 1e-12  # under the root, for channels of zeros


def reduction_axes(layer: keras.layers.Layer | None, variable: keras.Variable) -> tuple[int, ...] | None:
    """The axes that a kernel's norm sums over, or None if `variable` is no kernel.

    All but the output channel, which is the last axis, in transposed convolutions `[h, w, outputs, inputs]` the one before;
    for depthwise kernels `[h, w, channels, multiplier]` only the window.
    """
    if not variable.name.endswith("kernel") or len(variable.shape) < 2:
        return None
    if "depthwise" in variable.name or "Depthwise" in type(layer).__name__:
        return tuple(range(len(variable.shape) - 2))
    output = len(variable.shape) - (2 if "Transpose" in type(layer).__name__ else 1)
    return tuple(axis for axis in range(len(variable.shape)) if axis != output)


def split(weight: tf.Tensor, axes: tuple[int, ...]) -> dict[str, tf.Tensor]:
    """W -> {"v": W, "g": ||W||}, `g` with ones on the reduced axes."""
    return {"v": weight, "g": tf.sqrt(_sum_of_squares(weight, axes))}


def join(parameter: dict[str, tf.Tensor], axes: tuple[int, ...]) -> tf.Tensor:
    """{"v": V, "g": g} -> W = g V / ||V||."""
    v, g = parameter["v"], parameter["g"]
    return v * (g * tf.math.rsqrt(_sum_of_squares(v, axes)))


def _sum_of_squares(v, axes):
    return tf.reduce_sum(tf.square(v), axis=axes, keepdims=True) + _TINY
