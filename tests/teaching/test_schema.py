"""metadata.json: each field that is wrong is named before anything of the export is built."""

import pytest
import tensorflow as tf

import tf_gtn
from tests.teaching import helpers
from tf_gtn import errors


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"schema_version": "1"}, "schema_version must be an integer of at least 1; got '1'"),
        ({"latent": ...}, "says no latent, which must be an integer of at least 1"),
        ({"latent": 4.0}, "latent must be an integer of at least 1; got 4.0"),
        ({"latent": True}, "latent must be an integer"),
        ({"latent": 10**9}, r"'noise' of 'generate' is \[n, 1000000000\], by its signature \[n, 4\]"),
        ({"latent": 10**30}, "not a complete export"),
        ({"classes": 3}, "classes must be a list of at least one name; got 3"),
        ({"classes": []}, "classes must be a list"),
        ({"classes": ["a", "b"]}, r"'label' of 'generate' is \[n, 2\], by its signature \[n, 3\]"),
        ({"image_shape": [8, 8]}, r"image_shape must be \[H, W, C\], or \[n\]"),
        ({"image_shape": [8, -8, 1]}, "image_shape must be"),
        ({"image_shape": [4, 16, 1]}, r"'image' of 'generate' is \[n, 4, 16, 1\], by its signature \[n, 8, 8, 1\]"),
        ({"batch_size": 7}, r"'image' of 'curriculum' is \[n, 7, 8, 8, 1\]"),
        ({"inner_steps": 0}, "inner_steps must be"),
        ({"inner_steps": 5}, "it has 5 inner steps, by its schedule 4"),
        ({"inner_steps": 10**12}, "it has 1000000000000 inner steps, by its schedule 4"),
        ({"normalization": {"mean": [0.0], "std": [0.0]}}, "normalization must be"),
        ({"normalization": {"mean": [0.0], "std": [float("nan")]}}, "normalization must be"),
        ({"normalization": {"mean": [float("inf")], "std": [1.0]}}, "normalization must be"),
        ({"normalization": {"mean": [0.0, 0.0], "std": [1.0]}}, "normalization must be"),
        ({"normalization": {"mean": [0.0, 0.0], "std": [1.0, 1.0]}}, "normalization is for 2 channels, image_shape has 1"),
        ({"loss": "hinge"}, "loss must be"),
        ({"loss": ["cross_entropy"]}, "loss must be"),
        ({"weight_norm": 1}, "weight_norm must be true or false"),
        ({"training": None}, "training must be"),
        ({"accuracy": 0.9}, "accuracy must be"),
        ({"pixel_range": [255, 0]}, "pixel_range must be"),
        ({"pixel_range": "0..255"}, "pixel_range must be"),
        ({"dataset_fingerprint": 7}, "dataset_fingerprint must be text"),
    ],
)
def test_a_wrong_field_is_named_before_anything_is_built(exported, tmp_path, monkeypatch, fields, words):
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(errors.UserError, match=words) as caught:
        tf_gtn.load(helpers.altered(exported, tmp_path, **fields))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("fields", [{"loss": ..., "weight_norm": ...}, {"pixel_range": [0, 16], "dataset_fingerprint": "a1"}])
def test_older_and_newer_fields_are_taken(exported, tmp_path, fields):
    gtn = tf_gtn.load(helpers.altered(exported, tmp_path, **fields))
    assert {name: gtn.metadata.get(name, ...) for name in fields} == fields


def test_metadata_that_is_no_object(exported, tmp_path):
    target = helpers.altered(exported, tmp_path)
    for text in ("[]", "null", "1", "[" * 10**5):
        (target / "assets" / "metadata.json").write_text(text)
        with pytest.raises(errors.UserError, match="not a complete export"):
            tf_gtn.load(target)
