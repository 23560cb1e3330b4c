"""Where the time of one meta-gradient goes: by operation, and floating-point operations against a matrix product's speed.

    python -m benchmarks.profile
    python -m benchmarks.profile --size=8

Counts the multiplications and additions of convolutions and matrix products alone (a fused one is two operations). With F those
of the learner's forward pass on a batch, F1 of its first layer, and G of the generator's, an inner step takes

    6 F - 2 F1    forward pass and gradient, taken twice (the second time recomputed; no gradient by the images)
    6 F - 2 F1    the gradient of that, by weights and images
    4 F - F1      the real batch: forward twice, backward
    3 G           forward, backward: the lesson's activations are kept

Prints one JSON line: seconds, operations per second, the ceiling measured in the same run (a product of 2048 x 2048 matrices),
the share of it reached, and the share of all operations' time that each kind took. Two further trainings, measured in turns
with the first, give the shares of the generator, the learner and the real batch: one has pixels instead of the generator, and
one judges the learner after its last step alone.
"""

import argparse
import collections
import glob
import json
import math
import statistics
import tempfile
import time

import keras
import tensorflow as tf

from benchmarks import _problems as problems

SHOWN = 16


def forward(model, batch):
    """Operations of each convolution and matrix product of a Keras model, in order."""
    found = []
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(layer.output.shape[1:-1])
            found.append(2 * batch * positions * math.prod(layer.kernel.shape))
    return found


def operations(training, steps, batch):
    learner = forward(training.population.templates[0].functional.model, batch)
    first, total, generator = learner[0], sum(learner), sum(forward(training.treatment.generator.model, batch))
    return steps * (16 * total - 5 * first + 3 * generator)


def median(function, rounds):
    seconds = []
    for index in range(rounds + 1):
        start = time.perf_counter()
        function()
        if index:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def shares(whole, size, steps, rounds):
    """The shares of the generator, the learner and the real batch in the time of a step."""
    pixels, last = problems.gtn(size, steps, pixels=True), problems.gtn(size, steps, loss="last")
    seconds = {"whole": [], "pixels": [], "last": []}
    for index in range(rounds + 1):
        for name, training in zip(seconds, (whole, pixels, last)):
            start = time.perf_counter()
            float(training.step(0)["loss"])
            if index:
                seconds[name].append(time.perf_counter() - start)
    of_whole = {name: statistics.median(values) / statistics.median(seconds["whole"]) for name, values in seconds.items()}
    generator, real = 1 - of_whole["pixels"], (1 - of_whole["last"]) * steps / (steps - 1)  # "last" has one real batch as well
    return {"generator": round(generator, 3), "learner": round(1 - generator - real, 3), "real_batch": round(real, 3)}


def by_operation(function):
    """`{kind: share of the time of all}` from TensorFlow's profiler; two at a time count twice."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        function()
        tf.profiler.experimental.stop()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        with open(path, "rb") as file:
            space = xplane_pb2.XSpace.FromString(file.read())
    total = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                kind = name.split(":")[-1]  # name:Kind, an operation's
                if hasattr(tf.raw_ops, kind) or kind.startswith("_Mkl"):
                    total[kind] += event.duration_ps
    everything = sum(total.values())
    return {name: round(picoseconds / everything, 4) for name, picoseconds in total.most_common(SHOWN)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=28, choices=problems.SIZES)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    training = problems.gtn(options.size, options.steps)

    def step():
        float(training.step(0)["loss"])

    start = time.perf_counter()
    step()
    first_call = time.perf_counter() - start
    matrix = tf.random.normal([2048, 2048])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)[0]))
    ceiling = 2 * 2048**3 / median(lambda: product().numpy(), 9)
    seconds = median(step, options.rounds)
    speed = operations(training, options.steps, problems.SIZES[options.size][2]) / seconds
    print(
        json.dumps(
            {
                "benchmark": "profile",
                "size": options.size,
                "steps": options.steps,
                "first_call_seconds": round(first_call, 2),
                "seconds": round(seconds, 4),
                "gigaflops": round(speed / 1e9, 1),
                "ceiling_gigaflops": round(ceiling / 1e9, 1),
                "share_of_ceiling": round(speed / ceiling, 3),
                "shares": shares(training, options.size, options.steps, options.rounds),
                "by_operation": by_operation(step),
            }
        )
    )


if __name__ == "__main__":
    main()
