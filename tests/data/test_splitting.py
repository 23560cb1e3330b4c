"""Dividing: exact numbers, no image twice, test images that no argument moves."""

import fractions

import numpy as np
import pytest

from tf_gtn import errors
from tf_gtn.data import Split, splitting


def _pool(start, count, classes=3):
    """Images whose four pixels spell their index."""
    indices = np.arange(start, start + count, dtype="<u4")
    return Split(indices.view(np.uint8).reshape(count, 2, 2, 1), (indices % classes).astype(np.int32))


def _indices(split):
    return split.images.reshape(len(split), 4).view("<u4")[:, 0]


def _source(count=100, classes=3, **options):
    return splitting.Source(tuple(map(str, range(classes))), _pool(0, count, classes), **options)


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("own_splits", [(), ("validation",), ("test",), ("validation", "test")])
def test_every_image_once_and_with_its_label(stratified, own_splits):
    pools = {part: _pool(1000 * (place + 1), 30) for place, part in enumerate(own_splits)}
    parts = splitting.divide(_source(stratified=stratified, **pools))
    indices = [_indices(part) for part in parts]
    everything = np.concatenate([np.arange(100)] + [_indices(pool) for pool in pools.values()])
    np.testing.assert_array_equal(np.sort(np.concatenate(indices)), np.sort(everything))
    for part, index in zip(parts, indices):
        np.testing.assert_array_equal(part.labels, index % 3)
    assert len(parts[1]) == (30 if "validation" in own_splits else 10)
    assert len(parts[2]) == (30 if "test" in own_splits else 20)


def test_the_papers_numbers():
    mnist = _source(60000, 10, test=_pool(60000, 10000), validation_share=fractions.Fraction(1, 6))
    assert [len(part) for part in splitting.divide(mnist)] == [50000, 10000, 10000]
    cifar10 = _source(50000, 10, test=_pool(50000, 10000))
    assert [len(part) for part in splitting.divide(cifar10)] == [45000, 5000, 10000]


def test_seed_and_number_move_validation_but_never_test():
    source = _source()
    train, held_out, test = map(_indices, splitting.divide(source))
    for options in ({"seed": 1}, {"validation": 33}, {"validation": 5, "seed": 7}):
        other_train, other, other_test = map(_indices, splitting.divide(source, **options))
        np.testing.assert_array_equal(test, other_test)
        assert set(other) != set(held_out)
        assert len(other) == options.get("validation", 10)
        assert not set(other) & set(other_train)
    again = splitting.divide(source)
    np.testing.assert_array_equal(_indices(again[0]), train)
    np.testing.assert_array_equal(_indices(again[1]), held_out)


def test_stratified_within_one_image():
    labels = np.repeat(np.arange(4, dtype=np.int32), [1, 3, 40, 156])
    images = np.zeros([200, 2, 2, 1], np.uint8)
    source = splitting.Source(("a", "b", "c", "d"), Split(images, labels), stratified=True)
    train, held_out, test = (np.bincount(part.labels, minlength=4) for part in splitting.divide(source))
    assert held_out.sum() == 20 and test.sum() == 40
    np.testing.assert_allclose(test, [0.2, 0.6, 8, 31.2], atol=1)
    np.testing.assert_allclose(held_out, [0.1, 0.3, 4, 15.6], atol=1)
    assert train.min() >= 1, "a class of one image stays in train"


def test_uniform_is_uniform():
    chosen = np.concatenate([_indices(splitting.divide(_source(), seed=seed)[1]) for seed in range(400)])
    counts = np.bincount(chosen, minlength=100)
    carved = counts[counts > 0]
    assert len(carved) == 80, "all but the test images"
    # 4,000 draws over 80 images: 50 each, with a standard deviation of 6.6.
    assert carved.min() > 20 and carved.max() < 80


def test_order_is_random():
    labels = np.sort(np.arange(100, dtype=np.int32) % 2)
    source = splitting.Source(("a", "b"), Split(np.zeros([100, 2, 2, 1], np.uint8), labels), stratified=True)
    for part in splitting.divide(source):
        assert len(set(part.labels[:8])) == 2


def test_own_validation_can_be_cut_but_not_grown():
    source = _source(validation=_pool(1000, 30))
    train, held_out, test = splitting.divide(source, validation=12)
    assert (len(train), len(held_out), len(test)) == (80, 12, 20)
    assert len(splitting.divide(source, validation=30)[1]) == 30
    with pytest.raises(errors.UserError, match="validation=31: the data set has 30"):
        splitting.divide(source, validation=31)


@pytest.mark.parametrize("validation", [0, -1, 2.5, "10", True])
def test_validation_is_a_number_of_images(validation):
    with pytest.raises(errors.UserError, match=r"validation must be .*(at least 1|an integer|None); got"):
        splitting.divide(_source(), validation=validation)


def test_too_few_images():
    with pytest.raises(errors.UserError, match="80 images cannot be held out of 80"):
        splitting.divide(_source(), validation=80)
    assert len(splitting.divide(_source(), validation=79)[0]) == 1
    with pytest.raises(errors.UserError, match="cannot be held out of 1"):
        splitting.divide(_source(2))
    assert [len(part) for part in splitting.divide(_source(3))] == [1, 1, 1]


def test_fewer_training_images_are_some_of_them_of_every_class():
    whole, fewer = splitting.divide(_source()), splitting.divide(_source(), kept=30)
    assert set(_indices(fewer[0])) < set(_indices(whole[0])) and len(fewer[0]) == 30
    shares = np.bincount(fewer[0].labels) / np.bincount(whole[0].labels)
    np.testing.assert_allclose(shares, 30 / len(whole[0]), atol=1 / np.bincount(whole[0].labels).min())
    for expected, other in zip(whole[1:], fewer[1:]):
        np.testing.assert_array_equal(_indices(expected), _indices(other))
    with pytest.raises(errors.UserError, match="train=1000"):
        splitting.divide(_source(), kept=1000)
    with pytest.raises(errors.UserError, match="kept must be at least 1; got 0"):
        splitting.divide(_source(), kept=0)
