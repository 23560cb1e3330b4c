"""Zero-cost proxies: what a network that was never trained says of its accuracy, from one batch or none.

Each is a function `(model, images, labels) -> float` of a Keras model of images -> logits with fresh weights, normalised images
`[n, H, W, C]` and one-hot labels `[n, classes]`; larger is better. Where no other paper is named, the definition is that of
Abdelfattah et al. 2021 ("Zero-cost proxies for lightweight NAS").
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import registries
from tf_gtn.core import supervised
from tf_gtn.nas import costs

REGISTRY = registries.Registry("zero-cost proxy")
"""`{name: function (model, images, labels) -> float}`."""

Proxy = Callable[[keras.Model, tf.Tensor, tf.Tensor], float]
_WEIGHTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
_ACTIVATIONS = (keras.layers.ReLU, keras.layers.Activation, keras.layers.LeakyReLU)


@REGISTRY.register("parameters")
def parameters(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """The number of trainable ones."""
    del images, labels
    return float(costs.parameters(model))


@REGISTRY.register("flops")
def flops(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """Operations for one image, see `costs.flops`."""
    del images, labels
    return float(costs.flops(model))


@REGISTRY.register("grad_norm")
def grad_norm(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """The sum of the norms of the loss's gradients by the kernels."""
    return sum(float(tf.norm(gradient)) for _, gradient in _gradients(model, images, labels))


@REGISTRY.register("snip")
def snip(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """The sum of |weight x gradient| of the kernels (Lee et al. 2019)."""
    return sum(float(tf.reduce_sum(tf.abs(kernel * gradient))) for kernel, gradient in _gradients(model, images, labels))


@REGISTRY.register("synflow")
def synflow(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """The logarithm of the sum of weight x gradient by the outputs' sum, weights made positive, of an image of ones.

    No data are needed (Tanaka et al. 2020). BatchNorm with its first statistics changes nothing. In float64: the sum grows
    exponentially with depth.
    """
    del images, labels
    double = keras.models.clone_model(model, clone_function=_in_double_precision)
    for variable, value in zip(double.variables, model.variables, strict=True):
        variable.assign(tf.abs(tf.cast(tf.convert_to_tensor(value), variable.dtype)))
    kernels = _kernels(double)
    with tf.GradientTape() as tape:
        outputs = tf.reduce_sum(double(tf.ones([1, *model.input_shape[1:]], "float64"), training=False))
    gradients = tape.gradient(outputs, kernels, unconnected_gradients="zero")
    total = sum(float(tf.reduce_sum(kernel * gradient)) for kernel, gradient in zip(kernels, gradients))
    return float(np.log(total)) if total > 0 else float("-inf")


@REGISTRY.register("jacov")
def jacov(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """How little the images' gradients, of the sum of logits, are correlated (Mellor et al. 2020, first version)."""
    del labels
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = tf.reduce_sum(model(images, training=True))
    jacobian = tape.gradient(outputs, images, unconnected_gradients="zero").numpy()
    jacobian = jacobian.reshape(len(jacobian), -1).astype(np.float64)
    if not np.isfinite(jacobian).all() or (jacobian.std(1) == 0).any():
        return float("-inf")
    eigenvalues, small = np.linalg.eigvalsh(np.corrcoef(jacobian)), 1e-5
    return float(-np.sum(np.log(eigenvalues + small) + 1 / (eigenvalues + small)))


@REGISTRY.register("nwot")
def nwot(model: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> float:
    """The log-determinant of how many units are on or off alike in each two images (Mellor et al. 2021)."""
    del labels
    active = [layer.output for layer in model._flatten_layers() if isinstance(layer, _ACTIVATIONS)]
    if not active:
        return float("-inf")
    codes = keras.Model(model.inputs, active)(images, training=True)
    alike = 0.0
    for code in codes if isinstance(codes, list | tuple) else [codes]:
        on = tf.cast(tf.reshape(code, [len(images), -1]) > 0, "float64")
        alike += tf.matmul(on, on, transpose_b=True) + tf.matmul(1 - on, 1 - on, transpose_b=True)
    sign, logarithm = np.linalg.slogdet(alike)
    return float(logarithm) if sign > 0 else float("-inf")


def _kernels(model):
    return [layer.kernel for layer in model._flatten_layers() if isinstance(layer, _WEIGHTED)]


def _gradients(model, images, labels):
    """`[(kernel, gradient of the mean cross-entropy)]`."""
    kernels = _kernels(model)
    with tf.GradientTape() as tape:
        loss = supervised.cross_entropy(labels, model(images, training=True))
    return [*zip(kernels, tape.gradient(loss, kernels, unconnected_gradients="zero"))]


def _in_double_precision(layer):
    return layer.__class__.from_config(layer.get_config() | {"dtype": "float64"})
