"""Runs a program many times without starting it as often: a process that has imported it forks a child for each run.

`Zygote` is the side of the tests, `python -m tests.reliability.zygote PROGRAM` the process; they exchange lines of JSON. The
process imports TensorFlow and runs nothing with it: a fork after the first operation would lack TensorFlow's threads.
"""

import atexit
import importlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HANGS = float(os.environ.get("TEST_TIME_SCALE", 1)) * 1200
"""Seconds after which a run is taken to hang."""


class Zygote:
    """Runs one program, as often as needed; a context manager."""

    def __init__(self, program, preload=None):
        """Starts the process; `preload`: a library for LD_PRELOAD."""
        environment = {"RAY_worker_niceness": "0", **os.environ, "PYTHONHASHSEED": "0"}  # nicer workers starve beside tests
        environment |= {"LD_PRELOAD": str(preload)} if preload else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.zygote", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def run(self, *arguments, environment=None, copies=()):
        """Runs it once.

        Args:
          arguments: of the program; the module `numbers` of this folder runs in its place if the first is "numbers".
          environment: of this run alone.
          copies: `(from, to)`: each time the run stops itself, the next is copied, if it is there, and the run goes on.

        Returns:
          `{"code", "stdout", "stderr", "hangs", "stops"}`; a negative code is the signal that ended it.
        """
        job = {
            "arguments": [*map(str, arguments)],
            "environment": environment or {},
            "copies": [[*map(str, c)] for c in copies],
        }
        print(json.dumps(job), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def serve(program):
    importlib.import_module(f"binaries.{program}")
    for module in _imported_late(program):
        importlib.import_module(module)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    scratch = tempfile.mkdtemp()  # no TemporaryDirectory: the first child that ends would remove it
    files = [os.path.join(scratch, name) for name in ("stdout", "stderr")]
    for line in sys.stdin:
        job = json.loads(line)
        for file in files:
            pathlib.Path(file).write_bytes(b"")
        child = os.fork()
        if not child:
            _child(program, job, files)
        found = _watch(child, job["copies"])
        texts = [pathlib.Path(file).read_text(errors="replace") for file in files]
        print(json.dumps({**found, "stdout": texts[0], "stderr": texts[1]}), file=out, flush=True)
    shutil.rmtree(scratch)


def _imported_late(program):
    yield from ("matplotlib.pyplot", "sklearn.datasets", "tests.reliability.numbers")
    if program == "tune_gtn":
        yield "optuna.storages"
    if program == "search_architectures":
        yield "ray"


def _child(program, job, files):
    code = 70
    try:
        os.setpgid(0, 0)
        os.environ.update(job["environment"])
        os.environ["KILL_PID"] = str(os.getpid())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, file in enumerate(files, 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        _trace_only()
        sys.argv = [f"{program}.py", *job["arguments"]]
        name = "tests.reliability.numbers" if job["arguments"][0] == "numbers" else f"binaries.{program}"
        importlib.import_module(name).run()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _trace_only():
    """Leaves graphs as they are traced: optimising each takes longer than the few steps that it is run for."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _watch(child, copies):
    stops, until, hangs = 0, time.monotonic() + HANGS, False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if not pid:
            time.sleep(0.01)
            if time.monotonic() > until and not hangs:
                hangs = True
                os.killpg(child, signal.SIGKILL)
        elif os.WIFSTOPPED(status):
            if os.path.isdir(copies[stops][0]):
                shutil.copytree(*copies[stops], symlinks=True)
            stops += 1
            os.kill(child, signal.SIGCONT)
        else:
            return {"code": os.waitstatus_to_exitcode(status), "hangs": hangs, "stops": stops}


if __name__ == "__main__":
    serve(sys.argv[1])
