"""Contenders of a benchmark as processes that wait for their turn."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
THREADS = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "KMP_BLOCKTIME": "0"}


class Worker:
    """A contender's process; `ask` sends a line and returns its answer."""

    def __init__(self, command):
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )

    def ask(self, line):
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        while answer := self._process.stdout.readline():
            if answer.startswith("{"):
                return json.loads(answer)
        raise RuntimeError(f"a worker ended: {self._process.stderr.read()[-2000:]}")

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def _environment():
    return {**os.environ, **THREADS, "PYTHONPATH": str(ROOT)}
