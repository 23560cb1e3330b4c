"""The unrolled GAN objective f_K (Metz et al. 2017, equations 4 to 12) as functions of explicit parameters and slots.

A player's state is `{"params", "slots", "model"}` as `core.supervised` has it: weights, the optimiser's slots, BatchNorm
statistics. Unrolled steps begin from the discriminator's live state, its Adam moments included, and leave it as it is.

Any player may be N networks side by side (`core.stacking.Stacked`): losses are sums over them, so that each gets its own
gradient.
"""

import dataclasses
from typing import Annotated, Any

import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import functional, optimizers, stacking, unroll

LOSSES = ("minimax", "non_saturating")
Loss = Annotated[str, arguments.OneOf(LOSSES, "loss of a generator")]
Network = functional.Functional | stacking.Stacked


@dataclasses.dataclass(frozen=True)
@arguments.checked("gan.Players")
class Players:
    """Both networks with their optimisers.

    Attributes:
      generator, discriminator: `core.Functional` or `core.stacking.Stacked` of noise -> samples, samples -> logits `[..., 1]`.
      generator_optimizer, discriminator_optimizer: of `core.optimizers`; the unrolled steps are theirs.
      loss: the generator's: "minimax", f itself (equation 4), or "non_saturating", -log D(G(z)) (appendices B and C, their sign
        put right).
    """

    generator: Any
    discriminator: Network
    generator_optimizer: Any
    discriminator_optimizer: optimizers.Optimizer
    loss: Loss = "minimax"

    def fake(self, generator: dict, noise: tf.Tensor) -> tf.Tensor:
        """Samples of the generator, given its state and noise `[(N,) B, ...]`."""
        return self.generator(generator["params"], generator["model"], noise, training=True)[0]

    def f(self, discriminator: dict, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """E log D(x) + E log(1 - D(G(z))) (equation 4), summed over networks that stand side by side.

        Args:
          discriminator: a state.
          real, fake: a batch each, `[(N,) B, ...]`.
        """
        real, fake = self._logits(discriminator, real, fake)
        return tf.reduce_sum(_mean(tf.math.log_sigmoid(real)) + _mean(tf.math.log_sigmoid(-fake)))

    def generator_loss(self, discriminator: dict, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """What the generator minimises, given its samples."""
        if self.loss == "minimax":
            return self.f(discriminator, real, fake)
        return -tf.reduce_sum(_mean(tf.math.log_sigmoid(self._discriminator(discriminator, fake))))

    def _logits(self, discriminator, real, fake):
        if discriminator["model"]:  # batch statistics are of the real ones, or of the others
            return self._discriminator(discriminator, real), self._discriminator(discriminator, fake)
        axis = 1 if isinstance(self.discriminator, stacking.Stacked) else 0
        return tf.split(self._discriminator(discriminator, tf.concat([real, fake], axis)), 2, -1)

    def _discriminator(self, state, samples):
        return self.discriminator(state["params"], state["model"], samples, training=True)[0][..., 0]

    def discriminator_step(self, discriminator: dict, real: tf.Tensor, fake: tf.Tensor) -> dict:
        """One step of the discriminator up f; differentiable in everything (equation 7)."""
        return self._step(self.discriminator_optimizer, discriminator, lambda d: -self.f(d, real, fake))

    def generator_step(self, generator: dict, discriminator: dict, real: tf.Tensor, noise: tf.Tensor) -> dict:
        """One step of the generator down its loss; differentiable in everything."""

        def loss(g):
            return self.generator_loss(discriminator, real, self.fake(g, noise))

        return self._step(self.generator_optimizer, generator, loss)

    def _step(self, optimizer, player, loss):
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(player["params"]))
            value = loss(player)
        gradients = tape.gradient(value, player["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return self.apply(optimizer, player, gradients)

    def apply(self, optimizer: optimizers.Optimizer, player: dict, gradients: Any) -> dict:
        """A player after its optimiser's step with these gradients."""
        hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        params, slots = optimizer.update(gradients, player["slots"], player["params"], hyper)
        return {**player, "params": params, "slots": slots}


@dataclasses.dataclass(frozen=True)
@arguments.checked("gan.Unrolled")
class Unrolled:
    """The generator's surrogate objective f_K (equation 9), and its relatives.

    Attributes:
      steps: K; 0 is the plain GAN.
      both: unroll alternating steps of both players, "as if G and D had already updated" (section 4); else the discriminator's.
      first_order: cut the gradient through the discriminator's steps, which leaves the first term of equation 12.
      extrapolation: c > 0: the gradient at K = 0 plus c times what a single unrolled step changes of it, "further perturb the
        training gradient in the same direction that a single unrolling step perturbs it" (section 4); 0: the gradient of f_K.
    """

    steps: arguments.Whole = 0
    both: bool = False
    first_order: bool = False
    extrapolation: arguments.NotNegative = 0.0

    def __post_init__(self) -> None:
        if self.both:
            arguments.no_effect("gan.Unrolled", self, ("first_order",), "with both: it is of the discriminator's steps alone")
        if not self.steps:
            arguments.no_effect("gan.Unrolled", self, ("both", "first_order"), "with 0 unrolled steps")
        if self.extrapolation and self.steps != 1:
            raise errors.UserError(
                f"gan.Unrolled.extrapolation goes by what one unrolled step changes: steps is 1 then; got {self.steps}"
            )

    def loss(self, players: Players, generator: dict, discriminator: dict, real: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """f_K, or the generator's loss after K steps.

        Args:
          players: whose states the next two are.
          generator, discriminator: states.
          real, noise: `[K + 1, (N,) B, ...]`, a minibatch for each unrolled step and, last, for the loss; or one for all,
            `[1, (N,) B, ...]`, from whose noise the generator makes its samples once.
        """
        generator, discriminator, fake = self._advanced(players, generator, discriminator, real, noise)
        if fake is None:
            fake = players.fake(generator, noise[-1])
        return players.generator_loss(discriminator, real[-1], fake)

    def _advanced(self, players, generator, discriminator, real, noise):
        """Both states after K steps, and the samples of the last minibatch if they were made on the way."""
        if not self.steps:
            return generator, discriminator, None
        if self.both:
            generator, d = self._both(players, generator, discriminator, real, noise)
            fake = None
        else:
            fakes = tf.stack([players.fake(generator, each) for each in tf.unstack(noise)])
            d, fake = self._discriminators(players, discriminator, real, fakes), fakes[-1]
        return generator, tf.nest.map_structure(tf.stop_gradient, d) if self.first_order else d, fake

    def _discriminators(self, players, discriminator, real, fakes):
        batches = {"real": real, "fake": fakes}
        if real.shape[0] == 1:
            once = tf.nest.map_structure(lambda x: x[0], batches)

            def step(batch, d, _):
                return players.discriminator_step(d, **batch), tf.zeros([])

            return unroll(step, once, discriminator, tf.zeros([self.steps]), checkpoint_every=0)[0]

        def step_on(_, d, batch):
            return players.discriminator_step(d, **batch), tf.zeros([])

        return unroll(step_on, {}, discriminator, tf.nest.map_structure(lambda x: x[:-1], batches), checkpoint_every=0)[0]

    def _both(self, players, generator, discriminator, real, noise):
        params, rest = generator["params"], {k: v for k, v in generator.items() if k != "params"}
        if real.shape[0] == 1:
            real, noise = (tf.repeat(x, self.steps + 1, 0) for x in (real, noise))

        def step(_, state, batch):
            g, d = state
            d = players.discriminator_step(d, batch["real"], players.fake(g, batch["noise"]))
            return (players.generator_step(g, d, **batch), d), tf.zeros([])

        xs = {"real": real[:-1], "noise": noise[:-1]}
        return unroll(step, {}, ({"params": params, **rest}, discriminator), xs, checkpoint_every=0)[0]

    def gradient(
        self, players: Players, generator: dict, discriminator: dict, real: tf.Tensor, noise: tf.Tensor
    ) -> tuple[tf.Tensor, Any]:
        """`(loss, gradients by the generator's params)`."""
        loss, gradients = _gradient(self, players, generator, discriminator, real, noise)
        if not self.extrapolation:
            return loss, gradients
        _, plain = _gradient(Unrolled(0), players, generator, discriminator, real[-1:], noise[-1:])
        mixed = tf.nest.map_structure(lambda p, u: p + self.extrapolation * (u - p), plain, gradients)
        return loss, mixed


def _gradient(unrolled, players, generator, discriminator, real, noise):
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten(generator["params"]))
        loss = unrolled.loss(players, generator, discriminator, real, noise)
    return loss, tape.gradient(loss, generator["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _mean(x):
    """Over the batch axis, the last one: `[(N,) B]` -> `[(N,)]`."""
    return tf.reduce_mean(x, -1)
