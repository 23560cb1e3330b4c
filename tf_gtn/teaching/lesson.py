"""A lesson for any Keras model: SGD with momentum, or LARS, on given batches, by a given schedule, compiled once a model."""

import math
from collections.abc import Sequence
from typing import Annotated

import keras
import tensorflow as tf

from tf_gtn import arguments, watching
from tf_gtn.core import functional, optimizers, supervised, unrolling

LOSSES = ("cross_entropy", "squared_error")
Network = tuple[dict, dict]
"""`(params, state)` of a `core.Functional`."""
LIMITS = (1.0, 0.3, 0.1, 0.03, 0.01)


class Lesson:
    """Teaches networks of one architecture from explicit weights; the Keras model's own variables stay as they are.

    BatchNorm layers work with momentum 0, so that they end with the statistics of the last batch: a few steps don't move a slow
    average off its start.

    Attributes:
      learner: the model as a `core.Functional`.
    """

    @arguments.checked("teaching.Lesson")
    def __init__(
        self,
        model: keras.Model,
        image_shape: Sequence[int],
        weight_norm: bool = False,
        loss: Annotated[str, arguments.OneOf(LOSSES, "loss")] = "cross_entropy",
        from_logits: bool | None = None,
        optimizer: optimizers.SGD | None = None,
    ) -> None:
        """Wraps a model.

        Args:
          model: images -> logits or probabilities.
          image_shape: of one image.
          weight_norm: whether to train g and V of W = g V / ||V|| instead of W.
          loss: a name of `LOSSES`.
          from_logits: whether the model gives logits; None: see what comes out.
          optimizer: of `optimizers.WITH_MOMENTUM`; None for SGD.
        """
        self.learner, self._loss_name = functional.Functional(model, weight_norm), loss
        if from_logits is None and loss == "cross_entropy":
            from_logits = not supervised.gives_probabilities(self.learner, *self.learner.values(), image_shape)
        self._from_logits = from_logits
        self._optimizer = optimizer or optimizers.SGD()
        self._teach = tf.function(self._run, autograph=False)
        self._hits = tf.function(self._count, autograph=False)

    def teach(self, start: Network, xs: dict[str, tf.Tensor]) -> tuple[Network, tf.Tensor, tf.Tensor]:
        """Takes the T steps of `xs`.

        Args:
          start: `(params, state)` of `learner`.
          xs: `{"image": [T, B, H, W, C], "label": [T, B, classes], "learning_rate": [T], "momentum": [T]}`.

        Returns:
          `((params, state), losses [T], loss after the last step on all batches of xs)`.
        """
        with _last_batch_statistics(self.learner.model):
            return self._teach(start, xs)

    def best(
        self, start: Network, xs: dict[str, tf.Tensor], limits: Sequence[float] = LIMITS
    ) -> tuple[Network, tf.Tensor, float, dict[float, float]]:
        """The lesson with ever smaller learning rates, from the same start: the one with the lowest loss on its batches.

        The rates are limited to a fraction of the largest, not multiplied by it: what a foreign architecture can't stand is the
        high rates of the first steps, and without the later ones it would not get anywhere (docs/results.md).

        The limits are tried in their order. Once one has brought the loss below half of that of a constant answer, the first
        that is worse ends the search: on 140 networks of five architectures, taught by seven GTNs for the digits, it always
        found what all five limits would have, with three on average.

        Returns:
          `((params, state), losses [T], limit, {limit tried: loss after all steps})`, a loss that is not finite as infinity.
        """
        after, learned = {}, 0.5 * self._constant_loss(xs["label"])
        best: tuple[Network, tf.Tensor, float] | None = None
        for limit in watching.each(limits, "limits of the learning rate"):
            trained, losses, loss = self.teach(start, limited(xs, limit))
            after[limit] = float(loss) if tf.math.is_finite(loss) else float("inf")
            if best is None or after[limit] < after[best[2]]:
                best = trained, losses, limit
            elif after[best[2]] < learned:
                break
        assert best is not None, "no limits"
        trained, losses, limit = best
        return trained, losses, limit, after

    def accuracy(self, trained: Network, images: tf.Tensor, labels: tf.Tensor) -> float:
        """Share of normalised `images` [n, H, W, C] that the network `(params, state)` classifies as `labels` [n]."""
        return float(self._hits(trained, images, tf.cast(labels, tf.int32))) / len(labels)

    def at_chance(self, trained: Network, xs: dict[str, tf.Tensor]) -> tuple[float, bool]:
        """`(accuracy on the batches of xs, whether always naming their most frequent class is as good)`.

        As good: less than two standard errors below.
        """
        images, labels = (tf.reshape(xs[name], [-1, *xs[name].shape[2:]]) for name in ("image", "label"))
        classes = tf.argmax(labels, -1, tf.int32)
        accuracy = int(self._count(trained, images, classes)) / len(classes)  # once a model: no trace, which may take seconds
        most = float(tf.reduce_max(tf.math.bincount(classes))) / len(classes)
        return accuracy, accuracy < most + 2 * math.sqrt(most * (1 - most) / len(classes))

    def _run(self, start, xs):
        state = supervised.initial_state(self._optimizer, *start)
        state, losses = unrolling.unroll(self._step, (), state, xs, checkpoint_every=0)
        after = tf.map_fn(
            lambda x: self._loss(x[1], self.learner(state["params"], state["model"], x[0], training=False)[0]),
            (xs["image"], xs["label"]),
            fn_output_signature=tf.float32,
        )
        return (state["params"], state["model"]), losses, tf.reduce_mean(after)

    def _step(self, params, state, x):
        hyper = {"learning_rate": x["learning_rate"], "momentum": x["momentum"]}
        state, loss, _ = supervised.update(self.learner, self._optimizer, state, x["image"], x["label"], hyper, self._loss)
        return state, loss

    def _constant_loss(self, labels):
        """The lowest loss of a network that answers the same, whatever it sees."""
        labels = tf.reshape(labels, [-1, labels.shape[-1]])
        mean = tf.reduce_mean(labels, 0)
        if self._loss_name == "squared_error":
            return float(tf.reduce_mean(tf.math.squared_difference(labels, mean)))
        return -float(tf.reduce_sum(tf.math.xlogy(mean, mean)))

    def _loss(self, labels, outputs):
        outputs = tf.cast(outputs, tf.float32)  # also of models in another precision
        if self._loss_name == "squared_error":
            return tf.reduce_mean(tf.math.squared_difference(labels, outputs))
        return tf.reduce_mean(keras.losses.categorical_crossentropy(labels, outputs, from_logits=self._from_logits))

    def _count(self, trained, images, labels):
        params, state = trained
        return supervised.count_correct(lambda chunk: self.learner(params, state, chunk, training=False)[0], images, labels)


def limited(xs: dict[str, tf.Tensor], limit: float) -> dict[str, tf.Tensor]:
    """`xs` with its learning rates at most `limit` times the largest of them."""
    rates = xs["learning_rate"]
    return {**xs, "learning_rate": tf.minimum(rates, limit * tf.reduce_max(rates))}


class _last_batch_statistics:
    """BatchNorm with momentum 0 while a lesson is traced."""

    def __init__(self, model):
        self._layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]

    def __enter__(self):
        self._momenta = [layer.momentum for layer in self._layers]
        for layer in self._layers:
            layer.momentum = 0.0

    def __exit__(self, *_):
        for layer, momentum in zip(self._layers, self._momenta):
            layer.momentum = momentum
