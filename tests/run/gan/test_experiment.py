"""`train_unrolled_gan`, small."""

import numpy as np
import pytest
import tensorflow as tf

from tests.run import programs
from tests.run.programs import run
from tf_gtn.run.findings import drawing, results

TINY = (
    "--gin_file=gin/gan/ring.gin",
    "--gin_bindings=OUTER_STEPS = 4",
    "--gin_bindings=CHECKPOINT_EVERY = 2",
    "--gin_bindings=run.Schedule.validate_every = 2",
    "--gin_bindings=gan.UnrolledGAN.iterations = 2",
    "--gin_bindings=gan.UnrolledGAN.networks = 2",
    "--gin_bindings=gan.UnrolledGAN.batch_size = 8",
    "--gin_bindings=gans.ring_generator.noise = 4",
    "--gin_bindings=gans.ring_generator.units = (4,)",
    "--gin_bindings=k10/gan.Unrolled.steps = 1",
    "--gin_bindings=gan.Experiment.samples = 50",
    "--gin_bindings=gan.Experiment.settled = 2",
)


def test_everything_is_there_and_a_stop_costs_nothing(tmp_path):
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", *TINY)
    assert done.returncode == 0, done.stderr
    found = results.read(tmp_path)
    assert found["system"] == "gan" and [claim["holds"] for claim in found["claims"]] == [
        False,
        False,
    ]  # two seeds, four needed
    assert len(found["metrics"]["k0"]["modes"]["values"]) == 2
    for name in ("modes", "heat_maps"):
        assert drawing.caption(str(tmp_path / "figures" / f"{name}.png"))
    generator = tf.saved_model.load(str(tmp_path / "export/k10/4"))
    assert generator.signatures["serving_default"](noise=tf.zeros([3, 4]))["sample"].shape == (3, 2)
    whole = (tmp_path / "metrics.jsonl").read_text()
    for path in tmp_path.glob("checkpoints/ckpt-4*"):
        path.unlink()
    state = (tmp_path / "checkpoints/checkpoint").read_text()
    (tmp_path / "checkpoints/checkpoint").write_text(state.replace("ckpt-4", "ckpt-2"))
    points = np.load(tmp_path / "samples/k0-000004.npy", allow_pickle=False)
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", *TINY)
    assert done.returncode == 0 and "resumed after outer step 2" in done.stdout, done.stderr
    assert (tmp_path / "metrics.jsonl").read_text() == whole
    np.testing.assert_array_equal(np.load(tmp_path / "samples/k0-000004.npy", allow_pickle=False), points)


@pytest.mark.parametrize("name", ["ring", "ring_k0", "ring_k10"])
def test_run_files_are_complete(name):
    done = run("train_unrolled_gan", f"--gin_file=gin/gan/{name}.gin", "--dry_run")
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "binding, words",
    [
        ("k0/gan.Unrolled.steps = -1", ["at least 0"]),
        ("gan.Experiment.at_most = {'k1': 2}", ["k1"]),
        ("gan.UnrolledGAN.loss = 'minmax'", ["minimax"]),
        ("data.ring.modes = 0", ["mode"]),
    ],
)
def test_mistakes_are_one_line(binding, words):
    done = run("train_unrolled_gan", *TINY, f"--gin_bindings={binding}", "--dry_run")
    programs.assert_one_line(done, *words)
