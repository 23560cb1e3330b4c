"""What the treatments hand to a learner, and that a generator's own labels and a closed loop reach it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import helpers
from tests.teaching.helpers import batches
from tf_gtn import errors
from tf_gtn.core import estimators
from tf_gtn.models import generators
from tf_gtn.teaching import closed_loop, curricula, pixels, treatments


@pytest.mark.parametrize("name", ["real_subset", "k_means"])
def test_a_fixed_treatment_is_saved_and_learns_its_rates(tiny_dataset, name):
    trained = helpers.make(tiny_dataset, name, families=helpers.MLP)
    before = [v.numpy().copy() for v in trained.variables]
    assert trained.treatment.variables and not trained.treatment.trainable_variables
    trained.step(0)
    np.testing.assert_array_equal(before[0], trained.variables[0])
    assert any(np.abs(a - b.numpy()).max() > 0 for a, b in zip(before[2:], trained.variables[2:]))


def test_xy_makes_its_own_labels(tiny_dataset):
    trained = helpers.make(tiny_dataset, families=helpers.MLP, generator=generators.xy)
    images, labels = batches(trained.treatment)
    assert images.shape[2:] == tiny_dataset.image_shape
    np.testing.assert_allclose(labels.sum(-1), 1, rtol=1e-5)
    assert labels.min() > 0 and len(np.unique(labels)) > tiny_dataset.num_classes
    before = trained.treatment.params()["label_logits/kernel"].numpy()
    trained.step(0)
    after = trained.treatment.params()["label_logits/kernel"].numpy()
    assert np.abs(before - after).max() > 0


def test_learned_labels_reach_the_learner_and_learn(tiny_dataset):
    trained = helpers.make(tiny_dataset, families=helpers.MLP, curriculum={"labels": "learned"})
    logits = trained.treatment.curriculum.logits
    np.testing.assert_allclose(batches(trained.treatment)[1], tf.nn.softmax(logits.value), rtol=1e-6)
    before = logits.numpy().copy()
    trained.step(0)
    assert np.abs(before - logits.numpy()).max() > 0


def losses(trained, steps=3):
    return [float(trained.step(i)["loss"]) for i in range(steps)]


def test_a_closed_loop_starts_as_the_open_one(tiny_dataset):
    """Its answer is zero before it learned; after a step it is not, and the two part."""
    opened, closed = (helpers.make(tiny_dataset, name, families=helpers.MLP) for name in ("gtn", "closed_loop"))
    one, other = losses(opened), losses(closed)
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    assert abs(one[2] - other[2]) > 1e-4


def test_a_closed_loop_sees_the_learner():
    """The memory after a batch depends on the answers, the next images on the memory."""
    model = generators.conditional((4, 4, 1), 3, 4, units=8, channels=4, filters=4)
    curriculum = curricula.Curriculum(2, 6, 4, 3, tf.constant([0, 1]))
    teacher = closed_loop.ClosedLoop(model, curriculum, tf.constant([0, 1]), units=5)
    for variable in teacher.trainable_variables:
        if not np.any(variable.numpy()):
            variable.assign(0.1 * tf.random.stateless_normal(variable.shape, [1, 2]))
    params, xs = teacher.params(), teacher.xs(tf.constant([0, 1]))
    labels = xs["label"][0]
    right, wrong = 5 * labels, 5 * tf.roll(labels, 1, -1)
    memories = [teacher.observe(params, teacher.initial_memory(), labels, answers) for answers in (right, wrong)]
    x = tf.nest.map_structure(lambda x: x[1], xs)
    images = [teacher.batch(params, x, memory)[0].numpy() for memory in memories]
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_the_meta_gradient_through_a_closed_loop_agrees_with_finite_differences(tiny_dataset):
    """Float32 and a learner with kinks: a rough check that the path through the memory is there; exact ones are elsewhere."""
    trained = helpers.make(tiny_dataset, "closed_loop", families=helpers.MLP, steps=4)
    controller = tf.nest.flatten(trained.treatment._controller)
    for variable in controller:
        variable.assign(variable + 0.1 * tf.random.stateless_normal(variable.shape, [1, 2]))
    problem, seed = trained.problem(0, tf.constant([4, 4])), tf.constant([5, 6])

    @tf.function(autograph=False)
    def estimate():
        found = estimators.Full().estimate(problem, trained.values(), seed, "every", ())
        return found.loss, found.gradients

    gradients = dict(zip(map(id, trained.trainable_variables), estimate()[1]))
    gradient = np.concatenate([gradients[id(v)].numpy().ravel() for v in controller])
    assert np.linalg.norm(gradient) > 1e-4
    start, scale, values = [v.numpy().copy() for v in controller], 1e-2 / np.linalg.norm(gradient), []
    for sign in (1, -1):
        for variable, value in zip(controller, start):
            variable.assign(value + sign * scale * gradients[id(variable)].numpy())
        values.append(float(estimate()[0]))
    numeric = (values[0] - values[1]) / (2 * scale)
    np.testing.assert_allclose(numeric, gradient @ gradient, rtol=0.05)


def residual(dataset, images, latent, **options):
    """A GTN whose generator has basis images, begun from images [T, B, H, W, C], without its correction."""
    seed = tf.constant([0, 1])
    model = generators.residual(dataset.image_shape, dataset.num_classes, latent, 4, correction=1e-9)
    codes = curricula.Curriculum(images.shape[0], images.shape[1], latent, dataset.num_classes, seed, **options)
    gtn = treatments.GTN(model, codes, seed)
    gtn.begin_from(images)
    return gtn


def test_a_generator_with_basis_images_begins_from_given_images(tiny_dataset):
    images = pixels.first_images(tiny_dataset, 3, 6, [0, 3], "real")
    np.testing.assert_allclose(batches(residual(tiny_dataset, images, 20))[0], images, atol=1e-4)
    gtn = residual(tiny_dataset, images, 2)
    made, labels = batches(gtn)
    labels, flat, made = labels.argmax(-1).ravel(), images.reshape(18, -1), made.reshape(18, -1)
    means = np.stack([flat[labels == c].mean(0) for c in range(tiny_dataset.num_classes)])[labels]
    left_out = np.linalg.svd(flat - means, compute_uv=False)[2:]
    np.testing.assert_allclose(np.sum((made - flat) ** 2), np.sum(left_out**2), rtol=1e-3)
    np.testing.assert_allclose(np.mean(np.square(gtn.curriculum.noise)), 1, rtol=1e-3)


def test_only_basis_images_and_fixed_codes_begin_from_images(tiny_dataset):
    images = pixels.first_images(tiny_dataset, 3, 6, [0, 3], "real")
    with pytest.raises(errors.UserError, match="the generator residual"):
        helpers.make(tiny_dataset, families=helpers.MLP).treatment.begin_from(images)
    with pytest.raises(errors.UserError, match="the generator residual"):
        residual(tiny_dataset, images, 2, order="none")
