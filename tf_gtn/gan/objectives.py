"""The unrolled GAN objective f_K (Metz et al. 2017, equations 4 to 12) as functions of explicit parameters and slots.

A player's state is `{"params", "slots", "model"}` as `core.supervised` has it: weights, the optimiser's slots, BatchNorm
statistics. Unrolled steps begin from the discriminator's live state, its Adam moments included, and leave it as it is.

Any player may be N networks side by side (`core.stacking.Stacked`): losses are sums over them, so that each gets its own
gradient.
"""

import dataclasses

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import unroll

LOSSES = ("minimax", "non_saturating")


@dataclasses.dataclass(frozen=True)
class Players:
    """Both networks with their optimisers.

    Attributes:
      generator, discriminator: `core.Functional` or `core.stacking.Stacked` of noise -> samples, samples -> logits `[..., 1]`.
      generator_optimizer, discriminator_optimizer: of `core.optimizers`; the unrolled steps are theirs.
      loss: the generator's: "minimax", f itself (equation 4), or "non_saturating", -log D(G(z)) (appendices B and C, their sign
        put right).
    """

    generator: object
    discriminator: object
    generator_optimizer: object
    discriminator_optimizer: object
    loss: str = "minimax"

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise errors.unknown("loss of a generator", self.loss, LOSSES)

    def f(self, generator, discriminator, real, noise):
        """E log D(x) + E log(1 - D(G(z))) (equation 4), summed over networks that stand side by side.

        Args:
          generator, discriminator: states.
          real, noise: a batch, `[(N,) B, ...]`.
        """
        real_logits, fake_logits = self._logits(generator, discriminator, real, noise)
        return tf.reduce_sum(_mean(tf.math.log_sigmoid(real_logits)) + _mean(tf.math.log_sigmoid(-fake_logits)))

    def generator_loss(self, generator, discriminator, real, noise):
        """What the generator minimises, given the discriminator's state."""
        if self.loss == "minimax":
            return self.f(generator, discriminator, real, noise)
        _, fake_logits = self._logits(generator, discriminator, real, noise)
        return -tf.reduce_sum(_mean(tf.math.log_sigmoid(fake_logits)))

    def _logits(self, generator, discriminator, real, noise):
        fake, _ = self.generator(generator["params"], generator["model"], noise, training=True)
        logits = [
            self.discriminator(discriminator["params"], discriminator["model"], x, training=True)[0][..., 0]
            for x in (real, fake)
        ]
        return logits

    def discriminator_step(self, generator, discriminator, real, noise):
        """One step of the discriminator up f; differentiable in everything (equation 7)."""
        return self._step(self.discriminator_optimizer, discriminator, lambda d: -self.f(generator, d, real, noise))

    def generator_step(self, generator, discriminator, real, noise):
        """One step of the generator down its loss; differentiable in everything."""
        return self._step(self.generator_optimizer, generator, lambda g: self.generator_loss(g, discriminator, real, noise))

    def _step(self, optimizer, player, loss):
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(player["params"]))
            value = loss(player)
        gradients = tape.gradient(value, player["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return self.apply(optimizer, player, gradients)

    def apply(self, optimizer, player, gradients):
        """A player after its optimiser's step with these gradients."""
        hyper = {name: value for name, (value, _) in optimizer.hyperparameters.items()}
        params, slots = optimizer.update(gradients, player["slots"], player["params"], hyper)
        return {**player, "params": params, "slots": slots}


@dataclasses.dataclass(frozen=True)
class Unrolled:
    """The generator's surrogate objective f_K (equation 9), and its relatives.

    Attributes:
      steps: K; 0 is the plain GAN.
      both: unroll alternating steps of both players, "as if G and D had already updated" (section 4); else the discriminator's.
      first_order: cut the gradient through the discriminator's steps, which leaves the first term of equation 12.
      extrapolation: c > 0: the gradient at K = 0 plus c times what a single unrolled step changes of it, "further perturb the
        training gradient in the same direction that a single unrolling step perturbs it" (section 4); 0: the gradient of f_K.
    """

    steps: int = 0
    both: bool = False
    first_order: bool = False
    extrapolation: float = 0.0

    def __post_init__(self):
        if self.steps < 0 or self.extrapolation < 0:
            raise errors.UserError(f"unrolled steps and extrapolation are at least 0; got {self.steps}, {self.extrapolation}")
        if self.extrapolation and self.steps != 1:
            raise errors.UserError(f"extrapolation goes by what one unrolled step changes: steps is 1 then; got {self.steps}")

    def loss(self, players, generator, discriminator, real, noise):
        """f_K, or the generator's loss after K steps.

        `real`, `noise` `[K + 1, (N,) B, ...]`: a minibatch for each unrolled step and, last, for the loss; equal
        ones are a fixed minibatch.
        """
        return players.generator_loss(*self._advanced(players, generator, discriminator, real, noise), real[-1], noise[-1])

    def _advanced(self, players, generator, discriminator, real, noise):
        if not self.steps:
            return generator, discriminator
        params, rest = generator["params"], {k: v for k, v in generator.items() if k != "params"}
        start = {"d": discriminator, "g": generator} if self.both else {"d": discriminator}

        def step(params, state, x):
            g = state["g"] if self.both else {"params": params, **rest}
            d = players.discriminator_step(g, state["d"], x["real"], x["noise"])
            following = {"d": d}
            if self.both:
                following["g"] = players.generator_step(g, d, x["real"], x["noise"])
            return following, tf.zeros([])

        xs = {"real": real[:-1], "noise": noise[:-1]}
        state, _ = unroll(step, params, start, xs, checkpoint_every=0)
        d = tf.nest.map_structure(tf.stop_gradient, state["d"]) if self.first_order else state["d"]
        return (state["g"] if self.both else generator), d

    def gradient(self, players, generator, discriminator, real, noise):
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
