"""Batches made before the loop are those that each step would make, and so are their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import helpers
from tf_gtn.core import averaging, estimators, unrolling
from tf_gtn.models import generators
from tf_gtn.teaching import batches, inner_loop
from tf_gtn.teaching import problem as problems

SEED, ORDER = tf.constant([3, 4]), {"order": "all_shuffled"}


def step_by_step(treatment, xs, memory=None):
    del memory
    made = [treatment.batch(treatment.params(), tf.nest.map_structure(lambda x: x[t], xs)) for t in range(4)]  # noqa: B023
    return tuple(tf.stack(part) for part in zip(*made))


def gradients(make, treatment, memory=batches.MEMORY):
    """Images, labels, and the gradient of a sum over them with random weights."""

    @tf.function(autograph=False)
    def run():
        variables = treatment.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch([v.value for v in variables])
            made = make(treatment, treatment.xs(SEED), memory)
            weights = [tf.random.stateless_normal(part.shape, [1, 2]) for part in made]
            loss = tf.add_n([tf.reduce_sum(part * weight) for part, weight in zip(made, weights)])
        return made, tape.gradient(loss, [v.value for v in variables], unconnected_gradients="zero")

    return run()


@pytest.mark.parametrize("generator", [generators.conditional, generators.xy])
@pytest.mark.parametrize("memory", [batches.MEMORY, 1.0])
def test_they_equal_those_of_each_step(memory, generator, tiny_dataset, monkeypatch):
    """In one call, and a step at a time with activations computed again."""
    monkeypatch.setattr(batches, "PART", memory)
    treatment = helpers.make(tiny_dataset, steps=4, families=helpers.MLP, generator=generator, curriculum=ORDER).treatment
    expected, expected_gradients = gradients(step_by_step, treatment)
    made, made_gradients = gradients(batches.make, treatment, memory)
    for ours, theirs in zip([*made, *made_gradients], [*expected, *expected_gradients], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert np.abs(np.concatenate([np.ravel(g) for g in made_gradients])).max() > 0.1


def test_parts_are_as_long_as_memory_allows(monkeypatch, tiny_dataset):
    treatment = helpers.make(tiny_dataset, steps=6, families=helpers.MLP).treatment
    xs = treatment.xs(SEED)
    of_step = batches.step_bytes(treatment, treatment.params(), xs)
    assert 6 * 8 * 8 * 4 < of_step < 2e6  # at least the images

    parts = []

    def unroll(step, params, state, xs, unroll=unrolling.unroll):
        parts.append(len(tf.nest.flatten(xs)[0]))
        return unroll(step, params, state, xs)

    monkeypatch.setattr(unrolling, "unroll", unroll)
    whole = batches.make(treatment, xs, memory=6 * of_step)
    assert not parts
    for steps in (1, 2, 3, 4, 5):
        monkeypatch.setattr(batches, "PART", steps * of_step)
        for ours, theirs in zip(batches.make(treatment, xs, memory=6 * of_step - 1), whole, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert parts == [6, 3, 2, 2, 2]


@pytest.mark.parametrize("kind, ahead", [("gtn", True), ("distilled", True), ("real", False), ("closed_loop", False)])
def test_who_is_taught_ahead(kind, ahead, tiny_dataset):
    made = helpers.make(tiny_dataset, kind, families=helpers.MLP)
    (loop,) = {loop.teaches_ahead for loop in made.inner_loops}
    assert loop == ahead


@pytest.mark.parametrize("loss, estimator", [("every", estimators.Full()), ("last", estimators.Truncated(window=2))])
def test_learners_share_a_lesson(loss, estimator, tiny_dataset):
    """The gradient by a lesson, led back to the outer parameters, is the mean of the learners' own gradients."""
    made = helpers.make(tiny_dataset, steps=4, families=helpers.MLP, estimator=estimator)
    widths, seeds = tf.zeros([3, 2], tf.int32) + 4, tf.constant([[7, 1], [7, 2], [7, 3]])

    @tf.function(autograph=False)
    def shared():
        problem = made.problem(0, widths[0])
        lesson = problems.Lesson(problem, made.values(), SEED)
        mean = averaging.mean(
            lambda j: estimator.estimate(
                lesson.problem(made, made.inner_loops[0], widths[j]), lesson.tensors, seeds[j], loss, ()
            ),
            3,
        )
        return mean.loss, lesson.gradients(mean.gradients)

    @tf.function(autograph=False)
    def alone(seed):
        estimate = estimator.estimate(made.problem(0, widths[0]), made.values(), seed, loss, ())
        return estimate.loss, estimate.gradients

    loss_value, together = shared()
    values, apart = zip(*(alone(seed) for seed in seeds))
    np.testing.assert_allclose(loss_value, np.mean(values), rtol=1e-5)
    for ours, theirs in zip(together, zip(*apart), strict=True):
        np.testing.assert_allclose(ours, np.mean(theirs, 0), rtol=1e-3, atol=1e-6)
    assert max(np.abs(g).max() for g in together) > 1e-4


def test_batches_come_from_outside_as_well(tiny_dataset):
    made = helpers.make(tiny_dataset, steps=4, families=helpers.MLP)
    loop = inner_loop.InnerLoop(made.population.templates[0], made.treatment, made.inner_optimizer)
    xs = loop.xs(made.hyperparameters.values(), SEED)
    ahead = loop.with_batches(xs)
    assert set(ahead) == {"batches", "hyper"} and loop.with_batches(ahead) is ahead
    state = loop.initial_state(SEED, tf.constant([4, 4]))
    for ours, theirs in zip(tf.nest.flatten(loop.run(state, ahead)), tf.nest.flatten(loop.run(state, xs)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("recompute_every", "kept"), [(0, True), (1, False)])
def test_zero_keeps_a_lesson_that_takes_more_than_the_memory(recompute_every, kept, tiny_dataset, monkeypatch):
    memories, make = [], batches.make

    def watched(treatment, xs, memory):
        memories.append(memory)
        return make(treatment, xs, memory)

    monkeypatch.setattr(batches, "make", watched)
    trained = helpers.make(tiny_dataset, steps=2, families=helpers.MLP, recompute_every=recompute_every)
    problems.Lesson(trained.problem(0, tf.constant([4, 4])), trained.values(), SEED)
    assert [memory > 1e15 for memory in memories] == [kept]
