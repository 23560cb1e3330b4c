"""An experiment of transfer: arms, each a gin scope, pretrained on several numbers of tasks, then learning tasks held out.

Each seed's folder (`repeats`) has checkpoints, metrics.jsonl and

    outcome.json    {"error", "area": {"<arm>_<tasks>": [one a held-out task]}, "curve": {"<arm>_<tasks>": [K]},
                     "seconds_per_step": {"<arm>_<tasks>": s}, "outer_steps": {"<arm>_<tasks>": n},
                     "rho": {"<convention>_<rate>": {steps: [one a task]}}}, null where it diverged
    initializations/<arm>_<tasks>.keras    what new tasks begin from; not of HAT and Progressive Nets
"""

import dataclasses

import gin
import numpy as np
import tensorflow as tf

from tf_gtn import errors, watching
from tf_gtn.config import gin_config, registrations
from tf_gtn.core import supervised
from tf_gtn.reporting import claims, report, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, repeats
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.transfer import figures, jacobians, methods
from tf_gtn.transfer import gin_names as build

_LEARNING, _VALIDATION = 1_000_001, 2_000_003  # seeds of new tasks' training


@gin.configurable(module="transfer")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is pretrained, looked at and claimed.

    Attributes:
      arms: names; each is a gin scope.
      pretraining: numbers of tasks; none: each task is held out in turn, and all others are pretrained on (appendix G).
      in_turn: the tasks that are held out then; none: all of them.
      evaluated: tasks, the last ones, that are held out for evaluation.
      validated: tasks before them, learned at every validation; `transfer.arm.patience` goes by their mean error.
      seeds: runs of each arm, from the run's seed on; each has its own choice of characters and alphabets.
      rates: learning rates of rho (appendix D); none: it is not looked at.
      rate_steps: of SGD.
      claims: see `findings.claims.compare`; quantities are `error/<arm>_<tasks>` and `area/<arm>_<tasks>` (the number of tasks,
        or the one held out), and `rho/<convention>_<rate>` with a convention of `whole`, `layer`.
    """

    arms: tuple[str, ...]
    pretraining: tuple[int, ...] = (1, 10, 20)
    in_turn: tuple[str, ...] = ()
    evaluated: int = 10
    validated: int = 3
    seeds: int = 5
    rates: tuple[float, ...] = ()
    rate_steps: int = 20
    claims: tuple = ()

    def __post_init__(self):
        errors.at_least_one("transfer.Experiment", seeds=self.seeds, evaluated=self.evaluated, rate_steps=self.rate_steps)
        if self.validated < 0:
            raise errors.UserError(f"transfer.Experiment.validated is a number of tasks; got {self.validated}")
        registrations.check_arms("transfer.Experiment", self.arms, taken=_TABLES)
        if min(self.pretraining, default=1) < 1 or len(set(self.pretraining)) < len(self.pretraining):
            raise errors.UserError(f"transfer.Experiment.pretraining is numbers of tasks, each once; got {self.pretraining}")
        if self.in_turn and self.pretraining:
            raise errors.UserError("transfer.Experiment.in_turn is for no numbers of tasks in transfer.Experiment.pretraining")
        if any(not rate > 0 for rate in self.rates):
            raise errors.UserError(f"transfer.Experiment.rates are above 0; got {self.rates}")
        if not self.rates:
            registrations.check_effect("transfer.Experiment", self, ("rate_steps",), "without transfer.Experiment.rates")
        claims.check("transfer.Experiment.claims", self.claims)


_TABLES, _NUMBERS = ("error", "area", "rho"), ("seconds_per_step", "outer_steps")
_OUTCOME = (*_TABLES, "curve", *_NUMBERS)
_CONVENTIONS = ("whole", "layer")


@gin.configurable(module="transfer")
def learning(inner=build.Inner):
    """How new tasks are learned: `@transfer.Inner`."""
    return inner()


def run(run, program):
    """Everything from building to report.html; returns the metrics, or None in a dry run."""
    experiment, schedule = Experiment(), registrations.Schedule()
    gin_config.check_arms_differ(experiment.arms)

    def make(seed):
        given = build.protocol(run, seed)
        if not experiment.pretraining:
            for name in experiment.in_turn:
                if name not in given.names:
                    raise errors.unknown("task to hold out", name, given.names)
            turns = [given.names.index(name) for name in experiment.in_turn or given.names]
            return built({given.names[k]: (given.with_last(k), len(given) - 1) for k in turns}, seed)
        most = len(given) - experiment.evaluated - experiment.validated
        if max(experiment.pretraining) > most:
            raise errors.UserError(
                f"there are {len(given)} tasks; with {experiment.evaluated} to evaluate and {experiment.validated} to validate "
                f"on at most {most} are left to pretrain on; got {max(experiment.pretraining)}"
            )
        return built({count: (given, count) for count in experiment.pretraining}, seed)

    def built(splits, seed):
        made = {}
        for name in experiment.arms:
            for label, (given, count) in splits.items():
                with gin.config_scope(name):
                    made[f"{name}_{label}"] = build.arm(given, count, seed)
        return made

    trainings, inner = make(run.seed), learning()
    if not experiment.pretraining and (experiment.evaluated, experiment.validated) != (1, 0):
        raise errors.UserError("where each task is held out in turn, transfer.Experiment.evaluated is 1 and validated 0")
    for name, trained in trainings.items():
        if trained.patient and not experiment.validated:
            raise errors.UserError(f"transfer.arm.patience has no effect on {name}: transfer.Experiment.validated is 0")
    sizes = {f"{table}/{name}": experiment.evaluated for table in ("error", "area") for name in trainings}
    sizes |= {f"rho/{convention}_{rate}": 0 for convention in _CONVENTIONS for rate in experiment.rates}
    claims.rehearse(experiment.claims, claims.stand_ins(sizes, experiment.seeds))
    if not run.ready(allowed=("transfer.Experiment.claims", "transfer.Experiment.seeds")):
        return None

    def one(folder, seed, trainings):
        files.folder(folder)
        return _outcome(folder, seed, trainings, schedule, experiment, inner)

    outcomes = repeats.outcomes(run, experiment.seeds, trainings, make, one, _OUTCOME)
    return _conclude(run, program, experiment, outcomes)


def _outcome(folder, seed, trainings, schedule, experiment, inner):
    count = len(next(iter(trainings.values())).tasks)
    last = count - experiment.evaluated
    learners = {name: methods.Learning(trained, trained.tasks, inner) for name, trained in trainings.items()}

    def validate(name, trained):
        if trained.finished:
            return {}
        before = range(last - experiment.validated, last)
        found = [learners[name](task, _VALIDATION + seed, best=False) for task in watching.each(before, f"{name}: tasks")]
        if not found:
            return {}
        found = {key: float(np.mean([f[key] for f in found])) for key in ("error", "area", "loss")}
        trained.judged(found["error"])
        return {f"validation_{key}": value for key, value in found.items()}

    seconds = loop.train(trainings, folder, validate, **dataclasses.asdict(schedule), only=experiment.seeds == 1)
    outcome = {"error": {}, "area": {}, "curve": {}}
    files.folder(f"{folder}/initializations")
    for name, trained in trainings.items():
        if loop.stuck(trained):
            outcome["error"][name] = outcome["area"][name] = outcome["curve"][name] = None
            continue
        with files.writing(path := f"{folder}/initializations/{name}.keras"):
            trained.save(path)
        found = [learners[name](task, _LEARNING + seed) for task in watching.each(range(last, count), f"{name}: tasks")]
        for key in ("error", "area"):
            outcome[key][name] = [float(f[key]) for f in found]
        outcome["curve"][name] = np.mean([f["curve"] for f in found], 0)
    seconds = {name: None if trainings[name].finished else value for name, value in seconds.items()}
    outcome |= {"seconds_per_step": seconds, "outer_steps": {name: int(t.taken.numpy()) for name, t in trainings.items()}}
    return {**outcome, "rho": _rho(experiment, next(iter(trainings.values())), seed)}


def _rho(experiment, method, seed):
    """rho of the first convolution from fresh weights (figure 4): `{convention_rate: [steps]}`, of one task."""
    found, network, inner = {}, method.network, method.inner
    start = network.initial_values(tf.constant([seed, 3]))
    batch = methods.batches(method.tasks, tf.constant(0), inner.batch_size, tf.constant([seed, 4]))
    path = next(iter(network.values()[0]))
    for rate in experiment.rates:
        for convention in _CONVENTIONS:
            made = jacobians.of_layer(
                network, start, batch, experiment.rate_steps, rate, path, supervised.cross_entropy, convention == "whole"
            )
            found[f"{convention}_{rate}"] = jacobians.relative_precision(made).numpy()
    return found


def _conclude(run, program, experiment, outcomes):
    quantities = {f"{t}/{name}": [o[t][name] for o in outcomes] for t in ("error", "area") for name in outcomes[0][t]}
    quantities |= {f"rho/{name}": [o["rho"][name][-1] for o in outcomes] for name in outcomes[0]["rho"]}
    metrics = {name: statistics.summary(values, _bounds(name), "tasks") for name, values in quantities.items()}
    for key in _NUMBERS:
        metrics[key] = {name: statistics.median([o[key][name] for o in outcomes]) for name in outcomes[0][key]}
    measured = {name: claims.Quantity(values, _bounds(name)) for name, values in quantities.items()}
    made = claims.compare(experiment.claims, measured, "held-out tasks of one run")
    rows = [metrics_lib.read(base_dirs.repeat(run.base_dir, k)) for k in range(len(outcomes))]
    figures.draw(run.base_dir, experiment, outcomes, quantities, rows)
    report.conclude(run, "transfer", program, metrics, made)
    return metrics


def _bounds(quantity):
    return statistics.NOT_NEGATIVE if quantity.startswith("rho/") else statistics.SHARE
