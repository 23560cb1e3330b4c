"""Every registered generator: shape, range, and that it listens to its inputs."""

import numpy as np
import pytest

from tf_gtn.models import generators


@pytest.mark.parametrize("name", sorted(generators.REGISTRY))
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (9, 14, 2)])
def test_shape_range_and_conditioning(name, image_shape):
    model = generators.REGISTRY[name](image_shape, 4, latent=6, units=16, channels=4, filters=4)
    rng = np.random.default_rng(0)
    noise, label = rng.normal(size=(5, 6)).astype(np.float32), np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    images = model({"noise": noise, "label": label}, training=True).numpy()
    assert images.shape == (5, *image_shape)
    assert np.abs(images).max() <= 2 and images.std() > 0.05
    assert np.abs(images - model({"noise": noise[::-1], "label": label}, training=True)).max() > 1e-3
    assert np.abs(images - model({"noise": noise, "label": label[::-1]}, training=True)).max() > 1e-3


def test_the_seeds_sizes():
    """A.1 at 28x28: FC 1024, FC 128 * 7 * 7, conv 64, conv 1."""
    model = generators.conditional((28, 28, 1), 10)
    kernels = [tuple(v.shape) for v in model.trainable_variables if v.name == "kernel"]
    assert kernels == [(138, 1024), (1024, 6272), (3, 3, 128, 64), (3, 3, 64, 1)]
