"""One meta-gradient against first-order training of the same T steps, interleaved in one process.

    python -m benchmarks.first_order
    python -m benchmarks.first_order --size=28

First-order training is the inner loop alone, compiled in the same way: "learner" takes the learner's gradient and SGD step on
the generator's batch, "both" takes the generator's gradient of the same loss too, so that everything that the meta-gradient is
taken by, or goes through, gets its first-order one. Prints one JSON line: median seconds of all, with the real loss after the
last step ("last", the paper's) and after every one ("every"), recomputed and stored, and the ratios to either (GTN paper,
appendix D: 4 in theory, 2.5 measured on a GPU; it does not say what was compared).
"""

import argparse
import json
import statistics
import time

import tensorflow as tf

from benchmarks import _problems as problems
from tf_gtn.core import estimators, supervised, unrolling

FIRST_ORDER = ("learner", "both")
MODES = {(loss, every): f"{loss}_{'recomputed' if every else 'stored'}" for loss in ("last", "every") for every in (1, 0)}


def functions(size, steps):
    """`{name: compiled function}`, each a scalar in the end."""
    made, seed = {}, tf.constant([7, 0])
    for (loss, every), name in MODES.items():
        training = problems.gtn(size, steps, every)
        widths = tf.constant(training.population.draw([0]).widths, tf.int32)

        def meta(training=training, widths=widths, loss=loss):
            found = estimators.Full().estimate(training.problem(0, widths), training.values(), seed, loss, ())
            return tf.add_n([tf.reduce_sum(g) for g in found.gradients])

        made[name] = tf.function(meta, autograph=False)
    inner, hyper, start = training.inner_loops[0], training.hyperparameters, tf.constant([7, 1])
    for what in FIRST_ORDER:
        made[what] = tf.function(
            lambda what=what: _first_order(inner, hyper.values(), inner.initial_state(start, widths), what == "both"),
            autograph=False,
        )
    return made


def _first_order(inner, hyper, state, both):
    """T steps of training; returns a sum of what was computed."""

    def step(params, state, x):
        with tf.GradientTape() as tape:
            tape.watch((params, x["treatment"]["noise"], state["params"]))
            images, labels = inner.treatment.batch(params, x["treatment"])
            outputs, model = inner.learner(state["params"], state["model"], images, training=True)
            loss = supervised.cross_entropy(labels, outputs)
        sources = (state["params"], params, x["treatment"]["noise"]) if both else (state["params"],)
        mine, *others = tape.gradient(loss, sources)
        learner, slots = inner.optimizer.update(mine, state["slots"], state["params"], x["hyper"])
        return {"params": learner, "slots": slots, "model": model}, [tf.reduce_sum(g) for g in tf.nest.flatten(others)]

    xs = inner.xs(hyper, tf.constant([7, 0]))
    state, found = unrolling.unroll(step, inner.treatment.params(), state, xs, checkpoint_every=0)
    return tf.add_n([tf.reduce_sum(v) for v in tf.nest.flatten((state["params"], found))])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8, choices=problems.SIZES)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    steps, rounds = options.steps or {8: 16, 28: 4}[options.size], options.rounds or {8: 15, 28: 5}[options.size]
    made = functions(options.size, steps)
    seconds = {name: [] for name in made}
    for index in range(rounds + 1):
        for name, function in made.items():
            start = time.perf_counter()
            function().numpy()
            if index:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        json.dumps(
            {
                "benchmark": "first_order",
                "size": options.size,
                "steps": steps,
                "median_seconds": {name: round(value, 4) for name, value in median.items()},
                **{
                    f"ratio_to_{what}": {name: round(median[name] / median[what], 3) for name in MODES.values()}
                    for what in FIRST_ORDER
                },
            }
        )
    )


if __name__ == "__main__":
    main()
