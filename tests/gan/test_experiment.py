"""`train_unrolled_gan`, small."""

import json
import os
import types

import numpy as np
import pytest
import tensorflow as tf

from tests import programs
from tests.programs import run
from tf_gtn import errors
from tf_gtn.data import mixtures
from tf_gtn.experiment import analyses
from tf_gtn.gan import experiment, figures
from tf_gtn.reporting import drawing, results
from tf_gtn.runtime import files, metrics

TINY = (
    "--gin_file=gin/gan/ring.gin",
    "--gin_bindings=OUTER_STEPS = 4",
    "--gin_bindings=CHECKPOINT_EVERY = 2",
    "--gin_bindings=run.Schedule.validate_every = 2",
    "--gin_bindings=gan.UnrolledGAN.iterations = 2",
    "--gin_bindings=gan.UnrolledGAN.parallel_seeds = 2",
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
    written = results.read(tmp_path)
    assert written["system"] == "gan" and [claim["holds"] for claim in written["claims"]] == [
        False,
        False,
    ]  # two seeds, four needed
    assert len(written["metrics"]["k0"]["modes"]["values"]) == 2
    for name in ("modes", "heat_maps"):
        assert drawing.caption(str(tmp_path / "figures" / f"{name}.png"))
    generator = tf.saved_model.load(str(tmp_path / "export/k10/4"))
    assert generator.signatures["serving_default"](noise=tf.zeros([3, 4]))["sample"].shape == (3, 2)
    whole = (tmp_path / "metrics.jsonl").read_text()
    for path in tmp_path.glob("checkpoints/ckpt-4*"):
        path.unlink()
    (tmp_path / "outcome.json").unlink()
    state = (tmp_path / "checkpoints/checkpoint").read_text()
    (tmp_path / "checkpoints/checkpoint").write_text(state.replace("ckpt-4", "ckpt-2"))
    points = np.load(tmp_path / "samples/k0-000004.npy", allow_pickle=False)
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", *TINY)
    assert done.returncode == 0 and "resumed after outer step 2" in done.stdout, done.stderr
    assert (tmp_path / "metrics.jsonl").read_text() == whole
    np.testing.assert_array_equal(np.load(tmp_path / "samples/k0-000004.npy", allow_pickle=False), points)


def test_a_check_whose_samples_are_gone_is_not_left_out(tmp_path):
    for step in (2, 4):
        files.write_array(f"{tmp_path}/samples/k0-{step:06d}.npy", np.zeros([50, 2], np.float32))
    writer = metrics.MetricsWriter(str(tmp_path))
    for step in (1, 2, 3, 4):
        writer.write(step, **({"k0/loss": 1.0} if step % 2 else {"k0/modes_0": 3}))
    judge = types.SimpleNamespace(keys=("modes",))
    checks = experiment._samples_files(str(tmp_path), ["k0"], judge)
    assert checks == {"k0": ["k0-000002.npy", "k0-000004.npy"]}
    figures.samples(str(tmp_path), checks, mixtures.ring(), 6, {"k0": 400})
    os.remove(f"{tmp_path}/samples/k0-000002.npy")
    with pytest.raises(errors.UserError, match=r"k0-000002\.npy is not there: put it back, or begin again in another"):
        figures.samples(str(tmp_path), checks, mixtures.ring(), 6, {"k0": 400})


IMAGES = (
    "--gin_bindings=OUTER_STEPS = 2",
    "--gin_bindings=gan.Experiment.seeds = 2",
    "--gin_bindings=gan.Experiment.samples = 64",
    "--gin_bindings=run.Schedule.validate_every = 1",
)
ONE_SEED = [binding.replace("seeds = 2", "seeds = 1") for binding in IMAGES]
CONV = (
    "--gin_file=gin/gan/image_small.gin",
    *IMAGES,
    "--gin_bindings=gan.UnrolledGAN.iterations = 2",
    "--gin_bindings=gan.UnrolledGAN.batch_size = 4",
    "--gin_bindings=gans.conv_generator.filters = (4, 4)",
    "--gin_bindings=gans.conv_discriminator.filters = (4,)",
    "--gin_bindings=gan.Experiment.arms = ('k0', 'k10')",
    "--gin_bindings=k10/gan.Unrolled.steps = 1",
    "--gin_bindings=analyses.reconstruction.images = 12",
    "--gin_bindings=analyses.reconstruction.iterations = 3",
    "--gin_bindings=gan.Experiment.claims = (('reconstruction/k0_mse', 'above', 'reconstruction/k10_mse'),)",
)


@pytest.mark.slow
def test_images_are_reconstructed_and_their_distances_drawn(tmp_path):
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", *CONV)
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    for name in ("modes", "samples", "reconstructions", "pairwise_distances"):
        assert drawing.caption(str(tmp_path / "figures" / f"{name}.png"))
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    for name, quantities in outcome["analyses"].items():
        assert set(analyses.REGISTRY[name].sizes(dict.fromkeys(("k0", "k10")), None)) == {
            k for k, v in quantities.items() if np.ndim(v) == 0
        }
    table = written["metrics"]["reconstruction"]
    assert table["k0_best_rank"]["mean"] + table["k10_best_rank"]["mean"] == pytest.approx(1)
    assert len(table["k0_mse"]["values"]) == len(written["metrics"]["k10"]["modes"]["values"]) == 2
    (claim,) = written["claims"]
    assert claim["measured"] == pytest.approx(table["k0_mse"]["mean"] - table["k10_mse"]["mean"])
    served = tf.saved_model.load(str(tmp_path / "export/k10/2")).signatures["serving_default"]
    assert served(noise=tf.zeros([1, 32]))["sample"].shape == (1, 8, 8, 1)


@pytest.mark.slow
def test_a_gtn_gan_and_the_plain_one_beside_it(tmp_path):
    tiny = (
        "teaching.gtn.latent = 4",
        "generators.conditional.units = 8",
        "generators.conditional.channels = 4",
        "generators.conditional.filters = 4",
        "models.Population.families = {'mlp': {'units': ((8, 8), (8, 8))}}",
        "INNER_STEPS = 2",
        "INNER_BATCH = 8",
        "gans.conv_discriminator.filters = (4,)",
    )
    bindings = [f"--gin_bindings={binding}" for binding in tiny]
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", "--gin_file=gin/gan/gtn_gan_small.gin", *ONE_SEED, *bindings)
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    assert {claim["id"] for claim in written["claims"]} >= {
        "gtn_gan_modes_at_least_10",
        "few_steps_gtn_gan_above_few_steps_gan",
    }
    exported = tf.saved_model.load(str(tmp_path / "export/gtn_gan/2"))
    assert exported.signatures["curriculum"](step=tf.constant([0], tf.int64))["image"].shape == (1, 8, 8, 8, 1)


def test_collapse_is_named_and_a_run_that_is_too_short_for_a_claim_says_so(tmp_path):
    done = run("train_unrolled_gan", f"--base_dir={tmp_path}", *TINY[:-1], "--gin_bindings=gans.ring_generator.gain = 0.001")
    assert done.returncode == 0 and "k10, seed 1: collapsed by iteration 4: distances of its samples" in done.stdout, (
        done.stdout
    )
    claim = next(claim for claim in results.read(tmp_path)["claims"] if claim["id"] == "k0_at_most_2")
    assert claim["measured"] is None and not claim["holds"]


@pytest.mark.parametrize("name", programs.undocumented("gan"))
def test_run_files_are_complete(name):
    offline = ["--gin_bindings=DATASET = 'digits'"] if name.endswith(("image_cifar10.gin", "rnn_mnist.gin")) else []
    done = run("train_unrolled_gan", f"--gin_file={name}", "--dry_run", *offline)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "binding, words",
    [
        ("k0/gan.Unrolled.steps = -1", ["at least 0"]),
        ("gan.Experiment.at_most = {'k1': 2}", ["k1"]),
        ("gan.Experiment.samples = 24", ["samples must be at least 25; got 24"]),
        ("gan.UnrolledGAN.loss = 'minmax'", ["minimax"]),
        ("data.ring.modes = 0", ["mode"]),
        ("gan.source.stacked = 3", ["mixture"]),
        ("gan.networks.generator = @gans.conv_generator", ["[2]"]),
        ("gan.Experiment.analyses = ('reconstruction',)", ["images"]),
        ("gan.Experiment.analyses = ('reconstructions',)", ["reconstruction"]),
        ("gan.arm.kind = 'gtn'", ["mixture"]),
        ("nas.Search.keep = 0.5", ["nas.Search belongs to another program: search_architectures"]),
        ("gan.Experiment.claims = (('k0/mode', 'above', 'k10/modes'),)", ["quantity of a claim", "'k0/modes'"]),
        ("gan.UnrolledGAN.resample = True", ["resample has no effect with 0 unrolled steps"]),
    ],
)
def test_mistakes_are_one_line(binding, words):
    done = run("train_unrolled_gan", *TINY, f"--gin_bindings={binding}", "--dry_run")
    programs.assert_one_line(done, *words)
