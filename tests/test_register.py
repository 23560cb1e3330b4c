"""A module of a user's own: its learner, data set, generator, treatment, curriculum, analysis and relation, in a gin file."""

import json

import pytest

import tf_gtn
from tests.run import programs
from tests.run.programs import run
from tf_gtn.run.findings import results

MODULE = """
import keras
import numpy as np
import tensorflow as tf

import tf_gtn
from tf_gtn import data
from tf_gtn.models import generators
from tf_gtn.run.findings import claims
from tf_gtn.run.teaching import analyses
from tf_gtn.teaching import treatments


@tf_gtn.register.learner("branched")
def branched(image_shape, classes, units=8):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Add()([keras.layers.Dense(units, "relu")(x), keras.layers.Dense(units)(x)])
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


@tf_gtn.register.dataset("stripes")
def stripes(config="", **_):
    rng, labels = np.random.default_rng(0), np.arange(300, dtype=np.int32) % 2
    images = rng.integers(0, 100, (300, 8, 8, 1), dtype=np.uint8)
    images[labels == 0, ::2] += 100
    images[labels == 1, :, ::2] += 100
    return data.Source(("across", "down"), data.Split(images, labels), stratified=True)


@tf_gtn.register.generator("shallow")
def shallow(image_shape, classes, latent=4):
    noise, label = keras.Input((latent,), name="noise"), keras.Input((classes,), name="label")
    x = keras.layers.Dense(int(np.prod(image_shape)), "tanh")(keras.layers.Concatenate()([noise, label]))
    return keras.Model({"noise": noise, "label": label}, keras.layers.Reshape(image_shape)(x))


@tf_gtn.register.treatment("means")
def means(dataset, inner_steps, batch_size, seed):
    images = dataset.normalize(dataset.train.images).numpy()
    labels = np.arange(inner_steps * batch_size).reshape(inner_steps, batch_size) % dataset.num_classes
    centres = np.stack([images[dataset.train.labels == c].mean(0) for c in range(dataset.num_classes)])
    return treatments.Fixed("means", centres[labels], tf.one_hot(labels, dataset.num_classes))


@tf_gtn.register.curriculum("swapped")
def swapped(batches, seed):
    return tf.roll(batches, 1, 0)


@tf_gtn.register.analysis("sizes")
class Sizes(analyses.Analysis):
    def measure(self, context):
        counts = {arm: [int(tf.size(v.value)) for v in t.trainable_variables] for arm, t in context.trainings.items()}
        return {f"{arm}/parameters": float(sum(found)) for arm, found in counts.items()}

    def sizes(self, trainings, settings):
        return {f"{arm}/parameters": 0 for arm in trainings}


@tf_gtn.register.claim_relation("near", claims.QUANTITY, claims.NUMBER)
def near(claimed):
    other, distance = claimed.argument
    one, two = (np.mean(claimed.quantities[name].values) for name in (claimed.name, other))
    return claimed.result(f"{claimed.name} is near {other}", abs(one - two), None, "measured <= distance", distance=distance)
"""
GIN = """
import my_own_things
include 'gin/teaching/parts/small.gin'
data.load.name = 'stripes'
OUTER_STEPS = 2
INNER_STEPS = 2
INNER_BATCH = 4
OUTER_BATCH = 8
models.Population.families = {'branched': {'units': 6}}
teaching.gtn.latent = 4
teaching.gtn.generator = @generators.shallow
teaching.curriculum.order = 'swapped'
teaching.Comparison.arms = ('gtn', 'means')
teaching.Comparison.seeds = 2
means/teaching.treatment.name = 'means'
teaching.Comparison.analyses = ('sizes',)
teaching.Comparison.claims = (('gtn', 'near', ('means', 1.0)), ('sizes/gtn/parameters', 'above', 'sizes/means/parameters'))
teaching.Evaluation.validation_learners = 2
teaching.Evaluation.test_learners = 2
teaching.Evaluation.held_out = ()
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_own_things.py").write_text(MODULE)
    (folder / "own.gin").write_text(GIN)
    return folder


def test_a_run_with_everything_of_a_user_s_own(own):
    done = run("compare_treatments", f"--base_dir={own}/run", "--gin_file=own.gin", cwd=own)
    assert done.returncode == 0, done.stderr
    found = results.read(own / "run")
    near, above = found["claims"]
    assert near["id"] == "gtn_near" and near["holds"]
    assert found["metrics"]["sizes"]["gtn/parameters"]["mean"] > found["metrics"]["sizes"]["means/parameters"]["mean"]
    assert above["measured"] > 0
    again = run("compare_treatments", f"--base_dir={own}/run", "--gin_file=own.gin", cwd=own)
    assert again.returncode == 0 and "all 2 outer steps were taken already" in again.stdout, again.stderr
    metadata = json.loads((own / "run/export/2/assets/metadata.json").read_text())
    assert metadata["curriculum"] == "swapped" and metadata["classes"] == ["across", "down"]


@pytest.mark.parametrize(
    "binding, words",
    [
        ("models.Population.families = {'branchd': {}}", "unknown learner 'branchd'; did you mean 'branched'"),
        ("data.load.name = 'strips'", "did you mean 'stripes'"),
        ("teaching.gtn.generator = @generators.shalow", "did you mean 'generators.shallow'"),
        ("means/teaching.treatment.name = 'mean'", "unknown treatment 'mean'; did you mean 'means'"),
        ("teaching.curriculum.order = 'swaped'", "unknown curriculum order 'swaped'; did you mean 'swapped'"),
        ("teaching.Comparison.analyses = ('size',)", "unknown analysis 'size'; did you mean 'sizes'"),
        ("teaching.Comparison.claims = (('gtn', 'nearr', ('means', 1.0)),)", "unknown relation 'nearr'; did you mean 'near'"),
        ("teaching.Comparison.claims = (('gtn', 'near', 'means'),)", "takes a quantity and a number"),
        ("models.Population.families = {'branched': {'unit': 3}}", "unknown option of branched 'unit'; did you mean 'units'"),
    ],
)
def test_their_names_are_known_to_errors(own, binding, words):
    done = run("compare_treatments", "--gin_file=own.gin", f"--gin_bindings={binding}", "--dry_run", cwd=own)
    programs.assert_one_line(done, words)


def test_each_kind_has_a_decorator():
    assert set(tf_gtn.register.__all__) == {
        *("learner", "dataset", "generator", "treatment", "curriculum", "analysis", "claim_relation")
    }
    assert all(getattr(tf_gtn.register, name).__doc__ for name in tf_gtn.register.__all__)
