"""Choices of images, learned pixels and learned bases: what they hand to a learner, what they begin from."""

import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import helpers
from tests.teaching.helpers import batches
from tf_gtn import errors
from tf_gtn.core import optimizers
from tf_gtn.data import dataset as dataset_lib
from tf_gtn.models import population
from tf_gtn.teaching import pixels, training, treatments


def test_real_subset_is_a_fixed_even_choice_of_training_images(tiny_dataset):
    first, again, other = (pixels.real_subset(tiny_dataset, 3, 6, seed) for seed in (0, 0, 1))
    images, labels = batches(first)
    real = tiny_dataset.normalize(tiny_dataset.train.images).numpy()
    for image, label in zip(images.reshape(-1, *images.shape[2:]), labels.argmax(-1).ravel()):
        found = np.flatnonzero((real == image).all((1, 2, 3)))
        assert label in tiny_dataset.train.labels[found]
    counts = np.bincount(labels.argmax(-1).ravel(), minlength=tiny_dataset.num_classes)
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(batches(again)[0], images)
    assert not np.array_equal(batches(other)[0], images)


def test_a_subset_larger_than_the_data_takes_images_again_only_when_all_were_taken():
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    split = dataset_lib.Split(images, np.array([0, 0, 1, 1], np.int32))
    images, labels = batches(pixels.real_subset(dataset_lib.Dataset("toy", split, split, split, ("a", "b")), 3, 2, 0))
    for c in (0, 1):
        own = images[labels.argmax(-1) == c].ravel()
        assert len(own) == 3 and len(np.unique(own)) == 2


def test_k_means_finds_the_centres_of_a_hand_made_case():
    values = np.array([0, 2, 100, 102, 50, 54, 200, 204], np.uint8).reshape(8, 1, 1, 1)
    split = dataset_lib.Split(values, np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32))
    data = dataset_lib.Dataset("toy", split, split, split, ("a", "b"))
    images, labels = batches(pixels.k_means(data, 2, 2, 0))
    for c, centres in ((0, [1, 101]), (1, [52, 202])):
        expected = data.normalize(np.array(centres, np.float32).reshape(2, 1, 1, 1)).numpy().ravel()
        np.testing.assert_allclose(sorted(images[labels.argmax(-1) == c].ravel()), expected, rtol=1e-5)


def test_a_class_without_images_is_named():
    split = dataset_lib.Split(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int32))
    data = dataset_lib.Dataset("toy", split, split, split, ("a", "b"))
    for make in (pixels.real_subset, pixels.k_means):
        with pytest.raises(errors.UserError, match="no training image of class b"):
            make(data, 2, 2, 0)


@pytest.mark.parametrize(("start", "choice"), [("real", "real_subset"), ("k_means", "k_means")])
def test_learned_pixels_begin_from_images(tiny_dataset, start, choice):
    learned = pixels.distilled(tiny_dataset, 3, 6, [0, 3], start)
    images, labels = batches(learned)
    chosen_images, chosen_labels = batches(treatments.REGISTRY[choice](tiny_dataset, 3, 6, [0, 3]))
    np.testing.assert_array_equal(images, chosen_images)
    np.testing.assert_array_equal(labels, chosen_labels)
    noise = pixels.distilled(tiny_dataset, 3, 6, [0, 3])
    assert noise.pixels.shape == learned.pixels.shape and abs(float(tf.math.reduce_std(noise.pixels)) - 1) < 0.1


def test_learned_labels_of_pixels_begin_near_one_hot_ones(tiny_dataset):
    learned = pixels.distilled(tiny_dataset, 3, 6, [0, 3], labels="learned")
    labels = batches(learned)[1]
    np.testing.assert_array_equal(labels.argmax(-1), batches(pixels.distilled(tiny_dataset, 3, 6, [0, 3]))[1].argmax(-1))
    assert labels.min() > 0 and len(learned.trainable_variables) == 2


def test_as_many_bases_as_images_are_those_images_and_fewer_the_nearest(tiny_dataset):
    images = pixels.first_images(tiny_dataset, 3, 6, [0, 3], "real")
    all_of_them = pixels.Bases(images, tiny_dataset.num_classes, 40)
    np.testing.assert_allclose(batches(all_of_them)[0], images, atol=1e-4)
    few = batches(pixels.Bases(images, tiny_dataset.num_classes, 4))[0]
    values = np.linalg.svd(images.reshape(18, -1), compute_uv=False)
    np.testing.assert_allclose(np.sum((few - images) ** 2), np.sum(values[4:] ** 2), rtol=1e-3)  # Eckart and Young


def test_stored_floats_are_the_numbers_a_lesson_is_made_from(tiny_dataset):
    size = int(np.prod(tiny_dataset.image_shape))
    expected = {
        "distilled": 18 * size,
        "k_means": 18 * size,
        "bases": 64 * size + 18 * 64,
        "real": len(tiny_dataset.train) * size,
    }
    for name, floats in expected.items():
        assert treatments.REGISTRY[name](tiny_dataset, 3, 6, [0, 3]).stored_floats == floats
    gtn = helpers.make(tiny_dataset, families=helpers.MLP).treatment
    assert gtn.stored_floats == sum(int(np.prod(v.shape)) for v in gtn.generator.model.trainable_variables) + 18 * 4


@pytest.mark.parametrize("name", ["distilled", "bases"])
def test_an_outer_step_changes_all_that_is_learned(tiny_dataset, name):
    people = population.Population({"mlp": {"units": ((4, 4), (4, 4))}}, tiny_dataset.image_shape, tiny_dataset.num_classes)
    learned = treatments.REGISTRY[name](tiny_dataset, 2, 6, [0, 3])
    trained = training.Training(tiny_dataset, people, learned, optimizers.SGD(0.1), outer_steps=10, outer_batch=8)
    before = [v.numpy().copy() for v in learned.trainable_variables]
    trained.step(0)
    assert all(np.abs(a - v.numpy()).max() > 0 for a, v in zip(before, learned.trainable_variables))


@pytest.mark.parametrize("name", ["distilled", "bases"])
def test_epochs_show_the_same_batches_again(tiny_dataset, name):
    """And so fewer numbers are stored; what is learned of a batch counts each time that it comes."""
    make = treatments.REGISTRY[name]
    repeated, once = make(tiny_dataset, 4, 6, [0, 3], epochs=2), make(tiny_dataset, 2, 6, [0, 3])
    for several, single in zip(batches(repeated), batches(once)):
        np.testing.assert_array_equal(several, np.concatenate([single, single]))
    assert repeated.inner_steps == 4 and repeated.stored_floats == once.stored_floats
    with pytest.raises(errors.UserError, match=f"teaching.{name}.epochs must divide the 4 inner steps; got 3"):
        make(tiny_dataset, 4, 6, [0, 3], epochs=3)


def test_bases_that_all_move_move_an_image_no_further_than_a_learned_pixel(tiny_dataset):
    learned = pixels.bases(tiny_dataset, 3, 6, [0, 3], count=16)
    before = batches(learned)[0]
    signs = tf.sign(tf.random.stateless_normal(learned.bases.shape, [1, 2]))
    learned.bases.assign_add(0.01 * signs)
    assert np.sqrt(np.mean((batches(learned)[0] - before) ** 2)) == pytest.approx(0.01, rel=0.2)


def test_centres_are_found_once_for_a_data_set(tiny_dataset, monkeypatch):
    """They take minutes of 60,000 images, and several arms begin from them."""
    first = pixels.k_means(tiny_dataset, 2, 6, [7, 8])
    monkeypatch.setattr(pixels, "_k_means", None)
    images = first.images.numpy()
    first.variables[0].assign(0 * first.variables[0])  # a restored run's
    np.testing.assert_array_equal(pixels.k_means(tiny_dataset, 2, 6, (7, 8)).images, images)
    with pytest.raises(TypeError):
        pixels.k_means(tiny_dataset, 2, 6, [7, 9])


@pytest.mark.parametrize("choice", ["real_subset", "k_means"])
def test_a_lesson_may_have_fewer_images_than_there_are_classes(tiny_dataset, choice):
    images, labels = batches(treatments.REGISTRY[choice](tiny_dataset, 1, 2, [0, 3]))
    assert images.shape == (1, 2, 8, 8, 1) and labels.argmax(-1).tolist() == [[0, 1]] and images.std() > 0
