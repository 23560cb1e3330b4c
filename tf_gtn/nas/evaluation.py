"""Evaluations of an architecture: by a GTN, on real data (GTN paper, section 2), by zero-cost proxies, by a table.

`evaluate` is a function of plain values, so that it can run in any process. It gives rows

    {"architecture", "seed", "budget", "score", "accuracy", "loss", "seconds", "training_seconds", "parameters", "flops"}

with accuracy and loss of that very network on the validation split, or the test split where a budget says so. `score` is what
ranks, larger is better: the accuracy, or what a zero-cost proxy gives. A proxy has no accuracy and no loss, a table no loss and
no costs. A network whose loss or score is not finite has `"failed"` instead of them. `seconds` is everything,
`training_seconds` without building and tracing.
"""

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, data
from tf_gtn.core import functional, supervised
from tf_gtn.data import augmentation
from tf_gtn.nas import costs, proxies, table
from tf_gtn.nas import space as spaces
from tf_gtn.teaching import lesson, loading

SPLITS = ("train", "validation", "test")
Split = Annotated[str, arguments.OneOf(SPLITS, "split")]
_INIT, _ORDER, _AUGMENT = range(3)


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.GTN")
class GTN:
    """The learned lesson, with weight normalisation and the learned schedule ("128 steps", section 3.4).

    Attributes:
      name: of the budget, in rows.
      export_dir: see `tf_gtn.load`.
      steps: SGD steps; None: as many as the GTN was trained with.
      learning_rate_limit: the learned rates are limited to that fraction of the largest; "auto": the best of several by the
        synthetic loss, which costs as many trainings.
      weight_norm: whether kernels are weight-normalised (appendix A.2: "we do so when we train architectures with GTN-generated
        data").
      split: what accuracy is measured on.
    """

    name: str = "gtn"
    export_dir: str = "digits"
    steps: arguments.Count | None = None
    learning_rate_limit: arguments.Positive | Literal["auto"] = "auto"
    weight_norm: bool = True
    split: Split = "validation"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Real")
class Real:
    """SGD with Nesterov momentum on the real training data, its rate by a cosine to zero (NAO's training, as in the paper).

    Attributes:
      name: rows are of the budgets `<name>_<epochs>`.
      epochs: one number or several, fractions too; each is a training of its own, from the same start.
      batch_size, learning_rate, momentum, weight_decay: of SGD.
      augment: random crops and flips.
      cutout: side of the square that is blanked in each image; 0: none.
      split: what accuracy is measured on.
    """

    name: str = "real"
    epochs: arguments.Positive | tuple[arguments.Positive, ...] = 10
    batch_size: arguments.Count = 32
    learning_rate: arguments.Positive = 0.05
    momentum: arguments.Fraction = 0.9
    weight_decay: arguments.NotNegative = 0.0
    augment: bool = False
    cutout: arguments.Whole = 0
    split: Split = "validation"

    @property
    def all_epochs(self) -> tuple[float, ...]:
        return tuple(self.epochs) if isinstance(self.epochs, list | tuple) else (self.epochs,)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the budgets that it gives rows of."""
        return tuple(f"{self.name}_{epochs:g}" for epochs in self.all_epochs)


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Proxy")
class Proxy:
    """A zero-cost proxy: a score of the untrained network.

    Attributes:
      proxy: of `proxies.REGISTRY`.
      batch_size: real training images that it is given.
      name: of the budget, in rows; None: the proxy's.
    """

    proxy: Annotated[str, arguments.OneOf(proxies.REGISTRY, "zero-cost proxy")] = "synflow"
    batch_size: arguments.Count = 64
    name: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name or self.proxy,)


Budget = GTN | Real | Proxy | table.Table


def evaluate(space: spaces.Space, architecture: str, seed: int, budget: Budget, dataset: data.Dataset) -> list[dict[str, Any]]:
    """Builds, trains and tests one network; returns its rows, one for each of `budget.names`.

    Args:
      space: such as `cells.Cells()`.
      architecture: its text.
      seed: of the weights and of the order of batches.
      budget: a `GTN`, a `Real`, a `Proxy` or a `table.Table`.
      dataset: a `data.Dataset`.
    """
    rows, began = [], time.perf_counter()
    row = {"architecture": architecture, "seed": int(seed), "budget": budget.names[0]}
    if isinstance(budget, table.Table):
        accuracy = budget.accuracy(architecture, seed)
        return [
            {**row, "score": accuracy, "accuracy": accuracy, "training_seconds": 0.0, "seconds": time.perf_counter() - began}
        ]
    if isinstance(budget, Proxy):
        model, score = _proxy(space, architecture, seed, budget, dataset)
        measured = {"score": score} if math.isfinite(score) else {"failed": f"{budget.names[0]} is not finite"}
        seconds = time.perf_counter() - began
        return [{**row, **measured, **_costs(model), "training_seconds": seconds, "seconds": seconds}]
    for name, model, seconds in trained(space, architecture, seed, budget, dataset):
        accuracy, loss = _tested(model, getattr(dataset, budget.split), dataset)
        measured = {"score": accuracy, "accuracy": accuracy, "loss": loss}
        measured = measured if math.isfinite(loss) else {"failed": "the loss is not finite"}
        seconds_ = {"training_seconds": seconds, "seconds": time.perf_counter() - began}
        rows.append({**row, "budget": name, **measured, **_costs(model), **seconds_})
        began = time.perf_counter()
    return rows


def trained(
    space: spaces.Space, architecture: str, seed: int, budget: Budget, dataset: data.Dataset
) -> Iterator[tuple[str, keras.Model, float]]:
    """Yields `(budget's name, Keras model, seconds of training)` for each of `budget.names`; it is one model, trained anew."""
    keras.backend.clear_session()
    model = space.build(space.parse(architecture), dataset.image_shape, dataset.num_classes)
    yield from (_by_gtn if isinstance(budget, GTN) else _on_real)(model, seed, budget, dataset)


def _costs(model):
    return {"parameters": costs.parameters(model), "flops": costs.flops(model)}


def _proxy(space, architecture, seed, budget, dataset):
    """The untrained network and its score."""
    keras.backend.clear_session()
    model = space.build(space.parse(architecture), dataset.image_shape, dataset.num_classes)
    fresh = functional.Functional(model)
    fresh.assign(*fresh.initial_values(tf.constant([seed, _INIT])))
    chosen = np.random.default_rng([seed, _ORDER]).choice(len(dataset.train), min(budget.batch_size, len(dataset.train)), False)
    labels = tf.one_hot(dataset.train.labels[chosen], dataset.num_classes)
    return model, proxies.REGISTRY[budget.proxy](model, dataset.normalize(dataset.train.images[chosen]), labels)


def _by_gtn(model, seed, budget, dataset):
    del dataset  # "without looking at real data"
    gtn = loading.load(budget.export_dir)
    xs = gtn.lesson(budget.steps)
    teacher = lesson.Lesson(model, gtn.metadata["image_shape"], budget.weight_norm, from_logits=True, optimizer=gtn.optimizer)
    start = teacher.learner.initial_values(tf.constant([seed, _INIT]))

    def teach():
        if budget.learning_rate_limit == "auto":
            taught = teacher.best(start, xs)[0]
        else:
            taught = teacher.teach(start, lesson.limited(xs, budget.learning_rate_limit))
        teacher.learner.assign(*taught.network)

    teach()  # traces
    began = time.perf_counter()
    teach()
    yield budget.name, model, time.perf_counter() - began


def _on_real(model, seed, budget, dataset):
    images, labels = dataset.train.images, dataset.train.labels
    fresh = functional.Functional(model)
    start = fresh.initial_values(tf.constant([seed, _INIT]))
    rate = tf.Variable(budget.learning_rate, trainable=False)
    optimizer = keras.optimizers.SGD(
        budget.learning_rate, budget.momentum, nesterov=True, weight_decay=budget.weight_decay or None, clipnorm=5.0
    )
    optimizer.build(model.trainable_variables)

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([budget.batch_size, *dataset.image_shape], tf.uint8),
            tf.TensorSpec([budget.batch_size], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def step(images, labels, seed):
        optimizer.learning_rate.assign(rate)
        x = dataset.normalize(images)
        if budget.augment:
            x = augmentation.random_crop_flip(x, seed)
        if budget.cutout:
            x = augmentation.cutout(x, seed + tf.constant([0, _AUGMENT + 1_000_000]), budget.cutout)
        with tf.GradientTape() as tape:
            loss = supervised.cross_entropy(tf.one_hot(labels, dataset.num_classes), model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    def train(steps):
        fresh.assign(*start)
        for variable in optimizer.variables:
            if variable is not optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        order = np.zeros(0, int)
        for index in range(steps):
            if len(order) < budget.batch_size:
                order = np.concatenate([order, np.random.default_rng([seed, _ORDER, index]).permutation(len(images))])
            batch, order = order[: budget.batch_size], order[budget.batch_size :]
            rate.assign(budget.learning_rate * 0.5 * (1 + math.cos(math.pi * index / steps)))
            step(images[batch], labels[batch].astype(np.int32), tf.constant([seed, index]))

    train(1)  # traces
    for name, epochs in zip(budget.names, budget.all_epochs):
        began = time.perf_counter()
        train(max(1, round(epochs * len(images) / budget.batch_size)))
        yield name, model, time.perf_counter() - began


def _tested(model, split, dataset, chunk=500):
    """Accuracy and mean cross-entropy on a split."""
    predict = tf.function(lambda images: model(images, training=False), autograph=False, reduce_retracing=True)
    correct = loss = 0.0
    for start in range(0, len(split), chunk):
        images, labels = split.images[start : start + chunk], split.labels[start : start + chunk]
        logits = predict(dataset.normalize(images))
        loss += float(supervised.cross_entropy(tf.one_hot(labels, dataset.num_classes), logits)) * len(labels)
        correct += float(np.sum(np.argmax(logits, -1) == labels))
    return correct / len(split), loss / len(split)
