"""Steps a second of A2C on Breakout, in tf_gtn and in stable-baselines3.

16 games, 5 steps an update, grey 84 x 84 x 4, the network of Mnih et al. (2015) in both.

    python -m benchmarks.a2c

Each is a process of its own, in turn, twice. stable-baselines3 lives in `.bench/sb3`, which `make .bench/sb3/ready` sets up; it
is left out if it is not there. Prints one JSON line: agent steps a second after the first ones, and their ratio.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENTS, LENGTH, UPDATES = 16, 5, 150


def steps_per_second():
    """In this process."""
    from tf_gtn.runtime import quiet

    quiet.import_tensorflow()
    import functools

    from tf_gtn.rl import agents, atari, networks, training

    make = functools.partial(atari.make, game="breakout")
    nature = functools.partial(networks.convolutional, filters=(32, 64, 64), kernels=(8, 4, 3), strides=(4, 2, 1), units=512)
    optimizer = agents.optimizer("rmsprop", 7e-4, 0.99, 1e-5)
    agent = agents.make_a2c(make, [0, 1], nature, optimizer, unroll_length=LENGTH, gradient_clipping=0.5)
    run = training.A2C(agent, make, 0, UPDATES, ENVIRONMENTS, LENGTH)
    for index in range(UPDATES):
        if index == UPDATES // 3:
            start = time.perf_counter()
        run.step(index)
    return (UPDATES - UPDATES // 3) * LENGTH * ENVIRONMENTS / (time.perf_counter() - start)


def main():
    if sys.argv[1:] == ["--child"]:
        print(steps_per_second())
        return
    commands = {"tf_gtn": [sys.executable, "-m", "benchmarks.a2c", "--child"]}
    python = ROOT / ".bench/sb3/bin/python"
    if python.exists():
        script = ROOT / "benchmarks/peers/_sb3.py"
        commands["stable_baselines3"] = [str(python), str(script), *map(str, (ENVIRONMENTS, LENGTH, UPDATES))]
    found = {name: [] for name in commands}
    for _ in range(2):
        for name, command in commands.items():
            out = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
            ).stdout
            found[name].append(float(out.split()[-1]))
    rates = {name: round(statistics.median(values), 1) for name, values in found.items()}
    line = {"benchmark": "a2c", "steps_per_second": rates}
    if len(rates) > 1:
        line["ratio"] = round(rates["tf_gtn"] / rates["stable_baselines3"], 3)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
