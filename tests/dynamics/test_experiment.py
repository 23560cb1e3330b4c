"""`run_dynamics`, small."""

import json
import types

import numpy as np
import pytest

from tests import programs
from tests.programs import run
from tf_gtn.core import Adam
from tf_gtn.dynamics import figures, problems
from tf_gtn.dynamics import lstm_parts as meta_learners
from tf_gtn.dynamics import parts as dynamics
from tf_gtn.reporting import drawing, results

LINEAR = [
    *(
        "--gin_file=gin/dynamics/linear_small.gin",
        "--gin_bindings=RUNS = 2",
        "--gin_bindings=UPDATES = 4",
        "--gin_bindings=INSTANCES = 2",
    ),
    *[
        f"--gin_bindings={name}/dynamics.Learner.steps = 20"
        for name in ("learner", "learner_5d", "learner_relu", "learner_adam")
    ],
    *[
        f"--gin_bindings={name}/dynamics.Learner.checks = 4"
        for name in ("learner", "learner_5d", "learner_relu", "learner_adam")
    ],
    "--gin_bindings=dynamics.LSTM.units = 4",
    "--gin_bindings=dynamics.MetaLearner.batch_size = 6",
    "--gin_bindings=dynamics.MetaLearner.length = 3",
    "--gin_bindings=dynamics.MetaLearner.stages = 2",
    "--gin_bindings=dynamics.MetaLearner.episodes = 8",
    "--gin_bindings=lstm_learner/dynamics.MetaLearner.stages = 2",
    "--gin_bindings=lstm_learner/dynamics.MetaLearner.updates = 4",
    "--gin_bindings=lstm_learner/dynamics.MetaLearner.batch_size = 6",
    "--gin_bindings=dynamics.Bayes.episodes = 4",
    "--gin_bindings=dynamics.Taught.tasks = 1",
    "--gin_bindings=dynamics.Taught.outer_steps = 2",
    "--gin_bindings=dynamics.Taught.learners = 2",
]


def test_everything_is_there_and_what_is_done_stays(tmp_path):
    done = run("run_dynamics", f"--base_dir={tmp_path}", *LINEAR)
    assert done.returncode == 0, done.stderr
    contents = results.read(tmp_path)
    assert contents["system"] == "dynamics" and len(contents["claims"]) == 6
    parts = [path.stem for path in tmp_path.glob("parts/*.json")]
    assert len(parts) == 12
    for name in parts:
        assert drawing.caption(str(tmp_path / "figures" / f"{name}.png"))
    assert "The paper: figure 1, 9 times" in drawing.caption(str(tmp_path / "figures/learner.png"))
    assert contents["metrics"]["bayes"]["ratio"] < 1.4 and contents["metrics"]["meta_learner"]["labels"] == [
        "s = 2.5",
        "s = 0.05",
    ]
    table = json.loads((tmp_path / "parts/meta_learner.json").read_text())
    assert len(table["stages"]["q"]) == 2 and len(table["q"]) == 3
    figure_names = {path.stem for path in tmp_path.glob("figures/*.png")}
    assert {
        "learner_by_value",
        "learner_by_loss",
        "meta_learner_by_value",
        "meta_learner_prior",
        "meta_learner_by_loss",
    } <= figure_names
    assert len(table["loss"]) == 3 and len(table["values"]["s"]) == len(table["values"]["q"][0]) == len(
        table["values"]["beyond"]
    )
    assert table["values"]["prior"]["percentile"] == pytest.approx(2.66, abs=0.04)  # of 2x2 matrices, section 3.2.1
    said = {"bayes": dynamics.Bayes.numbers, "taught": dynamics.Taught.numbers}
    said["learner"] = dynamics.Learner.numbers.fget(types.SimpleNamespace(paper_steps=1))
    for name, fixed in (("meta_learner", False), ("lstm_learner", True)):
        said[name] = meta_learners.MetaLearner.numbers.fget(types.SimpleNamespace(fixed_task=fixed))
    for name, numbers in said.items():
        assert set(json.loads((tmp_path / f"parts/{name}.json").read_text())["numbers"]) == set(numbers)
    before = {name: (tmp_path / f"parts/{name}.json").read_text() for name in parts}
    (tmp_path / "parts/learner_5d.json").unlink()
    done = run("run_dynamics", f"--base_dir={tmp_path}", *LINEAR)
    assert done.returncode == 0 and "learner_5d (2 of 12)" in done.stdout and "bayes (" not in done.stdout, done.stdout
    assert {name: (tmp_path / f"parts/{name}.json").read_text() for name in parts} == before


def test_bandits(tmp_path):
    small = (
        "SWEEP_STEPS = 20",
        "UPDATES = 2",
        "INSTANCES = 1",
        "dynamics.BanditLearner.runs = 2",
        "learner/dynamics.BanditLearner.steps = 20",
        "learner_separate/dynamics.BanditLearner.steps = 20",
        "dynamics.LSTM.units = 4",
        "dynamics.BanditMetaLearner.batch_size = 4",
        "dynamics.BanditMetaLearner.length = 4",
        "dynamics.BanditMetaLearner.stages = 1",
        "dynamics.BanditMetaLearner.episodes = 4",
    )
    bindings = [f"--gin_bindings={binding}" for binding in small]
    done = run("run_dynamics", f"--base_dir={tmp_path}", "--gin_file=gin/dynamics/bandit_small.gin", *bindings)
    assert done.returncode == 0, done.stderr
    table = results.read(tmp_path)["metrics"]["sweep"]["table"]
    assert [(row["deviation"], row["batch_size"]) for row in table][:2] == [(0.4472, 0), (0.4472, 200)] and len(table) == 12


@pytest.mark.parametrize("name", programs.undocumented("dynamics"))
def test_run_files_are_complete(name):
    done = run("run_dynamics", f"--gin_file={name}", "--dry_run")
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "binding, words",
    [
        ("dynamics.Experiment.claims = (('learner/rato', 'at_most', 1),)", ["learner/rato", "'learner/ratio'"]),
        ("dynamics.Experiment.claims = (('learner/ratio', 'between', 1),)", ["between", "a number and a number"]),
        ("dynamics.Experiment.claims = (('learner/ratio', 'atmost', 1),)", ["at_most"]),
        ("two/dynamics.Linear.spectrum = (1.0,)", ["spectrum"]),
        ("dynamics.Learner.batch_size = 0", ["at least 1"]),
        ("dynamics.MetaLearner.lenght = 3", ["length"]),
        ("dynamics.Experiment.paper = {'lerner': 'figure 1'}", ["lerner", "learner"]),
        ("learner/dynamics.Learner.values = @five/dynamics.Linear()", ["values", "size"]),
        ("learner/dynamics.perceptron.units = (3,)", ["does nothing", "learner/perceptron.units"]),
        ("meta_learner/dynamics.LSTM.units = 5", ["does nothing", "meta_learner/LSTM.units"]),
        ("dynamics.MetaLearner.network = @dynamics.perceptron", ["LSTM", "Sequential"]),
        ("meta_learner/dynamics.MetaLearner.trained_on = @five/dynamics.Linear()", ["trained_on", "size"]),
        ("more/dynamics.Linear.uniform = (6.0, 0.05)", ["uniform"]),
        ("many/dynamics.Linear.noise = 5.0", ["values", "noise"]),
        ("dynamics.MetaLearner.final_rate = -1.0", ["final_rate"]),
        ("dynamics.LSTM.memory = 0.5", ["memory must be above 1"]),
        ("dynamics.perceptron.units = 3", ["units", "3"]),
    ],
)
def test_mistakes_are_one_line(binding, words):
    done = run("run_dynamics", "--gin_file=gin/dynamics/linear_small.gin", f"--gin_bindings={binding}", "--dry_run")
    programs.assert_one_line(done, *words)


@pytest.mark.parametrize(
    "numbers, words",
    [
        ({"ratio": 7.96, "ratio_low": 5.67, "ratio_high": 9.47}, "takes 7.96 times as long as the first (5.67 to 9.47)."),
        ({"ratio": 7.96, "ratio_low": 5.67, "ratio_high": None}, "(5.67 to never)."),
        ({"ratio": 1.17, "ratio_low": None, "ratio_high": None}, "takes 1.17 times as long as the first."),
        ({"ratio": None}, "The first or the last part is not reached in half"),
    ],
)
def test_a_ratio_in_words(numbers, words):
    assert words in figures.ratio_in_words(numbers)


def test_what_diverged_is_left_out_of_a_figure(tmp_path):
    curves = {
        "steps": [0, 1, 2],
        "labels": ["a", "b"],
        "q": [[0.0, 0.1], [0.5, 0.2], [None, None]],
        "to": {"0.8": [None, None]},
    }
    curves |= {"low": curves["q"], "high": curves["q"], "numbers": {"ratio": None}}
    for name, loss in (("learner", [2.0, 1.0, None]), ("lost", [None] * 3)):
        figures.part(str(tmp_path), name, {**curves, "loss": loss})
    assert {path.stem for path in tmp_path.glob("figures/*")} == {"learner", "learner_by_loss", "lost"}


def test_a_meta_learner_is_looked_at_on_what_it_was_not_trained_on(tmp_path):
    """Of a narrower band: its own targets have nothing at the first frequency, and q there would be infinite."""
    narrow = problems.Fourier(amplitudes=(0.0, 0.0, 1.0, 1.0, 1.0))
    settings = {"instances": 1, "updates": 4, "batch_size": 6, "length": 3, "episodes": 8, "stages": 2}
    part = meta_learners.MetaLearner(problem=problems.Fourier(), optimizer=Adam(1e-3), trained_on=narrow, **settings)
    assert np.abs(part.measure(0, str(tmp_path))["q"]).max() < 1
