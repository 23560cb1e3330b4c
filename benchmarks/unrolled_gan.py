"""One iteration of an unrolled GAN (the ring's networks, batch 512): how it grows with K, and beside eager implementations.

    python -m benchmarks.unrolled_gan --figure=docs/figures/unrolled_gan.png

The eager ones, in TensorFlow and in PyTorch (`.bench/pytorch`, left out where it is not there), are written as one would: K
Adam steps of the discriminator on one minibatch, the generator's samples made once, and a gradient through all of it. Rounds
are interleaved; prints a line of JSON with medians, the ratios at K = 10 and the line that is fitted to seconds by K.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import numpy as np
import tensorflow as tf

from benchmarks._workers import PEERS, ROOT, Worker
from tf_gtn.core import Adam
from tf_gtn.data import mixtures
from tf_gtn.gan import objectives, training
from tf_gtn.models import gans

STEPS = (0, 1, 2, 5, 10, 20)
BATCH, NOISE, COMPARED = 512, 256, 10
RATE, BETA_1, BETA_2, EPSILON = 1e-4, 0.5, 0.999, 1e-7


def ours(steps, networks=1, iterations=20):
    """`() -> seconds an iteration`."""
    adam = Adam(RATE, BETA_1, BETA_2, EPSILON)
    players = gans.ring_generator(noise=NOISE), gans.ring_discriminator()
    settings = {
        "iterations": iterations,
        "parallel_seeds": networks,
        "unrolled": objectives.Unrolled(steps),
        "batch_size": BATCH,
    }
    trained = training.UnrolledGAN(
        *players, mixtures.ring(), 0, 10**6, **settings, generator_optimizer=adam, discriminator_optimizer=adam
    )
    index = 0

    def run():
        nonlocal index
        began = time.perf_counter()
        float(trained.step(index)["loss"])
        index += 1
        return (time.perf_counter() - began) / iterations

    run()  # traces
    return run


def eager(steps):
    """The same in eager TensorFlow."""
    generator, discriminator = gans.ring_generator(noise=NOISE), gans.ring_discriminator()
    g, d = ([tf.convert_to_tensor(v) for v in model.trainable_variables] for model in (generator, discriminator))
    moments = {"g": [[tf.zeros_like(v) for v in g]] * 2, "d": [[tf.zeros_like(v) for v in d]] * 2}
    centers, count = tf.constant(mixtures.ring().centers, tf.float32), 0

    def perceptron(weights, x):
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
            x = tf.nn.relu(x @ kernel + bias)
        return x @ weights[-2] + weights[-1]

    def f(d, real, fake):
        logits = [perceptron(d, x / 4)[:, 0] for x in (real, fake)]
        return tf.reduce_mean(tf.math.log_sigmoid(logits[0])) + tf.reduce_mean(tf.math.log_sigmoid(-logits[1]))

    def adam(weights, gradients, slots, t):
        first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(slots[0], gradients)]
        second = [BETA_2 * n + (1 - BETA_2) * g * g for n, g in zip(slots[1], gradients)]
        moved = [
            w - RATE * m / (1 - BETA_1**t) / (tf.sqrt(n / (1 - BETA_2**t) + 1e-20) + EPSILON)
            for w, m, n in zip(weights, first, second)
        ]
        return moved, [first, second]

    def discriminator_step(d, slots, real, fake, t):
        with tf.GradientTape() as tape:
            tape.watch(d)
            loss = -f(d, real, fake)
        return adam(d, tape.gradient(loss, d), slots, t)

    def batch():
        index = tf.random.uniform([BATCH], 0, len(centers), tf.int32)
        return tf.gather(centers, index) + tf.random.normal([BATCH, 2], stddev=0.02), tf.random.normal([BATCH, NOISE])

    def run():
        nonlocal g, d, count
        began = time.perf_counter()
        count += 1
        real, noise = batch()
        with tf.GradientTape() as tape:
            tape.watch(g)
            fake, ahead, slots = perceptron(g, noise), d, moments["d"]
            for k in range(steps):
                ahead, slots = discriminator_step(ahead, slots, real, fake, count + k)
            loss = f(ahead, real, fake)
        g, moments["g"] = adam(g, tape.gradient(loss, g), moments["g"], count)
        real, noise = batch()
        d, moments["d"] = discriminator_step(d, moments["d"], real, perceptron(g, noise), count)
        d[0].numpy()
        return time.perf_counter() - began

    run()
    return run


def pytorch(steps):
    """The same in PyTorch, in a process of its own; None where it is not installed."""
    python = ROOT / ".bench" / "pytorch" / "bin" / "python"
    if not python.exists():
        return None
    worker = Worker([str(python), str(PEERS / "_pytorch_gan.py"), str(steps)])
    return lambda: worker.ask("run")["seconds"]


def draw(path, points, slope, constant):
    from tf_gtn.reporting import drawing

    caption = f"Seconds of one iteration by K, and the line {constant:.2g} + {slope:.2g} K (ring, batch 512, one network)."
    with drawing.to_png(path, caption) as figure:
        axes = figure.subplots()
        axes.plot(list(points), list(points.values()), "o", color="#0072B2", label="measured")
        axes.plot(list(points), [constant + slope * k for k in points], "-", color="#D55E00", label="fit")
        axes.set(xlabel="unrolled steps K", ylabel="seconds an iteration", ylim=(0, None))
        drawing.finish(figure, axes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--figure", default=".bench/unrolled_gan.png")
    options = parser.parse_args()
    contenders = {f"K={k}": ours(k) for k in STEPS}
    contenders |= {"five networks, K=10": ours(COMPARED, 5), "eager": eager(COMPARED), "pytorch": pytorch(COMPARED)}
    contenders = {name: run for name, run in contenders.items() if run is not None}
    found = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, run in contenders.items():
            found[name].append(run())
    medians = {name: statistics.median(values) for name, values in found.items()}
    points = {k: medians[f"K={k}"] for k in STEPS}
    slope, constant = np.polyfit(list(points), list(points.values()), 1)
    residuals = np.array([seconds - constant - slope * k for k, seconds in points.items()])
    share = 1 - residuals.var() / np.var(list(points.values()))
    pathlib.Path(options.figure).parent.mkdir(exist_ok=True, parents=True)
    draw(options.figure, points, slope, constant)
    mine = medians[f"K={COMPARED}"]
    ratios = {f"ratio_to_{name}": mine / medians[name] for name in ("eager", "pytorch") if name in medians}
    line = {"benchmark": "unrolled_gan", **ratios, "median_seconds": medians}
    line["fit"] = {"constant": constant, "per_step": slope, "r_squared": share}
    print(json.dumps(json.loads(json.dumps(line), parse_float=lambda text: float(f"{float(text):.4g}"))))


if __name__ == "__main__":
    sys.exit(main())
