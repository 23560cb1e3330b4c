"""An experiment with several arms and seeds: what a seed gives does not depend on the ones before it."""

import json
import re
import shutil

import pytest

from tests import programs
from tests.programs import run
from tf_gtn.reporting import results, statistics
from tf_gtn.runtime import files, metrics

ARMS = (
    *programs.SMALL,
    "--gin_bindings=OUTER_STEPS = 4",
    "--gin_bindings=CHECKPOINT_EVERY = 2",
    "--gin_bindings=teaching.Comparison.arms = ('gtn', 'k_means', 'pes')",
    "--gin_bindings=gtn/teaching.curriculum.order = 'all_shuffled'",
    "--gin_bindings=k_means/teaching.treatment.name = 'k_means'",
    "--gin_bindings=pes/teaching.treatment.name = 'distilled'",
    "--gin_bindings=pes/teaching.outer_steps.share = 0.75",
    "--gin_bindings=pes/teaching.Training.estimator = @estimators.PES()",
    "--gin_bindings=estimators.PES.window = 1",
    "--gin_bindings=estimators.PES.pairs = 2",
    "--gin_bindings=teaching.Comparison.analyses = ('ensembles',)",
    "--gin_bindings=teaching.Comparison.claims = (('gtn', 'above', 'k_means', 'nothing'), ('gtn', 'at_least', 0.05))",
)
NO_ANALYSES = "--gin_bindings=teaching.Comparison.analyses = ()"


def outcome(folder):
    found = json.loads((folder / "outcome.json").read_text())
    return {key: found[key] for key in ("accuracy", "curve")}


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    done = run("compare_treatments", f"--base_dir={folder}", *ARMS, "--gin_bindings=teaching.Comparison.seeds = 2")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_second_seed_is_as_if_run_alone(two_seeds, tmp_path):
    """Though it took over the traces, and the variables, of the first."""
    done = run("compare_treatments", f"--base_dir={tmp_path}", *ARMS, "--seed=1", NO_ANALYSES)
    assert done.returncode == 0, done.stderr
    second = outcome(two_seeds / "repeats" / "1")
    assert second == outcome(tmp_path)
    assert second != outcome(two_seeds)
    assert (two_seeds / "repeats/1/metrics.jsonl").read_bytes() == (tmp_path / "metrics.jsonl").read_bytes()


def test_numbers_are_over_seeds(two_seeds):
    found = results.read(str(two_seeds))
    per_seed = [outcome(two_seeds)["accuracy"], outcome(two_seeds / "repeats/1")["accuracy"]]
    for arm in ("gtn", "k_means", "pes"):
        means = [sum(o[arm]) / len(o[arm]) for o in per_seed]
        assert found["metrics"][arm]["values"] == pytest.approx(means)
        assert found["metrics"][arm]["over"] == "seeds"
    for quantity, summary in [*found["metrics"].items(), *found["metrics"]["ensembles"].items()]:
        low, high = summary.get("ci95", (0, 1))
        assert 0 <= low <= high <= 1, quantity
    made = [claim["id"] for claim in found["claims"]]
    assert made == ["gtn_above_k_means", "gtn_at_least_0_05", "ensembles_gtn_above_individual"]


def test_an_arm_rests_after_its_own_last_step(two_seeds):
    rows = {row["step"]: row for row in metrics.read(str(two_seeds))}
    assert sorted(rows) == [3, 4]
    assert "pes/validation_accuracy" in rows[3] and "gtn/validation_accuracy" not in rows[3]
    assert not [key for key in rows[4] if key.startswith("pes/")] and "gtn/validation_accuracy" in rows[4]


def test_what_is_damaged_is_made_again_from_what_is_there(two_seeds, tmp_path):
    """An outcome from its checkpoints and analyses, which are not made again; metrics from an earlier checkpoint."""
    folder = tmp_path / "copy"
    shutil.copytree(two_seeds, folder)
    (folder / "outcome.json").write_bytes((two_seeds / "outcome.json").read_bytes()[:-100])
    path = str(folder / "analyses" / "ensembles.json")
    found = files.read_json(path)
    assert found == files.read_json(str(two_seeds / "outcome.json"))["analyses"]["ensembles"]
    files.write_json(path, {name: 0.125 if isinstance(value, float) else value for name, value in found.items()})
    (folder / "repeats/1/metrics.jsonl").write_bytes((two_seeds / "repeats/1/metrics.jsonl").read_bytes()[:-20])
    done = run("compare_treatments", f"--base_dir=file://{folder}", *ARMS, "--gin_bindings=teaching.Comparison.seeds = 2")
    assert done.returncode == 0, done.stderr
    assert f"{folder}/outcome.json is not valid JSON, perhaps truncated" in done.stdout
    assert f"{folder}/repeats/1/outcome.json was made with another {folder}/repeats/1/metrics.jsonl: it is" in done.stdout
    assert "metrics.jsonl is not as it was at step 4" in done.stderr and "resumed after outer step 2" in done.stdout
    assert 0.125 in json.loads((folder / "outcome.json").read_text())["analyses"]["ensembles"].values()
    for name in ("", "repeats/1"):
        assert outcome(folder / name) == outcome(two_seeds / name)
        assert (folder / name / "metrics.jsonl").read_bytes() == (two_seeds / name / "metrics.jsonl").read_bytes()


def test_a_finished_run_is_extended(tmp_path):
    """All of its seeds; what was found of them is found again."""
    folder, arguments = tmp_path / "run", [a for a in ARMS if not re.search("OUTER_STEPS|pes|PES|arms|claims", a)]
    arguments += [
        "--gin_bindings=teaching.Comparison.arms = ('gtn', 'k_means')",
        "--gin_bindings=teaching.Comparison.claims = ()",
        "--gin_bindings=teaching.Comparison.seeds = 2",
    ]
    command = ("compare_treatments", f"--base_dir={folder}", *arguments)
    assert run(*command, "--gin_bindings=OUTER_STEPS = 2").returncode == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.name in ("outcome.json", "ensembles.json")}
    assert len(before) == 4
    programs.assert_one_line(run(*command, "--gin_bindings=OUTER_STEPS = 1"), "now 1: it can be extended, not shortened")
    programs.assert_one_line(run(*command, "--gin_bindings=OUTER_STEPS = 4", "--seed=1"), "with seed = 0, now 1")
    share = "--gin_bindings=k_means/teaching.outer_steps.share = 0.5"
    programs.assert_one_line(run(*command, "--gin_bindings=OUTER_STEPS = 4", share), "without k_means/teaching.outer_steps")
    done = run(*command, "--gin_bindings=OUTER_STEPS = 4")
    assert done.returncode == 0, done.stderr
    assert f"{folder} is extended from OUTER_STEPS = 2 to 4" in done.stdout
    assert done.stdout.count("resumed after outer step 2") == 2
    assert all(path.read_bytes() != content for path, content in before.items())
    assert results.read(folder)["extended"] == {"OUTER_STEPS": [2]}
    assert results.read(folder)["metrics"]["outer_steps"] == {"gtn": 4, "k_means": 4}
    assert sorted(path.name for path in (folder / "repeats/1/export").iterdir()) == ["2", "4"]
    again = run(*command, "--gin_bindings=OUTER_STEPS = 4")
    assert again.returncode == 0 and again.stdout.count("all 4 outer steps were taken already") == 2
    assert "extended" not in again.stdout and results.read(folder)["extended"] == {"OUTER_STEPS": [2]}


def test_a_finished_seed_is_not_run_again(two_seeds):
    seconds = results.read(str(two_seeds))["wall_seconds"]
    before = [(two_seeds / name).stat().st_mtime_ns for name in ("outcome.json", "repeats/1/outcome.json", "metrics.jsonl")]
    done = run("compare_treatments", f"--base_dir={two_seeds}", *ARMS, "--gin_bindings=teaching.Comparison.seeds = 2")
    assert done.returncode == 0, done.stderr
    after = [(two_seeds / name).stat().st_mtime_ns for name in ("outcome.json", "repeats/1/outcome.json", "metrics.jsonl")]
    assert before == after and "made again" not in done.stdout
    assert results.read(str(two_seeds))["wall_seconds"] > seconds + 1  # of both, start-up included


@pytest.mark.parametrize(
    "bindings, words",
    [
        (["teaching.Comparison.arms = ('gtn', 'x y')"], ["an arm's name", "'x y'"]),
        (["teaching.Comparison.analyses = ('ensemble',)"], ["unknown analysis 'ensemble'", "ensembles"]),
        (["teaching.Comparison.claims = (('gtn', 'above'),)"], ["a claim is"]),
        (["teaching.Comparison.claims = (('gtn', 'abov', 'real'),)"], ["unknown relation 'abov'", "above"]),
        (
            [
                "teaching.Comparison.analyses = ('presentations',)",
                "teaching.Comparison.claims = (('presentations/gtn/fulll', 'above', 'real'),)",
            ],
            ["unknown quantity of a claim 'presentations/gtn/fulll'; did you mean 'presentations/gtn/full'?"],
        ),
        (
            ["teaching.Comparison.arms = ('gtn', 'distiled')", "teaching.Comparison.claims = ()"],
            ["the arm 'distiled' has no settings of its own; did you mean 'distilled'?"],
        ),
        (["teaching.Comparison.arms = ()"], ["arms", "at least one"]),
        (["teaching.Comparison.claims = (('gtn', 'above', 'real'), ('gtn', 'above', 'real', 'x'))"], ["twice"]),
        (["teaching.Comparison.analyses = ('held_out', 'held_out')"], ["twice"]),
        (["teaching.Evaluation.held_out = ()"], ["held_out is empty"]),
        (["teaching.Training.inner_optimizer = @optimizers.SGD"], ["@optimizers.SGD()"]),
        (["teaching.Training.estimator = @estimators.ES"], ["@estimators.Full()"]),
        (["teaching.Training.beta_1 = 1.5"], ["beta_1", "1.5"]),
        (["real/teaching.outer_steps.share = 1e400"], ["share"]),
        (["teaching.gtn.generator = @generators.xy", "teaching.curriculum.labels = 'learned'"], ["own labels"]),
        (["distiled/teaching.treatment.name = 'distilled'"], ["unknown scope 'distiled'", "distilled"]),
        (["teaching.treatment.name = 'distiled'"], ["unknown treatment 'distiled'", "distilled"]),
        (["teaching.learners.distribution = @models.Given", "models.Given.network = 'mlpp'"], ["unknown learner 'mlpp'"]),
        (["teaching.Training.estimator = @estimators.PES()", "models.Population.splits = 2"], ["pes", "one template"]),
    ],
)
def test_mistakes_end_in_one_line_before_the_first_step(tmp_path, bindings, words):
    arguments = [f"--gin_bindings={b}" for b in bindings]
    done = run("compare_treatments", f"--base_dir={tmp_path}", "--gin_file=gin/teaching/digits.gin", *arguments)
    programs.assert_one_line(done, *words)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_summary_of_a_number_a_seed():
    assert statistics.summary([0.1, 0.3])["mean"] == pytest.approx(0.2)
