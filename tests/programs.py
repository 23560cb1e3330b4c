"""Runs the programs in processes of their own, forked from one that has imported TensorFlow already.

Nothing here has a time limit: the one of tests/conftest.py ends whatever waits.
"""

import importlib
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOCKED = "--gin_bindings=data.load.validation = 20"
"""For run files on mock data, which has fewer images than some of them keep for validation."""
SMALL = (
    "--gin_file=gin/teaching/digits.gin",
    "--gin_bindings=models.Population.families = {'mlp': {'units': ((4, 8), (4, 8))}}",
    "--gin_bindings=INNER_STEPS = 2",
    "--gin_bindings=INNER_BATCH = 10",
    "--gin_bindings=OUTER_BATCH = 8",
    "--gin_bindings=generators.residual.filters = 4",
    "--gin_bindings=generators.residual.kernel_size = 3",
    "--gin_bindings=teaching.gtn.latent = 4",
    "--gin_bindings=teaching.Evaluation.validation_learners = 2",
    "--gin_bindings=teaching.Evaluation.test_learners = 2",
)
SMALL_CARTPOLE = (
    "--gin_bindings=OUTER_STEPS = 4",
    "--gin_bindings=INNER_BATCH = 16",
    "--gin_bindings=CHECKPOINT_EVERY = 3",
    "--gin_bindings=rl.make_a2c.updates = 8",
    "--gin_bindings=rl.make_a2c.restart_every = 3",
    "--gin_bindings=run.Schedule.log_every = 2",
    "--gin_bindings=run.Schedule.validate_every = 4",
    "--gin_bindings=rl.PolicyGTN.policies = 2",
    "--gin_bindings=rl.Evaluation.test = 3",
    "--gin_bindings=rl.Evaluation.validation = 2",
    "--gin_bindings=rl.Evaluation.steps = (1, 3)",
    "--gin_bindings=rl.Evaluation.architectures = {'8 relu': {'units': (8,), 'activation': 'relu'}}",
    "--gin_bindings=rl.Experiment.seeds = 2",
)

os.environ.setdefault("RAY_worker_niceness", "0")  # nicer ones would starve beside other tests
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # the programs start as in a user's environment
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["binaries.train_gtn"])


def undocumented(room):
    """The run files in gin/`room` that no page shows in a command: tests/test_documents.py runs the others."""
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    files = (path.relative_to(ROOT) for path in sorted((ROOT / "gin" / room).glob("*.gin")))
    return [str(path) for path in files if not re.search(rf"--gin_file={path}\s", pages)]


class Program:
    """A program that runs; `done()` waits for it."""

    def __init__(self, name, *arguments, environment=None, cwd=ROOT, optimized_graphs=False):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [f"{self._folder.name}/{stream}" for stream in ("stdout", "stderr")]
        for file in self._files:  # here: the process may be killed before it does anything
            pathlib.Path(file).touch()
        self.process = _context.Process(
            target=_run, args=(name, [str(a) for a in arguments], self._files, environment or {}, cwd, optimized_graphs)
        )
        self.process.start()

    def send(self, number):
        os.kill(self.process.pid, number)

    def done(self):
        """A `subprocess.CompletedProcess`; its return code is negative if a signal ended the process."""
        try:
            self.process.join()
        except BaseException:  # the time limit: pytest would wait for the process at its own end
            self.process.kill()
            print(*(pathlib.Path(f).read_text() for f in self._files), sep="\n")
            raise
        stdout, stderr = (pathlib.Path(f).read_text() for f in self._files)
        return subprocess.CompletedProcess([], self.process.exitcode, stdout, stderr)


def run(name, *arguments, **where):
    return Program(name, *arguments, **where).done()


def _run(name, arguments, files, environment, cwd, optimized_graphs):
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    os.chdir(cwd)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimized_graphs})  # see conftest.py
    sys.argv = [f"{name}.py", *arguments]
    importlib.import_module(f"binaries.{name}").run()


def assert_one_line(done, *words):
    """It ended with exit code 2 and one line on stderr, with those words in it."""
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def checkpoint(base_dir):
    """`{name: array}` of the newest checkpoint, without TensorFlow's count of saves."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(f"{base_dir}/checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def last_step(base_dir):
    """Of the last whole line of metrics.jsonl; 0 if there is none."""
    path = pathlib.Path(base_dir) / "metrics.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines[-2:] if line.endswith(b"}")), default=0)


def wait_for_step(base_dir, step):
    """Until metrics.jsonl has a line of that step or a later one."""
    wait_for(lambda: last_step(base_dir) >= step)


def wait_for(condition):
    """Until it holds, which some program that runs has to bring about."""
    while not condition():
        running = multiprocessing.active_children()
        time.sleep(0.02)
        assert running or condition(), "the programs ended before that"
