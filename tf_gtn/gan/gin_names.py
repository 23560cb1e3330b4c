"""The GAN system's gin names, and how the program puts its parts together."""

from collections.abc import Callable
from typing import Annotated, Any

import gin
import keras

from tf_gtn import arguments, data, errors
from tf_gtn.core import optimizers
from tf_gtn.data import mixtures
from tf_gtn.experiment import program
from tf_gtn.gan import analyses as _analyses  # noqa: F401 - registers them
from tf_gtn.gan import experiment, gtn_gan, objectives, sources, training
from tf_gtn.models import gans
from tf_gtn.teaching import gin_names as teaching
from tf_gtn.teaching import treatments

UnrolledGAN = gin.external_configurable(training.UnrolledGAN, module="gan")
gin.external_configurable(objectives.Unrolled, module="gan")
ring = gin.external_configurable(mixtures.ring, module="data")
gin.external_configurable(mixtures.grid, module="data")
SHAPE = ["sample_shape", "image_shape"]  # the source's
ring_generator = gin.external_configurable(gans.ring_generator, module="gans", denylist=SHAPE[:1])
ring_discriminator = gin.external_configurable(gans.ring_discriminator, module="gans", denylist=SHAPE[:1])
gin.external_configurable(gans.rnn_generator, module="gans", denylist=SHAPE[1:])
gin.external_configurable(gans.conv_generator, module="gans", denylist=SHAPE[1:])
conv_discriminator = gin.external_configurable(gans.conv_discriminator, module="gans", denylist=SHAPE[1:])


@gin.configurable(module="gan", denylist=["load"])
def source(load: Callable[[], data.Dataset], mixture: Callable | None = ring, stacked: int = 1) -> Any:
    """What is to be learned: `@data.ring`, `@data.grid`, or None for the images of `data.load`, several of them `stacked`."""
    if mixture is None:
        return sources.Images(load(), stacked)
    if stacked != 1:
        raise errors.UserError(f"gan.source.stacked is of images, and has no effect on a mixture; got {stacked}")
    return mixture()


@gin.configurable(module="gan", denylist=["shape"])
def networks(
    shape: tuple[int, ...], generator: Callable = ring_generator, discriminator: Callable = ring_discriminator
) -> tuple[keras.Model, keras.Model]:
    """Both players, for samples of that shape."""
    return generator(shape), discriminator(shape)


def _unrolled(seed, learned):
    return UnrolledGAN(*networks(learned.sample_shape), learned, seed)


@gin.configurable(module="gan", denylist=["seed", "learned"])
@arguments.checked("gan.gtn")
def gtn(
    seed: int,
    learned: Any,
    discriminator: Callable = conv_discriminator,
    optimizer: optimizers.Optimizer | None = None,
    weight: arguments.Positive = 1.0,
    batch_size: arguments.Count = 64,
    loss: objectives.Loss = "non_saturating",
) -> gtn_gan.GTNGAN:
    """A GTN whose images a discriminator judges, too: see `gtn_gan.Adversary`; the rest is `teaching`'s."""
    if not isinstance(learned, sources.Images) or learned.stacked > 1:
        raise errors.UserError("a GTN-GAN learns the images of a data set: gan.source.mixture is None, and stacked is 1 then")
    network, optimizer = discriminator(learned.sample_shape), optimizer or training.ADAM
    adversary = gtn_gan.Adversary(learned.dataset, network, optimizer, seed, weight, batch_size, loss)
    teacher = teaching.make(learned.dataset, seed, auxiliary=adversary)
    if type(teacher.treatment) is not treatments.GTN or "label" not in teacher.treatment.generator.model.input:
        raise errors.UserError("a GTN-GAN takes a generator that is conditional on labels (teaching.gtn.generator), open loop")
    return gtn_gan.GTNGAN(teacher, adversary)


KINDS = {"unrolled": _unrolled, "gtn": gtn}


@gin.configurable(module="gan", denylist=["seed", "learned"])
@arguments.checked("gan.arm")
def arm(
    seed: int, learned: Any, kind: Annotated[str, arguments.OneOf(KINDS, "kind of arm")] = "unrolled"
) -> experiment.Training:
    """A fresh training of a kind: unrolled (plain with 0 steps) or gtn, a GTN-GAN (plain with teaching.Training.weight 0)."""
    return KINDS[kind](seed, learned)


Experiment = gin.external_configurable(experiment.GANs, "Experiment", module="gan")


def gans(run: program.Run) -> experiment.GANs:
    """The experiment of the configuration."""
    return Experiment().given(source(lambda: teaching.dataset(run)), arm, teaching.Evaluation)
