"""Many updates an outer step: their number and seeds, what is not finite, resuming, restarting."""

import numpy as np
import tensorflow as tf

from tf_gtn.core import outer_update, update_loop

BAD = 7  # an update's number


def make(seed=0, bad=False):
    def update(state, seed, number):
        value = state["value"] + tf.cast(seed + number, tf.float32)
        if bad:
            value = tf.where(number % 8 == BAD, np.nan, value)
        return {"value": value, "count": state["count"] + 1}, {"loss": value}

    start = {"value": tf.constant(float(seed)), "count": tf.constant(0)}
    return update_loop.UpdateLoop(start, update, ("loss",), seed, outer_steps=3, iterations=4)


def test_an_outer_step_is_so_many_updates():
    loop = make(seed=10)
    assert float(loop.step(0)["loss"]) == 10 + sum(10 + n for n in range(4))
    assert float(loop.step(1)["loss"]) == 10 + sum(10 + n for n in range(8))
    assert int(loop.state()["count"]) == 8 and int(loop.taken.numpy()) == 2


def test_what_is_not_finite_changes_nothing_but_counts():
    loop = make(bad=True)
    loop.step(0)
    before = loop.state()
    loop.step(1)  # updates 4 to 7
    tf.nest.map_structure(np.testing.assert_array_equal, loop.state(), before)
    assert int(loop.skipped.numpy()) == int(loop.consecutively_skipped.numpy()) == 1
    loop.step(2)
    assert int(loop.state()["count"]) == 8 and int(loop.consecutively_skipped.numpy()) == 0 and int(loop.skipped.numpy()) == 1


def test_it_gives_up_after_too_many_in_a_row():
    loop = make(bad=True)
    for _ in range(outer_update.MAX_SKIPPED + 3):
        loop.step(1)
    assert int(loop.skipped.numpy()) == int(loop.consecutively_skipped.numpy()) == outer_update.MAX_SKIPPED
    loop.step(0)  # would be finite
    assert int(loop.state()["count"]) == 0


def test_resumed_and_restarted():
    whole, first, second = make(), make(), make(seed=5)
    expected = [float(whole.step(n)["loss"]) for n in range(3)]
    first.step(0)
    second.restart(first)
    assert [float(second.step(n)["loss"]) for n in (1, 2)] == expected[1:] and second.seed == 0
