"""tune_gtn: trials that no kill repeats and further processes share, mistakes in one line, and what is said of the numbers."""

import contextlib
import dataclasses
import gc
import importlib.util
import json
import os
import pathlib
import signal
import sqlite3
import tempfile

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests import programs
from tests.programs import Program, assert_one_line, run
from tf_gtn import data, errors
from tf_gtn.config import gin_config
from tf_gtn.reporting import results, statistics
from tf_gtn.teaching import gin_names, plots, studies, trials, tuning

# Two arms on problems as small as can be: distilled pixels teach little networks.
RUN_FILE = """
include 'gin/teaching/parts/small.gin'
OUTER_STEPS = 3
INNER_STEPS = 2
INNER_BATCH = 10
OUTER_BATCH = 8
models.Population.families = {'mlp': {'units': ((4, 8), (4, 8))}}
teaching.Evaluation.validation_learners = 2
teaching.treatment.name = 'distilled'
plain/models.Population.weight_norm = False
teaching.Tuning.arms = ('weight_norm', 'plain')
teaching.Tuning.trials = 2
teaching.Tuning.sampler = 'random'
teaching.Tuning.claims = (('weight_norm', 'below', 'plain', 'figure 1b'),)
teaching.Tuning.space = {'teaching.Training.learning_rate': (0.001, 0.3, 'log'), 'optimizers.SGD.momentum': (0.0, 0.9)}
"""
_folder = tempfile.TemporaryDirectory()
GIN_FILE = os.path.join(_folder.name, "tuning.gin")
pathlib.Path(GIN_FILE).write_text(RUN_FILE)


@pytest.fixture(autouse=True)
def empty_config():
    gin.clear_config()
    yield
    gin.clear_config()


def arguments(base_dir, *more):
    return ("tune_gtn", f"--base_dir={base_dir}", f"--gin_file={GIN_FILE}", *more)


def trials_of(base_dir):
    """`{(arm, slot): (parameters, loss)}` of metrics.jsonl."""
    by_slot = {}
    for line in (base_dir / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for arm in ("weight_norm", "plain"):
            of_arm = {key.removeprefix(f"{arm}/"): value for key, value in row.items() if key.startswith(f"{arm}/")}
            of_arm.pop("seconds")
            by_slot[arm, row["step"]] = of_arm
    return by_slot


def states(base_dir):
    """Optuna's states of all trials, in the order in which they were begun."""
    if not os.path.exists(f"{base_dir}/tuning.db"):
        return []
    with sqlite3.connect(f"file:{base_dir}/tuning.db?mode=ro", uri=True, timeout=60) as connection:
        try:
            return [state for (state,) in connection.execute("select state from trials order by trial_id")]
        except sqlite3.OperationalError:  # no tables yet
            return []


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run, and what it printed."""
    base_dir = tmp_path_factory.mktemp("finished")
    done = run(*arguments(base_dir))
    assert done.returncode == 0, done.stderr
    return base_dir, done.stdout


def test_what_a_run_leaves(finished):
    base_dir, printed = finished
    written = results.read(str(base_dir))
    assert (written["system"], written["name"]) == ("teaching", "tune_gtn")
    for arm in ("weight_norm", "plain"):
        metrics = written["metrics"][arm]
        assert len(metrics["values"]) == 2 and metrics["best"] == min(metrics["values"])
        assert metrics["median"] == np.median(metrics["values"])
        best = trials_of(base_dir)[arm, metrics["best_trial"]]
        for name, value in metrics["best_parameters"].items():
            assert f"{name} = {value!r}" in printed
            assert best[name] == pytest.approx(value, rel=1e-7)
    assert [claim["id"] for claim in written["claims"]] == ["weight_norm_below_plain"]
    assert (base_dir / "figures/final_loss.png").exists() and (base_dir / "report.html").exists()
    assert states(base_dir) == ["COMPLETE"] * 4
    assert "learning_rate = 0.02" in (base_dir / "config.gin").read_text()  # no trial's value


def test_the_arms_differ(finished):
    by_slot = trials_of(finished[0])
    assert all(by_slot["weight_norm", n]["loss"] != by_slot["plain", n]["loss"] for n in (1, 2))
    assert len({str(row) for row in by_slot.values()}) == 4


def test_killed_it_repeats_no_finished_trial_and_ends_with_the_same(finished, tmp_path):
    program = Program(*arguments(tmp_path))
    programs.wait_for(lambda: states(tmp_path)[1:2] == ["RUNNING"])
    program.send(signal.SIGKILL)
    program.done()
    program = Program(*arguments(tmp_path))
    programs.wait_for(lambda: states(tmp_path)[3:4] == ["RUNNING"])
    program.send(signal.SIGTERM)
    done = program.done()
    assert done.returncode == 128 + signal.SIGTERM and "trials are finished: the same command goes on" in done.stderr
    done = run(*arguments(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "of 4 trials are finished" in done.stdout
    assert trials_of(tmp_path) == trials_of(finished[0])
    assert states(tmp_path).count("COMPLETE") == 4 and "RUNNING" not in states(tmp_path)


def test_two_processes_share_the_trials(finished, tmp_path):
    first = Program(*arguments(tmp_path))
    programs.wait_for(lambda: states(tmp_path))
    second = Program(*arguments(tmp_path, "--join"))
    first, second = first.done(), second.done()
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0 and "of 4 are finished" in second.stdout, second.stderr
    assert states(tmp_path) == ["COMPLETE"] * 4
    assert trials_of(tmp_path) == trials_of(finished[0])


def test_joining_needs_the_same_run(finished, tmp_path):
    base_dir, _ = finished
    assert_one_line(run(*arguments(tmp_path, "--join")), "no run", str(tmp_path))
    config = (base_dir / "config.gin").read_bytes()
    assert_one_line(run(*arguments(base_dir, "--join", "--gin_bindings=OUTER_STEPS = 4")), "OUTER_STEPS")
    assert (base_dir / "config.gin").read_bytes() == config


MISTAKES = {
    "unknown parameter": (["teaching.Tuning.space = {'teaching.Training.learning_rat': (0.1, 1.0)}"], ["'learning_rate'"]),
    "unknown configurable": (["teaching.Tuning.space = {'teaching.Trainin.loss': (0.1, 1.0)}"], ["teaching.Training"]),
    "without effect": (["teaching.Tuning.space = {'optimizers.Adam.learning_rate': (0.1, 1.0)}"], ["does nothing", "Adam"]),
    "range": (["teaching.Tuning.space = {'optimizers.SGD.momentum': (0.5, 1.5)}"], ["momentum starts at 1.5"]),
    "type": (["teaching.Tuning.space = {'teaching.Training.outer_batch': (0.5, 1.5)}"], ["outer_batch", "an int"]),
    "bound elsewhere": (["teaching.Training.learning_rate = 0.1"], ["does nothing", "learning_rate"]),
    "trials": (["teaching.Tuning.trials = 0"], ["trials must be at least 1; got 0"]),
    "sampler": (["teaching.Tuning.sampler = 'gpp'"], ["'gpp'", "'gp'"]),
    "claim": (["teaching.Tuning.claims = (('weight_nrm', 'below', 'plain'),)"], ["weight_nrm", "'weight_norm'"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path):
    bindings, words = MISTAKES[mistake]
    assert_one_line(run(*arguments(tmp_path, *[f"--gin_bindings={b}" for b in bindings])), *words)
    assert not (tmp_path / "config.gin").exists()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ((1.0,), "is (low, high)"),
        ((1.0, 2.0, "lag"), "'log'"),
        ((2.0, 1.0), "empty: 2.0 to 1.0"),
        ((0.0, 1.0, "log"), "starts above 0"),
        (("a", "b"), "is (low, high)"),
    ],
)
def test_a_wrong_range(entry, words):
    with pytest.raises(errors.UserError) as caught:
        studies.check_range("x", entry)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_installed(monkeypatch):
    missing = {"torch"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())
    studies.check_sampler("tpe")
    with pytest.raises(errors.UserError, match=r"pip install torch.*'tpe' or 'random'"):
        studies.check_sampler("gp")
    missing.add("optuna")
    with pytest.raises(errors.UserError, match="pip install"):
        studies.check_sampler("random")


class Run:
    """What arms are built by."""

    scope = staticmethod(gin.config_scope)
    bound = staticmethod(gin_config.bound)


def configured(dataset=None):
    gin_config.parse([GIN_FILE])
    dataset = tuning.without_test(data.load("digits")) if dataset is None else dataset
    return gin_names.Tuning().given(Run, dataset, gin_names.Evaluation(), gin_names.make)


def trial(settings, point, seed=3):
    with gin_config.bound("plain", point):
        return trials.trial(settings.made("plain", seed), 2, settings.diverged_above)


def test_no_trial_sees_the_test_split():
    """It is taken out, and a poisoned one changes nothing."""
    digits = data.load("digits")
    poisoned = dataclasses.replace(digits, test=data.Split(16 - digits.test.images, (9 - digits.test.labels).astype(np.int32)))
    assert not len(tuning.without_test(digits).test)
    point = {"teaching.Training.learning_rate": 0.02, "optimizers.SGD.momentum": 0.5}
    outcomes = [trial(configured(d), point) for d in (tuning.without_test(digits), poisoned)]
    assert outcomes[0] == outcomes[1] and np.isfinite(outcomes[0].loss)


def test_a_diverged_trial_is_infinite():
    """Not finite for long, or far above chance."""
    settings = configured()
    for rate, steps in ((1e30, 3), (1e38, 30)):
        point = {"teaching.Training.learning_rate": rate, "teaching.Training.outer_steps": steps}
        outcome = trial(settings, point)
        assert (outcome.loss, outcome.accuracy) == (np.inf, 0)
    assert outcome.skipped >= 20 and outcome.steps == 30


def test_a_trial_leaves_no_graph_in_memory():
    settings = configured()

    def graphs():
        gc.collect()
        return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())

    counts = []
    for seed in range(2):
        with trials.traces_forgotten():
            trial(settings, {"teaching.Training.learning_rate": 0.02}, seed)
        counts.append(graphs())
    assert counts[0] == counts[1]


def test_bindings_of_a_trial_leave_no_trace():
    settings = configured()
    before = gin_config.config_str()
    with gin_config.bound("plain", {"teaching.Training.beta_1": 0.25, "estimators.ESBackprop.pairs": 3}) as unused:
        training = settings.made("plain", 0)
        assert unused() == ["estimators.ESBackprop.pairs"]
        assert training._update._optimizer.beta_1 == 0.25
        assert settings.made("weight_norm", 0)._update._optimizer.beta_1 == 0.9
    assert gin_config.config_str() == before
    assert settings.made("plain", 0)._update._optimizer.beta_1 == 0.9
    assert "beta_1 = 0.25" not in gin_config.operative_config_str()


@pytest.mark.parametrize("sampler", studies.SAMPLERS)
def test_a_resumed_study_draws_as_an_uninterrupted_one(sampler, tmp_path):
    """12 slots, so that the Gaussian process has its turn after 10 random ones; broken off in 2 of them."""
    if sampler == "gp":
        pytest.importorskip("torch")
    space = {"x": (1e-3, 1.0, "log"), "y": (0.0, 1.0), "n": (1, 9)}
    draws = []
    for folder, breaks in (("a", ()), ("b", (4, 11))):
        (tmp_path / folder).mkdir()
        draws.append([])
        left = list(breaks)
        while True:
            with studies.Studies(str(tmp_path / folder), ["arm"], 12, space, sampler) as shared:
                while (claim := shared.claim()) is not None:
                    if claim.slot in left:
                        left.remove(claim.slot)
                        break  # as a kill would: the trial stays RUNNING, its process' sign of life ends
                    loss = (np.log(claim.parameters["x"]) + 3) ** 2 + claim.parameters["y"]
                    shared.finish(claim, np.inf if claim.slot == 2 else loss)
                    draws[-1].append((claim.slot, claim.parameters))
                else:
                    assert len(shared.finished()["arm"]) == 12 and shared.finished()["arm"][2].value == np.inf
                    break
    assert draws[0] == draws[1] and [slot for slot, _ in draws[0]] == list(range(12))
    assert all(isinstance(parameters["n"], int) for _, parameters in draws[0])


def test_two_claims_are_of_two_slots(tmp_path):
    options = (str(tmp_path), ["a", "b"], 2, {"x": (0.0, 1.0)}, "random")
    with studies.Studies(*options) as one, studies.Studies(*options) as other:
        claims = [shared.claim() for shared in (one, other, one, other)]
        assert [(c.slot, c.name) for c in claims] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
        assert one.claim() is None and other.claim() is None
        one.give_back(claims[2])
        assert other.claim()[:3] == claims[2][:3]


def test_a_broken_storage_is_one_line(tmp_path):
    (tmp_path / "tuning.db").write_bytes(b"not a data base" * 100)
    with pytest.raises(errors.UserError, match=r"tuning\.db can't be used \(.*\): put it back, or remove it") as caught:
        studies.Studies(str(tmp_path), ["a"], 2, {"x": (0.0, 1.0)}, "random")
    assert "\n" not in str(caught.value)


def test_a_changed_storage_is_seen_and_a_lost_one_is_made_again(tmp_path, capsys):
    options = (str(tmp_path), ["a"], 2, {"x": (0.0, 1.0)}, "random")

    def parameters():
        with studies.Studies(*options) as shared:
            while (claim := shared.claim()) is not None:
                shared.finish(claim, claim.slot + 0.5, seconds=1.0)
            return [(slot, trial.params) for slot, trial in shared.finished()["a"].items()]

    first, path = parameters(), tmp_path / "tuning.db"
    whole = path.read_bytes()
    path.write_bytes(b"")
    assert parameters() == first and "tuning.db holds no trials: they are made again" in capsys.readouterr().out
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.UserError, match="can't be used"):
        parameters()
    path.write_bytes(whole)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update trial_values set value = 0.25 where value = 1.5")
    with pytest.raises(errors.UserError, match="was changed after it was written: trial 1 of a is another"):
        parameters()


def test_quartiles_with_infinity():
    values = [3.0, 1.0, 2.0, 5.0, 4.0]
    assert statistics.quartiles(values) == tuple(np.quantile(values, (0.25, 0.5, 0.75)))
    assert statistics.quartiles([1.0, 2.0, 3.0, np.inf]) == (1.75, 2.5, np.inf)
    assert statistics.quartiles([np.inf] * 3) == (np.inf,) * 3


def test_numbers_of_a_box():
    assert plots.box([1.0, 2, 3, 4, 100]) == {"q1": 2, "med": 3, "q3": 4, "whislo": 1, "whishi": 4}
    box = plots.box([1.0, 2.0, np.inf, np.inf, np.inf])
    assert (box["q1"], box["med"], box["whislo"]) == (2, np.inf, 1)


@pytest.mark.parametrize(
    "groups",
    [
        {"a": [1.0, 2.0, np.nan], "b": [3.0, 500.0]},
        {"a": [np.inf] * 3, "b": [1.0]},
        {"a": [2.0]},
        {"a": [np.inf, np.nan]},
    ],
)
def test_boxes_are_drawn(groups, tmp_path):
    path = plots.boxes(str(tmp_path / "x.png"), groups)
    assert os.path.getsize(path) > 3000


@pytest.mark.slow
def test_two_searches(tmp_path):
    """The second is what a run with its seed alone would be."""
    short = ("--gin_bindings=teaching.Tuning.trials = 1",)
    done = run(*arguments(tmp_path / "both", *short, "--gin_bindings=teaching.Tuning.seeds = 2"))
    assert done.returncode == 0, done.stderr
    done = run(*arguments(tmp_path / "second", *short, "--seed=1"))
    assert done.returncode == 0, done.stderr
    assert trials_of(tmp_path / "both" / "repeats" / "1") == trials_of(tmp_path / "second")
    written = results.read(str(tmp_path / "both"))
    assert len(written["metrics"]["plain"]["values"]) == 2 and "2 searches" in written["claims"][0]["statement"]
