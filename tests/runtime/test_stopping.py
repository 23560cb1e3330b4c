"""Signals: said at once, waited for where a step has to end first, and a second Ctrl-C stops now."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from tests import programs
from tf_gtn.runtime import stopping

# Each is in a long call where no handler of Python's runs, as in a step of TensorFlow's.
PROGRAM = """
import hashlib, sys
from tf_gtn.runtime import stopping
stopping.watch(*map(float, sys.argv[2:]))
long = lambda iterations: hashlib.pbkdf2_hmac("sha256", b"", b"", iterations)
try:
    with stopping.signals() as received:
        print("ready", flush=True)
        long(int(sys.argv[1]))
        print(received, flush=True)
    print("ready", flush=True)
    long(int(sys.argv[1]))
except KeyboardInterrupt as error:
    print(repr(error.signal), flush=True)
"""


class Process:
    def __init__(self, iterations, *before, limit=()):
        command = [*before, sys.executable, "-c", PROGRAM, str(iterations), *map(str, limit)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup themselves
        self.process = subprocess.Popen(command, cwd=programs.ROOT, **pipes)
        signal.signal(signal.SIGHUP, before)
        self.until("ready")

    def until(self, line):
        assert self.process.stdout.readline().strip() == line

    def send(self, number):
        self.process.send_signal(number)


def test_the_first_signal_waits_and_says_so_at_once_and_a_second_ctrl_c_stops_now():
    running = Process(10**9)  # many minutes
    running.send(signal.SIGTERM)
    assert running.process.stderr.readline() == "stopping after the present step; a second Ctrl-C stops now\n"
    running.send(signal.SIGTERM)  # as `timeout` sends it: to the process and to its group
    time.sleep(1)
    assert running.process.poll() is None
    running.send(signal.SIGINT)
    assert running.process.wait() == 128 + signal.SIGINT
    assert running.process.stderr.read() == "stopped now; the same command goes on from what was saved last\n"


def test_a_signal_is_collected_where_a_step_has_to_end_first_and_ends_the_program_elsewhere():
    running = Process(3_000_000)
    running.send(signal.SIGHUP)
    running.until("[1]")
    running.until("ready")
    running.send(signal.SIGTERM)
    running.until(repr(signal.SIGTERM))
    assert running.process.wait() == 0


def test_nohup_keeps_its_promise():
    running = Process(3_000_000, "nohup")
    running.send(signal.SIGHUP)
    running.until("[]")
    running.process.kill()


def test_where_nobody_watches_a_second_ctrl_c_stops_too(capsys):
    """As in a notebook."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stopping.signals() as received:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same Ctrl-C
        assert received == [signal.SIGINT] * 2
        time.sleep(0.6)
        signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err == "stopping after the present step; a second Ctrl-C stops now\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_gets_no_signals():
    received = []

    def body():
        with stopping.signals() as mine:
            received.append(mine)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert received == [[]]


def test_a_time_limit_comes_as_a_signal_does():
    running = Process(10**9, limit=[1])
    said = "the time limit is reached: stopping after the present step; Ctrl-C stops now\n"
    assert running.process.stderr.readline() == said
    running.process.kill()


def test_a_time_limit_outside_of_steps_ends_the_program():
    program = "from tf_gtn.runtime import stopping; import time\n"
    program += "stopping.watch(0.2)\ntry:\n    time.sleep(100)\nexcept KeyboardInterrupt as error:\n    raise SystemExit("
    program += "f'{stopping.name(error.signal)} {stopping.exit_code(error.signal)}')"
    done = subprocess.run([sys.executable, "-c", program], cwd=programs.ROOT, capture_output=True, text=True)
    assert done.stderr == "--time_limit 75\n"
    assert (stopping.name(15), stopping.exit_code(15)) == ("SIGTERM", 143)
