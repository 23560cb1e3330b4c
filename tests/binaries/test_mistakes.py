"""A user's mistakes: one clear line each, exit code 2, nothing lost."""

import glob
import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import programs
from tests.programs import assert_one_line, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small run."""
    base_dir = tmp_path_factory.mktemp("finished")
    done = run(*command(base_dir))
    assert done.returncode == 0, done.stderr
    return base_dir


def command(base_dir):
    return (
        "train_gtn",
        f"--base_dir={base_dir}",
        *programs.SMALL,
        "--gin_bindings=OUTER_STEPS = 4",
        "--gin_bindings=CHECKPOINT_EVERY = 2",
    )


def copy(finished, tmp_path):
    base_dir = tmp_path / "copy"
    shutil.copytree(finished, base_dir)
    return base_dir


BINDING_MISTAKES = {
    "parameter": (["teaching.Training.learning_rat = 0.1"], ["learning_rat", "'learning_rate'"]),
    "macro": (["OUTER_STEP = 3"], ["OUTER_STEP", "'OUTER_STEPS'"]),
    "scope": (["warmup/teaching.Training.loss = 'last'"], ["warmup"]),
    "configurable": (["teaching.Trainig.loss = 'last'"], ["Trainig", "Training"]),
    "unquoted": (["DATASET = digits"], ["DATASET = digits"]),
    "type": (["OUTER_STEPS = 'many'"], ["'many'", "OUTER_STEPS"]),
    "data set": (["DATASET = 'digit'"], ["'digit'", "'digits'"]),
    "TFDS": (["DATASET = 'mnist'"], ["mnist", "nothing_here", "tfds build"]),
    "learner": (["models.Population.families = ['conv9']"], ["conv9"]),
    "does nothing": (["optimizers.Adam.learning_rate = 0.1"], ["does nothing", "optimizers.Adam.learning_rate"]),
    "value": (["teaching.Training.loss = 'lst'"], ["'lst'", "'last'"]),
    "learning rate": (["optimizers.SGD.learning_rate = 0.0"], ["learning_rate starts at 0.0"]),
    "momentum": (["optimizers.SGD.momentum = 1.5"], ["momentum starts at 1.5"]),
    "inner steps": (["INNER_STEPS = 0"], ["steps must be at least 1"]),
    "outer steps": (["OUTER_STEPS = 0"], ["outer_steps.total must be at least 1"]),
    "saving": (["CHECKPOINT_EVERY = 0"], ["checkpoint_every must be at least 1"]),
    "learners": (["teaching.Evaluation.test_learners = 0"], ["test_learners must be at least 1"]),
    "latent": (["teaching.gtn.latent = -1"], ["gtn.latent must be at least 1"]),
}


@pytest.mark.parametrize("mistake", BINDING_MISTAKES)
def test_a_mistake_in_the_configuration_is_one_line(mistake, tmp_path):
    bindings, words = BINDING_MISTAKES[mistake]
    done = run(
        "train_gtn",
        f"--base_dir={tmp_path}/run",
        "--gin_file=gin/teaching/digits.gin",
        f"--tfds_data_dir={tmp_path}/nothing_here",
        *[f"--gin_bindings={b}" for b in bindings],
    )
    assert_one_line(done, *words)
    assert not glob.glob(f"{tmp_path}/run/*")  # nothing was begun


FLAG_MISTAKES = {
    "gin file": (["--base_dir={tmp}/run", "--gin_file=gin/teaching/digit.gin"], ["digit.gin", "gin/teaching/digits.gin"]),
    "no gin file": (["--base_dir={tmp}/run"], ["--gin_file", "gin/teaching/digits.gin"]),
    "no base_dir": (["--gin_file=gin/teaching/digits.gin"], ["--base_dir"]),
    "flag": (["--base_dri={tmp}/run", "--gin_file=gin/teaching/digits.gin"], ["base_dri", "base_dir"]),
    "flag value": (["--base_dir={tmp}/run", "--seed=one"], ["seed", "one"]),
    "large seed": (["--base_dir={tmp}/run", "--gin_file=gin/teaching/digits.gin", "--seed=5000000000"], ["seed", "2000000000"]),
    "base_dir": (["--base_dir={tmp}/file/run", "--gin_file=gin/teaching/digits.gin"], ["/file/run"]),
}


@pytest.mark.parametrize("mistake", FLAG_MISTAKES)
def test_a_mistake_on_the_command_line_is_one_line(mistake, tmp_path):
    (tmp_path / "file").write_text("")
    flags, words = FLAG_MISTAKES[mistake]
    assert_one_line(run("train_gtn", *[f.format(tmp=tmp_path) for f in flags]), *words)


def write_image(path, size, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.full((*size, 1), value, np.uint8)).numpy())


def test_a_run_does_not_go_on_with_other_images(tmp_path):
    for value in range(20):
        for label in "ab":
            write_image(tmp_path / "images" / label / f"{value}.png", (8, 8), value)
    (tmp_path / "images" / "a" / "notes.txt").touch()
    own = f"--gin_bindings=DATASET = 'image_folder:{tmp_path}/images'", "--gin_bindings=OUTER_STEPS = 1"
    begun = run(*command(tmp_path / "run"), *own)
    assert begun.returncode == 0, begun.stderr
    left_out = f"train_gtn.py: image folder '{tmp_path}/images': left out: files that end in .txt: 1\n"
    assert begun.stderr.count(left_out) == 1
    write_image(tmp_path / "images" / "b" / "7.png", (8, 8), 200)
    again = run(*command(tmp_path / "run"), *own)
    again.stderr = again.stderr.split(left_out)[1]
    assert_one_line(again, f"on other data 'image_folder:{tmp_path}/images'", "have changed since")


@pytest.mark.parametrize("sizes, words", [([], ["image_folder"]), ([(8, 8), (9, 8)], ["8", "9", "image_size"])])
def test_a_bad_image_folder_is_one_line(sizes, words, tmp_path):
    (tmp_path / "images").mkdir()
    for i, size in enumerate(sizes):
        for label in "ab":
            write_image(tmp_path / "images" / label / f"{i}.png", size)
    done = run(
        "train_gtn",
        f"--base_dir={tmp_path}/run",
        "--gin_file=gin/teaching/digits.gin",
        f"--gin_bindings=DATASET = 'image_folder:{tmp_path}/images'",
    )
    assert_one_line(done, *(words if sizes else [str(tmp_path / "images")]))


def test_another_program_in_the_same_folder_is_refused(finished, tmp_path):
    base_dir = copy(finished, tmp_path)
    assert_one_line(run("compare_treatments", *command(base_dir)[1:]), "program = train_gtn", "compare_treatments")


def test_another_configuration_in_the_same_folder_is_refused(finished, tmp_path):
    base_dir = copy(finished, tmp_path)
    for more in ([], ["--dry_run"]):
        assert_one_line(run(*command(base_dir), "--gin_bindings=INNER_BATCH = 11", *more), "INNER_BATCH")


def test_a_truncated_checkpoint_is_passed_over(finished, tmp_path):
    base_dir = copy(finished, tmp_path)
    os.remove(f"{base_dir}/outcome.json")  # as if killed before the end
    reference = programs.checkpoint(base_dir)
    for file in glob.glob(f"{base_dir}/checkpoints/ckpt-4.data*"):
        os.truncate(file, os.path.getsize(file) // 2)
    done = run(*command(base_dir))
    assert done.returncode == 0, done.stderr
    assert "ckpt-4 can't be read and is passed over" in done.stderr and "resumed after outer step 2" in done.stdout
    programs.assert_equal(programs.checkpoint(base_dir), reference)
    os.remove(f"{base_dir}/outcome.json")
    for file in glob.glob(f"{base_dir}/checkpoints/ckpt-*.index"):
        os.truncate(file, 3)
    assert_one_line_last(run(*command(base_dir)), "none of the checkpoints")


def assert_one_line_last(done, *words):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("how", ["truncated", "newer", "missing", "shape", "model", "no model"])
def test_a_mistake_with_an_export_is_one_line(how, finished, tmp_path):
    base_dir = copy(finished, tmp_path)
    export, model = base_dir / "export", "mlp_plain"
    meta = export / "4" / "assets" / "metadata.json"
    if how == "truncated":
        os.truncate(export / "4" / "saved_model.pb", 1000)
        words = ["is not a complete export"]
    elif how == "newer":
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "schema_version": 99}))
        words = ["schema 99"]
    elif how == "missing":
        export, words = tmp_path / "nothing", ["there is no export"]
    elif how == "shape":
        model = str(tmp_path / "m.keras")
        keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]).save(model)
        words = ["(None, 9, 9, 1)", "[n, 8, 8, 1]"]
    elif how == "model":
        model, words = "mlp_plane", ["mlp_plane", "mlp_plain"]
    else:
        model, words = str(tmp_path / "none.keras"), ["there is no model"]
    assert_one_line(
        run("train_learner", f"--base_dir={tmp_path}/learner", f"--export_dir={export}", f"--model={model}"), *words
    )
