"""A lesson for any Keras model: SGD with momentum, or LARS, on given batches, by a given schedule, compiled once a model."""

import functools
import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import keras
import tensorflow as tf

from tf_gtn import arguments, watching
from tf_gtn.core import functional, optimizers, supervised, unrolling

LOSSES = ("cross_entropy", "squared_error")
Network = tuple[dict, dict]
"""`(params, state)` of a `core.Functional`."""
LIMITS = (1.0, 0.3, 0.1, 0.03, 0.01)


class Taught(NamedTuple):
    """What comes of a lesson.

    Attributes:
      network: `(params, state)` after it.
      losses: before each step, [T].
      loss: after the last step, on all batches; 0 where a lesson was not judged.
      hits: how many images of all batches the network gives the label that theirs has most of; 0 likewise.
    """

    network: Network
    losses: tf.Tensor
    loss: tf.Tensor
    hits: tf.Tensor


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
        self._teach = {judged: tf.function(functools.partial(self._run, judged), autograph=False) for judged in (True, False)}
        self._hits = tf.function(self._count, autograph=False)

    def teach(self, start: Network, xs: dict[str, tf.Tensor], judged: bool = True) -> Taught:
        """Takes the T steps of `xs`.

        Args:
          start: `(params, state)` of `learner`.
          xs: `{"image": [T, B, H, W, C], "label": [T, B, classes], "learning_rate": [T], "momentum": [T]}`.
          judged: whether the network is then tried on all batches of `xs`.
        """
        with _last_batch_statistics(self.learner.model):
            return self._teach[judged](start, xs)

    def best(
        self, start: Network, xs: dict[str, tf.Tensor], limits: Sequence[float] = LIMITS
    ) -> tuple[Taught, float, dict[float, float]]:
        """The lesson with ever smaller learning rates, from the same start: the one with the lowest loss on its batches.

        The rates are limited to a fraction of the largest, not multiplied by it: what a foreign architecture can't stand is the
        high rates of the first steps, and without the later ones it would not get anywhere (docs/results.md).

        The limits are tried in their order. Once one has brought the loss below half of that of a constant answer, the first
        that is worse ends the search: on 140 networks of five architectures, taught by seven GTNs for the digits, it always
        found what all five limits would have, with three on average.

        Returns:
          `(what comes of it, limit, {limit tried: loss after all steps})`, a loss that is not finite as infinity.
        """
        after, learned = {}, 0.5 * self._constant_loss(xs["label"])
        best: tuple[Taught, float] | None = None
        for limit in watching.each(limits, "limits of the learning rate"):
            taught = self.teach(start, limited(xs, limit))
            after[limit] = float(taught.loss) if tf.math.is_finite(taught.loss) else float("inf")
            if best is None or after[limit] < after[best[1]]:
                best = taught, limit
            elif after[best[1]] < learned:
                break
        assert best is not None, "no limits"
        return *best, after

    def accuracy(self, trained: Network, images: tf.Tensor, labels: tf.Tensor) -> float:
        """Share of normalised `images` [n, H, W, C] that the network `(params, state)` classifies as `labels` [n]."""
        return float(self._hits(trained, images, tf.cast(labels, tf.int32))) / len(labels)

    def at_chance(self, taught: Taught, labels: tf.Tensor) -> tuple[float, bool]:
        """`(accuracy on the batches, whether always naming their most frequent class is as good)`; `labels` [T, B, classes].

        As good: less than two standard errors below.
        """
        classes = tf.reshape(tf.argmax(labels, -1, tf.int32), [-1])
        accuracy, most = int(taught.hits) / len(classes), float(tf.reduce_max(tf.math.bincount(classes))) / len(classes)
        return accuracy, accuracy < most + 2 * math.sqrt(most * (1 - most) / len(classes))

    def _run(self, judged, start, xs):
        state = supervised.initial_state(self._optimizer, *start)
        state, losses = unrolling.unroll(self._step, (), state, xs, checkpoint_every=0)
        network = state["params"], state["model"]
        if not judged:
            return Taught(network, losses, tf.zeros([]), tf.zeros([], tf.int32))

        def judge(batch):
            outputs = self.learner(*network, batch[0], training=False)[0]
            is_hit = tf.argmax(outputs, -1) == tf.argmax(batch[1], -1)
            return self._loss(batch[1], outputs), tf.math.count_nonzero(is_hit, dtype=tf.int32)

        after, hits = tf.map_fn(judge, (xs["image"], xs["label"]), fn_output_signature=(tf.float32, tf.int32))
        return Taught(network, losses, tf.reduce_mean(after), tf.reduce_sum(hits))

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
