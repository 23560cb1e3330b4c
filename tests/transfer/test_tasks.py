"""Tasks: what is held out stays out, batches follow their seed, rotations turn training images alone."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.transfer import tasks as tasks_lib


def alphabets():
    """Each image is of one value that says its alphabet, character and sample."""
    found = {}
    for k, (name, count) in enumerate((("a", 5), ("b", 4), ("c", 2))):
        values = np.arange(count * 6).reshape(count, 6, 1, 1, 1) + 40 * k
        found[name] = np.broadcast_to(values, (count, 6, 8, 8, 1)).astype(np.uint8)
    return found


def raw(tasks, images):
    return np.rint(images.numpy() * tasks.std + tasks.mean)


def test_alphabets_with_too_few_characters_are_left_out():
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2)
    assert sorted(tasks.names) == ["a", "b"] and tasks.classes == 4 and tasks.image_shape == (8, 8, 1)
    with pytest.raises(errors.UserError, match="no alphabet has 9"):
        tasks_lib.of_alphabets(alphabets(), classes=9)
    with pytest.raises(errors.UserError, match="held out"):
        tasks_lib.of_alphabets(alphabets(), classes=4, held_out=6)


@pytest.mark.parametrize("rotated", [False, True])
def test_training_and_held_out_images_share_none(rotated):
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2, rotated=rotated)
    for task, name in enumerate(tasks.names):
        own = alphabets()[name][:, :, 0, 0, 0]
        trained, labels = tasks.batch(tf.constant(task), 300, tf.constant([0, 1]))
        judged, _ = tasks.batch(tf.constant(task), 300, tf.constant([0, 1]), held_out=True)
        everything, every_label = tasks.held_out(tf.constant(task))
        seen, held = ({*raw(tasks, x)[:, 4, 4, 0]} for x in (trained, judged))
        assert seen <= {*own[:, :4].ravel()} and held <= {*own[:, 4:].ravel()} and len(seen) == 16 and len(held) == 8
        assert {*raw(tasks, everything)[:, 0, 0, 0]} == held and every_label.shape == (8, 4)
        character = {v: k for k, row in enumerate(sorted(map(tuple, own[:, :4]))) for v in row}
        order = np.unique([character[v] for v in raw(tasks, trained)[:, 4, 4, 0]], return_inverse=True)[1]
        np.testing.assert_array_equal(order, labels.numpy().argmax(-1))


def test_a_batch_follows_its_seed():
    tasks = tasks_lib.of_alphabets(alphabets(), classes=4, held_out=2)
    one, two, other = (tasks.batch(tf.constant(0), 8, tf.constant(s))[0].numpy() for s in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_a_quarter_turn_is_numpys():
    images = tf.random.stateless_normal([2, 6, 6, 1], [0, 1])
    turned = tasks_lib._turned(images, tf.constant([np.pi / 2, 0.0], tf.float32))
    np.testing.assert_allclose(turned[1], images[1], atol=1e-5)
    expected = [np.rot90(images[0], k) for k in (1, 3)]
    assert min(np.abs(turned[0] - e).max() for e in expected) < 1e-4
