"""Training of unrolled GANs: an outer step is many iterations in one graph, of N networks that differ in their seed alone."""

import keras
import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core import Adam, Functional, optimizers, stacking, supervised, update_loop
from tf_gtn.gan import objectives, sources

ADAM = Adam(1e-4, beta_1=0.5)  # unrolled GAN paper, appendix A
_INIT, _STATISTICS = 2**30, 2**30 + 10  # seeds beside those of iterations


class UnrolledGAN(update_loop.UpdateLoop):
    """Alternating updates of generator and discriminator by Adam (unrolled GAN paper, equations 10 and 11).

    Attributes:
      source: what is learned.
      players: an `objectives.Players`; of `stacking.Stacked` networks where there are several seeds.
      outer_steps, iterations, taken: see `core.update_loop.UpdateLoop`; the state has one each of `generator`, `discriminator`.
      count: how many networks stand side by side. What is not finite in one of them changes that one alone.
    """

    @arguments.checked("gan.UnrolledGAN")
    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        source: sources.Source,
        seed: int,
        outer_steps: arguments.Count,
        iterations: arguments.Count = 100,
        parallel_seeds: arguments.Count = 1,
        unrolled: objectives.Unrolled | None = None,
        loss: objectives.Loss = "minimax",
        generator_optimizer: optimizers.Optimizer | None = None,
        discriminator_optimizer: optimizers.Optimizer | None = None,
        batch_size: arguments.Count = 512,
        resample: bool = False,
        discriminator_unrolled: arguments.Whole = 0,
    ) -> None:
        """Draws the networks of all seeds.

        Args:
          generator, discriminator: Keras models of noise -> samples and samples -> logit `[n, 1]`.
          source: `sample(shape, seed) -> [*shape, ...]` of real samples.
          seed: of the first network; those beside it have the following ones.
          outer_steps, iterations: the whole is `outer_steps * iterations` of one update of each player.
          parallel_seeds: how many seeds train side by side in one graph; 1 for convolutional networks.
          unrolled: an `objectives.Unrolled`.
          loss: see `objectives.Players`.
          generator_optimizer, discriminator_optimizer: of `core.optimizers`; `ADAM` where None.
          batch_size: of a minibatch (not given in the paper).
          resample: whether every unrolled step has a minibatch of its own; else they share the loss' ("did not significantly
            impact the result", section 3).
          discriminator_unrolled: steps of the generator that the discriminator's own update sees ahead (section 4).

        Raises:
          UserError: a number is out of range.
        """
        if not (unrolled and unrolled.steps):
            arguments.no_effect("gan.UnrolledGAN", {"resample": resample}, ("resample",), "with 0 unrolled steps")
        self.count, self.seed = parallel_seeds, seed
        self.unrolled, self._resample = unrolled or objectives.Unrolled(), resample
        self._batch, self.source = batch_size, source
        self._noise, self._ahead = generator.input_shape[1:], discriminator_unrolled
        chosen = generator_optimizer or ADAM, discriminator_optimizer or ADAM
        if parallel_seeds > 1:
            for optimizer in chosen:
                optimizers.check_side_by_side(optimizer)
        parts = [self._stacked(Functional(model)) for model in (generator, discriminator)]
        self.players = objectives.Players(parts[0], parts[1], chosen[0], chosen[1], loss)
        state = {
            name: self._initial_state(part, optimizer, k)
            for k, (name, part, optimizer) in enumerate(zip(("generator", "discriminator"), parts, chosen))
        }
        metric_names = ("loss", "discriminator_loss", "gradient_norm")
        super().__init__(state, self._iteration, metric_names, seed, outer_steps, iterations, parallel_seeds)
        self._generate = tf.function(self._generated, autograph=False)

    def _stacked(self, functional):
        return functional if self.count == 1 else stacking.Stacked(functional, self.count)

    def _initial_state(self, part, optimizer, k):
        initial_values = [
            (part if self.count == 1 else part.functional).initial_values(tf.constant([self.seed + n, _INIT + k]))
            for n in range(self.count)
        ]
        values = initial_values[0] if self.count == 1 else tf.nest.map_structure(lambda *v: tf.stack(v), *initial_values)
        return supervised.initial_state(optimizer, *values)

    def samples(self, count: int, seed: int) -> tf.Tensor:
        """`[networks, count, ...]` samples, batch statistics where there are any."""
        return self._generate(tf.constant([seed, -1]), count)

    def frozen(self, network: int = 0, count: int = 1024) -> tuple[Functional, dict, dict]:
        """`(functional, params, state)` of one generator; `state`: BatchNorm statistics of `count` samples, if there are any.

        With them, in inference mode, a sample does not depend on those beside it.
        """
        functional, state = self.players.generator, self.state()["generator"]
        if self.count > 1:
            functional = functional.functional
            state = {k: tf.nest.map_structure(lambda x: x[network], state[k]) for k in ("params", "model")}
        noise = tf.random.stateless_normal((count, *self._noise), [self.seed + network, _STATISTICS])
        return functional, state["params"], functional(state["params"], state["model"], noise, training=True)[1]

    def _generated(self, seed, count):
        noise = tf.random.stateless_normal(self._shape(count, self._noise), seed)
        state = self.state()["generator"]
        samples, _ = self.players.generator(state["params"], state["model"], noise, training=True)
        return samples[None] if self.count == 1 else samples

    def _shape(self, count, rest):
        return (count, *rest) if self.count == 1 else (self.count, count, *rest)

    def _minibatches(self, count, seed, number, player):
        """`count` minibatches of real samples and noise for a player; network n's are those that it would get alone."""

        def of(seed):
            real, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            shape = (count, self._batch)
            return self.source.sample(shape, real), tf.random.stateless_normal((*shape, *self._noise), noise)

        seeds = [tf.random.experimental.stateless_split(tf.stack([seed + n, number]), 2)[player] for n in range(self.count)]
        if self.count == 1:
            return of(seeds[0])
        return tuple(tf.stack(parts, 1) for parts in zip(*map(of, seeds)))

    def _iteration(self, state, seed, number):
        """One update of the generator, then one of the discriminator."""
        g, d, players = state["generator"], state["discriminator"], self.players
        real, noise = self._minibatches(self.unrolled.steps + 1 if self._resample else 1, seed, number, 0)
        loss, gradients = self.unrolled.gradient(players, g, d, real, noise)
        g = players.apply(players.generator_optimizer, g, gradients)
        real, noise = (x[0] for x in self._minibatches(1, seed, number, 1))
        d_loss, d_gradients = self._discriminator_gradient(g, d, real, noise)
        d = players.apply(players.discriminator_optimizer, d, d_gradients)
        metrics = {"loss": loss / self.count, "discriminator_loss": d_loss / self.count}
        return {"generator": g, "discriminator": d}, {
            **metrics,
            "gradient_norm": tf.linalg.global_norm(tf.nest.flatten(gradients)),
        }

    def _discriminator_gradient(self, g, d, real, noise):
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(d["params"]))
            moved = g
            for _ in range(self._ahead):
                moved = self.players.generator_step(moved, d, real, noise)
            loss = -self.players.f(d, real, self.players.fake(moved, noise))
        return loss, tape.gradient(loss, d["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)
