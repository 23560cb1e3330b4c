"""The GAN system's gin names, and how the program puts its parts together."""

from collections.abc import Callable

import gin

from tf_gtn.core import optimizers
from tf_gtn.data import mixtures
from tf_gtn.gan import objectives, training
from tf_gtn.models import gans

UnrolledGAN = gin.external_configurable(training.UnrolledGAN, module="gan")
gin.external_configurable(objectives.Unrolled, module="gan")
ring = gin.external_configurable(mixtures.ring, module="data")
gin.external_configurable(mixtures.grid, module="data")
ring_generator = gin.external_configurable(gans.ring_generator, module="gans")
ring_discriminator = gin.external_configurable(gans.ring_discriminator, module="gans")


@gin.configurable(module="gan")
def adam(learning_rate=1e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8):
    """A player's Adam (unrolled GAN paper, appendix A: 1e-4, beta_1 0.5)."""
    return optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)


@gin.configurable(module="gan")
def source(mixture: Callable = ring):
    """What is to be learned: `@data.ring` or `@data.grid`."""
    return mixture()


def make(seed, learned):
    """An `UnrolledGAN` as configured in the gin scope of the moment; `learned`: what `source` gives."""
    with gin.config_scope("generator"):
        first = adam()
    with gin.config_scope("discriminator"):
        second = adam()
    return UnrolledGAN(
        ring_generator(), ring_discriminator(), learned, seed, generator_optimizer=first, discriminator_optimizer=second
    )
