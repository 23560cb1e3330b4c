"""`search_architectures`, small: a kill costs nothing that was finished, a poison network stops nothing."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import signal
import tempfile
import threading
import time
import types

import keras
import numpy as np
import pytest

from tests import programs
from tests.programs import Program, run
from tf_gtn import data, errors
from tf_gtn.nas import driver, evaluation, farm, plain, records, search
from tf_gtn.reporting import drawing, results

# Plain networks: cells take seconds to trace.
GIN = """
data.load.name = 'digits'
nas.Search.space = @nas.Plain()
nas.Search.proposer = @nas.Random()
nas.Search.architectures = 4
nas.Search.evaluations = (@nas.GTN(), @nas.Real())
nas.GTN.steps = 2
nas.GTN.learning_rate_limit = 1.0
nas.Real.epochs = (0.1, 0.2)
nas.Search.reference = 'real_0.2'
nas.Search.reference_seeds = 2
nas.Search.compared = ('gtn', 'real_0.1')
nas.Search.final = @final/nas.Real()
final/nas.Real.name = 'final'
final/nas.Real.epochs = (0.1,)
nas.Search.final_seeds = 2
nas.Search.front = ('parameters',)
"""
GIN_FILE = pathlib.Path(tempfile.mkdtemp()) / "tiny.gin"
GIN_FILE.write_text(GIN)
TINY = (f"--gin_file={GIN_FILE}",)
ONCE = (
    *TINY,
    "--gin_bindings=nas.Search.front = ()",
    "--gin_bindings=nas.Search.reference_seeds = 1",
    "--gin_bindings=nas.Search.final = None",
    "--gin_bindings=nas.Search.final_seeds = 5",
)


def rows(folder):
    return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base_dir = tmp_path_factory.mktemp("nas")
    environment = {"RAY_ADDRESS": "127.0.0.1:1"}  # of a cluster that nobody asked for, dead at that
    done = Program("search_architectures", f"--base_dir={base_dir}", *TINY, "--workers=2", environment=environment).done()
    assert done.returncode == 0, done.stderr
    assert "2 at a time, on a Ray of their own on this machine; RAY_ADDRESS is not looked at" in done.stdout
    assert "Token" not in done.stderr, done.stderr
    return base_dir


def test_everything_is_there(folder):
    contents, evaluations = results.read(folder), rows(folder)
    assert contents["system"] == "nas" and contents["metrics"]["architectures"] == 4
    keys = {(row["architecture"], row["seed"], row["budget"]) for row in evaluations}
    assert len(keys) == len(evaluations)
    assert {row["budget"] for row in evaluations} == {"gtn", "real_0.1", "real_0.2", "final_0.1"}
    assert sum(row["budget"] == "gtn" for row in evaluations) == 4
    repeated = [row for row in evaluations if row["seed"] == 1 and row["budget"] == "real_0.2"]
    assert len(repeated) == 4 and contents["metrics"]["real_0.2"]["reliability"]["n"] == 4
    assert contents["metrics"]["correlations"]["gtn"]["gtn"] == pytest.approx(1)
    for budget in ("gtn", "real_0.1"):
        assert {"correlation", "correlation_of_top_half", "cost_ratio"} <= contents["metrics"][budget].keys()
    assert len(contents["claims"]) == 4 and len(contents["metrics"]["final"]["gtn"]["values"]) == 2
    for name in ("ranking", "final"):
        assert drawing.caption(str(folder / "figures" / f"{name}.png"))


def test_again_makes_no_evaluation_again(folder):

    def evaluations_and_metrics():
        metrics = results.read(folder)["metrics"]
        for row in metrics["front"]:  # whose networks are trained again
            del row["training_seconds"]
        return (folder / "evaluations.jsonl").read_text(), metrics

    before = evaluations_and_metrics()
    done = run("search_architectures", f"--base_dir={folder}", *TINY)
    assert done.returncode == 0, done.stderr
    assert evaluations_and_metrics() == before


@pytest.mark.slow
def test_a_killed_driver_goes_on(folder, tmp_path):
    """Killed after its first row, then interrupted: what was finished is kept, and all ends as in an undisturbed run."""
    for number in (signal.SIGKILL, signal.SIGINT):
        before = len(rows(tmp_path)) if (tmp_path / "evaluations.jsonl").exists() else 0
        started = Program("search_architectures", f"--base_dir={tmp_path}", *ONCE)
        programs.wait_for(lambda: (tmp_path / "evaluations.jsonl").exists() and len(rows(tmp_path)) > before)  # noqa: B023
        started.send(number)
        ended = started.done()
    assert ended.returncode == 130 and "stopped by SIGINT" in ended.stderr and "Traceback" not in ended.stderr, ended.stderr
    kept = (tmp_path / "evaluations.jsonl").read_text()
    done = run("search_architectures", f"--base_dir={tmp_path}", *ONCE)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "evaluations.jsonl").read_text().startswith(kept[: kept.rfind("\n") + 1])
    key = lambda row: (row["architecture"], row["seed"], row["budget"])  # noqa: E731
    expected = {key(row): row["accuracy"] for row in rows(folder) if not row["seed"] and row["budget"] != "final_0.1"}
    assert {key(row): row["accuracy"] for row in rows(tmp_path)} == expected


class Pool:
    """Ends evaluations in an order of its own, so many at a time; dies after `lives` of them."""

    def __init__(self, rng, workers, lives):
        self._rng, self._workers, self._lives = rng, workers, lives

    def rows(self, jobs, more, space, stop):
        running = list(jobs)
        while True:
            while len(running) < self._workers and (job := more()) is not None:
                running.append(job)
            if not running:
                return
            if not self._lives:
                raise KeyboardInterrupt
            self._lives -= 1
            architecture, seed, budget = running.pop(int(self._rng.integers(len(running))))
            accuracy = int(hashlib.sha1(architecture.encode()).hexdigest(), 16) % 1000 / 1000
            yield (
                (architecture, seed, budget),
                [{"architecture": architecture, "seed": seed, "budget": name, "accuracy": accuracy} for name in budget.names],
            )


def searched(folder, proposer, rng, workers, lives=math.inf):
    """`{slot: architecture}` of a search that is begun again after every `lives` evaluations."""
    folder.mkdir()
    budget = evaluation.Real(epochs=(1, 2))
    limits = {"parameters": 5000} if isinstance(proposer, search.Random) else {}
    settings = types.SimpleNamespace(
        evaluations=(budget,), proposer=proposer, space=plain.Plain(), architectures=14, limits=limits
    )
    while True:
        evaluated = records.Records(str(folder))
        pool = Pool(rng, int(rng.integers(1, 6)) if workers is None else workers, lives)
        everything = driver.Driver(3, settings, data.load("digits"), evaluated, pool, [])
        with contextlib.suppress(KeyboardInterrupt):
            everything.first()
            return {row["slot"]: row["architecture"] for row in evaluated.rows}


@pytest.mark.parametrize(
    "proposer", [search.Random(), search.Evolution(4, 2, 3), search.TPE(4, 3)], ids=lambda p: type(p).__name__
)
def test_a_search_is_the_same_whatever_ends_first_and_after_a_kill_at_any_row(proposer, tmp_path):
    whole = searched(tmp_path / "whole", proposer, np.random.default_rng(0), workers=1)
    assert sorted(whole) == list(range(14)) and len(set(whole.values())) == 14
    assert searched(tmp_path / "many", proposer, np.random.default_rng(1), workers=5) == whole
    assert searched(tmp_path / "killed", proposer, np.random.default_rng(2), workers=None, lives=1) == whole


def test_rows_of_earlier_versions(tmp_path):
    """Without slots they take the first ones; a lost Ray among them is evaluated again."""
    lines = [{"architecture": name, "seed": 0, "budget": "gtn", "accuracy": 0.5} for name in "cab"]
    lines[1] = {
        "architecture": "a",
        "seed": 0,
        "budget": "gtn",
        "failed": "LocalRayletDiedError: The task's local raylet died.",
    }
    (tmp_path / "evaluations.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    evaluated = records.Records(str(tmp_path))
    assert driver.slots_of(evaluated.of("gtn", 0), 4) == {0: "c", 1: "b"} and not evaluated.finished(("a", 0, evaluation.GTN()))
    evaluated.add([{"architecture": "a", "seed": 0, "budget": "gtn", "accuracy": 0.7}])
    assert records.Records(str(tmp_path)).find("a", 0, "gtn")["accuracy"] == 0.7


def workers():
    """Process ids of this process' Ray workers while they evaluate."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as command:
            parents[int(pid)] = int(stat.read().rpartition(")")[2].split()[1]), command.read()
    for pid, (_, command) in parents.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above][0]
        if command.startswith("ray::_evaluate") and above == os.getpid():
            yield pid


@pytest.mark.slow
def test_a_killed_worker_and_a_poison_network_cost_nothing_else():
    space, dataset = plain.Plain(), data.load("digits")
    good = "depth=0,filters=4,kernel=1,pool=none,head=flatten,units=16,normalization=none,activation=relu"
    budget, killed, over = evaluation.GTN(steps=1, learning_rate_limit=1.0), [], threading.Event()

    def kill():
        while not killed and not over.is_set():
            for pid in list(workers())[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.05)

    with farm.Farm(space, dataset, workers=1) as pool:
        killer = threading.Thread(target=kill)
        killer.start()
        jobs = [(good, 0, budget), ("depth=poison", 0, budget)]
        try:
            rows_of = {job[0]: ended for job, ended in pool.rows(jobs)}
        finally:
            over.set()
            killer.join()
    assert killed, "no worker was seen"
    assert rows_of[good][0]["accuracy"] > 0
    assert "UserError" in rows_of["depth=poison"][0]["failed"] and rows_of["depth=poison"][0]["budget"] == "gtn"


@pytest.mark.slow
def test_a_killed_raylet_blames_no_network(tmp_path):
    """Killed with two evaluations to come: Ray starts anew, and both are as in an undisturbed run."""
    good = "depth=0,filters=4,kernel=1,pool=none,head=flatten,units=16,normalization=none,activation=relu"
    budget = evaluation.GTN(steps=1, learning_rate_limit=1.0)
    with farm.Farm(plain.Plain(), data.load("digits"), workers=1) as pool:
        expected = [ended[0]["accuracy"] for _, ended in pool.rows([(good, seed, budget) for seed in (0, 1)])]
        os.kill(pool._ray._private.worker._global_node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        assert [ended[0]["accuracy"] for _, ended in pool.rows([(good, seed, budget) for seed in (0, 1)])] == expected


def assert_front(folder, limit):
    front = json.loads((folder / "networks/front.json").read_text())
    assert front and all(row["parameters"] <= limit for row in front)
    model = keras.saving.load_model(folder / front[0]["file"])
    assert model.input_shape == (None, 8, 8, 1)


def test_a_front_is_saved(folder):
    assert_front(folder, math.inf)


@pytest.mark.slow
def test_on_demand_saves_a_front_within_limits(tmp_path):
    done = run(
        "search_architectures",
        f"--base_dir={tmp_path}",
        "--gin_file=gin/nas/plain.gin",
        "--gin_bindings=ARCHITECTURES = 2",
        "--gin_bindings=nas.GTN.steps = 2",
        "--gin_bindings=nas.GTN.learning_rate_limit = 1.0",
        "--gin_bindings=nas.Search.limits = {'parameters': 5000}",
    )
    assert done.returncode == 0, done.stderr
    assert_front(tmp_path, 5000)


@pytest.mark.parametrize(
    "binding, words",
    [
        ("nas.Search.reference = 'real_4'", ["real_4", "budget"]),
        ("nas.Search.keep = 0.0", ["keep"]),
        ("nas.Search.front = ('size',)", ["parameters"]),
        ("nas.GTN.export_dir = 'digts'", ["digts"]),
        ("data.load.name = 'tiny'", ["tiny"]),
    ],
)
def test_mistakes_are_one_line(binding, words):
    done = run("search_architectures", *TINY, f"--gin_bindings={binding}", "--dry_run")
    programs.assert_one_line(done, *words)


def test_no_cluster_at_an_address(tmp_path):
    done = run("search_architectures", f"--base_dir={tmp_path}", *TINY, "--ray_address=127.0.0.1:1", "--dry_run")
    programs.assert_one_line(done, "127.0.0.1:1")


def test_without_ray(monkeypatch):
    monkeypatch.setattr(farm.importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(errors.UserError, match=r"Ray, which is not installed: pip install 'tf_gtn\[nas\]'"):
        farm.check(None)


def test_run_files_are_complete(mock_data):
    """Beside those that docs/nas.md runs."""
    done = run("search_architectures", "--gin_file=gin/nas/small.gin", "--dry_run", "--gin_bindings=nas.Cells.filters = 0")
    programs.assert_one_line(done, "nas.Cells.filters")
    files = "--gin_file=gin/nas/cifar10.gin", f"--tfds_data_dir={mock_data}"
    done = run("search_architectures", *files, "--dry_run")
    programs.assert_one_line(done, "runs/cifar10/export")


@pytest.mark.parametrize("program, name", [("search_architectures", "plain"), ("train_gtn", "gtn"), ("train_gtn", "gtn_cells")])
def test_other_run_files(program, name):
    done = run(program, f"--gin_file=gin/nas/{name}.gin", "--dry_run")
    assert done.returncode == 0 and not done.stderr, done.stderr
