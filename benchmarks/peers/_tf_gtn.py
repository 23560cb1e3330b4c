"""One meta-gradient in tf_gtn; makes the problem that the peers get.

python -m benchmarks.peers._tf_gtn PROBLEM.npz CONFIG THREADS, of one operation
"""

import json
import sys

from tf_gtn.runtime import quiet

quiet.import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import _problems as problems  # noqa: E402
from benchmarks.peers import _worker  # noqa: E402
from tf_gtn.core import estimators  # noqa: E402
from tf_gtn.teaching import problem as problem_lib  # noqa: E402

SEED = 7


def short(path):
    """`sequential/conv_1/kernel` -> `conv_1/kernel`."""
    return "/".join(path.split("/")[-2:])


def flat(params):
    return {
        f"{short(path)}{f'/{key}' if key else ''}": value
        for path, entry in params.items()
        for key, value in (entry.items() if isinstance(entry, dict) else [("", entry)])
    }


def outer_names(training):
    """In the order of `trainable_variables`."""
    paths = tf.nest.flatten(_names(training.treatment._params))
    return [f"generator/{p}" for p in paths] + ["noise", "learning_rate", "momentum"]


def _names(params):
    return {
        path: {key: f"{short(path)}/{key}" for key in entry} if isinstance(entry, dict) else short(path)
        for path, entry in params.items()
    }


def save(training, path, config):
    """Everything that a peer needs to compute the same."""
    seed = tf.constant([SEED, 0])
    learner, _, real = problem_lib._split(seed)
    state = training.inner_loops[0].initial_state(learner, training.population.draw([0]).widths)
    reader = training._reader
    sample = reader.sample((training.inner_steps, config["batch"]), real)
    images, labels = zip(*(reader.batch(reader.params(), {"index": i}) for i in tf.unstack(sample["index"])))
    arrays = {f"outer:{n}": v.numpy() for n, v in zip(outer_names(training), training.trainable_variables)}
    arrays |= {f"learner:{n}": v.numpy() for n, v in flat(state["params"]).items()}
    label = training.treatment.xs(seed)["label"].numpy()
    arrays |= {"data:label": label, "data:image": np.stack(images), "data:real_label": np.stack(labels)}
    np.savez(path, config=json.dumps(config), **arrays)


def main():
    path, config = sys.argv[1], json.loads(sys.argv[2])
    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[3]))
    tf.config.threading.set_inter_op_parallelism_threads(2)
    training = problems.fixed(**config)
    save(training, path, config)
    names, widths = outer_names(training), training.population.draw([0]).widths

    @tf.function(autograph=False)
    def gradient():
        problem = training.problem(0, tf.constant(widths, tf.int32))
        found = estimators.Full().estimate(problem, training.values(), tf.constant([SEED, 0]), "every", ())
        return found.loss, found.gradients

    def run():
        loss, gradients = gradient()
        return loss.numpy(), dict(zip(names, (g.numpy() for g in gradients)))

    _worker.serve(run)


if __name__ == "__main__":
    main()
