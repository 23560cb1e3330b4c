"""The programs of reinforcement learning, small."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests import programs
from tests.programs import run
from tf_gtn.reporting import drawing, results

SMALL = ("--gin_file=gin/rl/cartpole_gtn.gin", *programs.SMALL_CARTPOLE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base_dir = tmp_path_factory.mktemp("cartpole")
    done = run("train_cartpole_gtn", f"--base_dir={base_dir}", *SMALL)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("outer steps") for line in done.stderr.splitlines()), done.stderr
    return base_dir


def test_everything_is_there(folder):
    written = results.read(folder)
    assert written["system"] == "rl" and written["metrics"]["environment_steps"]["a2c"] == 8 * 5 * 16
    for name in ("gtn", "a2c", "architectures/8 relu", "steps/1", "steps/3"):
        summary = written["metrics"][name]
        assert summary["over"] == "seeds" and len(summary["values"]) == 2 and 5 < summary["mean"] < 200
        assert 0 <= summary["ci95"][0] <= summary["ci95"][1] <= 200, "an episode is cut off after 200 steps"
    assert len(written["claims"]) == 3 and not any(claim["holds"] for claim in written["claims"]), "after 4 outer steps"
    for name in ("score_by_environment_steps", "architectures", "steps", "episode_a2c"):
        assert drawing.caption(str(folder / "figures" / f"{name}.png"))
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "policies/a2c/saved_model.pb").exists() and (folder / "repeats/1/export/4").is_dir()


def test_a_stopped_run_ends_with_the_same_numbers(folder, tmp_path):
    """Killed after its checkpoint of step 3: between two restarts of the environments at that."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in (copy / "outcome.json", *copy.glob("checkpoints/ckpt-[68]*")):
        path.unlink()
    state = (copy / "checkpoints/checkpoint").read_text()
    (copy / "checkpoints/checkpoint").write_text(re.sub("ckpt-[68]", "ckpt-3", state))
    done = run("train_cartpole_gtn", f"--base_dir={copy}", *SMALL)
    assert done.returncode == 0 and "resumed after outer step 3" in done.stdout, done.stderr
    assert (copy / "metrics.jsonl").read_text() == (folder / "metrics.jsonl").read_text()
    before, after = (json.loads((run / "results.json").read_text())["metrics"] for run in (folder, copy))
    for name in ("gtn", "a2c", "steps/3"):
        assert after[name] == before[name]


def test_a_policy_is_taught_without_tf_agents_in_under_a_second(folder):
    code = """
import sys, time, keras, tf_gtn
gtn = tf_gtn.load(sys.argv[1])
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(64, "tanh"), keras.layers.Dense(2)])
start = time.process_time()
gtn.train(model, learning_rate_scale=1)
print(time.process_time() - start)
assert not {"tf_agents", "tf_keras", "gym", "gymnasium"} & set(sys.modules)
"""
    command = [sys.executable, "-c", code, str(folder / "export")]
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=programs.ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5  # of all cores together; docs/rl.md has the figure


@pytest.mark.parametrize("name", programs.undocumented("rl"))
def test_run_files_are_complete(name):
    program = "train_cartpole_gtn" if "gtn" in name else "train_a2c"
    done = run(program, f"--gin_file={name}", "--dry_run")
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "binding, words",
    [
        ("rl.environment.name = 'CartPol-v1'", ["CartPole-v1"]),
        ("rl.make_a2c.updats = 3", ["updates"]),
        ("rl.arm.kind = 'dqn'", ["dqn", "a2c, gtn, reinforce"]),
        ("rl.Evaluation.test = 0", ["at least 1"]),
        ("rl.make_gtn.latent = 0", ["rl.make_gtn.latent"]),
        ("rl.make_a2c.environments = 0", ["rl.make_a2c.environments"]),
        ("rl.make_a2c.discount = 1.01", ["discount must be from 0 to 1; got 1.01"]),
        ("rl.PolicyGTN.policies = 0", ["rl.PolicyGTN.policies"]),
        ("rl.Evaluation.architectures = {'x': {'unit': (8,)}}", ["'x'", "unit"]),
        ("rl.Experiment.claims = (('architectures/nope', 'at_least', 1),)", ["architectures/nope", "8 relu"]),
        ("rl.optimizer.decay = 0.9", ["decay"]),
        ("rl.environment.name = 'Pendulum-v1'", ["discrete"]),
    ],
)
def test_mistakes_are_one_line(binding, words):
    done = run("train_cartpole_gtn", *SMALL, f"--gin_bindings={binding}", "--dry_run")
    programs.assert_one_line(done, *words)


def test_atari_runs_and_saves(tmp_path):
    done = run(
        "train_a2c",
        f"--base_dir={tmp_path}",
        "--gin_file=gin/rl/atari_pong.gin",
        "--gin_bindings=OUTER_STEPS = 2",
        "--gin_bindings=rl.make_a2c.environments = 2",
        "--gin_bindings=rl.atari.max_frames = 120",
        "--gin_bindings=rl.Evaluation.test = 2",
        "--gin_bindings=rl.Evaluation.validation = 1",
    )
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    assert np.isfinite(written["metrics"]["a2c"]["mean"]) and written["metrics"]["environment_steps"]["a2c"] == 20
    assert pathlib.Path(tmp_path / "figures/episode_a2c.png").exists()
