"""What a second process brings: `train_gtn` in one process of one core, in two that know nothing of each other, and in two of
a cluster, each with one core and one learner an outer step.

    python -m benchmarks.scaling

The two strangers show what sharing a machine costs; what the cluster takes beyond that is communication. The three run in
turn, `--rounds` times. Prints one JSON line: median seconds an outer step, `efficiency`, one process' time over that of the
cluster (weak scaling: 1 is perfect), and `efficiency_of_communication`, the strangers' over the cluster's.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def seconds_per_step(bindings, processes, cluster):
    """The slowest process' median seconds an outer step, of `processes` that run side by side, each on a core of its own."""
    names = addresses(processes)
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for index in range(processes):
            command = [sys.executable, "-m", "binaries.train_gtn", f"--base_dir={folder}/{index}", *bindings]
            environment = {**os.environ}
            if cluster:
                command.append("--strategy=multi_worker")
                task = {"cluster": {"worker": names}, "task": {"type": "worker", "index": index}}
                environment["TF_CONFIG"] = json.dumps(task)
            with open(f"{folder}/{index}.txt", "w") as output:
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
            os.sched_setaffinity(process.pid, {sorted(os.sched_getaffinity(0))[index]})
            running.append(process)
        for index, process in enumerate(running):
            if process.wait():
                raise RuntimeError(pathlib.Path(f"{folder}/{index}.txt").read_text()[-2000:])
        written = pathlib.Path(folder).glob("*/results.json")  # in a cluster, the chief's alone
        return max(json.loads(path.read_text())["metrics"]["seconds_per_step"]["gtn"] for path in written)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two cores are needed")
    bindings = [
        "--gin_file=gin/teaching/digits.gin",
        "--gin_bindings=OUTER_STEPS = 60",
        "--gin_bindings=teaching.Evaluation.test_learners = 1",
        "--gin_bindings=teaching.Evaluation.validation_learners = 1",
    ]
    seconds = {"one": [], "strangers": [], "cluster": []}
    for _ in range(options.rounds):
        for name, (processes, cluster) in {"one": (1, False), "strangers": (2, False), "cluster": (2, True)}.items():
            seconds[name].append(seconds_per_step(bindings, processes, cluster))
    found = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    efficiency = {
        "efficiency": round(found["one"] / found["cluster"], 3),
        "efficiency_of_communication": round(found["strangers"] / found["cluster"], 3),
    }
    print(json.dumps({"benchmark": "scaling", "rounds": options.rounds, "seconds": found, **efficiency}))


if __name__ == "__main__":
    main()
