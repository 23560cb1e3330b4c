"""Tasks: what is held out stays out, batches follow their seed, rotations turn training images alone."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sklearn import neighbors

from tf_gtn import data, errors
from tf_gtn.transfer import tasks as tasks_lib


def alphabets():
    """Each image is of one value that says its alphabet, character and sample."""
    by_name = {}
    for k, (name, count) in enumerate((("a", 5), ("b", 4), ("c", 2))):
        values = np.arange(count * 6).reshape(count, 6, 1, 1, 1) + 40 * k
        by_name[name] = np.broadcast_to(values, (count, 6, 8, 8, 1)).astype(np.uint8)
    return by_name


def raw(tasks, images):
    return np.rint(images.numpy() * tasks.std + tasks.mean)


def test_alphabets_with_too_few_characters_are_left_out():
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2)
    assert sorted(tasks.names) == ["a", "b"] and tasks.classes == 4 and tasks.image_shape == (8, 8, 1)
    with pytest.raises(errors.UserError, match="no alphabet has 9"):
        tasks_lib.of_alphabets(alphabets(), classes=9)
    with pytest.raises(errors.UserError, match="held out"):
        tasks_lib.of_alphabets(alphabets(), classes=4, held_out=6)


def test_grey_images_in_color():
    grey = data.load("digits")
    colored = tasks_lib.in_color(grey)
    assert colored.image_shape == (8, 8, 3) and colored.train.images.dtype == np.uint8
    np.testing.assert_array_equal(colored.train.images[..., 2:], grey.train.images)
    np.testing.assert_array_equal(tasks_lib.in_color(colored).test.images, colored.test.images)


@pytest.mark.parametrize("rotated", [False, True])
def test_training_and_held_out_images_share_none(rotated):
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2, rotated=rotated)
    for task, name in enumerate(tasks.names):
        values = alphabets()[name][:, :, 0, 0, 0]
        trained, labels = tasks.batch(tf.constant(task), 300, tf.constant([0, 1]))
        judged, _ = tasks.batch(tf.constant(task), 300, tf.constant([0, 1]), held_out=True)
        everything, every_label = tasks.held_out(tf.constant(task))
        seen, held = ({*raw(tasks, x)[:, 4, 4, 0]} for x in (trained, judged))
        assert seen <= {*values[:, :4].ravel()} and held <= {*values[:, 4:].ravel()} and len(seen) == 16 and len(held) == 8
        assert {*raw(tasks, everything)[:, 0, 0, 0]} == held and every_label.shape == (8, 4)
        character = {v: k for k, row in enumerate(sorted(map(tuple, values[:, :4]))) for v in row}
        order = np.unique([character[v] for v in raw(tasks, trained)[:, 4, 4, 0]], return_inverse=True)[1]
        np.testing.assert_array_equal(order, labels.numpy().argmax(-1))


def test_a_batch_follows_its_seed():
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2)
    one, two, other = (tasks.batch(tf.constant(0), 8, tf.constant(s))[0].numpy() for s in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_one_is_held_out_in_turn():
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2)
    other = tasks.with_last(0)
    assert other.names == (tasks.names[1], tasks.names[0])
    np.testing.assert_array_equal(other.held_out(tf.constant(1))[0], tasks.held_out(tf.constant(0))[0])


def test_tasks_of_another_seed_take_their_place():
    one, two = (tasks_lib.of_alphabets(alphabets(), classes=3, held_out=2, seed=s) for s in (0, 3))
    traced = tf.function(lambda: one.batch(tf.constant(0), 50, tf.constant([0, 1]))[0])
    before = traced().numpy()
    one.become(two)
    np.testing.assert_array_equal(traced(), two.batch(tf.constant(0), 50, tf.constant([0, 1]))[0])
    assert one.names == two.names and (traced().numpy() != before).any()


def test_data_sets_as_tasks(tiny_dataset, digits):
    small = dataclasses.replace(digits, mean=None, std=None)
    tasks = tasks_lib.of_data_sets({"tiny": tiny_dataset, "digits": tasks_lib.inverted(small)}, samples=9, held_out=3)
    assert tasks.classes == 10 and len(tasks) == 2
    for task, count in ((0, 3), (1, 10)):
        images, labels = tasks.batch(tf.constant(task), 200, tf.constant([0, 1]))
        assert {*labels.numpy().argmax(-1)} == {*range(count)} and images.shape == (200, 8, 8, 1)
        assert tasks.held_out(tf.constant(task))[0].shape == (3 * count, 8, 8, 1)
    seen = {raw(tasks, tasks.held_out(tf.constant(1))[0][k : k + 1]).tobytes() for k in range(30)}
    test = {(255 - image).astype(np.float32)[None].tobytes() for image in digits.in_full_range().test.images}
    assert seen <= test  # those held out are test images
    with pytest.raises(errors.UserError, match="one shape"):
        larger = dataclasses.replace(
            tiny_dataset,
            **{
                part: dataclasses.replace(split, images=np.repeat(split.images, 2, 1))
                for part, split in (
                    ("train", tiny_dataset.train),
                    ("validation", tiny_dataset.validation),
                    ("test", tiny_dataset.test),
                )
            },
        )
        tasks_lib.of_data_sets({"tiny": tiny_dataset, "larger": larger})


@pytest.mark.parametrize("name", ["inverted", "turned", "textured"])
def test_variants_are_other_images_of_the_same_classes(name, tiny_dataset):
    other = tasks_lib.VARIANTS[name](tiny_dataset)
    again = tasks_lib.VARIANTS[name](tiny_dataset)
    np.testing.assert_array_equal(other.train.images, again.train.images)
    np.testing.assert_array_equal(other.train.labels, tiny_dataset.train.labels)
    assert (other.train.images != tiny_dataset.train.images).mean() > 0.2


def test_textured_digits_can_still_be_read(digits):
    def accuracy(dataset):
        known, asked = (split.images.reshape(len(split), -1) for split in (dataset.train, dataset.test))
        return neighbors.KNeighborsClassifier(3).fit(known, dataset.train.labels).score(asked, dataset.test.labels)

    assert accuracy(tasks_lib.textured(digits)) > 0.85  # 0.10 where the pattern, 0 to 255, hides ink of 0 to 16
    inverted = tasks_lib.inverted(digits).train.images
    assert inverted.min() == 0 and inverted.max() == 255


def test_tasks_have_one_scale_whatever_the_range_of_their_data_sets(digits, tiny_dataset):
    tasks = tasks_lib.of_data_sets({"digits": digits, "same": digits.in_full_range()}, samples=9, held_out=3)
    one, other = (tasks.held_out(tf.constant(k))[0].numpy() for k in (0, 1))
    assert one.max() == pytest.approx(other.max()) and one.std() == pytest.approx(other.std(), rel=0.1)


def test_a_quarter_turn_is_numpys():
    images = tf.random.stateless_normal([2, 6, 6, 1], [0, 1])
    turned = tasks_lib._turned(images, tf.constant([np.pi / 2, 0.0], tf.float32))
    np.testing.assert_allclose(turned[1], images[1], atol=1e-5)
    expected = [np.rot90(images[0], k) for k in (1, 3)]
    assert min(np.abs(turned[0] - e).max() for e in expected) < 1e-4
