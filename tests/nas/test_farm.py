"""The farm's decisions, on a Ray that is made up: what is tried again, what is the network's failure, what ends the command."""

import signal
import socket
import types

import pytest

from tf_gtn import errors
from tf_gtn.nas import evaluation, farm

exceptions = pytest.importorskip("ray").exceptions
BUDGET = evaluation.GTN()


class Ray:
    """Tasks end in the order in which they began, each as `ends[architecture]` says next: an exception, or None for a row."""

    exceptions = exceptions

    def __init__(self, ends):
        self.ends, self.started, self.beside = ends, [], []

    def wait(self, tasks, num_returns, timeout):
        self.beside.append(tuple(tasks))
        return tasks[:1], tasks[1:]

    def get(self, task):
        architecture = task.split()[0]
        end = self.ends[architecture].pop(0) if self.ends.get(architecture) else None
        if end is not None:
            raise end
        return [{"architecture": architecture, "accuracy": 0.5}]

    def shutdown(self):
        pass


def make(ends, workers=2):
    pool, ray = farm.Farm.__new__(farm.Farm), Ray(ends)
    pool._ray, pool._address, pool._asked, pool._lost, pool.starts = ray, None, workers, 0, 0

    def start():
        pool.starts += 1
        pool.workers, pool._space, pool._dataset = workers, None, None

        def remote(space, architecture, *_):
            ray.started.append(architecture)
            return f"{architecture} {len(ray.started)}"

        pool._task = types.SimpleNamespace(remote=remote)

    pool._start = start
    start()
    return pool, ray


def jobs(*names):
    return [(name, 0, BUDGET) for name in names]


def ended(pool, *names, **options):
    return {job[0]: rows[0].get("failed", "well") for job, rows in pool.rows(jobs(*names), **options)}


def test_an_exception_in_the_evaluation_is_the_networks_failure_at_once():
    cause = ValueError("no such layer\nmore")
    pool, ray = make({"bad": [exceptions.RayTaskError("evaluate", "traceback", cause)]})
    assert ended(pool, "bad", "good") == {"bad": "ValueError: no such layer", "good": "well"}
    assert ray.started == ["bad", "good"]


@pytest.mark.parametrize("crash", [exceptions.WorkerCrashedError, lambda: exceptions.OutOfMemoryError("memory")])
def test_a_lost_process_is_tried_again_in_the_end_alone(crash):
    pool, ray = make({"twice": [crash() for _ in range(2)], "often": [crash() for _ in range(3)], "poison": [crash()] * 9})
    outcomes = ended(pool, "poison", "often", "twice", "good")
    assert outcomes.pop("poison").split(":")[0] in ("WorkerCrashedError", "OutOfMemoryError")
    assert outcomes == {"twice": "well", "often": "well", "good": "well"} and pool.starts == 1
    assert [ray.started.count(name) for name in ("poison", "often", "twice", "good")] == [4, 4, 3, 1]
    assert [len(tasks) for tasks in ray.beside[-2:]] == [1, 1]  # the fourth tries


@pytest.mark.parametrize(
    "lost",
    [
        exceptions.LocalRayletDiedError(),
        exceptions.NodeDiedError("gone"),
        exceptions.RaySystemError("disconnected"),
        exceptions.RayTaskError("evaluate", "traceback", exceptions.RaySystemError("the data set is gone")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_lost_ray_blames_no_network(lost):
    pool, _ = make({"one": [lost, lost]})
    assert ended(pool, "one", "two") == {"one": "well", "two": "well"} and pool.starts == 3
    pool, _ = make({"one": [lost] * 9}, workers=1)
    finished = []
    with pytest.raises(errors.UserError, match=r"Ray was lost 3 times in a row .*same command goes on"):
        finished.extend(pool.rows(jobs("good", "one", "two")))
    assert [job[0] for job, _ in finished] == ["good"]


def test_rows_of_a_lost_ray_are_told_from_the_networks():
    lost = [exceptions.LocalRayletDiedError(), exceptions.NodeDiedError("x"), exceptions.RaySystemError("x")]
    for error in lost:
        assert not farm.blames_network(farm._failed(jobs("a")[0], error)[0])
    for error in (exceptions.WorkerCrashedError(), ValueError("x")):
        assert farm.blames_network(farm._failed(jobs("a")[0], error)[0])
    assert farm.blames_network({"accuracy": 0.5})


def test_an_evaluation_that_a_signal_ended_is_no_failed_one():
    for lost in (exceptions.TaskCancelledError(), exceptions.RayTaskError("evaluate", "traceback", KeyboardInterrupt())):
        pool, _ = make({"one": [lost]})
        looks = iter([False, True, True])
        assert ended(pool, "one", "two", stop=lambda looks=looks: next(looks)) == {} and pool.starts == 1

    pool, ray = make({"one": [exceptions.WorkerCrashedError()] * 9}, workers=1)
    assert ended(pool, "one", stop=lambda: len(ray.started) > farm.RETRIES) == {}


def test_a_stop_waits_for_nothing():
    pool, ray = make({})
    ray.wait = lambda tasks, num_returns, timeout: ([], tasks)
    looks = iter([False, False, True])
    assert ended(pool, "one", "two", "three", stop=lambda: next(looks)) == {} and ray.started == ["one", "two"]


def test_what_is_no_ray_is_found_out_at_once():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.UserError, match=f"no Ray cluster at {address}: timed out"):
            farm._check_reachable(address, 0.2)
    for nobody in (address, "nowhere", "127.0.0.1:x"):
        with pytest.raises(errors.UserError, match=f"no Ray cluster at {nobody}"):
            farm._check_reachable(nobody)


def test_a_signal_does_what_it_did_before_ray_began(monkeypatch):
    def init(**_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise RuntimeError("no room")

    monkeypatch.setattr("ray.init", init)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(errors.UserError, match="Ray does not start on this machine: no room"):
        farm.Farm(None, None)
    assert signal.getsignal(signal.SIGTERM) is before
