"""An experiment of transfer: arms pretrained on several numbers of tasks, which then learn tasks held out.

Beside what every experiment leaves in a seed's folder (`experiment.experiment`):

    outcome.json    {"error", "area": {"<arm>_<tasks>": [one a held-out task]}, "curve": {"<arm>_<tasks>": [K]},
                     "rho": {"<convention>_<rate>": {steps: [one a task]}}}, null where it diverged
    initializations/<arm>_<tasks>.keras    what new tasks begin from; not of HAT and Progressive Nets
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tf_gtn import errors, watching
from tf_gtn.core import supervised
from tf_gtn.experiment import experiment
from tf_gtn.reporting import claims, statistics
from tf_gtn.runtime import files
from tf_gtn.transfer import figures, jacobians, methods
from tf_gtn.transfer.tasks import Tasks

_LEARNING, _VALIDATION = 1_000_001, 2_000_003  # seeds of new tasks' training
_CONVENTIONS = ("whole", "layer")


@dataclasses.dataclass(kw_only=True)
class Transfer(experiment.Experiment):
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
      claims: see `reporting.claims.compare`; quantities are `error/<arm>_<tasks>` and `area/<arm>_<tasks>` (the number of
        tasks, or the one held out), and `rho/<convention>_<rate>` with a convention of `whole`, `layer`.
    """

    pretraining: tuple[int, ...] = (1, 10, 20)
    in_turn: tuple[str, ...] = ()
    evaluated: int = 10
    validated: int = 3
    seeds: int = 5
    rates: tuple[float, ...] = ()
    rate_steps: int = 20

    SYSTEM: ClassVar[str] = "transfer"
    NAME: ClassVar[str] = "transfer.Experiment"
    UNITS: ClassVar[str] = "held-out tasks of one run"
    EACH: ClassVar[str] = "tasks"
    TABLES: ClassVar[tuple[str, ...]] = ("error", "area", "rho")

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.at_least_one(self.NAME, evaluated=self.evaluated, rate_steps=self.rate_steps)
        if self.validated < 0:
            raise errors.UserError(f"transfer.Experiment.validated is a number of tasks; got {self.validated}")
        if min(self.pretraining, default=1) < 1 or len(set(self.pretraining)) < len(self.pretraining):
            raise errors.UserError(f"transfer.Experiment.pretraining is numbers of tasks, each once; got {self.pretraining}")
        if self.in_turn and self.pretraining:
            raise errors.UserError("set either transfer.Experiment.in_turn or transfer.Experiment.pretraining, not both")
        if any(not rate > 0 for rate in self.rates):
            raise errors.UserError(f"transfer.Experiment.rates are above 0; got {self.rates}")
        if not self.rates:
            errors.check_effect(self.NAME, self, ("rate_steps",), "without transfer.Experiment.rates")

    def given(
        self,
        protocol: Callable[[int], Tasks],
        make: Callable[[Tasks, int, int], methods.Method],
        inner: Callable[[], methods.Inner],
    ) -> "Transfer":
        """`seed -> tasks`, `(tasks, how many of them, seed) -> method`, and how new tasks are learned; returns itself."""
        self._protocol, self._make, self._inner, self._splits_of = protocol, make, inner, {}
        return self

    def trainings(self, arm, seed):
        return {f"{arm}_{label}": self._make(given, count, seed) for label, (given, count) in self._splits(seed).items()}

    def _splits(self, seed):
        """`{label: (tasks, how many of them to pretrain on)}` of a seed, the same for all arms."""
        if seed not in self._splits_of:
            self._splits_of = {seed: self._split(self._protocol(seed))}
        return self._splits_of[seed]

    def _split(self, given):
        if not self.pretraining:
            for name in self.in_turn:
                if name not in given.names:
                    raise errors.unknown("task to hold out", name, given.names)
            turns = [given.names.index(name) for name in self.in_turn or given.names]
            return {given.names[k]: (given.with_last(k), len(given) - 1) for k in turns}
        most = len(given) - self.evaluated - self.validated
        if max(self.pretraining) > most:
            raise errors.UserError(
                f"there are {len(given)} tasks; with {self.evaluated} to evaluate and {self.validated} to validate "
                f"on at most {most} are left to pretrain on; got {max(self.pretraining)}"
            )
        return {count: (given, count) for count in self.pretraining}

    def check(self, trainings):
        self._learning = self._inner()
        if not self.pretraining and (self.evaluated, self.validated) != (1, 0):
            raise errors.UserError("where each task is held out in turn, transfer.Experiment.evaluated is 1 and validated 0")
        for name, trained in trainings.items():
            if trained.patient and not self.validated:
                raise errors.UserError(f"transfer.arm.patience has no effect on {name}: transfer.Experiment.validated is 0")

    def expected(self, trainings):
        sizes = {f"{table}/{name}": self.evaluated for table in ("error", "area") for name in trainings}
        sizes |= {f"rho/{convention}_{rate}": 0 for convention in _CONVENTIONS for rate in self.rates}
        return claims.stand_ins(sizes, self.seeds)

    def train(self, run):
        self._learners = {name: methods.Learning(each, each.tasks, self._learning) for name, each in run.trainings.items()}
        return super().train(run)

    def validate(self, run, name, training):
        last = len(training.tasks) - self.evaluated
        if training.finished or not self.validated:
            return {}
        found = self._learned(name, range(last - self.validated, last), _VALIDATION + run.seed, best=False)
        found = {key: float(np.mean([each[key] for each in found])) for key in ("error", "area", "loss")}
        training.judged(found["error"])
        return {f"validation_{key}": value for key, value in found.items()}

    def measure(self, run):
        outcome: dict[str, dict] = {"error": {}, "area": {}, "curve": {}}
        files.folder(f"{run.folder}/initializations")
        for name, trained in run.trainings.items():
            if name not in run.healthy:
                outcome["error"][name] = outcome["area"][name] = outcome["curve"][name] = None
                continue
            with files.writing(path := f"{run.folder}/initializations/{name}.keras"):
                trained.save(path)
            count = len(trained.tasks)
            found = self._learned(name, range(count - self.evaluated, count), _LEARNING + run.seed)
            for key in ("error", "area"):
                outcome[key][name] = [float(each[key]) for each in found]
            outcome["curve"][name] = np.mean([each["curve"] for each in found], 0)
        seconds = {name: None if run.trainings[name].finished else value for name, value in run.seconds.items()}
        steps = {name: int(trained.taken.numpy()) for name, trained in run.trainings.items()}
        rho = self._rho(next(iter(run.trainings.values())), run.seed)
        return {**outcome, "seconds_per_step": seconds, "outer_steps": steps, "rho": rho}

    def quantities(self, outcomes):
        last = [{**o, "rho": {name: values[-1] for name, values in o["rho"].items()}} for o in outcomes]
        return super().quantities(last)

    def bounds(self, quantity):
        return statistics.NOT_NEGATIVE if quantity.startswith("rho/") else statistics.SHARE

    def draw(self, base_dir, outcomes, metrics):
        quantities = {name: each.values for name, each in self.quantities(outcomes).items()}
        figures.draw(base_dir, self, outcomes, quantities, experiment.rows(base_dir, outcomes))

    def _learned(self, name: str, tasks: range, seed: int, **options: Any) -> list[dict]:
        """What is found of each of some tasks, learned from a method's initialisation."""
        return [self._learners[name](task, seed, **options) for task in watching.each(tasks, f"{name}: tasks")]

    def _rho(self, method, seed):
        """rho of the first convolution from fresh weights (figure 4): `{convention_rate: [steps]}`, of one task."""
        found, network, inner = {}, method.network, method.inner
        start = network.initial_values(tf.constant([seed, 3]))
        batch = methods.batches(method.tasks, tf.constant(0), inner.batch_size, tf.constant([seed, 4]))
        path = next(iter(network.values()[0]))
        for rate in self.rates:
            for convention in _CONVENTIONS:
                made = jacobians.of_layer(
                    network, start, batch, self.rate_steps, rate, path, supervised.cross_entropy, convention == "whole"
                )
                found[f"{convention}_{rate}"] = jacobians.relative_precision(made).numpy()
        return found
