"""A run begins from another's variables or export; the first thing that does not fit is named, and nothing is set."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.teaching import helpers
from tf_gtn import errors
from tf_gtn.runtime import checkpoints
from tf_gtn.teaching import treatments, warm_start

ZERO = tf.constant([0, 0])


def variables(*values):
    return [keras.Variable(value, dtype=np.asarray(value).dtype.name, name=f"v{i}") for i, value in enumerate(values)]


def training(*values):
    """What has variables as a training's: the last one is a hyperparameter."""
    *own, last = variables(*values)
    return types.SimpleNamespace(
        treatment=types.SimpleNamespace(variables=own), hyperparameters=types.SimpleNamespace(variables=[last])
    )


def numbers(made):
    return [v.numpy().tolist() for v in (*made.treatment.variables, *made.hyperparameters.variables)]


@pytest.fixture
def other(tmp_path):
    """A run's folder, after steps 3 and 12."""
    for step in (3, 12):
        kernel = np.full((2, 3), step, "float32")
        saved = {"gtn": variables(kernel, np.float32(0.5), np.int32(7)), "real": variables(np.float32(2))}
        checkpoints.Checkpoints(str(tmp_path / "other"), saved).save(step)
    return tmp_path / "other"


def test_the_newest_values_by_name_and_place(other):
    start = warm_start.WarmStart("X.warm_start", f"file://{other}")
    own = {"gtn": training(np.zeros((2, 3), "float32"), np.float32(0)), "real": training(np.float32(0))}
    start.load(own)
    assert numbers(own["gtn"]) == [[[12.0] * 3] * 2, 0.5] and numbers(own["real"]) == [2]


@pytest.mark.parametrize(
    "own, words",
    [
        ({"gtm": [np.float32(0)]}, "'gtm' can't begin from {}: it has 'gtn', 'real' alone"),
        ({"gtn": [np.zeros((2, 4), "float32")]}, "its variable 0, v0 [2, 4] float32, is [2, 3] float32 there"),
        ({"gtn": [np.zeros((2, 3), "float32"), np.int32(0)]}, "'gtn' can't begin from {}: its variable 1, v1 [] int32, is []"),
        ({"real": [np.float32(5), np.float32(0)]}, "its variable 1, v1 [] float32, is not there"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_set(own, words, other):
    own = {"real": training(np.float32(5))} | {name: training(*values) for name, values in own.items()}
    with pytest.raises(errors.UserError) as caught:
        warm_start.WarmStart("X.warm_start", str(other)).load(own)
    assert str(caught.value).startswith("X.warm_start: ")
    assert words.format(other / "checkpoints/ckpt-12") in str(caught.value) and numbers(own["real"])[0] == 5


def test_what_is_not_there_or_damaged(other, tmp_path):
    for folder, words in ((tmp_path / "none", "is not there; name the folder of a run"), (tmp_path, "has no checkpoints")):
        with pytest.raises(errors.UserError, match=f"^X.warm_start: {folder} {words}"):
            warm_start.WarmStart("X.warm_start", str(folder))
    (data,) = other.glob("checkpoints/ckpt-12.data*")
    content, twelve = data.read_bytes(), np.full(6, 12, "float32").tobytes()
    assert content.count(twelve) == 1
    data.write_bytes(content.replace(twelve, np.full(6, 13, "float32").tobytes()))
    with pytest.raises(errors.UserError, match=r"^X.warm_start: 'gtn' can't begin from .*/ckpt-12: it can't be read \("):
        warm_start.WarmStart("X.warm_start", str(other)).values({"gtn": training(np.zeros((2, 3), "float32"))})


@pytest.mark.parametrize(
    "there, here",
    [
        ({}, {}),
        ({"order": "reversed"}, {}),
        ({"order": "all_shuffled"}, {"order": "shuffled_batch"}),
        ({"order": "shuffled_batch", "epochs": 2}, {"order": "shuffled_batch", "epochs": 2}),
        ({"order": "none"}, {"order": "none"}),
        ({"labels": "learned"}, {"labels": "learned"}),
        ({}, {"labels": "learned"}),
    ],
)
def test_plain_weights_and_lesson_give_back_what_they_came_from(there, here, tiny_dataset):
    taught = disturbed(helpers.make(tiny_dataset, steps=4, families=helpers.MLP, curriculum=there).treatment)
    begun = helpers.make(tiny_dataset, steps=4, families=helpers.MLP, curriculum=here).treatment
    order = taught.curriculum.order
    weights, xs = (tf.nest.map_structure(lambda x: x.numpy(), x) for x in (taught.params(), taught.xs(ZERO)))
    for variable, value in zip(begun.variables, begun.from_export(weights, xs, order), strict=True):
        variable.assign(value)
    (images, labels), (expected_images, expected_labels) = lesson(begun, order), lesson(taught, order)
    np.testing.assert_allclose(images, expected_images, atol=1e-5)
    if there == here:
        np.testing.assert_allclose(labels, expected_labels, atol=1e-6)
    np.testing.assert_array_equal(labels.argmax(-1), expected_labels.argmax(-1))


def test_an_export_gives_the_same_lesson_and_schedule(trained, exported, tiny_dataset):
    begun = helpers.make(tiny_dataset, steps=4, families=helpers.MLP)
    warm_start.WarmStart("X.warm_start", exported).load({"any": begun})
    for name, values in trained.hyperparameters.values().items():
        np.testing.assert_allclose(begun.hyperparameters.values()[name], values, rtol=2e-5)
    for values, expected in zip(lesson(begun.treatment, "full"), lesson(trained.treatment, "full")):
        np.testing.assert_allclose(values, expected, atol=1e-5)


def disturbed(treatment):
    rng = np.random.default_rng(0)
    for variable in treatment.variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return treatment


def lesson(treatment, order):
    """Images and labels of all steps, as the curriculum is shown in an order."""
    gtn = treatment.presented(order=order)
    xs, params = gtn.xs(ZERO), gtn.params()
    batches = [gtn.batch(params, tf.nest.map_structure(lambda x: x[t], xs)) for t in range(4)]  # noqa: B023 - used at once
    return tuple(np.stack(part) for part in zip(*batches))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"treatment": "real"}, "this run's treatment is real"),
        ({"treatment": "closed_loop"}, "this run's treatment is closed_loop"),
        ({"steps": 5}, r"its lesson's noise is \[4, 6, 4\], not \[5, 6, 4\]"),
        ({"curriculum": {"order": "none"}}, "its curriculum is 'full', not 'none'"),
        ({"curriculum": {"epochs": 2}}, "its lesson does not show every noise in 2 epochs alike"),
        ({"per_step": False}, "its learning_rate differs from step to step, and here one value is shared by all"),
    ],
)
def test_an_export_that_does_not_fit_is_refused(options, words, exported, tiny_dataset):
    own = helpers.make(tiny_dataset, **{"steps": 4, "families": helpers.MLP, **options})
    before = [v.numpy() for v in own.treatment.variables]
    with pytest.raises(errors.UserError, match=f"^X.warm_start: 'mine' can't begin from {exported}: .*{words}"):
        warm_start.WarmStart("X.warm_start", exported).load({"mine": own})
    assert all(map(np.array_equal, before, own.treatment.variables))


def test_another_generator_is_refused(exported, tiny_dataset):
    own = helpers.make(tiny_dataset, steps=4, families=helpers.MLP)
    wider = helpers.generators.conditional(
        tiny_dataset.image_shape, tiny_dataset.num_classes, 4, units=9, channels=4, filters=4
    )
    own.treatment = treatments.GTN(wider, own.treatment.curriculum, tf.constant([0, 1]))
    with pytest.raises(errors.UserError, match=r"its generator's dense_1/kernel is \[7, 8\], not \[7, 9\]"):
        warm_start.WarmStart("X.warm_start", exported).load({"mine": own})


def test_a_damaged_export_is_refused(exported, tmp_path):
    path = helpers.copy(exported, tmp_path)
    (path / "variables" / "variables.index").write_bytes(b"")
    with pytest.raises(errors.UserError, match=r"^X.warm_start: .* is not a complete export of a GTN: "):
        warm_start.WarmStart("X.warm_start", str(path))


def test_a_ready_made_export_by_its_name():
    assert warm_start.WarmStart("X.warm_start", "digits").path.endswith("ready_made/digits/1")
