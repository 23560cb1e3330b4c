"""Hyperparameter optimisation of several arms, and how robust each of them is to its hyperparameters (GTN paper, figure 1b).

An arm is a name and a gin scope, as in `comparison`; a trial binds one point of the search space in that scope, trains, and is
judged on the validation split by fresh learners. The test split is not even held. Trials lie in `<base_dir>/tuning.db`, see
`studies`; those of the k-th further seed, a search of its own, in `<base_dir>/repeats/<k>`.
"""

import contextlib
import dataclasses
import functools
import gc
import math
import signal
import time

import gin
import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from tf_gtn import errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.reporting import claims, figures, report, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, studies
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.runtime import progress as progress_lib
from tf_gtn.teaching import gin_names as build

_CHECK_EVERY = 10  # outer steps between looks at whether a trial has diverged
_WAIT = 1.0  # seconds between looks at whether the other processes are done
_CHUNK = 1000  # validation images at a time


@gin.configurable(module="teaching")
@dataclasses.dataclass(frozen=True)
class Tuning:
    """What is tuned and claimed.

    Attributes:
      arms: names; each is a gin scope.
      trials: of each arm (GTN paper, figure 1b: 20).
      seeds: searches of each arm, from the run's seed on.
      sampler: gp (Gaussian process), tpe or random.
      space: `{"teaching.Training.learning_rate": (1e-3, 0.3, "log"), ...}`: gin parameters and their ranges, the same for all
        arms; integers where both ends are.
      diverged_above: a final loss above it counts as diverged, like one that is not finite; ln(classes) is chance.
      claims: see `findings.claims.compare`; quantities are arms, by the losses of their trials.
    """

    arms: tuple[str, ...] = ("weight_norm", "plain")
    trials: int = 20
    seeds: int = 1
    sampler: str = "gp"
    space: dict = dataclasses.field(default_factory=dict)
    diverged_above: float = 100.0
    claims: tuple = ()

    def __post_init__(self):
        registrations.at_least(1, "teaching.Tuning", self)
        registrations.check_arms("teaching.Tuning", self.arms)
        if not self.space:
            raise errors.UserError("teaching.Tuning.space is empty: it names the gin parameters to tune and their ranges")
        for name, entry in self.space.items():
            studies.check_range(name, entry)
            gin_config.check_parameter(name, entry[:2])
        claims.check("teaching.Tuning.claims", self.claims)
        claims.rehearse(self.claims, claims.stand_ins(dict.fromkeys(self.arms, self.trials), self.seeds))
        studies.check_sampler(self.sampler)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
      loss: mean cross-entropy of fresh learners on the validation split after the last inner step; infinite if it diverged.
      accuracy: their mean accuracy there; 0 if it diverged.
      steps: outer steps taken.
      skipped: those whose loss or gradient was not finite.
    """

    loss: float
    accuracy: float
    steps: int
    skipped: int


class Stopped(loop.Stopped):
    """A signal broke a trial off."""

    def __init__(self, number, finished, total):
        super().__init__(number, 0)
        name = signal.Signals(number).name
        self.args = (f"stopped by {name}; {finished} of {total} trials are finished: the same command goes on from there",)


def run(run, tuning):
    """Everything from building to report.html; returns `{arm: summary}`, or None in a dry run or if it joined another's run."""
    gin_config.check_arms_differ(tuning.arms)
    dataset = without_test(build.dataset(run))
    learners = build.Evaluation().validation_learners
    check(tuning, dataset, run.seed)
    if not run.ready():
        return None
    searches, made = [], 0
    for k in range(tuning.seeds):
        folder, seed = base_dirs.repeat(run.base_dir, k), run.seed + k
        files.folder(folder)
        with studies.Studies(folder, tuning.arms, tuning.trials, tuning.space, tuning.sampler, seed) as shared:
            made += _work(run, tuning, dataset, learners, shared, seed)
            finished = shared.finished()
        searches.append(finished)
    if run.joined:
        total = tuning.trials * len(tuning.arms) * tuning.seeds
        print(
            f"made {made} trials; {sum(len(slots) for found in searches for slots in found.values())} of {total} are finished"
        )
        return None
    return _conclude(run, tuning, searches)


def without_test(dataset):
    """A data set with an empty test split: what is chosen here must not have seen it."""
    return dataclasses.replace(dataset, test=dataset.test.take(slice(0, 0)))


def check(tuning, dataset, seed):
    """Builds each arm at both ends of the search space.

    Raises:
      UserError: a value does not fit, or a parameter of the search space has no effect.
    """
    for arm in tuning.arms:
        for end in (0, 1):
            point = {name: entry[end] for name, entry in tuning.space.items()}
            with gin_config.bound(arm, point) as unused:
                _make(arm, dataset, seed)
                if unused():
                    raise errors.UserError(
                        f"{unused()[0]} in teaching.Tuning.space does nothing: nothing uses it in the arm {arm}"
                    )


def trial(arm, parameters, dataset, seed, learners, diverged_above, stopped=lambda: None):
    """Trains with these parameters and judges: a function of its arguments and the gin config.

    Args:
      arm: the gin scope.
      parameters: `{gin parameter: value}`.
      dataset: a `data.Dataset`.
      seed: of the training.
      learners: how many fresh ones judge, the same in all trials.
      diverged_above: see `Tuning`.
      stopped: called after every step; raises if it is time to stop.

    Returns:
      An `Outcome`.
    """
    with gin_config.bound(arm, parameters):
        training = _make(arm, dataset, seed)
        steps = 0
        for index in range(training.outer_steps):
            training.step(index)
            steps += 1
            stopped()
            if steps % _CHECK_EVERY == 0 and int(training.consecutively_skipped.numpy()) >= loop.MAX_SKIPPED:
                break
        lost = int(training.consecutively_skipped.numpy()) >= loop.MAX_SKIPPED
        loss, accuracy = (math.inf, 0.0) if lost else validate(training, learners)
        if not loss <= diverged_above:
            loss, accuracy = math.inf, 0.0
        return Outcome(loss, accuracy, steps, int(training.skipped.numpy()))


def validate(training, learners):
    """Mean cross-entropy and accuracy, on the validation split, of fresh learners after the last inner step."""
    images, labels = tf.constant(training.dataset.validation.images), tf.constant(training.dataset.validation.labels)
    functions, found = {}, []
    for i in range(learners):
        draw = training.population.draw([build.VALIDATION_SEED, i])
        if draw.template not in functions:
            functions[draw.template] = tf.function(functools.partial(_judge, training, draw.template), autograph=False)
        seed = tf.constant([build.VALIDATION_SEED, i])
        found.append(functions[draw.template](seed, tf.constant(draw.widths, tf.int32), images, labels).numpy())
    return tuple(float(total) for total in np.mean(found, 0) / len(labels))


@contextlib.contextmanager
def traces_forgotten():
    """What is traced in here takes no memory afterwards; nothing of it may be used any more.

    `tf.custom_gradient` registers each gradient that it traces, under a name of its own, and never takes it back: 50 MB a trial
    on 8x8 images, with all graphs that it leads to.
    """
    registered = getattr(ops.gradient_registry, "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            if name.startswith("CustomGradient-"):
                del registered[name]
        keras.utils.clear_session()
        gc.collect()  # graphs are cycles


def summary(trials):
    """What the trials of an arm found; `trials` is a list of Optuna's, by search and slot."""
    values = [t.value for t in trials]
    low, median, high = statistics.quartiles(values)
    place = int(np.argmin(values))
    best = trials[place]
    return {
        "values": values,
        "median": median,
        "quartiles": [low, high],
        "diverged": float(np.mean(np.isinf(values))),
        "best": best.value,
        "best_accuracy": best.user_attrs["validation_accuracy"],
        "best_trial": place + 1,
        "best_parameters": best.params,
        "seconds_per_trial": float(np.median([t.user_attrs["seconds"] for t in trials])),
    }


def _make(arm, dataset, seed):
    with gin.config_scope(arm):
        return build.make(dataset, seed)


def _judge(training, template, seed, widths, images, labels):
    """One fresh learner: the sums of its cross-entropies and of its hits, [2]."""
    inner = training.inner_loops[template]
    init, lesson = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    xs = inner.xs(training.hyperparameters.values(), lesson)
    final, _ = inner.run(inner.initial_state(init, widths), xs, recompute_every=0)

    def body(start, sums):
        part = labels[start : start + _CHUNK]
        logits = inner.logits(final, training.dataset.normalize(images[start : start + _CHUNK]))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(part, logits)
        hits = tf.math.count_nonzero(tf.argmax(logits, -1, tf.int32) == part, dtype=losses.dtype)
        return start + _CHUNK, sums + tf.stack([tf.reduce_sum(losses), hits])

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, tf.zeros([2])))[1]


def _work(run, tuning, dataset, learners, shared, seed):
    """Makes trials until none is open, and waits for those of others; returns how many were made here."""
    total, made, done = tuning.trials * len(tuning.arms), 0, sum(map(len, shared.finished().values()))
    if done:
        print(f"{done} of {total} trials are finished" if done < total else f"all {total} trials are finished", flush=True)
    with loop.signals() as received, progress_lib.Progress(total, done, "trials", first="tracing the first") as bar:

        def stopped():
            if received:
                raise Stopped(received[0], sum(map(len, shared.finished().values())), total)

        while done < total:
            claim = shared.claim()
            if claim is not None:
                made += 1
                outcome = _made(claim, shared, dataset, seed, learners, tuning.diverged_above, stopped)
                losses = {claim.name: outcome.loss}
            elif run.joined:
                break
            else:
                time.sleep(_WAIT)
                losses = {}
            stopped()
            done = sum(map(len, shared.finished().values()))
            bar.update(done, **losses)
    return made


def _made(claim, shared, dataset, seed, learners, diverged_above, stopped):
    """Makes one trial and stores it."""
    started = time.perf_counter()
    try:
        own_seed = int(np.random.SeedSequence([seed, claim.slot]).generate_state(1)[0] >> 1)  # the same for all arms
        with traces_forgotten():
            outcome = trial(claim.name, claim.parameters, dataset, own_seed, learners, diverged_above, stopped)
    except BaseException:
        shared.give_back(claim)
        raise
    found = {"validation_accuracy": outcome.accuracy, "steps": outcome.steps, "skipped": outcome.skipped}
    shared.finish(claim, outcome.loss, **found, seconds=round(time.perf_counter() - started, 3))
    return outcome


def _conclude(run, tuning, searches):
    """Numbers, claims, figure and report."""
    by_search = []
    for k, finished in enumerate(searches):
        by_search.append({arm: [finished[arm][slot] for slot in range(tuning.trials)] for arm in tuning.arms})
        _write_metrics(base_dirs.repeat(run.base_dir, k), by_search[-1])
    metrics = {arm: summary([trial for trials in by_search for trial in trials[arm]]) for arm in tuning.arms}
    values = {arm: found["values"] for arm, found in metrics.items()}
    losses = {arm: claims.Quantity([[t.value for t in trials[arm]] for trials in by_search]) for arm in tuning.arms}
    made = claims.compare(tuning.claims, losses, "final losses of trials")
    figures.boxes(
        figures.path(run.base_dir, "final_loss"),
        values,
        "final validation loss",
        f"Final loss of each of {len(searches)} x {tuning.trials} trials an arm during hyperparameter optimisation (points), "
        f"their median and quartiles (boxes). What diverged (not finite, or above {tuning.diverged_above:g}) lies as a cross "
        "at the upper edge.",
    )
    report.conclude(run, "teaching", "tune_gtn", metrics, made)
    return metrics


def _write_metrics(base_dir, trials):
    """A line of metrics.jsonl for each slot, with the trials of all arms there."""
    writer = metrics_lib.MetricsWriter(base_dir)
    for slot, row in enumerate(zip(*trials.values())):
        line = {}
        for arm, t in zip(trials, row):
            line |= {f"{arm}/loss": t.value, f"{arm}/seconds": t.user_attrs["seconds"]}
            line |= {f"{arm}/{name}": t.user_attrs[name] for name in ("validation_accuracy", "steps", "skipped")}
            line |= {f"{arm}/{name}": value for name, value in t.params.items()}
        writer.write(slot + 1, **line)
    writer.close()


def best_bindings(found):
    """The best parameters of an arm, from its summary, as gin bindings: a line each."""
    return [f"{name} = {value!r}" for name, value in found["best_parameters"].items()]
