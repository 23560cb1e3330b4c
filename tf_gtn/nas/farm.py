"""Evaluations as Ray tasks: on this machine, or on a cluster that is joined by its address.

Without an address a Ray of its own starts on loopback and ends with the process, whatever cluster there is. An evaluation that
raises is a failed row. One that loses its process is tried again, in the end with nothing beside it; if it loses that too, it
is a failed row. Where Ray itself is lost (its raylet, a node, the connection) no evaluation is to blame: Ray starts anew, and
what was running is tried again.
"""

import collections
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tf_gtn import errors

if TYPE_CHECKING:  # a process of Ray's imports TensorFlow once its threads are set
    from tf_gtn import data
    from tf_gtn.nas import space as spaces

RETRIES = 2  # of an evaluation that lost its process, and of a Ray that was lost
_SETTINGS = 4  # the frame that either side of HTTP/2 begins with
_TICK = 0.3  # seconds between two looks at whether to stop


class Farm:
    """Runs `evaluation.evaluate` for many architectures at once; a context manager."""

    def __init__(
        self, space: "spaces.Space", dataset: "data.Dataset", address: str | None = None, workers: int | None = None
    ) -> None:
        """Starts or joins Ray.

        Args:
          space, dataset: of the evaluations.
          address: of a cluster, such as 10.0.0.1:6379; None: this machine.
          workers: tasks at a time; None: one per core.

        Raises:
          UserError: Ray is not installed, or no cluster answers at the address.
        """
        check(address)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of a change to come
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)  # or it tells of its tokens at every start

        self._ray, self._address, self._values = ray, address, (space, dataset)
        self._asked, self._lost = workers, 0
        self._start()

    def _start(self):
        ray, address = self._ray, self._address
        settings: dict[str, Any] = {"address": address}
        if address is None:  # "local": else RAY_ADDRESS, or a cluster that runs here, would be joined unasked
            settings = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            settings |= {"num_cpus": self._asked} if self._asked else {}
        terminated = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                runtime_env={"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": _root()}},
                **settings,
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            what = "Ray does not start on this machine" if address is None else f"there is no Ray cluster at {address}"
            raise errors.UserError(f"{what}: {_line(error)[:150]}") from None
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, terminated)  # Ray sets a handler of its own, which exits with code 15
        self.workers = self._asked or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._space, self._dataset = map(ray.put, self._values)
        self._task = ray.remote(num_cpus=1, max_retries=0)(_evaluate)

    @property
    def where(self) -> str:
        """What the evaluations run on, in words."""
        if self._address is not None:
            return f"on the Ray cluster at {self._address}"
        other = "; RAY_ADDRESS is not looked at, --ray_address joins a cluster" if os.environ.get("RAY_ADDRESS") else ""
        return f"on a Ray of their own on this machine{other}"

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *_) -> None:
        self._ray.shutdown()

    def rows(
        self,
        jobs: Iterable[tuple],
        more: Callable[[], tuple | None] = lambda: None,
        space: "spaces.Space | None" = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[tuple, list[dict[str, Any]]]]:
        """Yields `(job, rows)` as evaluations end, `workers` at a time.

        Args:
          jobs: list of `(architecture, seed, budget)`.
          more: called whenever there is room, and again after an evaluation's end; gives a further job or None.
          space: another than the farm's, or None.
          stop: looked at several times a second; once it is true, what still runs is left.

        Raises:
          UserError: Ray was lost `RETRIES` + 1 times in a row.
        """
        waiting, running, suspects, crashes, alone = list(jobs), {}, [], collections.Counter(), False

        def start(job):
            running[self._task.remote(self._space if space is None else space, *job, self._dataset)] = job

        while not stop():
            while not alone and len(running) < self.workers and (job := waiting.pop(0) if waiting else more()) is not None:
                start(job)
            if not running and suspects:
                alone = True
                start(suspects.pop(0))
            if not running:
                return
            for task in self._ray.wait(list(running), num_returns=1, timeout=_TICK)[0]:
                job = running.pop(task)
                try:
                    rows, error = self._result(task, job)
                except _Lost as lost:
                    if stop():
                        return
                    waiting[:0] = [job, *running.values()]
                    running.clear()
                    alone = False
                    self._start_again(lost)
                    break
                self._lost = 0
                if rows is None and stop():  # Ctrl-C in a terminal reaches the tasks as well
                    return
                key = job[0], job[1], job[2].names
                crashes[key] += rows is None
                if rows is None and crashes[key] <= RETRIES:
                    waiting.append(job)
                elif rows is None and not alone and self.workers > 1:
                    suspects.append(job)
                else:
                    yield job, _failed(job, error) if rows is None else rows
                alone = False

    def _result(self, task, job):
        """`(rows, None)`, or `(None, error)` if the task lost its process; `_Lost` if Ray itself was lost."""
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(task), None
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError) as error:
            return None, error
        except exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            raised = isinstance(error, exceptions.RayTaskError)
            if raised and not isinstance(cause, exceptions.RayError | KeyboardInterrupt | SystemExit):
                return _failed(job, cause or error), None
            raise _Lost(f"{type(error).__name__}: {_line(error)[:150]}") from None

    def _start_again(self, lost):
        self._lost += 1
        if self._lost > RETRIES:
            raise errors.UserError(
                f"Ray was lost {self._lost} times in a row ({lost}): what was finished is kept, and the same command goes on"
            )
        self._ray.shutdown()
        if self._address is not None:
            _check_reachable(self._address)
        self._start()


class _Lost(Exception):
    """Ray did not bring an evaluation to its end, for a reason that is not the evaluation's."""


def blames_network(row: dict[str, Any]) -> bool:
    """Whether a failed row is the network's own; once a lost Ray was written down as one, too."""
    lost = ("LocalRayletDied", "NodeDied", "RaySystem", "ObjectLost", "ObjectFetchTimedOut", "OwnerDied", "RpcError")
    lost += ("ReferenceCountingAssertion", "ObjectReconstructionFailed", "ObjectFreed", "TaskUnschedulable", "TaskCancelled")
    return not row.get("failed", "").startswith((*lost, "RuntimeEnvSetup", "OutOfDisk", "ObjectStoreFull"))


def _failed(job, error):
    architecture, seed, budget = job
    reason = f"{type(error).__name__}: {_line(error)[:200]}"
    return [{"architecture": architecture, "seed": seed, "failed": reason, "budget": name} for name in budget.names]


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check(address: str | None = None) -> None:
    """Raises `UserError` unless Ray is installed and, with an address, something listens there."""
    if importlib.util.find_spec("ray") is None:
        raise errors.UserError("architecture search needs Ray, which is not installed: pip install 'tf_gtn[nas]'")
    if address is not None:
        _check_reachable(address)


def _check_reachable(address, seconds=10):
    """Raises `UserError` unless a server of gRPC's answers there, as Ray's does: Ray itself would wait for it for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), seconds) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
            if connection.recv(9)[3:4] != bytes((_SETTINGS,)):
                raise ValueError("what answers there is something else")
    except (OSError, ValueError) as error:
        raise errors.UserError(f"there is no Ray cluster at {address}: {error}") from None


def _root():
    """Where `tf_gtn` lies, for processes that start elsewhere."""
    return os.path.dirname(os.path.dirname(os.path.abspath(errors.__file__)))


def _evaluate(space, architecture, seed, budget, dataset):
    """In a process of Ray's, on one core."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # an evaluation before this one has set them
    from tf_gtn.nas import evaluation

    return evaluation.evaluate(space, architecture, seed, budget, dataset)
