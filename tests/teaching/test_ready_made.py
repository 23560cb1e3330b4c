"""The GTNs that come with the package."""

import shutil

import keras
import pytest

import tf_gtn
from tf_gtn import errors
from tf_gtn.models import learners
from tf_gtn.teaching import inspection, schema


def test_they_are_small():
    for name in inspection.ready_made():
        assert sum(path.stat().st_size for path in (inspection.READY_MADE / name).rglob("*")) < 3e6


def test_digits_teaches_a_plain_keras_model(digits):
    gtn = tf_gtn.load("digits")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    history = gtn.train(model)
    assert len(history["loss"]) == gtn.metadata["inner_steps"]
    accuracy = (model.predict(gtn.normalize(digits.test.images), verbose=0).argmax(-1) == digits.test.labels).mean()
    assert accuracy > 0.9


def test_digits_claims_what_it_does(digits):
    """The accuracy in its metadata is that of learners of its own distribution."""
    gtn = tf_gtn.load("digits")
    accuracies = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        model = learners.family("conv2", (8, 8, 1), 10, filters=((24, 24), (48, 48)), units=(48, 48)).build((24, 48, 48))
        gtn.train(model, learning_rate_scale=1.0, weight_norm=gtn.metadata["weight_norm"])
        predicted = model.predict(gtn.normalize(digits.test.images), verbose=0).argmax(-1)
        accuracies.append((predicted == digits.test.labels).mean())
    assert sum(accuracies) / 3 == pytest.approx(gtn.metadata["accuracy"]["mean"], abs=0.02)


@pytest.mark.parametrize(
    "architecture",
    [
        "conv_plain_kaiming",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("conv_plain", "conv_batchnorm", "depthwise", "mlp_plain")),
    ],
)
def test_digits_teaches_architectures_that_are_not_among_its_learners(digits, architecture):
    keras.utils.set_random_seed(0)
    model = learners.family(architecture, (8, 8, 1), 10).build(())
    gtn = tf_gtn.load("digits")
    gtn.train(model)
    assert gtn.evaluate(model, digits.test) > 0.93  # docs/ready_made.md: 0.96 or more on average


def test_mnist_has_a_lesson_that_takes():
    gtn = tf_gtn.load("mnist")
    keras.utils.set_random_seed(0)
    history = gtn.train(learners.family("mlp_plain", gtn.image_shape, 10, units=(64,)).build(()))
    assert len(history["loss"]) == gtn.metadata["inner_steps"] == 64 and history["synthetic_accuracy"] > 0.8


def test_each_has_a_card():
    for name in inspection.ready_made():
        card = (inspection.READY_MADE / name / "CARD.md").read_text()
        assert card.startswith(f"# {name}\n") and "**Data**" in card and "**Limits**" in card


def test_its_format_and_its_data_are_the_present_ones(digits):
    metadata = tf_gtn.load("digits").metadata
    assert metadata["schema_version"] == 3 == schema.VERSION and metadata["optimizer"] == "lars"
    assert metadata["dataset_fingerprint"] == digits.fingerprint and metadata["pixel_range"] == list(digits.pixel_range)


def test_a_folder_of_that_name_that_holds_an_export_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.UserError, match="no export at digit; with the package come: digits, glyphs_8x8, mnist"):
        tf_gtn.load("digit")
    (tmp_path / "digits" / "train").mkdir(parents=True)  # a data set's, say
    ready_made = str(inspection.READY_MADE / "digits" / "1")
    assert tf_gtn.load("digits").path == ready_made
    shutil.copytree(ready_made, tmp_path / "digits" / "export" / "7")
    assert tf_gtn.load("digits").path == "digits/export/7"
