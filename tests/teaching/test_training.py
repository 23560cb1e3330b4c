"""The outer step: its meta-gradient by finite differences, one trace a template, non-finite steps, determinism."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import helpers
from tf_gtn import errors
from tf_gtn.core import estimators, optimizers
from tf_gtn.data import augmentation
from tf_gtn.models import layers, learners, population
from tf_gtn.teaching import curricula, evaluation, training, treatments


@pytest.fixture
def smooth_learner():
    """A learner with a derivative everywhere: tanh, average pooling."""

    def smooth(image_shape, classes):
        def build(widths):
            return keras.Sequential(
                [
                    keras.Input(image_shape, dtype="float64"),
                    keras.layers.Conv2D(3, 3, padding="same", kernel_initializer="he_normal", dtype="float64"),
                    layers.MeanOnlyBatchNormalization(dtype="float64"),
                    keras.layers.Activation("tanh", dtype="float64"),
                    keras.layers.AveragePooling2D(2, dtype="float64"),
                    keras.layers.Flatten(dtype="float64"),
                    keras.layers.Dense(classes, dtype="float64"),
                ]
            )

        return learners.Family("smooth", (), build)

    learners.REGISTRY["smooth"] = smooth
    yield "smooth"
    del learners.REGISTRY["smooth"]


def losses(trained, loss, widths):
    """The meta-training loss of one learner, and its exact gradient, as functions of the variables of the moment."""

    def estimate():
        return estimators.Full().estimate(trained.problem(0, widths), trained.values(), tf.constant([5, 6]), loss, ())

    return tuple(tf.function(lambda key=key: getattr(estimate(), key), autograph=False) for key in ("loss", "gradients"))


@pytest.mark.parametrize(
    "recompute_every, loss",
    [
        (0, "every"),
        (3, "last"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((0, "last"), (1, "every"), (1, "last"), (3, "every"))),
    ],
)
def test_finite_differences_through_the_full_gtn_step(tiny_dataset, smooth_learner, loss, recompute_every):
    """d outer loss / d (generator's V and g, noise, learning rates, momenta), float64, to 1e-6."""
    noise, label = keras.Input((4,), name="noise", dtype="float64"), keras.Input((3,), name="label", dtype="float64")
    x = keras.layers.Concatenate(dtype="float64")([noise, label])
    x = keras.layers.Dense(16, use_bias=False, dtype="float64")(x)
    x = keras.layers.BatchNormalization(momentum=0.0, dtype="float64")(x)
    x = keras.layers.Reshape((4, 4, 1), dtype="float64")(keras.layers.Activation("tanh", dtype="float64")(x))
    x = keras.layers.UpSampling2D(dtype="float64")(x)
    x = keras.layers.Conv2D(1, 3, padding="same", activation="tanh", dtype="float64")(x)
    seed = tf.constant([0, 1])
    gtn = treatments.GTN(
        keras.Model({"noise": noise, "label": label}, x), curricula.Curriculum(4, 6, 4, 3, seed, dtype="float64"), seed
    )
    people = population.Population([smooth_learner], (8, 8, 1), 3)
    trained = training.Training(
        tiny_dataset,
        people,
        gtn,
        optimizers.SGD(learning_rate=0.1),
        outer_steps=1,
        outer_batch=8,
        loss=loss,
        recompute_every=recompute_every,
        dtype="float64",
    )
    variables = [v.value for v in trained.trainable_variables]
    outer_loss, meta_gradient = losses(trained, loss, tf.constant([], tf.int32))
    gradients = meta_gradient()
    rng = np.random.default_rng(0)
    for variable, gradient in zip(variables, gradients):
        assert variable.dtype == tf.float64
        direction = rng.normal(size=variable.shape)
        direction /= np.linalg.norm(direction)
        start, values = variable.numpy(), []
        for sign in (2, 1, -1, -2):
            variable.assign(start + sign * 1e-3 * direction)
            values.append(float(outer_loss()))
        variable.assign(start)
        numeric = (-values[0] + 8 * values[1] - 8 * values[2] + values[3]) / 12e-3  # fourth order
        analytic = float((gradient.numpy() * direction).sum())
        assert abs(analytic) > 1e-7
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "treatment, families, widths",
    [("gtn", helpers.CONV, [2, 3, 4]), ("distilled", helpers.MLP, [4, 4]), ("real", helpers.MLP, [4, 4])],
)
def test_memory_modes_agree_in_float32(tiny_dataset, treatment, families, widths):
    gradients = []
    for recompute_every in (0, 1, 3, 5):
        trained = helpers.make(tiny_dataset, treatment, steps=5, families=families, recompute_every=recompute_every)
        gradients.append(losses(trained, "every", tf.constant(widths))[1]())
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other):
            # Sums are taken in another order; those of g under BatchNorm all but cancel.
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4 * float(tf.reduce_max(tf.abs(a))))


def test_a_new_architecture_is_no_new_trace(tiny_dataset):
    trained = helpers.make(tiny_dataset, steps=2, families={"mlp": {"units": ((2, 6), (3, 6))}})
    losses = [float(trained.step(i)["loss"]) for i in range(12)]
    assert len(trained.population.templates) == 4
    draws = [trained.population.draw([0, i]) for i in range(12)]
    assert len({d.widths for d in draws}) > 4 and len(set(losses)) == 12
    assert {t: f.experimental_get_tracing_count() for t, f in trained._steps.items()} == {d.template: 1 for d in draws}


def test_training_moves_everything_and_is_deterministic(tiny_dataset):
    finals = []
    for _ in range(2):
        trained = helpers.make(tiny_dataset, families=helpers.MLP)
        before = [v.numpy().copy() for v in trained.trainable_variables]
        for i in range(3):
            trained.step(i)
        finals.append([v.numpy() for v in trained.variables])
        assert all(np.abs(b - v.numpy()).max() > 0 for b, v in zip(before, trained.trainable_variables))
    for a, b in zip(*finals):
        np.testing.assert_array_equal(a, b)


def test_a_non_finite_step_changes_nothing_but_the_count(tiny_dataset):
    trained = helpers.make(tiny_dataset, families=helpers.MLP)
    trained.step(0)
    noise = trained.treatment.curriculum.noise
    good = noise.numpy()
    noise.assign(np.full_like(good, np.nan))
    before = [v.numpy().copy() for v in trained.variables]
    assert not np.isfinite(trained.step(1)["loss"])
    for a, v in zip(before[:-2], trained.variables[:-2]):
        np.testing.assert_array_equal(a, v.numpy())
    assert int(trained.skipped.numpy()) == int(trained.consecutively_skipped.numpy()) == 1
    noise.assign(good)
    trained.step(2)
    assert int(trained.skipped.numpy()) == 1 and int(trained.consecutively_skipped.numpy()) == 0


def test_unknown_loss_is_named(tiny_dataset):
    with pytest.raises(errors.UserError, match="unknown loss 'lst'; did you mean 'last'"):
        helpers.make(tiny_dataset, loss="lst")


@pytest.mark.slow
@pytest.mark.parametrize("recompute_every", [0, 1])
def test_at_28x28(recompute_every, optimized_graphs):
    """The size at which sums of gradients in the loop's frame became temporary variables that collided: it has to run."""
    from benchmarks import _problems

    trained = _problems.gtn(28, 8, recompute_every)
    assert np.isfinite(trained.step(0)["loss"])
    assert int(trained.skipped.numpy()) == 0


def test_gradients_of_a_lesson_of_one_step_are_tensors(tiny_dataset):
    """Rows of codes are gathered, which TensorFlow differentiates as `IndexedSlices`."""
    made = helpers.make(tiny_dataset, steps=1, families=helpers.MLP)

    @tf.function(autograph=False)
    def gradients():
        estimate = estimators.Full().estimate(
            made.problem(0, tf.constant([4, 4])), made.values(), tf.constant([1, 2]), "last", ()
        )
        return estimate.gradients

    for gradient, value in zip(gradients(), made.values(), strict=True):
        assert isinstance(gradient, tf.Tensor) and gradient.shape == value.shape


def test_an_algorithm_says_what_is_not_set(tiny_dataset):
    """The paper's outer loop by its name and setting by setting; a setting goes before the name."""

    def after_a_step(**options):
        trained = helpers.make(tiny_dataset, "distilled", families=helpers.MLP, **options)
        trained.step(0)
        return [v.numpy() for v in trained.trainable_variables]

    named = after_a_step(algorithm="paper", learning_rate=0.02)
    spelled = after_a_step(learning_rate=0.02, final_learning_rate=1.0, loss="last", per_step=False)
    for ours, theirs in zip(named, spelled, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [v.shape for v in named[1:]] == [(), ()]
    assert [v.shape for v in after_a_step()[1:]] == [(3,), (3,)]
    with pytest.raises(errors.UserError, match="unknown algorithm 'papers'; did you mean 'paper'"):
        helpers.make(tiny_dataset, "distilled", families=helpers.MLP, algorithm="papers")


def mirrored(images, seed):
    """Augmentation that always does the same."""
    assert seed.shape == (2,)
    return images[:, :, ::-1]


def test_an_augmented_lesson_is_the_lesson_of_augmented_images(tiny_dataset):
    """Mirrored pixels that are shown mirrored teach as the pixels do, and their gradients are mirrored."""
    plain = helpers.make(tiny_dataset, "distilled", families=helpers.MLP)
    augmented = helpers.make(tiny_dataset, "distilled", families=helpers.MLP, augment=mirrored)
    augmented.treatment.pixels.assign(augmented.treatment.pixels[:, :, :, ::-1])
    estimates = []
    for each in (plain, augmented):
        problem = each.problem(0, tf.constant(each.population.draw([0, 0]).widths))
        estimates.append(estimators.Full().estimate(problem, each.values(), tf.constant([5, 6]), "every", ()))
    one, other = estimates
    np.testing.assert_allclose(other.loss, one.loss, rtol=1e-6)
    np.testing.assert_allclose(other.gradients[0][:, :, :, ::-1], one.gradients[0], rtol=1e-4, atol=1e-8)


def test_augmentation_is_drawn_anew_for_each_step_and_learner_and_leaves_tests_alone(tiny_dataset):
    seeds = []

    def noted(images, seed):
        tf.numpy_function(lambda seed: seeds.append(tuple(seed)), [seed], [])
        return images

    augmented = helpers.make(tiny_dataset, families=helpers.MLP, augment=noted, learners=2, recompute_every=0)
    seeds.clear()  # it was tried once
    for index in range(2):
        augmented.step(index)
    assert len(seeds) == len(set(seeds)) == 2 * 2 * augmented.inner_steps
    plain = helpers.make(tiny_dataset, families=helpers.MLP)
    for each in (augmented, plain):
        each.restart(helpers.make(tiny_dataset, families=helpers.MLP))
    taught = [evaluation.Evaluator.of(each).accuracies(tiny_dataset.test, 3, 5) for each in (augmented, plain)]
    np.testing.assert_array_equal(*taught)
    assert len(seeds) == 2 * 2 * augmented.inner_steps


def test_differentiable_augmentation_in_the_loop(tiny_dataset):
    """Finite, another loss than without, and the same one for the same seed."""
    made = [
        helpers.make(tiny_dataset, "distilled", families=helpers.MLP, augment=a) for a in (augmentation.differentiable, None)
    ]
    first, plain = (float(each.step(0)["loss"]) for each in made)
    again = helpers.make(tiny_dataset, "distilled", families=helpers.MLP, augment=augmentation.differentiable)
    assert np.isfinite(first) and first != plain and first == float(again.step(0)["loss"])


def test_a_training_on_whitened_images_whitens_inside_its_graph(tiny_dataset):
    """Nothing has normalised an image before the first step is traced."""
    whitened = dataclasses.replace(tiny_dataset, zca=0.1)
    loss = float(helpers.make(whitened, families=helpers.MLP).step(0)["loss"])
    assert np.isfinite(loss) and loss != float(helpers.make(tiny_dataset, families=helpers.MLP).step(0)["loss"])
    fresh = helpers.make(dataclasses.replace(tiny_dataset, zca=0.1), families=helpers.MLP)
    assert evaluation.Evaluator.of(fresh).accuracies(tiny_dataset.test, 2, 5).shape == (2,)


def test_an_augmentation_that_changes_the_shape_is_one_line(tiny_dataset):
    with pytest.raises(errors.UserError, match=r"teaching.Training.augment must give images of the shape and type"):
        helpers.make(tiny_dataset, augment=lambda images, seed: images[:, 1:])
    with pytest.raises(errors.UserError, match=r"teaching.Training.augment is a function"):
        helpers.make(tiny_dataset, augment="flip")
