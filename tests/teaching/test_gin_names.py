"""The parts of the teaching system: what fits together, and what a run notes of its data."""

import types

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import data, errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.experiment import program
from tf_gtn.teaching import compatibility, gin_names


def _export(dataset, **changes):
    metadata = {"dataset": dataset.name, "classes": list(dataset.classes), "image_shape": list(dataset.image_shape)}
    return types.SimpleNamespace(metadata=metadata | changes)


def test_an_export_for_other_classes_is_refused(digits):
    compatibility.check_fits(_export(digits), digits)  # of an earlier version, without a fingerprint
    with pytest.raises(errors.UserError, match="in 9 classes"):
        compatibility.check_fits(_export(digits, classes=list("012345678")), digits)
    with pytest.raises(errors.UserError, match="the classes of digits, whose number 9 is 'nine'; that of digits is '9'"):
        compatibility.check_fits(_export(digits, classes=[*"012345678", "nine"]), digits)


def test_an_export_that_was_trained_on_other_data_is_said(digits):
    own = _export(digits, dataset_fingerprint=digits.fingerprint)
    compatibility.check_fits(own, digits)
    compatibility.check_fits(own, data.load("digits", validation=50))  # the same test images
    with pytest.warns(errors.Notice, match="other test images than the data that the export was trained on"):
        compatibility.check_fits(
            own, data.Dataset("digits", digits.train, digits.validation, digits.validation, digits.classes)
        )


def test_a_lesson_that_cannot_show_every_class_is_said(digits):
    small = gin_config.bound("", {"teaching.inner_loop.steps": 2, "teaching.inner_loop.batch_size": 4})
    with small, pytest.warns(errors.Notice, match="a lesson of 8 images shows at most 8 of the 10 classes of digits"):
        gin_names.treatment(digits, 0, "distilled")


def test_a_run_notes_its_data(digits, tmp_path):
    run = program.Run(str(tmp_path), 0, False, None, None, "# seed = 0\n", 0.0)
    assert registrations.load_data(run, "digits").fingerprint == digits.fingerprint
    assert run.ready()
    assert f"# data 'digits' = {digits.fingerprint}\n" in (tmp_path / "config.gin").read_text()
    run.uses("digits", digits.fingerprint)
    with pytest.raises(errors.UserError, match="'digits' changed while"):
        run.uses("digits", "0")


SMALL = (
    "teaching.inner_loop.steps = 2",
    "teaching.inner_loop.batch_size = 4",
    "teaching.Comparison.arms = ('flip',)",
    "teaching.treatment.name = 'real_subset'",
    "teaching.Training.outer_steps = 3",
    "teaching.Training.outer_batch = 4",
    "teaching.Training.inner_optimizer = @optimizers.SGD()",
    "models.Population.families = {'mlp': {'units': ((3, 3), (3, 3))}}",
)


@pytest.mark.filterwarnings("ignore:a lesson of 8 images")
def test_an_augmentation_has_the_settings_of_its_arm(digits):
    """Where it is traced, after the arm's scope has ended; and a setting of it counts as used."""
    own = "flip/augmentation.differentiable.kinds = ('flip',)"
    gin_config.parse(bindings=(*SMALL, "flip/teaching.Training.augment = @augmentation.differentiable", own))
    try:
        with gin.config_scope("flip"):
            made = gin_names.make(digits, 0)
        images = tf.random.stateless_normal((6, 8, 8, 1), [0, 1])
        for i in range(8):
            shown = made.augment(images, tf.constant([i, 2])).numpy()
            same = [np.array_equal(a, b) or np.array_equal(a[:, ::-1], b) for a, b in zip(images.numpy(), shown)]
            assert all(same)
    finally:
        gin.clear_config()


def test_a_misspelt_kind_of_augmentation_is_said_at_its_line():
    with pytest.raises(errors.UserError, match=r"kinds = .*: unknown kind of augmentation 'flop'; did you mean 'flip'"):
        gin_config.parse(bindings=("augmentation.differentiable.kinds = ('flop',)",))
