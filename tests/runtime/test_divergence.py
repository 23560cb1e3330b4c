"""After an arm diverged: what each system concludes from outcomes that have nothing of it."""

import contextlib
import json
import pathlib
import types

import numpy as np
import pytest

from tf_gtn import data, errors
from tf_gtn.data import mixtures
from tf_gtn.dynamics import experiment as dynamics
from tf_gtn.dynamics import part
from tf_gtn.experiment import analyses, concluding, experiment
from tf_gtn.gan import experiment as gan
from tf_gtn.gan import judges
from tf_gtn.nas import evaluation, plain, records, search
from tf_gtn.nas import experiment as nas
from tf_gtn.reporting import results
from tf_gtn.rl import experiment as rl
from tf_gtn.rl import leap_experiment as leap
from tf_gtn.rl import training
from tf_gtn.runtime import loop, replicas
from tf_gtn.teaching import analyses as _analyses  # noqa: F401 - registers them
from tf_gtn.teaching import experiment as teaching
from tf_gtn.transfer import experiment as transfer


@pytest.fixture
def run(tmp_path):
    return types.SimpleNamespace(
        base_dir=str(tmp_path),
        seed=0,
        among=replicas.ALONE,
        seconds=lambda: 1.0,
        ready=lambda allowed: True,
        scope=lambda name: contextlib.nullcontext(),
        check_arms_differ=lambda arms: None,
        configuration=str,
        schedule=loop.Schedule,
    )


def write_rows(run, rows, folder="."):
    path = pathlib.Path(run.base_dir, folder)
    path.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"step": step, **row}) for step, row in enumerate(rows, 1)]
    (path / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))


def check(run, healthy, diverged, lacking):
    """The healthy quantities are there, the diverged ones null, and so is what is claimed of them."""
    found = results.read(run.base_dir)
    for name in healthy:
        assert None not in found["metrics"][name]["values"], name
    for name in diverged:
        assert None in found["metrics"][name]["values"], name
    assert found["claims"], "nothing is tested"
    for claim in found["claims"]:
        lost = any(word in claim["id"] for word in lacking)
        assert (claim["measured"] is None) == lost and not (lost and claim["holds"]), claim
    return found


def emptied(value):
    """An outcome of a seed in which everything diverged, from one of an arm that did."""
    return {key: emptied(each) for key, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("seeds", [1, 2])
def test_teaching(run, seeds):
    for where in (".", "repeats/1"):
        row = {"gtn/validation_accuracy": 0.5, "gtn/validation_low": 0.4, "gtn/validation_high": 0.6}
        write_rows(run, [row, row], where)

    def outcome(diverged):
        ensembles = {"ensemble": 0.6, "individual": [0.5, 0.55], "disagreement": 0.1, "by_size": [[1, 2], [0.5, 0.6]]}
        arms = ("gtn", "xy")
        return {
            "accuracy": {arm: [0.5, 0.6, 0.55] for arm in arms},
            "curve": {arm: [[0.1, 0.5], [0.1, 0.6]] for arm in arms},
            "seconds_per_step": {"gtn": 1.0, "xy": None},
            "outer_steps": dict.fromkeys(arms, 3),
            "diverged": diverged,
            "analyses": {
                "ensembles": {f"{arm}/{key}": value for arm in arms for key, value in ensembles.items()},
                "crossed": {f"{one}/{two}": [0.5, 0.6] for one in arms for two in arms},
                "held_out": dict.fromkeys(("mlp/gtn", "mlp/real"))
                if diverged
                else {"mlp/gtn": [0.5, 0.4], "mlp/real": [0.3, 0.2]},
            },
        }

    made = teaching.Comparison(
        arms=("gtn", "xy"),
        seeds=seeds,
        analyses=("ensembles", "crossed", "held_out"),
        claims=(("gtn", "above", "xy"), ("gtn", "at_least", 0.5), ("crossed/xy/gtn", "above", "crossed/gtn/gtn")),
    )
    concluding.conclude(run, "compare_treatments", made, [outcome(["xy"]), outcome([])][:seeds])
    found = check(run, ["gtn"], ["xy"], ("xy", "held_out"))
    assert found["metrics"]["diverged"] == {"gtn": 0, "xy": 1}
    if seeds == 2:  # in one of them everything
        concluding.conclude(run, "compare_treatments", made, [outcome(["gtn", "xy"]), outcome([])])
        check(run, [], ["gtn", "xy"], ("gtn", "xy", "held_out"))
        return
    assert (
        found["metrics"]["crossed"]["gtn/xy"]["values"][0] is found["metrics"]["ensembles"]["xy/ensemble"]["values"][0] is None
    )


def test_gan(run):
    learned = mixtures.ring()
    judge = judges.of(learned)
    write_rows(run, [{f"k10/{key}_{n}": 1.0 for key in judge.keys for n in (0, 1)} | {"k10/samples": "k10-000002.npy"}] * 2)
    samples = pathlib.Path(run.base_dir, "samples")
    samples.mkdir()
    np.save(f"{samples}/k10-000002.npy", np.zeros([30, 2], np.float32))
    outcome = {
        "measures": {
            "k0": {key: [None, None] for key in judge.keys},
            "k10": {key: [1.0, None] for key in judge.keys},
        },
        "seconds_per_iteration": {"k0": None, "k10": 1.0},
        "iterations": {"k0": 4, "k10": 4},
        "analyses": {"distances": {"data_median": 1.0, "edges": [0, 1, 2], "data": [0.5, 0.5]}},
    }
    outcome["analyses"]["distances"] |= {"k10_median": 1.0, "k10": [0.5, 0.5], "k10_off_median": 0.0}
    made = gan.GANs(
        arms=("k0", "k10"),
        analyses=("distances",),
        claims=(
            ("k0/modes", "above", "k10/modes"),
            ("distances/k0_off_median", "at_least", 1),
            ("distances/k10_median", "at_least", 1),
        ),
        settled=1,
        at_most={"k0": 2, "k10": 2},
        all_modes=("k10",),
    )
    made.given(learned, None, None).begin()
    arms = dict.fromkeys(made.arms, types.SimpleNamespace(count=2))
    expected = dict.fromkeys(f"distances/{name}" for name in analyses.REGISTRY["distances"].sizes(arms, None))
    concluding.conclude(run, "train_unrolled_gan", made, [outcome], expected)
    found = results.read(run.base_dir)
    assert found["metrics"]["k0"]["modes"]["values"] == [None, None] and found["metrics"]["k10"]["modes"]["values"] == [
        1.0,
        None,
    ]
    measured = {claim["id"]: claim["measured"] for claim in found["claims"]}
    assert measured == {
        "k0_at_most_2": None,
        "k10_at_most_2": 1,
        "k10_all_modes": 0,
        "k0_modes_above_k10_modes": None,
        "distances_k0_off_median_at_least_1": None,
        "distances_k10_median_at_least_1": 0.0,  # above the number
    }
    write_rows(run, [{f"k10/{key}_0": 1.0 for key in judge.keys}], "repeats/1")
    nothing = {name: {key: [None] for key in judge.keys} for name in ("k0", "k10")}
    seeds = [{**outcome, "measures": nothing, "analyses": {"distances": {}}}, {**outcome, "measures": nothing}]
    seeds[1]["measures"] = {**nothing, "k10": {key: [1.0] for key in judge.keys}}
    concluding.conclude(run, "train_unrolled_gan", made, seeds, expected)
    found = results.read(run.base_dir)
    assert found["metrics"]["k10"]["modes"]["values"] == [None, 1.0]
    assert found["metrics"]["distances"]["k10_median"]["values"] == [None, 1.0]


def test_rl(run):
    """The diverged arm's validations without environment steps are those of earlier versions."""
    write_rows(
        run, [{"a2c/validation_return": 9.0, "a2c/environment_steps": 80 * k, "gtn/validation_return": 8.0} for k in (1, 2)]
    )
    outcome = {
        "return": {"gtn": None, "a2c": [9.0, 10.0]},
        "seconds_per_step": {"gtn": None, "a2c": 1.0},
        "outer_steps": {"gtn": 30, "a2c": 2},
        "environment_steps": {"gtn": 0, "a2c": 160},
        "architectures": {"small": None},
        "steps": {"1": None},
        "steps_to_solve": {"gtn": None, "a2c": None},
    }
    specs = (("gtn", "at_least", 190), ("a2c", "at_least", 5), ("steps_to_solve/a2c", "at_least", "steps_to_solve/gtn"))

    def agents(seeds):
        made = rl.Agents(arms=("gtn", "a2c"), seeds=seeds, claims=specs)
        made.given(rl.Evaluation(solved=9), None, lambda arms: (0.0, 200.0)).check({"a2c": object.__new__(training.Agent)})
        return made

    concluding.conclude(run, "train_cartpole_gtn", agents(1), [outcome])
    lacking = ["gtn", "architectures/small", "steps/1", "steps_to_solve/gtn"]
    check(run, ["a2c"], lacking, ("gtn",))
    write_rows(run, [{"a2c/validation_return": 9.0, "a2c/environment_steps": 80}], "repeats/1")
    concluding.conclude(run, "train_cartpole_gtn", agents(2), [emptied(outcome), outcome])
    check(run, [], ["a2c", *lacking], ("gtn", "a2c"))


def test_what_diverged_is_no_mean_return():
    means = {"gtn": [9.0, float("nan")], "a2c": [9.0, 10.0]}
    summaries = {name: {"mean": np.mean(values), "values": values, "over": "seeds"} for name, values in means.items()}
    said = rl.Agents(arms=("gtn", "a2c")).in_words(summaries)
    assert said == ["gtn: diverged in 1 of 2 seeds", "a2c: mean return 9.5 over 2 seeds"]


def test_games(run):
    for arm, rows in (
        ("leap", []),
        ("no_pretraining", [{"pong_no_pretraining/return": 1.0, "pong_no_pretraining/environment_steps": 9}]),
    ):
        write_rows(run, rows, f"held_out/pong_{arm}")
    specs = (("return/pong_leap", "above", "return/pong_no_pretraining"), ("learning/pong_no_pretraining", "at_least", 1))
    outcome = {
        "return": {"pong_leap": None, "pong_no_pretraining": [1.0, 2.0]},
        "learning": {"pong_leap": None, "pong_no_pretraining": 1.0},
        "outer_steps": 2,
        "environment_steps": 20,
    }
    made = leap.Leap(outer_steps=1, updates=1, learning=1, held_out=("pong",), claims=specs)
    concluding.conclude(run, "train_leap", made, [outcome])
    check(run, ["return/pong_no_pretraining"], ["return/pong_leap", "learning/pong_leap"], ("pong_leap",))


@pytest.mark.parametrize("evaluated", [0, 2])
def test_nas(run, evaluated):
    """No network, or too few to rank, was evaluated to the end by all budgets."""
    budgets = evaluation.GTN(), evaluation.Real(epochs=(1,)), evaluation.Real("final", 2)
    settings = nas.Search(
        space=plain.Plain(),
        proposer=search.Random(),
        evaluations=budgets[:2],
        architectures=4,
        reference="real_1",
        compared=("gtn", "real_1"),
        final=budgets[2],
        final_seeds=2,
    )
    proposed = sorted(search.Random().propose(plain.Plain(), [], k, 0) for k in range(4))
    found, costs = (
        records.Records(run.base_dir),
        {"loss": 1.0, "training_seconds": 1.0, "seconds": 1.0, "parameters": 1, "flops": 1},
    )
    for k, architecture in enumerate(proposed):
        for name in ("gtn", "real_1", "final_2"):
            well = name == "gtn" or k < evaluated
            for seed in (0, 1):
                end = {"accuracy": 0.5 + 0.1 * k, **costs} if well else {"failed": "the loss is not finite"}
                found.add([{"architecture": architecture, "seed": seed, "budget": name, **end}])
    picked = nas._picked(settings, found, proposed, 0)
    outcome = settings.given(data.load("digits")).outcome(run.base_dir, 0, found, proposed, picked)
    concluding.conclude(run, "search_architectures", settings, [outcome])
    made = results.read(run.base_dir)
    assert made["metrics"]["gtn"]["accuracy"]["values"] == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert (made["metrics"]["real_1"]["accuracy"] is None) == (not evaluated)
    assert len(made["claims"]) == 4 and not any(claim["holds"] for claim in made["claims"])
    assert all(claim["measured"] is None for claim in made["claims"])  # the best by gtn failed in the end


def test_transfer(run):
    write_rows(run, [{f"leap_{n}/loss": 1.0 for n in (1, 2)}] * 2)
    names = [f"{arm}_{n}" for arm in ("leap", "maml") for n in (1, 2)]
    outcome = {
        **{
            table: {name: [0.5, 0.4] if name[-1] == "1" or name[0] == "l" else None for name in names}
            for table in ("error", "area")
        },
        "curve": {name: [1.0, 0.5] if name[0] == "l" else None for name in names},
        "seconds_per_step": dict.fromkeys(names),
        "outer_steps": dict.fromkeys(names, 2),
        "rho": {},
    }
    specs = (("error/maml_2", "above", "error/leap_2"), ("error/leap_2", "at_least", 0.1))
    made = transfer.Transfer(arms=("leap", "maml"), pretraining=(1, 2), claims=specs)
    concluding.conclude(run, "train_leap", made, [outcome])
    check(run, ["error/leap_1", "error/leap_2", "error/maml_1"], ["error/maml_2", "area/maml_2"], ("maml",))
    write_rows(run, [{f"leap_{n}/loss": 1.0 for n in (1, 2)}], "repeats/1")
    made = transfer.Transfer(arms=("leap", "maml"), pretraining=(1, 2), seeds=2, claims=specs)
    concluding.conclude(run, "train_leap", made, [emptied(outcome), outcome])
    check(run, [], [f"error/{name}" for name in names], ("maml", "leap"))


def test_dynamics(run):
    class Part(part.NothingToCheck):
        numbers = part.NUMBERS

        def __init__(self, why=None):
            self.why = why

        def measure(self, seed, folder):
            if self.why:
                raise loop.Diverged(self.why)
            q = np.linspace(0, 1, 5)[:, None, None] * np.ones([1, 3, 2])
            return part.summary(np.arange(5), q, ["fast", "slow"])

    specs = (("bad/ratio", "at_least", 2), ("good/ratio", "times_above", ("bad/ratio", 2)), ("good/ratio", "at_most", 2))
    bad = {"bad": Part("instance_1 diverged")}
    for _ in range(2):  # the second time from the parts' files
        metrics = experiment.run(run, "run_dynamics", dynamics.Study(parts=bad | {"good": Part()}, claims=specs))
        found = results.read(run.base_dir)
        assert metrics["bad"] is None and found["metrics"]["bad"] is None and found["metrics"]["good"]["ratio"] is not None
        assert [claim["holds"] for claim in found["claims"]] == [False, False, True]
    with pytest.raises(errors.UserError, match="no part came to its end: instance_1 diverged"):
        experiment.run(run, "run_dynamics", dynamics.Study(parts=bad))
