"""Sources and judges: images on the scale of generators, stacked ones, and judges that see what is there."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data, errors
from tf_gtn.data import mixtures
from tf_gtn.gan import judges, sources


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_images_are_scaled_and_follow_from_the_seed(digits):
    source = sources.Images(digits)
    samples = source.sample((3, 4), tf.constant([0, 1]))
    assert samples.shape == (3, 4, 8, 8, 1) and float(tf.reduce_min(samples)) == -1 and float(tf.reduce_max(samples)) == 1
    np.testing.assert_array_equal(samples, source.sample((3, 4), tf.constant([0, 1])))
    known = {image.tobytes() for image in digits.train.images}
    raw = sources.raw(samples, digits).numpy().round().astype(np.uint8)
    assert all(image.tobytes() in known for image in raw.reshape(-1, 8, 8, 1))


def test_stacked_images_are_independent_channels(digits):
    source = sources.Images(digits, 3)
    samples = source.sample((50,), tf.constant([0, 1])).numpy()
    assert samples.shape == (50, 8, 8, 3) == (50, *source.sample_shape)
    known = {image.tobytes() for image in digits.train.images}
    raw = sources.raw(samples, digits).numpy().round().astype(np.uint8)
    assert all(raw[i, ..., k : k + 1].tobytes() in known for i in range(50) for k in range(3))
    assert not np.array_equal(samples[..., 0], samples[..., 1])
    with pytest.raises(errors.UserError, match=r"gan\.Images\.stacked must be at least 1"):
        sources.Images(digits, 0)
    with pytest.raises(errors.UserError, match="only grey images are stacked"):
        sources.Images(types.SimpleNamespace(image_shape=(8, 8, 3), name="coloured"), 2)


def test_real_images_have_all_classes_and_one_of_them_has_one(digits):
    source = sources.Images(digits)
    judge = judges.of(source)
    real = judge(source.sample((400,), tf.constant([5, 5])).numpy())
    assert judge.bounds["modes"] == (0, 10) and set(judge.bounds) == set(judge.keys)
    assert all(low <= real[key] <= high for key, (low, high) in judge.bounds.items())
    assert set(real) == set(judge.keys) and real["modes"] == judge.all_modes == 10
    assert real["entropy"] > 0.97 * np.log(10) and real["coverage"] > 0.9 and 0.9 < real["spread"] < 1.1
    ones = digits.train.images[digits.train.labels == 1]
    collapsed = judge(np.repeat(sources.scaled(ones[:1], digits).numpy(), 400, 0))
    assert collapsed["modes"] == 1 and collapsed["entropy"] == 0 and collapsed["coverage"] < 0.1
    assert collapsed["spread"] < judges.COLLAPSED


def test_stacks_by_hand(digits):
    source = sources.Images(digits, 2)
    judge = judges.of(source)
    by_class = [sources.scaled(digits.train.images[digits.train.labels == c][:1], digits).numpy()[0] for c in range(3)]
    pairs = np.stack([np.concatenate([by_class[a], by_class[b]], -1) for a, b in [(0, 0), (0, 1), (1, 0), (2, 2)]])
    measured = judge(pairs)
    assert judge.all_modes == 100 and measured["modes"] == 4 and measured["kl"] == pytest.approx(np.log(25))


def test_points_are_judged_as_modes():
    source = mixtures.ring()
    judge = judges.of(source)
    assert judge(judge.real)["modes"] == judge.all_modes == 8
    collapsed = judge(np.repeat(source.centers[:1], 50, 0))
    assert collapsed["spread"] == 0 and collapsed["reverse_kl"] == pytest.approx(judge.bounds["reverse_kl"][1])
    assert judge(10 * judge.real)["spread"] > judges.DIVERGED
