"""One supervised step of any optimiser on any functional model: what inner loops are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_gtn.core import functional, optimizers, stacking

_ROUNDING = 0.02  # of a sum of probabilities in bfloat16


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of one-hot or soft labels `[B, classes]` (GTN paper, A).

    Not `tf.nn.softmax_cross_entropy_with_logits`: the derivative of its gradient by the labels is missing, in silence
    (TensorFlow 2.21), and labels that a generator makes would not learn.
    """
    return -tf.reduce_mean(tf.reduce_sum(tf.cast(labels, logits.dtype) * tf.nn.log_softmax(logits), -1))


def initial_state(optimizer: optimizers.Optimizer, params: dict, model: dict) -> dict:
    """The state of an inner loop: `{"params", "slots", "model"}`, weights, optimiser slots and BatchNorm statistics."""
    return {"params": params, "slots": optimizer.init(params), "model": model}


def update(
    learner: functional.Functional | stacking.Stacked,
    optimizer: optimizers.Optimizer,
    state: dict,
    inputs: Any,
    labels: tf.Tensor,
    hyper: Mapping[str, Any],
    loss_fn: Callable[[Any, Any], tf.Tensor] = cross_entropy,
) -> tuple[dict, tf.Tensor, Any]:
    """One optimiser step of a `core.Functional` on one batch; returns the new state, and loss and outputs before it.

    The network's own penalties are part of the loss, and its constraints hold after the step, as in Keras' `fit`.
    """
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten(state["params"]))
        outputs, model, penalties = learner(state["params"], state["model"], inputs, training=True, losses=True)
        loss = loss_fn(labels, outputs)
        for penalty in penalties:
            loss += tf.reduce_sum(tf.cast(penalty, loss.dtype))
    gradients = tape.gradient(loss, state["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    params, slots = optimizer.update(gradients, state["slots"], state["params"], hyper)
    return {"params": learner.constrained(params), "slots": slots, "model": model}, loss, outputs


def gives_probabilities(learner: functional.Functional, params: dict, state: dict, shape: Sequence[int]) -> bool:
    """Whether a network's outputs are probabilities: no row has a negative number, and each sums to one.

    Looked at with three sets of weights, since a last layer of logits may start as such by chance (zeros and a bias of
    1 / classes). `shape`: of one input; eager.
    """
    inputs = tf.random.stateless_normal([8, *shape], [0, 0])
    for scale in (1.0, 1.25, 0.5):
        scaled = {key: tf.cast(scale, w.dtype) * w for key, w in learner.weights(params).items()}
        rows = tf.cast(learner.apply_weights(scaled, state, inputs)[0], tf.float32)
        rows = tf.boolean_mask(rows, tf.reduce_all(tf.math.is_finite(rows), -1))  # larger weights may overflow
        if tf.reduce_any(rows < 0) or tf.reduce_any(tf.abs(tf.reduce_sum(rows, -1) - 1) > _ROUNDING):
            return False
        if scale == 1 and not len(rows):
            return False
    return True


def count_correct(
    predict: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, labels: tf.Tensor, chunk: int = 1000
) -> tf.Tensor:
    """How many `images` [n, ...] are classified as `labels` [n]: integer scalar; graph-safe, a chunk at a time.

    `predict` maps a chunk of images to logits or probabilities `[chunk, classes]`.
    """

    def body(start, count):
        stop = start + chunk
        predicted = tf.argmax(predict(images[start:stop]), -1, tf.int32)
        return stop, count + tf.math.count_nonzero(predicted == labels[start:stop], dtype=tf.int32)

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, 0))[1]


def sums(predict: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, labels: tf.Tensor, chunk: int = 1000) -> tf.Tensor:
    """The sums [2] of cross-entropies and of hits of `images` [n, ...] with `labels` [n]; otherwise as `count_correct`.

    `predict` maps a chunk of images to logits `[chunk, classes]`.
    """

    def body(start, total):
        stop = start + chunk
        part, logits = labels[start:stop], predict(images[start:stop])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(part, logits)
        hits = tf.math.count_nonzero(tf.argmax(logits, -1, tf.int32) == part, dtype=losses.dtype)
        return stop, total + tf.stack([tf.reduce_sum(losses), hits])

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, tf.zeros([2])))[1]
