"""Runs on several devices and processes: the same numbers as one process with as many learners, and what a lost worker does."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import programs
from tests.programs import Program, run
from tf_gtn import errors
from tf_gtn.runtime import replicas

TWO = (
    *programs.SMALL,
    "--gin_bindings=OUTER_STEPS = 60",
    "--gin_bindings=CHECKPOINT_EVERY = 10",
    "--gin_bindings=run.Schedule.log_every = 5",
    "--gin_bindings=run.Schedule.validate_every = 60",
    "--gin_bindings=teaching.Training.learners = 2",
    "--gin_bindings=teaching.Training.learning_rate = 0.002",  # so that rounding does not grow
)


def workers(base_dir, *arguments):
    """Two processes of one cluster on this machine, the chief first."""
    with socket.socket() as one, socket.socket() as other:
        for end in (one, other):
            end.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{end.getsockname()[1]}" for end in (one, other)]
    return [
        Program(
            "train_gtn",
            f"--base_dir={base_dir}",
            "--strategy=multi_worker",
            *arguments,
            environment={
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
            },
        )
        for index in (0, 1)
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of one process with two learners an outer step."""
    base_dir = tmp_path_factory.mktemp("alone")
    done = run("train_gtn", f"--base_dir={base_dir}", *TWO)
    assert done.returncode == 0, done.stderr
    return base_dir


def assert_close(base_dir, alone):
    one, other = programs.checkpoint(base_dir), programs.checkpoint(alone)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_two_workers_one_stopped_end_like_one_process(number, alone, tmp_path):
    chief, worker = workers(tmp_path, *TWO)
    programs.wait_for_step(tmp_path, 15)
    worker.send(number)
    ends = [program.done() for program in (chief, worker)]
    if number == signal.SIGTERM:  # stops all, after the same step, which the chief saves
        assert [end.returncode for end in ends] == [128 + signal.SIGTERM] * 2, ends
        assert all("which is saved" in end.stderr for end in ends)
    else:
        assert [end.returncode for end in ends] == [1, -signal.SIGKILL], ends
        last = ends[0].stderr.strip().splitlines()[-1]
        assert "another worker was lost" in last and "Traceback" not in ends[0].stderr, ends[0].stderr

    ends = [program.done() for program in workers(tmp_path, *TWO)]
    assert [end.returncode for end in ends] == [0, 0], ends
    assert "resumed after outer step" in ends[0].stdout
    assert_close(tmp_path, alone)
    assert os.listdir(tmp_path / "export") == os.listdir(alone / "export") == ["60"]


@pytest.mark.slow
def test_mirrored_devices_end_like_one(alone, tmp_path):
    """Two logical devices of the CPU, which a process has to ask for before it uses TensorFlow."""
    code = (
        "import sys; from tf_gtn.runtime import quiet; quiet.import_tensorflow(); import tensorflow as tf; "
        "tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True}); "  # as in `alone`
        "cpu, = tf.config.list_physical_devices('CPU'); "
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2); "
        "from binaries import train_gtn; train_gtn.run()"
    )
    command = [sys.executable, "-c", code, f"--base_dir={tmp_path}", "--strategy=mirrored", *TWO]
    done = subprocess.run(command, cwd=programs.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_close(tmp_path, alone)


@pytest.mark.parametrize(
    "config, words",
    [
        (None, ["TF_CONFIG", "cluster"]),
        ("{", ["TF_CONFIG", "'{'"]),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', ["index"]),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}', ["workers alone"]),
    ],
)
def test_a_cluster_that_can_not_be(config, words, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(errors.UserError) as caught:
        replicas.make("multi_worker")
    assert all(word in str(caught.value) for word in words)


def test_a_misspelt_strategy(tmp_path):
    programs.assert_one_line(run("train_gtn", f"--base_dir={tmp_path}", *TWO, "--strategy=mirored"), "mirored", "mirrored")


def test_one_process_shares_with_itself():
    alone = replicas.make("default")
    assert alone.chief and alone.count == 1 and alone.share(7) == 7 and alone.any_number(15) == 15
