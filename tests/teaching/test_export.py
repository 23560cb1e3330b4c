"""The SavedModel: contract, equality with the live generator, life without tf_gtn, broken exports."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_gtn
from tests.teaching import helpers
from tf_gtn import data, errors
from tf_gtn.core import optimizers
from tf_gtn.models import learners
from tf_gtn.teaching import compatibility, evaluation, experiment, export, lesson, schema, warm_start


def inputs(n):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, n)]


def test_files_and_metadata(exported, trained, gtn):
    assert sorted(os.listdir(os.path.dirname(exported))) == ["10"]
    assert os.path.exists(os.path.join(exported, "assets.extra", "tf_serving_warmup_requests"))
    with open(os.path.join(exported, "assets", "metadata.json")) as file:
        meta = json.load(file)
    assert meta == gtn.metadata
    assert {
        k: meta[k]
        for k in (
            "schema_version",
            "dataset",
            "classes",
            "image_shape",
            "latent",
            "inner_steps",
            "batch_size",
            "curriculum",
            "accuracy",
        )
    } == {
        "schema_version": 1,
        "dataset": "tiny",
        "classes": ["a", "b", "c"],
        "image_shape": [8, 8, 1],
        "latent": 4,
        "inner_steps": 4,
        "batch_size": 6,
        "curriculum": "full",
        "accuracy": {"mean": 0.5, "ci95": [0.4, 0.6], "learners": 3},
    }
    assert meta["training"] == {"outer_steps": 10, "seed": 0, "config": "a.b = 1\n"}
    assert meta["normalization"] == trained.dataset.normalization
    assert meta["pixel_range"] == [0.0, 255.0]
    assert meta.get("dataset_fingerprint") == getattr(trained.dataset, "fingerprint", None)
    assert not [name for _, _, names in os.walk(exported) for name in names if name.endswith((".pkl", ".pickle"))]


@pytest.mark.parametrize("n", [1, 7])
def test_generate_is_the_live_generator_and_rows_are_independent(trained, gtn, n):
    noise, label = inputs(n)
    images = gtn.generate(noise, label).numpy()
    assert images.shape == (n, 8, 8, 1)
    np.testing.assert_allclose(images, trained.treatment.generate(noise, label), atol=1e-6)
    np.testing.assert_allclose(images[:1], gtn.generate(noise[:1], label[:1]), atol=1e-6)


def test_labels_may_be_numbers_of_classes(gtn):
    noise, _ = inputs(3)
    images = gtn.generate(noise, np.eye(3)[[2, 0, 1]])
    for dtype in (np.int8, np.uint16, np.int64):
        np.testing.assert_array_equal(gtn.generate(noise, np.array([2, 0, 1], dtype)), images)
    with pytest.raises(errors.UserError, match=r"from 0 to 2; got \[3, 0, 1\]"):
        gtn.generate(noise, [3, 0, 1])
    with pytest.raises(errors.UserError, match=r"label \[n, 3\]"):
        gtn.generate(noise, [0.0, 1.0, 2.0])


def test_it_says_what_it_is(gtn, exported):
    assert gtn.classes == ("a", "b", "c") and gtn.image_shape == (8, 8, 1)
    assert repr(gtn).startswith("<GTN for tiny: ") and "images [8, 8, 1], 3 classes" in repr(gtn) and exported in repr(gtn)


def test_a_model_is_evaluated_on_raw_images(gtn, tiny_dataset):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    test = tiny_dataset.test
    right = (model.predict(gtn.normalize(test.images), verbose=0).argmax(-1) == test.labels).mean()
    assert gtn.evaluate(model, test) == gtn.evaluate(model, (test.images, test.labels)) == right
    for labels in (np.eye(3)[test.labels], test.labels[:-1], test.labels.astype(float), test.labels + 1):
        with pytest.raises(errors.UserError, match="labels are numbers of classes from 0 to 2, one per image"):
            gtn.evaluate(model, (test.images, labels))
    for wrong in (tiny_dataset, test.images, (test.images[:0], test.labels[:0]), None):
        with pytest.raises(errors.UserError, match=r"\(images, labels\), or on a data\.Split"):
            gtn.evaluate(model, wrong)
    with pytest.raises(errors.UserError, match=r"gives .*, the data set has 3 classes"):
        gtn.evaluate(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]), test)


def test_no_row_gives_none_and_unequal_numbers_are_named(exported, gtn):
    noise, label = inputs(2)
    assert gtn.generate(noise[:0], label[:0]).shape == (0, 8, 8, 1)
    for signature in ("serving_default", "generate"):
        served = tf.saved_model.load(exported).signatures[signature]
        assert served(noise=tf.constant(noise[:0]), label=tf.constant(label[:0]))["image"].shape == (0, 8, 8, 1)
    with pytest.raises(errors.UserError, match="noise and label have one row per image; got 2 and 1 rows"):
        gtn.generate(noise, label[:1])


@pytest.mark.parametrize("n", [1, 7])
def test_curriculum_is_what_training_sees(trained, exported, n):
    model = tf.saved_model.load(exported)
    out = model.signatures["curriculum"](step=tf.range(n, dtype=tf.int64))
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        "image": (n, 6, 8, 8, 1),
        "label": (n, 6, 3),
        "learning_rate": (n,),
        "momentum": (n,),
    }
    treatment = trained.treatment
    xs, params, hyper = treatment.xs(tf.zeros([2], tf.int32)), treatment.params(), trained.hyperparameters.values()
    for t in range(n):
        images, labels = treatment.batch(params, {k: v[t % 4] for k, v in xs.items()})
        np.testing.assert_allclose(out["image"][t], images, atol=1e-6)
        np.testing.assert_array_equal(out["label"][t], labels)
        assert float(out["learning_rate"][t]) == float(hyper["learning_rate"][t % 4])
        assert float(out["momentum"][t]) == float(hyper["momentum"][t % 4])


def test_without_tf_gtn(exported, gtn):
    """A process that can't import tf_gtn answers both signatures at batch sizes 1 and 7 with the same numbers."""
    script = """
import sys
sys.modules["tf_gtn"] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
assert set(model.signatures) == {"serving_default", "generate", "curriculum"}
out = {}
for n in (1, 7):
    rng = np.random.default_rng(0)
    noise, label = rng.normal(size=(n, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, n)]
    for name in ("serving_default", "generate"):
        out[f"{name}_{n}"] = model.signatures[name](noise=noise, label=label)["image"].numpy()
    out[f"curriculum_{n}"] = model.signatures["curriculum"](step=tf.range(n, dtype=tf.int64))["image"].numpy()
np.savez(sys.argv[2], **out)
"""
    target = os.path.join(os.path.dirname(exported), "..", "out.npz")
    subprocess.run([sys.executable, "-c", script, exported, target], check=True, cwd=os.path.dirname(exported))
    out = np.load(target)
    curriculum = np.concatenate([b for b, _ in gtn.as_dataset(7).map(lambda x, y: (x[None], y))])
    for n in (1, 7):
        for name in ("serving_default", "generate"):
            np.testing.assert_allclose(out[f"{name}_{n}"], gtn.generate(*inputs(n)), atol=1e-6)
        np.testing.assert_allclose(out[f"curriculum_{n}"], curriculum[:n], atol=1e-6)


def test_saved_model_cli(exported):
    cli = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    printed = subprocess.run([*cli, "show", "--dir", exported, "--all"], check=True, capture_output=True, text=True).stdout
    assert "signature_def['curriculum']" in printed and "shape: (-1, 6, 8, 8, 1)" in printed
    ran = subprocess.run(
        [*cli, "run", "--dir", exported, "--tag_set", "serve", "--signature_def", "curriculum", "--input_exprs", "step=[0, 1]"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "learning_rate" in ran


def test_as_dataset_order_and_length(gtn):
    labels = [y.numpy() for _, y in gtn.as_dataset()]
    assert len(labels) == 4
    np.testing.assert_array_equal(np.concatenate(labels).argmax(-1), np.arange(24) % 3)
    longer = list(gtn.as_dataset(6))
    assert len(longer) == 6
    np.testing.assert_array_equal(longer[4][0], longer[0][0])


def test_normalize_is_the_data_sets(gtn, tiny_dataset):
    images = tiny_dataset.test.images
    np.testing.assert_allclose(gtn.normalize(images), tiny_dataset.normalize(images), rtol=1e-6)
    np.testing.assert_allclose(gtn.normalize(images[..., 0]), tiny_dataset.normalize(images), rtol=1e-6)


def test_the_export_teaches_as_the_training_did(trained, gtn, tiny_dataset):
    live = evaluation.Evaluator.of(trained).accuracies(tiny_dataset.test, 3, 5)
    from tf_gtn.teaching import treatments

    lesson = gtn.lesson()
    loaded = evaluation.Evaluator(
        tiny_dataset,
        trained.population,
        treatments.Fixed("gtn", lesson["image"], lesson["label"]),
        optimizers.SGD(),
        lambda: {k: lesson[k] for k in ("learning_rate", "momentum")},
    )
    np.testing.assert_allclose(loaded.accuracies(tiny_dataset.test, 3, 5), live, atol=0.04)  # one image of 30


@pytest.mark.parametrize("name", sorted(learners.REGISTRY))
def test_train_takes_every_architecture(gtn, name):
    family = learners.family(name, (8, 8, 1), 3)
    model = family.build(tuple(low for low, _ in family.ranges))
    before = [v.numpy().copy() for v in model.trainable_variables]
    history = gtn.train(model, learning_rate_scale=1.0)
    assert len(history["loss"]) == len(history["learning_rate"]) == 4 and history["learning_rate_scale"] == 1.0
    assert any(np.abs(b - v.numpy()).max() > 0 for b, v in zip(before, model.trainable_variables))


def test_train_by_hand(gtn):
    """Logistic regression: the whole lesson in NumPy."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    w, b = [v.numpy().astype(np.float64) for v in model.trainable_variables]
    vw, vb, losses = 0, 0, []
    lesson = {k: v.numpy() for k, v in gtn.lesson(6).items()}
    for x, y, lr, m in zip(lesson["image"], lesson["label"], lesson["learning_rate"], lesson["momentum"]):
        x = x.reshape(6, -1).astype(np.float64)
        p = np.exp(x @ w + b)
        p /= p.sum(-1, keepdims=True)
        losses.append(-np.log((p * y).sum(-1)).mean())
        d = (p - y) / 6
        vw, vb = m * vw + x.T @ d, m * vb + d.sum(0)
        w, b = w - 0.5 * lr * vw, b - 0.5 * lr * vb
    history = gtn.train(model, steps=6, learning_rate_scale=0.5)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(model.trainable_variables[0], w, atol=1e-5)
    np.testing.assert_allclose(model.trainable_variables[1], b, atol=1e-5)


def test_auto_takes_the_lowest_synthetic_loss_from_the_same_start(gtn):
    def fresh():
        keras.utils.set_random_seed(0)
        return learners.family("mlp_plain", (8, 8, 1), 3).build(())

    auto = fresh()
    history = gtn.train(auto)
    assert history["synthetic_loss"][history["learning_rate_scale"]] == min(history["synthetic_loss"].values())
    fixed = fresh()
    teacher = lesson.Lesson(fixed, (8, 8, 1))
    xs = gtn.lesson()
    highest = float(tf.reduce_max(xs["learning_rate"])) * history["learning_rate_scale"]
    assert history["learning_rate"] == [min(rate, np.float32(highest)) for rate in xs["learning_rate"].numpy()]
    xs["learning_rate"] = tf.constant(history["learning_rate"])
    taught = teacher.teach(teacher.learner.values(), xs)
    params = taught.network[0]
    assert float(taught.loss) == pytest.approx(history["synthetic_loss"][history["learning_rate_scale"]], rel=1e-5)
    for variable in auto.trainable_variables:
        name = variable.path.split("/", 1)[1]
        value = next(v for k, v in params.items() if k.split("/", 1)[1] == name)
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


def test_full_batch_norm_ends_with_the_last_batch_and_its_own_momentum(gtn):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.BatchNormalization(momentum=0.99), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    gtn.train(model, learning_rate_scale=1.0)
    last = gtn.lesson()["image"][-1]
    np.testing.assert_allclose(model.layers[0].moving_mean, tf.reduce_mean(last, (0, 1, 2)), rtol=1e-4)
    assert model.layers[0].momentum == 0.99


def test_the_highest_version_is_loaded(exported, tmp_path):
    helpers.copy(exported, tmp_path)
    shutil.copytree(exported, tmp_path / "export" / "9")
    (tmp_path / "export" / ".unfinished-11").mkdir()
    assert tf_gtn.load(tmp_path / "export").path.endswith("/10")
    assert tf_gtn.load(tmp_path).path.endswith("/10")


@pytest.mark.parametrize(
    "broken", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", "assets/metadata.json"]
)
@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_a_broken_export_is_one_line(exported, tmp_path, broken, how):
    target = helpers.copy(exported, tmp_path)
    path = target / broken
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(errors.UserError, match="is not a complete export of a GTN") as caught:
        tf_gtn.load(tmp_path / "export")
    assert "\n" not in str(caught.value)


def test_a_newer_schema_and_nothing_there_are_named(exported, tmp_path):
    target = helpers.copy(exported, tmp_path)
    meta = json.loads((target / "assets" / "metadata.json").read_text())
    (target / "assets" / "metadata.json").write_text(json.dumps({**meta, "schema_version": schema.VERSION + 1}))
    with pytest.raises(errors.UserError, match="exported with schema 4, this tf_gtn reads up to 3"):
        tf_gtn.load(target)
    with pytest.raises(errors.UserError, match="there is no export at"):
        tf_gtn.load(tmp_path / "nothing")


def test_a_uri_is_read_or_said_to_be_out_of_reach(exported):
    assert tf_gtn.load(f"file://{os.path.dirname(exported)}").path == f"file://{exported}"
    with pytest.raises(errors.UserError, match="there is no export at file:///nothing"):
        tf_gtn.load("file:///nothing")
    with pytest.raises(errors.UserError, match="s3://bucket/export can't be reached: File system scheme 's3' not implemented"):
        tf_gtn.load("s3://bucket/export")  # as gs:// without a network


def test_a_half_written_export_is_not_visible(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_write_warmup", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        export.save(trained, str(tmp_path), 1, export.metadata(trained))
    assert [name for name in os.listdir(tmp_path) if name.isdigit()] == []
    monkeypatch.undo()
    export.save(trained, str(tmp_path), 1, export.metadata(trained))
    assert os.listdir(tmp_path) == ["1"]


def test_only_learners_of_sgd_and_lars_have_exports(tiny_dataset):
    trained = helpers.make(tiny_dataset, families=helpers.MLP)
    trained.inner_optimizer = optimizers.Adam()
    with pytest.raises(errors.UserError, match="an export is for learners of SGD or LARS; this run's inner optimiser is Adam"):
        export.check_exportable(trained)


def test_an_export_for_lars_teaches_by_it(gtn, tiny_dataset, tmp_path):
    """By hand: each tensor moves by the learning rate times its own length."""
    made = helpers.make(tiny_dataset, families=helpers.MLP)
    made.inner_optimizer = optimizers.LARS()
    path = export.save(made, str(tmp_path), 1, export.metadata(made))
    loaded = tf_gtn.load(path)
    assert loaded.metadata["optimizer"] == "lars" and loaded.metadata["schema_version"] == 3  # earlier readers refuse it
    assert "optimizer" not in gtn.metadata and gtn.optimizer == optimizers.SGD()
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, name="head")])
    kernel, _ = before = model.get_weights()
    history = loaded.train(model, steps=1, learning_rate_scale=1.0)
    moved, bias = (np.linalg.norm(after - first) for after, first in zip(model.get_weights(), before))
    rate = history["learning_rate"][0]
    assert moved == pytest.approx(rate * np.linalg.norm(kernel), rel=1e-4) and bias == pytest.approx(rate * 0.3, rel=1e-4)
    with pytest.raises(errors.UserError, match="its schedule is lars's, and this run's learners learn by sgd"):
        warm_start.WarmStart("X.warm_start", path).values({"gtn": helpers.make(tiny_dataset, families=helpers.MLP)})


def test_train_takes_subclassed_unbuilt_and_other_precisions(gtn):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten, self.head = keras.layers.Flatten(), keras.layers.Dense(3)

        def call(self, x):
            return self.head(self.flatten(x))

    for model in (
        Subclassed(),
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)]),
        keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, dtype="mixed_bfloat16")]),
        keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, dtype="float64")]),
    ):
        history = gtn.train(model)
        assert history["synthetic_loss"][history["learning_rate_scale"]] < history["loss"][0]


@pytest.mark.parametrize("value", ["Auto", -1, float("nan"), None])
def test_a_wrong_scale_is_named(gtn, value):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(errors.UserError, match=r"gtn\.train\.learning_rate_scale must be 'auto' or "):
        gtn.train(model, learning_rate_scale=value)


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_a_wrong_number_of_steps_is_named(gtn, value):
    with pytest.raises(errors.UserError, match=r"gtn\.as_dataset\.steps must be "):
        gtn.as_dataset(value)


def test_a_lesson_that_diverges_leaves_the_model_alone(gtn):
    head = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1e30), keras.layers.Flatten(), head])
    before = head.kernel.numpy()
    with pytest.raises(errors.UserError, match="diverged with every learning rate tried"):
        gtn.train(model)
    np.testing.assert_array_equal(head.kernel, before)


def test_wrong_shapes_are_named(gtn):
    with pytest.raises(errors.UserError, match=r"noise is \[n, 4\] and label \[n, 3\]; got \(2, 5\)"):
        gtn.generate(np.zeros((2, 5)), np.zeros((2, 3)))
    for shape in [(8, 8), (5, 64), (5, 28, 28), (5, 8, 8, 3)]:
        with pytest.raises(errors.UserError, match=r"images are \[n, 8, 8, 1\]"):
            gtn.normalize(np.zeros(shape))


def test_an_export_keeps_the_scale_of_float_images(digits, tmp_path):
    raw = digits.train.images[:300] / 8 - 1
    dataset = data.of({"train": (raw, digits.train.labels[:300])})
    training = helpers.make(dataset, families=helpers.MLP)
    exported = tf_gtn.load(export.save(training, str(tmp_path), 1, export.metadata(training)))
    assert exported.metadata["pixel_range"] == [-1.0, 1.0] == list(dataset.given_range)
    split = dataset.test
    np.testing.assert_allclose(exported.normalize(split.as_given()), dataset.normalize(split.images), atol=1e-5)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    assert exported.evaluate(model, split) == exported.evaluate(model, (split.as_given(), split.labels))


def test_a_gtn_of_whitened_images_whitens(gtn, tiny_dataset, tmp_path):
    """Its users get the same inputs as its own learners, and no lesson meets networks that see other images."""
    whitened = dataclasses.replace(tiny_dataset, zca=0.1)
    training = helpers.make(whitened, steps=2)
    path = export.save(training, str(tmp_path), 2, export.metadata(training))
    loaded = tf_gtn.load(path)
    images = tiny_dataset.test.images
    np.testing.assert_allclose(loaded.normalize(images), whitened.normalize(images), atol=1e-5)
    assert (
        loaded.metadata["whitening"] == 0.1 and np.abs(whitened.normalize(images) - tiny_dataset.normalize(images)).max() > 0.1
    )
    assert tf_gtn.load(loaded.save(tmp_path / "copy")).normalize(images[:0]).shape == (0, 8, 8, 1)
    compatibility.check_fits(loaded, whitened)
    assert loaded.metadata["schema_version"] == 2 and gtn.metadata["schema_version"] == 1  # earlier readers refuse the first
    other = dataclasses.replace(whitened, train=whitened.train.take(slice(0, 30)))
    with pytest.warns(errors.Notice, match="is whitened by other training images"):
        compatibility.check_fits(loaded, other)
    with pytest.raises(errors.UserError, match=r"it is for images of zca = 0.1, and these are of zca = None"):
        warm_start.WarmStart("X.warm_start", path).values({"gtn": helpers.make(tiny_dataset, steps=2)})
    with pytest.raises(errors.UserError, match="tiny was loaded with images that are not whitened: load it with"):
        compatibility.check_fits(loaded, tiny_dataset)
    with pytest.raises(errors.UserError, match=r"and tiny was loaded with whitened images \(zca = 0.1\)"):
        compatibility.check_fits(gtn, whitened)


def test_half_precision_halves_the_size_and_keeps_the_lesson(trained, gtn, tiny_dataset, tmp_path):
    path = export.save(trained, str(tmp_path), 10, export.metadata(trained), "float16")
    half = tf_gtn.load(path)
    stored = tf.train.load_checkpoint(os.path.join(path, "variables", "variables")).get_variable_to_dtype_map()
    parts = {dtype: {name.split("/")[0] for name, d in stored.items() if d == dtype} for dtype in (tf.float16, tf.float32)}
    assert parts[tf.float16] == {"_weights", "_state", "_lesson"} and parts[tf.float32] == {"_schedule"}
    for key, value in gtn.lesson().items():
        assert half.lesson()[key].dtype == tf.float32
        np.testing.assert_allclose(half.lesson()[key], value, atol=0 if key in ("learning_rate", "momentum") else 5e-3)
    noise, label = inputs(3)
    np.testing.assert_allclose(half.generate(noise, label), gtn.generate(noise, label), atol=5e-3)
    start = warm_start.WarmStart("X.warm_start", path).values({"gtn": helpers.make(tiny_dataset, steps=4)})["gtn"]
    assert all(value.dtype == np.float32 for value in start)
    with pytest.raises(errors.UserError, match="unknown dtype of an export 'float8'"):
        experiment.Comparison(arms=("gtn",), export_dtype="float8")
