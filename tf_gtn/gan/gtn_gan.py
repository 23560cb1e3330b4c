"""GTN-GAN: a generator that teaches and whose images have to look real (GTN paper, appendix I).

`Adversary` is an auxiliary objective of `teaching.training.Training`; with the weight of teaching at 0 what is left is a plain
GAN of the same generator, discriminator and optimisers.
"""

import keras
import tensorflow as tf

from tf_gtn import data
from tf_gtn.core import Functional, optimizers, outer_update, supervised
from tf_gtn.gan import objectives, sources
from tf_gtn.teaching import training as trainings
from tf_gtn.teaching import treatments

_INIT = 2**30 + 20


class Adversary:
    """A discriminator of real images and those of a conditional generator from fresh codes and labels; it sees no label.

    Attributes:
      variables: its weights and its optimiser's slots.
    """

    def __init__(
        self,
        dataset: data.Dataset,
        discriminator: keras.Model,
        optimizer: optimizers.Optimizer,
        seed: int,
        weight: float = 1.0,
        batch_size: int = 64,
        loss: str = "non_saturating",
    ) -> None:
        """Draws the discriminator anew.

        Args:
          dataset: whose training images are real.
          discriminator: Keras model of normalised images -> logit `[n, 1]`.
          optimizer: of `core.optimizers`.
          seed: integer.
          weight: of the generator's adversarial loss.
          batch_size: real images, and as many made ones, a step.
          loss: see `objectives.Players`.
        """
        self._dataset, self._weight, self._batch = dataset, weight, batch_size
        self._players = objectives.Players(None, Functional(discriminator), None, optimizer, loss)
        self._source = sources.Images(dataset)
        initial_values = self._players.discriminator.initial_values(tf.constant([seed, _INIT]))
        state = supervised.initial_state(optimizer, *initial_values)
        self._state = tf.nest.map_structure(
            lambda v: keras.Variable(v, dtype=v.dtype, trainable=False, name="discriminator"), state
        )

    @property
    def variables(self) -> list[keras.Variable]:
        return tf.nest.flatten(self._state)

    def loss(self, treatment: treatments.GTN, seed: tf.Tensor) -> tf.Tensor:
        """The generator's adversarial loss, times its weight."""
        real, fake = self._batches(treatment, seed)
        return self._weight * self._players.generator_loss(self._tensors(), real, fake)

    def update(self, treatment: treatments.GTN, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step of the discriminator, unless it is not finite; returns `{"discriminator_loss"}`."""
        state, (real, fake) = self._tensors(), self._batches(treatment, seed)
        loss = -self._players.f(state, real, fake)
        after = self._players.discriminator_step(state, real, fake)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tf.nest.flatten(after)])
        tf.nest.map_structure(lambda variable, old, new: variable.assign(tf.where(finite, new, old)), self._state, state, after)
        return {"discriminator_loss": loss}

    def fake(self, treatment: treatments.GTN, count: int, seed: tf.Tensor) -> tf.Tensor:
        """So many normalised images from fresh codes and labels, with batch statistics."""
        noise, label = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        classes = tf.random.stateless_uniform([count], label, 0, self._dataset.num_classes, tf.int32)
        latent = treatment.generator.model.input["noise"].shape[-1]
        x = {
            "noise": tf.random.stateless_normal((count, latent), noise),
            "label": tf.one_hot(classes, self._dataset.num_classes),
        }
        return treatment.batch(treatment.params(), x)[0]

    def _batches(self, treatment, seed):
        first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        raw = sources.raw(self._source.sample((self._batch,), first), self._dataset)
        return self._dataset.normalize(raw), self.fake(treatment, self._batch, second)

    def _tensors(self):
        return tf.nest.map_structure(tf.convert_to_tensor, self._state)


class GTNGAN:
    """A `teaching.training.Training` with an `Adversary` as an arm beside `training.UnrolledGAN`s.

    Attributes:
      training: the `Training`.
      count, iterations, taken, outer_steps: as of `training.UnrolledGAN`.
    """

    count = iterations = 1

    def __init__(self, training: trainings.Training, adversary: Adversary) -> None:
        self.training, self._adversary = training, adversary
        self.taken = keras.Variable(0, dtype="int32", trainable=False, name="outer_steps_taken")
        self._generate = tf.function(self._generated, autograph=False)

    @property
    def outer_steps(self) -> int:
        return self.training.outer_steps

    @property
    def variables(self) -> list[keras.Variable]:
        return [*self.training.variables, self.taken]

    @property
    def skipped(self) -> tf.Tensor:
        return self.training.skipped

    @property
    def consecutively_skipped(self) -> tf.Tensor:
        return self.training.consecutively_skipped

    @property
    def diverged(self) -> list[int]:
        """See `core.update_loop.UpdateLoop`."""
        return [0] if int(self.consecutively_skipped.numpy()) >= outer_update.MAX_SKIPPED else []

    def step(self, index: int) -> dict[str, tf.Tensor]:
        metrics = self.training.step(index)
        self.taken.assign(index + 1)
        return metrics

    def restart(self, fresh: "GTNGAN") -> None:
        """See `teaching.training.Training.restart`."""
        self.training.restart(fresh.training)
        self.taken.assign(0)

    def samples(self, count: int, seed: int) -> tf.Tensor:
        """`[1, count, H, W, C]` images in [-1, 1] (what is beyond black and white stays so)."""
        return self._generate(tf.constant([seed, -1]), count)

    def _generated(self, seed, count):
        dataset, treatment = self.training.dataset, self.training.treatment
        assert isinstance(treatment, treatments.GTN)
        images = self._adversary.fake(treatment, count, seed)
        return sources.scaled(dataset.denormalize(images), dataset)[None]
