"""Each curriculum presents what it promises."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.teaching import curricula

T, B, LATENT, CLASSES = 6, 5, 3, 4


def make(order="full", **options):
    return curricula.Curriculum(T, B, LATENT, CLASSES, tf.constant([0, 1]), order, **options)


def presented(curriculum, seed):
    """Codes [T, B, latent] and class indices [T, B]."""
    xs = curriculum.xs(tf.constant([seed, 3]))
    return xs["noise"].numpy(), xs["label"].numpy().argmax(-1)


def pairs(noise, labels):
    """The multiset of (code, label)."""
    return sorted((*code, label) for code, label in zip(noise.reshape(-1, LATENT).tolist(), labels.ravel().tolist()))


def as_batches(noise, labels):
    return sorted(pairs(n, y) for n, y in zip(noise, labels))


@pytest.fixture(scope="module")
def learned_order():
    return presented(make(), 0)


def test_labels_cycle_through_the_classes(learned_order):
    np.testing.assert_array_equal(learned_order[1].ravel(), np.arange(T * B) % CLASSES)


def test_full_is_the_same_for_every_learner(learned_order):
    for a, b in zip(presented(make(), 9), learned_order):
        np.testing.assert_array_equal(a, b)


def test_reversed_goes_from_last_to_first(learned_order):
    for a, b in zip(presented(make("reversed"), 9), learned_order):
        np.testing.assert_array_equal(a, b[::-1])


def test_shuffled_batch_keeps_batches_and_changes_their_order(learned_order):
    curriculum = make("shuffled_batch")
    orders = [presented(curriculum, seed) for seed in (5, 6)]
    for noise, labels in orders:
        assert as_batches(noise, labels) == as_batches(*learned_order)
        assert not np.array_equal(noise, learned_order[0])
        for batch in noise:  # each one whole, and in its own inner order
            assert any(np.array_equal(batch, old) for old in learned_order[0])
    assert not np.array_equal(orders[0][0], orders[1][0])
    np.testing.assert_array_equal(presented(curriculum, 5)[0], orders[0][0])


def test_all_shuffled_keeps_samples_and_mixes_batches(learned_order):
    curriculum = make("all_shuffled")
    orders = [presented(curriculum, seed) for seed in (5, 6)]
    for noise, labels in orders:
        assert pairs(noise, labels) == pairs(*learned_order)
        assert as_batches(noise, labels) != as_batches(*learned_order)
    assert not np.array_equal(orders[0][0], orders[1][0])


def test_none_draws_everything_anew():
    curriculum = curricula.Curriculum(40, 50, LATENT, CLASSES, tf.constant([0, 1]), "none")
    (noise, labels), (other, other_labels) = presented(curriculum, 5), presented(curriculum, 6)
    assert not curriculum.variables
    assert np.intersect1d(noise, other).size < 5 and not np.array_equal(labels, other_labels)
    assert abs(noise.mean()) < 0.06 and abs(noise.std() - 1) < 0.04  # 6,000 Gaussian numbers
    assert np.abs(np.bincount(labels.ravel()) / labels.size - 1 / CLASSES).max() < 0.04  # 2,000 uniform labels


@pytest.mark.parametrize("order", ["full", "reversed", "shuffled_batch", "all_shuffled"])
def test_epochs_show_the_same_samples_again(order):
    curriculum = make(order, epochs=2)
    noise, labels = presented(curriculum, 5)
    assert noise.shape == (T, B, LATENT) and curriculum.noise.shape == (T // 2, B, LATENT)
    first, second = (noise[:3], labels[:3]), (noise[3:], labels[3:])
    assert pairs(*first) == pairs(*second)
    assert np.array_equal(first[0], second[0]) == (order in ("full", "reversed"))


def test_fixed_codes_are_no_outer_parameters():
    assert [v.name for v in make().trainable_variables] == ["noise"]
    fixed = make(learned=False)
    assert not fixed.trainable_variables and len(fixed.variables) == 1


def test_learned_labels_start_as_soft_ones_and_follow_their_code():
    curriculum = make("all_shuffled", labels="learned")
    xs = curriculum.xs(tf.constant([5, 3]))
    assert len(curriculum.trainable_variables) == 2
    np.testing.assert_array_equal(xs["target"].numpy().argmax(-1), xs["label"].numpy().argmax(-1))
    np.testing.assert_allclose(xs["target"].numpy().sum(-1), 1, rtol=1e-6)
    assert 0.9 < xs["target"].numpy().max(-1).mean() < 1


def test_the_gradient_of_a_shuffled_code_returns_to_its_place():
    curriculum = make("all_shuffled")
    weights = tf.random.stateless_normal((T, B, LATENT), [1, 2])
    with tf.GradientTape() as tape:
        noise = curriculum.xs(tf.constant([5, 3]))["noise"]
        value = tf.reduce_sum(noise * weights)
    gradient = tape.gradient(value, curriculum.noise.value).numpy().reshape(-1, LATENT)
    presented_codes, stored = noise.numpy().reshape(-1, LATENT), curriculum.noise.numpy().reshape(-1, LATENT)
    for place, code in enumerate(presented_codes):
        (home,) = np.flatnonzero((stored == code).all(-1))
        np.testing.assert_array_equal(gradient[home], weights.numpy().reshape(-1, LATENT)[place])


@pytest.mark.parametrize("made, got", [(lambda x, seed: None, "NoneType"), (lambda x, seed: x[0], "a tensor [5, 4]")])
def test_an_order_of_a_user_s_own_that_gives_something_else(made, got, monkeypatch):
    monkeypatch.setitem(curricula.ORDERS, "own", made)
    with pytest.raises(
        errors.UserError, match=re.escape(f"order 'own' permutes a tensor of batches; of [6, 5, 4] it made {got}")
    ):
        presented(make("own"), 0)


def test_presented_shares_the_codes():
    curriculum = make()
    other = curriculum.presented(order="reversed")
    curriculum.noise.assign(curriculum.noise + 1)
    np.testing.assert_array_equal(presented(other, 0)[0], presented(curriculum, 0)[0][::-1])
    assert curriculum.order == "full"


def test_none_makes_any_number():
    xs = make("none").presented(inner_steps=9, batch_size=2).xs(tf.constant([0, 1]))
    assert xs["noise"].shape == (9, 2, LATENT) and xs["label"].shape == (9, 2, CLASSES)


@pytest.mark.parametrize(
    "make_it, message",
    [
        (lambda: make("shufled_batch"), "unknown curriculum order 'shufled_batch'; did you mean 'shuffled_batch'"),
        (lambda: make(labels="soft"), "unknown curriculum labels 'soft'"),
        (lambda: make(epochs=4), "epochs must divide the 6 inner steps; got 4"),
        (lambda: make("none", epochs=2), "labels can't be learned nor repeated"),
        (lambda: make().presented(inner_steps=9), "only a GTN without curriculum"),
        (lambda: make().presented(order="none"), "fixed codes can't be presented as none"),
    ],
)
def test_mistakes(make_it, message):
    with pytest.raises(errors.UserError, match=message):
        make_it()
