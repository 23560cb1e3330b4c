"""Every registered generator: shape, range, and that it listens to its inputs."""

import inspect

import numpy as np
import pytest

from tf_gtn import errors
from tf_gtn.dynamics import learners as linear
from tf_gtn.dynamics import meta_learners
from tf_gtn.models import convolutional, gans, generators, learners, perceptrons


@pytest.mark.parametrize("name", sorted(generators.REGISTRY))
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (9, 14, 2)])
def test_shape_range_and_conditioning(name, image_shape):
    widths = {} if name == "residual" else {"units": 16, "channels": 4}
    model = generators.REGISTRY[name](image_shape, 4, latent=6, filters=4, **widths)
    rng = np.random.default_rng(0)
    noise, label = rng.normal(size=(5, 6)).astype(np.float32), np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]

    def images(**inputs):
        output = model({key: inputs[key] for key in model.input}, training=True)
        return (output["image"] if isinstance(output, dict) else output).numpy()

    generated = images(noise=noise, label=label)
    assert generated.shape == (5, *image_shape)
    assert name == "residual" or np.abs(generated).max() <= 2  # sums of basis images have no bound
    assert generated.std() > 0.05
    assert np.abs(generated - images(noise=noise[::-1], label=label)).max() > 1e-3
    if "label" in model.input:
        assert np.abs(generated - images(noise=noise, label=label[::-1])).max() > 1e-3


def test_xy_labels_are_distributions_that_depend_on_the_code():
    noise = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    shape = {"image_shape": (8, 8, 1), "classes": 4, "latent": 6, "units": 16, "channels": 4, "filters": 4}
    label = generators.xy(**shape)({"noise": noise}, training=True)["label"].numpy()
    np.testing.assert_allclose(label.sum(-1), 1, rtol=1e-5)
    assert label.min() > 0 and len(np.unique(label.argmax(-1))) > 1
    soft = generators.xy(**shape, temperature=100.0)({"noise": noise}, training=True)["label"].numpy()
    assert soft.std() < label.std() / 10


def test_the_seeds_sizes():
    """A.1 at 28x28: FC 1024, FC 128 * 7 * 7, conv 64, conv 1."""
    model = generators.conditional((28, 28, 1), 10)
    kernels = [tuple(v.shape) for v in model.trainable_variables if v.name == "kernel"]
    assert kernels == [(138, 1024), (1024, 6272), (3, 3, 128, 64), (3, 3, 64, 1)]


IMAGES, VECTORS = ((8, 8, 1), 4), (3, 2)
SIZES = [
    (generators.conditional, IMAGES, ("latent", "units", "channels", "filters")),
    (generators.xy, IMAGES, ("latent", "units", "channels", "filters")),
    (generators.pairs, ((3,), 2), ("latent", "units")),
    (gans.ring_generator, ((2,),), ("noise", "units")),
    (gans.ring_discriminator, ((2,),), ("units",)),
    (gans.rnn_generator, IMAGES[:1], ("noise", "units")),
    (gans.conv_generator, IMAGES[:1], ("noise", "filters")),
    (gans.conv_discriminator, IMAGES[:1], ("filters",)),
    (convolutional.four_modules, IMAGES, ("filters", "modules")),
    (perceptrons.perceptron, VECTORS, ("units",)),
    (linear.perceptron, VECTORS, ("units",)),
    (meta_learners.LSTM, VECTORS, ("units",)),
    (learners.conv_plain, IMAGES, ("filters", "units")),
    (learners.conv_plain_kaiming, IMAGES, ("filters", "units")),
    (learners.conv_batchnorm, IMAGES, ("filters",)),
    (learners.depthwise, IMAGES, ("filters",)),
    (learners.mlp_plain, IMAGES, ("units",)),
]


@pytest.mark.parametrize("make, arguments, sizes", SIZES, ids=lambda v: getattr(v, "__name__", ""))
def test_sizes_below_one_are_named(make, arguments, sizes):
    """Of every network that a run file sets the sizes of."""
    for name in sizes:
        default = inspect.signature(make).parameters[name].default
        wrong = (0, *default[1:]) if isinstance(default, tuple) else 0
        with pytest.raises(errors.UserError, match=rf"{make.__name__}\.{name} must be at least 1; got "):
            make(*arguments, **{name: wrong})
