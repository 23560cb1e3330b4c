"""Evaluations as Ray tasks: on this machine, or on a cluster that is joined by its address.

Without an address a Ray of its own starts on loopback and ends with the process. A task that loses its process is tried again;
one that loses it time after time (out of memory, a crash), or raises, is a failed row and stops nothing.
"""

import importlib.util
import os
import socket

from tf_gtn import errors

RETRIES = 2


class Farm:
    """Runs `evaluation.evaluate` for many architectures at once; a context manager."""

    def __init__(self, space, dataset, address=None, workers=None):
        """Starts or joins Ray.

        Args:
          space, dataset: of the evaluations.
          address: of a cluster, such as 10.0.0.1:6379; None: this machine.
          workers: tasks at a time; None: a core each.

        Raises:
          UserError: Ray is not installed, or there is no cluster at the address.
        """
        check(address)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of a change to come
        import ray

        self._ray = ray
        settings = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if address is None else {"address": address}
        if address is None and workers:
            settings["num_cpus"] = workers
        try:
            ray.init(
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                runtime_env={"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": _root()}},
                **settings,
            )
        except (ConnectionError, OSError, RuntimeError) as error:
            raise errors.UserError(f"there is no Ray cluster at {address}: {str(error).splitlines()[0][:150]}") from None
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._space, self._dataset = ray.put(space), ray.put(dataset)
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES)(_evaluate)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ray.shutdown()

    def rows(self, jobs, more=None, space=None):
        """Yields `(job, rows)` as evaluations end, `workers` at a time.

        Args:
          jobs: list of `(architecture, seed, budget)`.
          space: another than the farm's, or None.
          more: optional function, called whenever there is room, that gives a further job or None.
        """
        waiting, running = list(jobs), {}
        space = self._space if space is None else self._ray.put(space)
        while True:
            while len(running) < self.workers:
                job = waiting.pop(0) if waiting else (more() if more else None)
                if job is None:
                    break
                running[self._task.remote(space, *job, self._dataset)] = job
            if not running:
                return
            done, _ = self._ray.wait(list(running), num_returns=1)
            job = running.pop(done[0])
            yield job, self._result(done[0], job)

    def _result(self, task, job):
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            architecture, seed, budget = job
            cause = getattr(error, "cause", None) or error
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0][:200]
            failed = {"architecture": architecture, "seed": seed, "failed": f"{type(cause).__name__}: {reason}"}
            return [{**failed, "budget": name} for name in budget.names]


def check(address=None):
    """Raises `UserError` unless Ray is installed and, with an address, something listens there."""
    if importlib.util.find_spec("ray") is None:
        raise errors.UserError("architecture search needs Ray, which is not installed: pip install 'tf_gtn[nas]'")
    if address is not None:
        _check_reachable(address)


def _check_reachable(address, seconds=10):
    """Raises `UserError` unless something listens there: Ray itself would wait for it for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), seconds).close()
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
