"""`train_leap`, small."""

import json

import keras
import pytest

from tests import programs
from tests.programs import run
from tf_gtn.reporting import drawing, results

TINY = (
    "--gin_file=gin/leap/omniglot_small.gin",
    "--gin_bindings=OUTER_STEPS = 2",
    "--gin_bindings=INNER_STEPS = 2",
    "--gin_bindings=INNER_BATCH = 4",
    "--gin_bindings=CHECKPOINT_EVERY = 1",
    "--gin_bindings=run.Schedule.log_every = 1",
    "--gin_bindings=transfer.arm.meta_batch_size = 1",
    "--gin_bindings=transfer.Experiment.pretraining = (1, 2)",
    "--gin_bindings=transfer.Experiment.evaluated = 2",
    "--gin_bindings=transfer.Experiment.validated = 1",
    "--gin_bindings=transfer.Experiment.claims = (('error/reptile_2', 'above', 'error/leap_2'),)",
    "--gin_bindings=transfer.Experiment.arms = ('leap', 'reptile')",
    "--gin_bindings=transfer.alphabets.held_out = 2",
    "--gin_bindings=new/transfer.Inner.steps = 3",
    "--gin_bindings=convolutional.four_modules.filters = 2",
)
ARMS = ("leap", "reptile")  # tests/transfer has the others


# Those of games have tests of their own.
RUN_FILES = [name for name in programs.undocumented("leap") if "atari" not in name]


@pytest.fixture(scope="module")
def here(mock_data):
    return f"--tfds_data_dir={mock_data}"


def test_everything_is_there_and_further_seeds_join(tmp_path, here):
    done = run("train_leap", f"--base_dir={tmp_path}", here, *TINY, "--gin_bindings=transfer.Experiment.seeds = 1")
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "outcome.json").read_text()
    done = run("train_leap", f"--base_dir={tmp_path}", here, *TINY, "--gin_bindings=transfer.Experiment.seeds = 2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outcome.json").read_text() == first
    written = results.read(tmp_path)
    assert written["system"] == "transfer" and len(written["claims"]) == 1
    for arm in ARMS:
        for table in ("error", "area"):
            assert len(written["metrics"][f"{table}/{arm}_2"]["values"]) == 2
    for name in ("by_number_of_tasks", "held_out_tasks", "pretraining"):
        assert drawing.caption(str(tmp_path / "figures" / f"{name}.png"))
    outcomes = [json.loads(p.read_text()) for p in (tmp_path / "outcome.json", tmp_path / "repeats/1/outcome.json")]
    assert outcomes[0]["error"] != outcomes[1]["error"]
    assert all(len(outcome["curve"]["leap_1"]) == 3 for outcome in outcomes)
    assert keras.saving.load_model(tmp_path / "initializations/leap_2.keras").count_params() > 100


def test_the_ablation_and_rho(tmp_path, here):
    arms = "('energy',)"
    settings = [s for s in TINY[1:] if not any(word in s for word in ("claims", "pretraining", "arms"))]
    done = run(
        "train_leap",
        f"--base_dir={tmp_path}",
        here,
        "--gin_file=gin/leap/ablation_small.gin",
        *settings,
        f"--gin_bindings=transfer.Experiment.arms = {arms}",
        "--gin_bindings=transfer.Experiment.pretraining = (2,)",
        "--gin_bindings=transfer.Experiment.seeds = 1",
        "--gin_bindings=transfer.Experiment.rates = (0.01, 0.5)",
        "--gin_bindings=transfer.Experiment.rate_steps = 2",
        "--gin_bindings=transfer.Experiment.claims = (('rho/whole_0.5', 'at_least', 'rho/whole_0.01'),)",
    )
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    assert written["claims"][0]["holds"] and drawing.caption(str(tmp_path / "figures" / "rho.png"))


@pytest.mark.slow
def test_each_task_held_out_in_turn(tmp_path, here):
    sources = {"digits": ("digits", "plain"), "inverted": ("digits", "inverted"), "turned": ("digits", "turned")}
    settings = [
        s
        for s in TINY[1:]
        if not any(word in s for word in ("claims", "pretraining", "alphabets", "evaluated", "validated", "arms"))
    ]
    done = run(
        "train_leap",
        f"--base_dir={tmp_path}",
        here,
        "--gin_file=gin/leap/multi_cv_small.gin",
        *settings,
        f"--gin_bindings=transfer.data_sets.sources = {sources}",
        "--gin_bindings=transfer.data_sets.image_size = (16, 16)",
        "--gin_bindings=transfer.Experiment.seeds = 1",
        "--gin_bindings=transfer.Experiment.arms = ('leap', 'hat', 'progressive_nets')",
        "--gin_bindings=transfer.Experiment.in_turn = ('digits', 'turned')",
        "--gin_bindings=transfer.Experiment.claims = (('error/leap_turned', 'above', 'error/leap_digits'),)",
    )
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    arms = ("leap", "hat", "progressive_nets")
    assert {f"error/{arm}_{task}" for arm in arms for task in ("digits", "turned")} <= set(written["metrics"])
    assert not any("inverted" in name for name in written["metrics"])
    assert drawing.caption(str(tmp_path / "figures" / "error_in_turn.png"))


@pytest.mark.slow
def test_an_initialisation_is_taught_by_a_gtn(tmp_path, here):
    settings = [s for s in TINY[1:] if not any(word in s for word in ("claims", "arms", "new/", "pretraining"))]
    done = run(
        "train_leap",
        f"--base_dir={tmp_path}/leap",
        here,
        "--gin_file=gin/leap/combined_pretraining.gin",
        *settings,
        "--gin_bindings=transfer.Experiment.arms = ('leap',)",
        "--gin_bindings=transfer.Experiment.claims = ()",
        "--gin_bindings=transfer.Experiment.pretraining = (2,)",
    )
    assert done.returncode == 0, done.stderr
    done = run(
        "compare_treatments",
        f"--base_dir={tmp_path}/combined",
        "--gin_file=gin/leap/combined_small.gin",
        f"--gin_bindings=NETWORK = '{tmp_path}/leap/initializations/leap_2.keras'",
        "--gin_bindings=OUTER_STEPS = 1",
        "--gin_bindings=INNER_STEPS = 2",
        "--gin_bindings=teaching.Comparison.seeds = 1",
        "--gin_bindings=teaching.Comparison.arms = ('leap_gtn', 'leap')",
        "--gin_bindings=teaching.Comparison.claims = (('leap_gtn', 'above', 'leap'),)",
        "--gin_bindings=teaching.Evaluation.test_learners = 2",
        "--gin_bindings=teaching.Evaluation.validation_learners = 2",
    )
    assert done.returncode == 0, done.stderr
    assert {"leap_gtn", "leap"} <= set(results.read(tmp_path / "combined")["metrics"])


@pytest.mark.parametrize("name", RUN_FILES)
def test_run_files_are_complete(name, here):
    offline = ["--gin_bindings=DATASET = 'glyphs'", "--gin_bindings=transfer.Experiment.pretraining = (1, 2)"]
    offline += ["--gin_bindings=transfer.Experiment.claims = ()", "--gin_bindings=transfer.Experiment.evaluated = 2"]
    offline += ["--gin_bindings=transfer.alphabets.held_out = 2"]
    offline = offline if "multi_cv" not in name else []
    if "multi_cv_paper" in name:
        offline = ["--gin_bindings=transfer.data_sets.sources = {'a': ('mnist', 'plain'), 'b': ('cifar10', 'inverted')}"]
        offline += ["--gin_bindings=transfer.data_sets.held_out = 1"]
    done = run("train_leap", f"--gin_file={name}", "--dry_run", here, *offline)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "binding, words",
    [
        ("leap/transfer.arm.method = @transfer.Lep", "did you mean 'transfer.Leap'"),
        ("transfer.MAML.manifold = @transfer.Manifold()", "unknown transfer.MAML parameter 'manifold'"),
        ("transfer.Experiment.pretraining = (1, 200)", "left to pretrain on"),
        ("transfer.Experiment.claims = (('error/leap_3', 'above', 'error/leap_2'),)", "unknown quantity"),
        ("transfer.Experiment.in_turn = ('digits',)", "not both"),
        ("transfer.Experiment.rates = (0.1, 0)", "rates must be above 0; got 0"),
        ("DATASET = 'omniglotto'", "omniglot"),
        ("DATASET = 'digits'", "data set 'digits' has no alphabets: it is 'glyphs', or one such as 'omniglot'"),
        (
            "transfer.Experiment.arms = ('maml',)\ntransfer.Experiment.claims = ()\nmaml/transfer.Inner.stop_error = 0.1",
            "transfer.Inner.stop_error has no effect on transfer.MAML",
        ),
        ("transfer.Experiment.validated = 0\ntransfer.arm.patience = 2", "has no effect on leap_1"),
        ("DATASET = 'mnist'", "not in alphabets"),
    ],
)
def test_mistakes_are_one_line(binding, words, here):
    done = run("train_leap", *TINY, here, f"--gin_bindings={binding}", "--dry_run")
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
