"""What an export costs its users: throughput and latency of its signatures, and of `as_dataset()` feeding `model.fit`.

    python -m benchmarks.serving
    python -m benchmarks.serving --export_dir=runs/glyphs/export

By `tf.saved_model.load` alone. Prints one JSON line: median milliseconds a call and images a second by batch size; and the
ratio of `model.fit` on `as_dataset()` to the same batches from memory, interleaved.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from tf_gtn.teaching import loading

EPOCHS = 20


def calls(function, rounds=30):
    """Median seconds of a call, after one that traces."""
    seconds = []
    for index in range(rounds + 1):
        start = time.perf_counter()
        tf.nest.map_structure(lambda x: x.numpy(), function())
        if index:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def signatures(gtn):
    """`{signature: {batch: {"milliseconds", "images_per_second"}}}`; a batch of `curriculum` is that many steps."""
    served = tf.saved_model.load(gtn.path).signatures
    latent, classes, batch_size = gtn.metadata["latent"], len(gtn.metadata["classes"]), gtn.metadata["batch_size"]
    found = {"serving_default": {}, "curriculum": {}}
    for batch in (1, 128, 1024):
        noise, label = tf.random.normal([batch, latent]), tf.one_hot(tf.range(batch) % classes, classes)
        steps = tf.range(batch, dtype=tf.int64)
        for name, images, call in (
            ("serving_default", batch, lambda: served["serving_default"](noise=noise, label=label)),  # noqa: B023
            ("curriculum", batch * batch_size, lambda: served["curriculum"](step=steps)),  # noqa: B023
        ):
            seconds = calls(call)
            found[name][batch] = {"milliseconds": round(1e3 * seconds, 3), "images_per_second": round(images / seconds)}
    return found


def feeding(gtn, rounds=9):
    """Seconds of `EPOCHS` passes of `model.fit` over the lesson, from `as_dataset()` and from memory, interleaved."""
    images, labels = (np.concatenate(parts) for parts in zip(*gtn.as_dataset().as_numpy_iterator()))
    batch_size = gtn.metadata["batch_size"]
    sources = {
        "as_dataset": gtn.as_dataset().prefetch(2),
        "memory": tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size).prefetch(2),
    }
    layers = [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(labels.shape[-1])]
    model = keras.Sequential([keras.Input(images.shape[1:]), *layers])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    seconds = {name: [] for name in sources}
    for index in range(rounds + 1):
        for name, source in sources.items():
            start = time.perf_counter()
            model.fit(source, epochs=EPOCHS, verbose=0)
            if index:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {"seconds": {k: round(v, 4) for k, v in median.items()}, "ratio": round(median["as_dataset"] / median["memory"], 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export_dir", default="digits")
    gtn = loading.load(parser.parse_args().export_dir)
    print(json.dumps({"benchmark": "serving", "dataset": gtn.metadata["dataset"], **signatures(gtn), "fit": feeding(gtn)}))


if __name__ == "__main__":
    main()
