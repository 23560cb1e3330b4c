"""What a network costs: parameters, operations, measured latency."""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf


def parameters(model: keras.Model) -> int:
    """The trainable ones."""
    return int(sum(np.prod(v.shape) for v in model.trainable_variables))


def flops(model: keras.Model) -> int:
    """Multiplications and additions of the convolutions and dense layers of a built Keras model, for one image."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            positions = int(np.prod(layer.output.shape[1:-1]))
            total += 2 * positions * int(np.prod(layer.kernel.shape))
    return total


def latency(model: keras.Model, batch: int = 1, rounds: int = 20) -> float:
    """Median milliseconds of a forward pass on this machine, traced, after two that don't count."""
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    images = tf.zeros([batch, *model.input_shape[1:]])
    taken = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        call(images).numpy()
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken[2:])
