"""The programs as a user runs them: what they leave, and that being killed changes nothing."""

import glob
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import keras
import pytest

import tf_gtn
from tests import programs
from tests.programs import Program, run
from tf_gtn.config import gin_config
from tf_gtn.reporting import results
from tf_gtn.runtime import metrics
from tf_gtn.teaching import saved_models

LONG = (
    *programs.SMALL,
    "--gin_bindings=OUTER_STEPS = 300",
    "--gin_bindings=CHECKPOINT_EVERY = 40",
    "--gin_bindings=run.Schedule.log_every = 5",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small run."""
    base_dir = tmp_path_factory.mktemp("finished")
    done = run("train_gtn", f"--base_dir={base_dir}", *programs.SMALL, "--gin_bindings=OUTER_STEPS = 4")
    assert done.returncode == 0, done.stderr
    return base_dir


def test_start_up_is_silent_and_a_dry_run_writes_nothing(tmp_path):
    """In a process of its own, as a user starts it."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-m", "binaries.train_gtn", f"--base_dir={tmp_path}/run", *programs.SMALL, "--dry_run"],
        cwd=programs.ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "nothing was written" in done.stdout
    assert "without the file's analyses, arms, claims: those are for compare_treatments" in done.stdout
    assert done.stderr == ""
    assert not (tmp_path / "run").exists()


def test_files_of_a_finished_run(finished):
    names = {
        "config.gin",
        "operative_config.gin",
        "checkpoints",
        "summaries",
        "metrics.jsonl",
        "figures",
        "export",
        "export_best",
        "results.json",
    }
    assert names <= set(os.listdir(finished))
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4]
    results.validate(json.loads((finished / "results.json").read_text()))
    assert os.listdir(finished / "export") == os.listdir(finished / "export_best") == ["4"]
    one, other = (saved_models.digest(f"{finished}/{name}/4") for name in ("export", "export_best"))
    assert one == other  # the last step is the only one that was validated


def test_the_same_command_again_has_nothing_left_to_do(finished, tmp_path):
    base_dir = tmp_path / "copy"
    shutil.copytree(finished, base_dir)
    before = (base_dir / "metrics.jsonl").read_bytes()
    done = run("train_gtn", f"--base_dir={base_dir}", *programs.SMALL, "--gin_bindings=OUTER_STEPS = 4")
    assert done.returncode == 0, done.stderr
    assert "all 4 outer steps were taken already" in done.stdout
    assert (base_dir / "metrics.jsonl").read_bytes() == before


def test_train_learner_and_evaluate_and_report(finished, tmp_path):
    model, module = tmp_path / "mine.keras", tmp_path / "my_layers_of_own.py"
    module.write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable()\nclass Nothing(keras.layers.Layer):\n"
        "    def call(self, x):\n        return 0 * x\n"
    )
    spec = importlib.util.spec_from_file_location(module.stem, module)
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    layers = [own.Nothing(), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input((8, 8, 1)), *layers]).save(model)
    arguments = f"--base_dir={tmp_path}/learner", f"--export_dir={finished}/export", f"--model={model}"
    programs.assert_one_line(run("train_learner", *arguments), "Could not locate class 'Nothing'", "--custom_objects=MODULE")
    done = run("train_learner", *arguments, f"--custom_objects={module.stem}", "--nofrom_logits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"in 2 steps, test accuracy 0\.\d+", done.stdout)
    assert re.fullmatch(r"\S+: the lesson of 'sequential\w*' did not take: .* no better than chance\n", done.stderr)
    with zipfile.ZipFile(tmp_path / "learner" / "learner.keras") as saved:
        assert "Nothing" in saved.read("config.json").decode()
    small = [f for f in programs.SMALL if re.search("digits.gin|Population|test_learners", f)]
    done = run(
        "evaluate_gtn",
        f"--base_dir={tmp_path}/evaluation",
        f"--export_dir={finished}/export",
        *small,
        "--gin_bindings=teaching.Evaluation.held_out = ['mlp_plain']",
    )
    assert done.returncode == 0, done.stderr
    assert "held_out_mlp_plain" in done.stdout
    done = run("make_report", f"--base_dir={tmp_path}", f"--run={tmp_path}/evaluation", f"--run={finished}")
    assert done.returncode == 0, done.stderr
    assert "held_out_mlp_plain" in (tmp_path / "report.html").read_text()


def test_an_evaluation_goes_on_where_it_was_stopped(finished, tmp_path):
    small = [f for f in programs.SMALL if re.search(r"digits.gin|Population|test_learners", f)]
    held_out = "--gin_bindings=teaching.Evaluation.held_out = ['mlp_plain']"

    def command(name):
        return "evaluate_gtn", f"--base_dir={tmp_path}/{name}", f"--export_dir={finished}/export", *small, held_out

    assert run(*command("whole")).returncode == 0
    program, file = Program(*command("stopped")), tmp_path / "stopped" / "finished.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") < 4:
        assert program.process.is_alive()
        time.sleep(0.02)
    program.send(signal.SIGTERM)
    done = program.done()
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.splitlines()[-1] == "stopped by SIGTERM; the same command goes on from what was saved last"
    with file.open("a") as half:
        half.write('{"key": "mlp_plain, lear')
    done = run(*command("stopped"))
    assert done.returncode == 0 and re.search(r"resumed: \d+ pieces", done.stdout), done.stderr
    assert file.read_bytes() == (tmp_path / "whole" / "finished.jsonl").read_bytes()
    whole, stopped = (results.read(str(tmp_path / name)) for name in ("whole", "stopped"))
    assert stopped["metrics"] == whole["metrics"] and stopped["claims"] == whole["claims"]


RUN_FILES = ("digits", "glyphs", "mnist", "mnist_published", "cifar10")
EXPERIMENTS = sorted(
    f
    for f in gin_config.shipped()
    if f.startswith("gin/teaching/") and "/parts/" not in f and pathlib.Path(f).stem not in RUN_FILES and "weight_norm" not in f
)
SHORT = (
    "--gin_bindings=OUTER_STEPS = 2",
    "--gin_bindings=INNER_STEPS = 2",
    "--gin_bindings=INNER_BATCH = 4",
    "--gin_bindings=OUTER_BATCH = 4",
    "--gin_bindings=CHECKPOINT_EVERY = 1",
    "--gin_bindings=teaching.Evaluation.validation_learners = 1",
    "--gin_bindings=teaching.Evaluation.test_learners = 1",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_FILES)
def test_a_run_file_takes_two_steps(name, mock_data, tmp_path):
    """A run file is complete; the macros that it honours make it short."""
    files = f"--base_dir={tmp_path}", f"--gin_file=gin/teaching/{name}.gin", f"--tfds_data_dir={mock_data}"
    done = run("train_gtn", *files, *SHORT)
    assert done.returncode == 0, done.stderr
    assert glob.glob(f"{tmp_path}/checkpoints/ckpt-2.index") and glob.glob(f"{tmp_path}/export/2/saved_model.pb")


LARGEST = tuple(
    f"gin/teaching/{name}_paper.gin" for name in ("ablations", "algorithms", "estimators")
)  # pages run the same parts, small


@pytest.mark.parametrize(
    "gin_file",
    [
        pytest.param(f, marks=pytest.mark.slow) if f in LARGEST else f
        for f in EXPERIMENTS
        if f in programs.undocumented("teaching")
    ],
)
def test_an_experiment_is_complete(gin_file, mock_data):
    """All arms can be built as configured, and their analyses and claims fit."""
    done = run("compare_treatments", "--dry_run", f"--gin_file={gin_file}", f"--tfds_data_dir={mock_data}", programs.MOCKED)
    assert done.returncode == 0, done.stderr


def test_the_tuning_is_complete(mock_data):
    sampler = "--gin_bindings=teaching.Tuning.sampler = 'tpe'"  # the shipped one needs PyTorch
    files = "--gin_file=gin/teaching/weight_norm_paper.gin", f"--tfds_data_dir={mock_data}"
    done = run("tune_gtn", "--dry_run", *files, sampler)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["mnist", "mnist_published", "cifar10"])
def test_a_run_file_is_complete(name, mock_data):
    done = run("train_gtn", "--dry_run", f"--gin_file=gin/teaching/{name}.gin", f"--tfds_data_dir={mock_data}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("gin_file", EXPERIMENTS)
def test_an_experiment_takes_two_steps(gin_file, mock_data, tmp_path):
    short = [s for s in SHORT if "INNER_STEPS" not in s]  # some arms have a window of the inner steps
    seeds = f"--gin_bindings=teaching.Comparison.seeds = {2 if gin_file.endswith('_small.gin') else 1}"
    files = f"--base_dir={tmp_path}", f"--gin_file={gin_file}", f"--tfds_data_dir={mock_data}"
    done = run("compare_treatments", *files, *short, seeds, programs.MOCKED)
    assert done.returncode == 0, done.stderr
    assert results.read(str(tmp_path))["metrics"] and (tmp_path / "report.html").exists()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a run of 300 steps."""
    base_dir = tmp_path_factory.mktemp("uninterrupted")
    assert run("train_gtn", f"--base_dir={base_dir}", *LONG).returncode == 0
    return base_dir


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_same_numbers(uninterrupted, tmp_path):
    moments, killed = random.Random(0), 0
    for _ in range(3):
        logged = programs.last_step(tmp_path)  # the killed run's, beyond its last save
        program = Program("train_gtn", f"--base_dir={tmp_path}", *LONG)
        programs.wait_for_step(tmp_path, logged + moments.randrange(5, 40))  # some 200 of the 300 at most
        time.sleep(moments.uniform(0, 0.05))
        program.send(signal.SIGKILL)
        code = program.done().returncode
        assert code in (-signal.SIGKILL, 0)  # 0: this process was asleep until the program's end
        killed += code != 0
    assert killed
    done = run("train_gtn", f"--base_dir={tmp_path}", *LONG)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "metrics.jsonl").read_bytes() == (uninterrupted / "metrics.jsonl").read_bytes()
    programs.assert_equal(programs.checkpoint(tmp_path), programs.checkpoint(uninterrupted))


def test_sigterm_saves_and_a_second_run_is_refused(uninterrupted, tmp_path):
    program = Program("train_gtn", f"--base_dir={tmp_path}", *LONG)
    programs.wait_for_step(tmp_path, 5)
    program.send(signal.SIGSTOP)  # alive, and holding the folder, for as long as it takes to try
    programs.assert_one_line(run("train_gtn", f"--base_dir={tmp_path}", *LONG), "another run", str(tmp_path))
    program.send(signal.SIGCONT)
    program.send(signal.SIGTERM)
    done = program.done()
    stderr = done.stderr
    assert done.returncode == 128 + signal.SIGTERM
    stopped = re.search(r"stopped by SIGTERM after step (\d+), which is saved", stderr)
    assert stopped and "Traceback" not in stderr
    assert (tmp_path / "checkpoints" / f"ckpt-{stopped[1]}.index").exists()
    done = run("train_gtn", f"--base_dir={tmp_path}", *LONG)
    assert done.returncode == 0 and f"resumed after outer step {stopped[1]}" in done.stdout
    assert all(line.startswith("outer steps ") for line in done.stderr.splitlines()), done.stderr
    assert (tmp_path / "metrics.jsonl").read_bytes() == (uninterrupted / "metrics.jsonl").read_bytes()
    programs.assert_equal(programs.checkpoint(tmp_path), programs.checkpoint(uninterrupted))


def test_a_time_limit_is_no_setting_of_the_run(finished):
    """It ends with a code of its own, and the command goes on with another limit or with none."""
    command = "train_gtn", f"--base_dir={finished}", *programs.SMALL, "--gin_bindings=OUTER_STEPS = 4"
    done = run(*command, "--time_limit=1")
    assert done.returncode in (os.EX_TEMPFAIL, 0)  # it was finished already: a quick machine ends before
    if done.returncode:
        assert done.stderr == "stopped by --time_limit; the same command goes on from what was saved last\n"
    assert run(*command, "--time_limit=1000").returncode == 0
    programs.assert_one_line(run(*command, "--time_limit=0"), "time_limit", "0")


def test_a_warm_start(finished, tmp_path):
    """It begins from the other run's parameters, names what does not fit, and does not read it when it goes on."""
    other, folder = shutil.copytree(finished, tmp_path / "other"), tmp_path / "warm"
    warm = *programs.SMALL, f"--gin_bindings=teaching.Comparison.warm_start = '{other}'", "--gin_bindings=OUTER_STEPS = 1"
    command = "train_gtn", f"--base_dir={folder}", *warm, "--gin_bindings=teaching.Training.learning_rate = 1e-9"
    done = run(*command, "--gin_bindings=teaching.gtn.latent = 5")
    programs.assert_one_line(done, "teaching.Comparison.warm_start: 'gtn' can't begin from", "ckpt-4", "there")
    assert not (folder / "config.gin").exists()
    done = run(*command)
    assert done.returncode == 0 and f"begins from {other}/checkpoints/ckpt-4" in done.stdout, done.stderr
    learned, before = programs.checkpoint(folder), programs.checkpoint(other)
    first = next(name for name in learned if name.startswith("gtn/0/"))
    assert abs(learned[first] - before[first]).max() < 1e-6
    shutil.rmtree(other)
    (folder / "outcome.json").unlink()
    done = run(*command)
    assert done.returncode == 0 and "all 1 outer steps were taken already" in done.stdout, done.stderr


def test_the_step_that_validated_best_is_exported_beside_the_last(tmp_path):
    steps = "--gin_bindings=OUTER_STEPS = 4", "--gin_bindings=run.Schedule.validate_every = 1"
    too_fast = "--gin_bindings=teaching.Training.learning_rate = 5.0"
    assert run("train_gtn", f"--base_dir={tmp_path}", *programs.SMALL, *steps, too_fast).returncode == 0
    validated, accuracies = metrics.column(metrics.read(str(tmp_path)), "gtn/validation_accuracy")
    step = int(validated[accuracies.argmax()])
    assert step < 4 and os.listdir(tmp_path / "export") == ["4"] and os.listdir(tmp_path / "export_best") == [str(step)]
    found = results.read(tmp_path)["metrics"]["gtn"]
    assert found["best"]["outer_steps"] == [step] and found["best"]["values"] != found["values"]
    metadata = tf_gtn.load(tmp_path / "export_best").metadata
    assert metadata["training"]["outer_steps"] == step
    assert metadata["accuracy"]["mean"] == pytest.approx(found["best"]["test_accuracy"])
    assert tf_gtn.load(tmp_path).metadata["training"]["outer_steps"] == 4
