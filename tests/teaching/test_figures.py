"""Pictures of an arm on its way, what TensorBoard gets; and of arms beside one another."""

import numpy as np
import pytest

from tests.teaching import helpers
from tf_gtn.reporting import drawing
from tf_gtn.teaching import figures, plots, treatments


@pytest.mark.parametrize("treatment", ["gtn", "closed_loop", "distilled", "real", "k_means"])
def test_images_of_an_arm_are_the_same_each_time(treatment, tiny_dataset):
    training = helpers.make(tiny_dataset, treatment, families=helpers.MLP)
    first, again = figures.images("arm", training), figures.images("arm", training)
    assert sorted(first) == ["samples", "schedule"]
    for what, image in first.items():
        assert image.dtype == np.uint8 and image.shape[-1] == 4 and image.std() > 0
        assert (image == again[what]).all()


def test_some_steps_of_a_lesson_are_those_of_the_whole(tiny_dataset):
    treatment = helpers.make(tiny_dataset, "gtn", families=helpers.MLP).treatment
    whole, some = list(treatments.batches(treatment)), list(treatments.batches(treatment, steps=[0, 2]))
    for (images, labels), step in zip(some, (0, 2)):
        np.testing.assert_array_equal(images, whole[step][0])
        np.testing.assert_array_equal(labels, whole[step][1])


def test_arms_that_differ_in_a_number_make_one_line(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(drawing, "line", lambda axes, name, names, x, mean: drawn.update({name: (list(x), list(mean))}))
    arms = {"pixels_256": (2560, [0.8, 0.9]), "pixels_64": (640, [0.6, 0.8]), "gtn": (900, [0.7, 0.7])}
    path = plots.accuracy_by_stored_numbers(str(tmp_path / "figure.png"), arms)
    assert drawing.caption(path).startswith("Test accuracy by how many numbers")
    assert drawn == {"pixels": ([640, 2560], pytest.approx([0.7, 0.85])), "gtn": ([900], pytest.approx([0.7]))}
