"""Curricula: which latent codes and labels the generator sees at each inner step (GTN paper, section 3.2 and figure 1c)."""

import copy
from collections.abc import Mapping
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors, registries

ORDERS = registries.Registry("curriculum order")
"""`{name: function (batches [N, B, ...], seed) -> the same, permuted}`; `none` has no codes to permute."""
LABELS = ("fixed", "learned")
Order = Annotated[str, arguments.OneOf(ORDERS, "curriculum order")]
Labels = Annotated[str, arguments.OneOf(LABELS, "curriculum labels")]
_FIRST_LOGIT = 5.0  # learned labels start as one-hot ones, softened: 0.94 for the class among ten


@ORDERS.register("full")
def _full(batches, seed):
    del seed
    return batches


@ORDERS.register("shuffled_batch")
def _shuffled_batch(batches, seed):
    return tf.gather(batches, _permutation(batches.shape[0], seed))


@ORDERS.register("all_shuffled")
def _all_shuffled(batches, seed):
    flat = tf.reshape(batches, (-1, *batches.shape[2:]))
    return tf.reshape(tf.gather(flat, _permutation(flat.shape[0], seed)), batches.shape)


@ORDERS.register("none")
def _none(batches, seed):
    raise ValueError("a curriculum of order 'none' has nothing to permute")


@ORDERS.register("reversed")
def _reversed(batches, seed):
    del seed
    return batches[::-1]


def cycling_labels(inner_steps: int, batch_size: int, classes: int) -> np.ndarray:
    """Class indices `[T, B]` that go through the classes in turn, on across batches: every batch as even as it can be."""
    return (np.arange(inner_steps * batch_size, dtype=np.int32) % classes).reshape(inner_steps, batch_size)


def first_logits(one_hot: tf.Tensor) -> keras.Variable:
    """The logits that learned labels begin with."""
    return keras.Variable(_FIRST_LOGIT * one_hot, dtype=one_hot.dtype, name="label_logits")


class Curriculum:
    """Codes [N, B, latent] with labels, and the order in which a learner gets them.

    Orders (GTN paper, section 3.2, from most control to least):
      full: the N batches in their order, the same for every learner.
      shuffled_batch: the N batches in a random order, a new one for each learner, without replacement.
      all_shuffled: the N * B samples in a random order, without replacement, cut into batches anew.
      none: nothing is fixed: each sample has a fresh Gaussian code and a uniform label.
    and `reversed`: the N batches from last to first.

    With E epochs a learner goes through the N = T / E batches E times, in a new random order each time where it is random.

    Attributes:
      inner_steps: T.
      variables, trainable_variables: the codes, and learned labels, if there are any; codes that are not learned are fixed at
        their random start.
    """

    @arguments.checked("teaching.curriculum")
    def __init__(
        self,
        inner_steps: int,
        batch_size: int,
        latent: int,
        classes: int,
        seed: tf.Tensor,
        order: Order = "full",
        learned: bool = True,
        epochs: arguments.Count = 1,
        labels: Labels = "fixed",
        dtype: str = "float32",
    ) -> None:
        """Draws the first codes from a unit Gaussian.

        Args:
          inner_steps: T.
          batch_size: B.
          latent: length of a code.
          classes: length of a one-hot label.
          seed: integer tensor [2].
          order: one of `ORDERS`.
          learned: whether the codes are outer parameters.
          epochs: how often each batch comes; it divides T.
          labels: "fixed" one-hot labels; "learned": the generator is given the one-hot label, and the learner a learned
            distribution over classes that belongs to the code (a variant of GTN paper, appendix F).
          dtype: of codes and labels.

        Raises:
          UserError: an unknown order or kind of label, epochs that don't divide T, or learned labels without fixed codes.
        """
        if inner_steps % epochs:
            raise errors.UserError(f"teaching.curriculum.epochs must divide the {inner_steps} inner steps; got {epochs}")
        if order == "none" and (labels == "learned" or epochs > 1):
            raise errors.UserError(
                "a curriculum of order 'none' draws every sample anew: its labels can't be learned nor repeated"
            )
        self.inner_steps, self.batch_size, self.latent, self.classes = inner_steps, batch_size, latent, classes
        self.order, self.epochs, self.dtype = order, epochs, dtype
        self.noise: keras.Variable | None = None
        self.logits: keras.Variable | None = None
        self.labels: np.ndarray | None = None
        if order != "none":
            batches = inner_steps // epochs
            noise = tf.random.stateless_normal((batches, batch_size, latent), seed, dtype=dtype)
            self.noise = keras.Variable(noise, dtype=dtype, trainable=learned, name="noise")
            self.labels = cycling_labels(batches, batch_size, classes)
            if labels == "learned":
                self.logits = first_logits(tf.one_hot(self.labels, classes, dtype=dtype))

    @property
    def name(self) -> str:
        return self.order

    @property
    def variables(self) -> list[keras.Variable]:
        return [v for v in (self.noise, self.logits) if v is not None]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.trainable]

    def presented(
        self, order: str | None = None, inner_steps: int | None = None, batch_size: int | None = None
    ) -> "Curriculum":
        """The same codes for another use: in another order; or, where nothing is fixed, in other numbers.

        Raises:
          UserError: other numbers of fixed codes.
        """
        other = copy.copy(self)  # the same variables
        if order is not None:
            ORDERS.check(order)
        if self.noise is not None and (
            (inner_steps or self.inner_steps) != self.inner_steps or batch_size not in (None, self.batch_size)
        ):
            raise errors.UserError("only a GTN without curriculum makes more or larger batches than it was trained with")
        if (order == "none") != (self.noise is None) and order is not None:
            raise errors.UserError("fixed codes can't be presented as none, nor none as fixed ones")
        other.order = order or self.order
        other.inner_steps, other.batch_size = inner_steps or self.inner_steps, batch_size or self.batch_size
        return other

    def xs(self, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """What each step gets: `{"noise": [T, B, latent], "label": [T, B, classes]}`, and "target" where labels are learned.

        `seed` (integer tensor [2]) decides what is random.
        """
        if self.order == "none":
            noise, label = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            shape = (self.inner_steps, self.batch_size)
            labels = tf.random.stateless_uniform(shape, label, 0, self.classes, tf.int32)
            return {
                "noise": tf.random.stateless_normal((*shape, self.latent), noise, dtype=self.dtype),
                "label": tf.one_hot(labels, self.classes, dtype=self.dtype),
            }
        xs = {"noise": tf.convert_to_tensor(self.noise), "label": tf.one_hot(self.labels, self.classes, dtype=self.dtype)}
        if self.logits is not None:
            xs["target"] = tf.nn.softmax(tf.convert_to_tensor(self.logits))
        if self.order == "full" and self.epochs == 1:
            return xs
        return tf.nest.map_structure(lambda x: self._ordered(x, seed), xs)

    def codes(self, lesson: Mapping[str, np.ndarray], order: str) -> list[np.ndarray]:
        """What `variables` are where, presented in `order`, `xs` of the seed [0, 0] is this lesson.

        Labels that are learned here but not there begin as they do here.

        Raises:
          UserError: the lesson has another shape, comes from an order that can't be of these codes, or has other labels.
        """
        labels = self.labels
        if (order == "none") != (labels is None):
            raise errors.UserError(f"its curriculum is {order!r}, not {self.order!r}")
        if labels is None:
            return []
        index = tf.reshape(tf.range(labels.size), (*labels.shape, 1))
        samples = (
            self.presented(order)._ordered(index, tf.zeros([2], tf.int32)).numpy().ravel()
        )  # which one is shown, place by place

        def back(name, width):
            shape, shown = [self.inner_steps, self.batch_size, width], lesson[name]
            if list(shown.shape) != shape:
                raise errors.UserError(f"its lesson's {name} is {list(shown.shape)}, not {shape}")
            value = np.zeros((labels.size, width), self.dtype)
            value[samples] = shown.reshape(-1, width)
            if not np.array_equal(value[samples], shown.reshape(-1, width)):
                raise errors.UserError(f"its lesson does not show every {name} in {self.epochs} epochs alike")
            return value.reshape(*labels.shape, width)

        codes = [back("noise", self.latent)]
        if not np.array_equal(back("label", self.classes).argmax(-1), labels):
            raise errors.UserError("its lesson has its labels in another order")
        if "target" in lesson and self.logits is None:
            raise errors.UserError("its labels are learned, and here they are fixed")
        if self.logits is not None:
            codes.append(np.log(back("target", self.classes)) if "target" in lesson else self.logits.numpy())
        return codes

    def _ordered(self, x, seed):
        """`[N, B, ...]` -> `[T, B, ...]`; the same seed gives codes and labels the same order."""
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, self.epochs))
        epochs = [ORDERS[self.order](x, epoch_seed) for epoch_seed in seeds]
        for epoch in epochs:
            if not tf.is_tensor(epoch) or not epoch.shape.is_compatible_with(x.shape):
                got = f"a tensor {list(epoch.shape)}" if tf.is_tensor(epoch) else type(epoch).__name__
                raise errors.UserError(
                    f"the curriculum order {self.order!r} permutes a tensor of batches; of {list(x.shape)} it made {got}"
                )
        return tf.concat(epochs, 0)


def _permutation(count, seed):
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed)
