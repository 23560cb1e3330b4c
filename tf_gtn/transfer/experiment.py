"""An experiment of transfer: arms pretrained on several numbers of tasks, which then learn tasks held out.

Beside what every experiment leaves in a seed's folder (`experiment.experiment`):

    outcome.json    {"error", "area": {"<arm>_<tasks>": [one a held-out task]}, "curve": {"<arm>_<tasks>": [K]},
                     "rho": {"<convention>_<rate>": {steps: [one per task]}}}, null where it diverged
    initializations/<arm>_<tasks>.keras    what new tasks begin from; not of HAT and Progressive Nets
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors, watching
from tf_gtn.core import supervised
from tf_gtn.experiment import experiment, runs
from tf_gtn.reporting import claims, statistics
from tf_gtn.runtime import files
from tf_gtn.transfer import figures, jacobians, methods
from tf_gtn.transfer.tasks import Tasks

_LEARNING, _VALIDATION = 1_000_001, 2_000_003  # seeds of new tasks' training
_CONVENTIONS = ("whole", "layer")


@dataclasses.dataclass(kw_only=True)
@arguments.checked("transfer.Experiment")
class Transfer(experiment.Experiment):
    """What is pretrained, looked at and claimed.

    Attributes:
      arms: names; each is a gin scope.
      pretraining: numbers of tasks; `()`: each task is held out in turn, and all others are pretrained on (appendix G).
      in_turn: the tasks that are held out then; `()`: all of them.
      evaluated: tasks, the last ones, that are held out for evaluation.
      validated: tasks before them, learned at every validation; `transfer.arm.patience` goes by their mean error.
      seeds: runs of each arm, from the run's seed on; each has its own choice of characters and alphabets.
      rates: learning rates at which rho is measured (appendix D); `()`: it is not.
      rate_steps: steps of SGD for rho.
      claims: see `reporting.claims.compare`; quantities are `error/<arm>_<tasks>` and `area/<arm>_<tasks>` (the number of
        tasks, or the one held out), and `rho/<convention>_<rate>` with a convention of `whole`, `layer`.
    """

    pretraining: tuple[arguments.Count, ...] = (1, 10, 20)
    in_turn: tuple[str, ...] = ()
    evaluated: arguments.Count = 10
    validated: arguments.Whole = 3
    seeds: arguments.Count = 5
    rates: tuple[arguments.Positive, ...] = ()
    rate_steps: arguments.Count = 20

    SYSTEM: ClassVar[str] = "transfer"
    NAME: ClassVar[str] = "transfer.Experiment"
    UNITS: ClassVar[str] = "held-out tasks of one run"
    EACH: ClassVar[str] = "tasks"
    TABLES: ClassVar[tuple[str, ...]] = ("error", "area", "rho")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.pretraining)) < len(self.pretraining):
            raise errors.UserError(f"transfer.Experiment.pretraining is numbers of tasks, each once; got {self.pretraining}")
        if self.in_turn and self.pretraining:
            raise errors.UserError("set either transfer.Experiment.in_turn or transfer.Experiment.pretraining, not both")
        if not self.rates:
            arguments.no_effect(self.NAME, self, ("rate_steps",), "without transfer.Experiment.rates")

    def given(
        self,
        protocol: Callable[[int], Tasks],
        make: Callable[[Tasks, int, int], methods.Method],
        inner: Callable[[], methods.Inner],
    ) -> "Transfer":
        """`seed -> tasks`, `(tasks, how many of them, seed) -> method`, and how new tasks are learned; returns itself."""
        self._protocol, self._make, self._inner, self._splits_of = protocol, make, inner, {}
        return self

    def trainings(self, arm: str | None, seed: int) -> dict[str, Any]:
        splits = self._splits(seed)
        return {f"{arm}_{label}": self._make(all_tasks, count, seed) for label, (all_tasks, count) in splits.items()}

    def _splits(self, seed):
        """`{label: (tasks, how many of them to pretrain on)}` of a seed, the same for all arms."""
        if seed not in self._splits_of:
            self._splits_of = {seed: self._split(self._protocol(seed))}
        return self._splits_of[seed]

    def _split(self, all_tasks):
        if not self.pretraining:
            for name in self.in_turn:
                if name not in all_tasks.names:
                    raise errors.unknown("task to hold out", name, all_tasks.names)
            turns = [all_tasks.names.index(name) for name in self.in_turn or all_tasks.names]
            return {all_tasks.names[k]: (all_tasks.with_last(k), len(all_tasks) - 1) for k in turns}
        most = len(all_tasks) - self.evaluated - self.validated
        if max(self.pretraining) > most:
            raise errors.UserError(
                f"there are {len(all_tasks)} tasks; with {self.evaluated} to evaluate and {self.validated} to validate "
                f"on at most {most} are left to pretrain on; got {max(self.pretraining)}"
            )
        return {count: (all_tasks, count) for count in self.pretraining}

    def check(self, trainings: Mapping[str, methods.Method]) -> None:
        self._learning = self._inner()
        if not self.pretraining and (self.evaluated, self.validated) != (1, 0):
            raise errors.UserError("where each task is held out in turn, transfer.Experiment.evaluated is 1 and validated 0")
        for name, trained in trainings.items():
            if trained.patient and not self.validated:
                raise errors.UserError(f"transfer.arm.patience has no effect on {name}: transfer.Experiment.validated is 0")

    def expected(self, trainings: Mapping[str, methods.Method]) -> dict[str, claims.Quantity]:
        sizes = {f"{table}/{name}": self.evaluated for table in ("error", "area") for name in trainings}
        sizes |= {f"rho/{convention}_{rate}": 0 for convention in _CONVENTIONS for rate in self.rates}
        return claims.stand_ins(sizes, self.seeds)

    def train(self, run: runs.SeedRun) -> dict[str, float]:
        self._learners = {
            name: methods.Learning(method, method.tasks, self._learning) for name, method in run.trainings.items()
        }
        return super().train(run)

    def validate(self, run: runs.SeedRun, name: str, training: methods.Method) -> dict[str, Any]:
        last = len(training.tasks) - self.evaluated
        if training.finished or not self.validated:
            return {}
        of_tasks = self._learned(name, range(last - self.validated, last), _VALIDATION + run.seed, best=False)
        means = {key: float(np.mean([of_task[key] for of_task in of_tasks])) for key in ("error", "area", "loss")}
        training.judged(means["error"])
        return {f"validation_{key}": mean for key, mean in means.items()}

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        outcome: dict[str, dict] = {"error": {}, "area": {}, "curve": {}}
        files.folder(f"{run.folder}/initializations")
        for name, trained in run.trainings.items():
            if name not in run.healthy:
                outcome["error"][name] = outcome["area"][name] = outcome["curve"][name] = None
                continue
            with files.writing(path := f"{run.folder}/initializations/{name}.keras"):
                trained.save(path)
            count = len(trained.tasks)
            of_tasks = self._learned(name, range(count - self.evaluated, count), _LEARNING + run.seed)
            for key in ("error", "area"):
                outcome[key][name] = [float(of_task[key]) for of_task in of_tasks]
            outcome["curve"][name] = np.mean([of_task["curve"] for of_task in of_tasks], 0)
        seconds = {name: None if run.trainings[name].finished else value for name, value in run.seconds.items()}
        steps = {name: int(trained.taken.numpy()) for name, trained in run.trainings.items()}
        rho = self._rho(next(iter(run.trainings.values())), run.seed)
        return {**outcome, "seconds_per_step": seconds, "outer_steps": steps, "rho": rho}

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        last = [{**o, "rho": {name: values[-1] for name, values in o["rho"].items()}} for o in outcomes]
        return super().quantities(last)

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.NOT_NEGATIVE if quantity.startswith("rho/") else statistics.SHARE

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        quantities = {name: quantity.values for name, quantity in self.quantities(outcomes).items()}
        figures.draw(base_dir, self, outcomes, quantities, experiment.rows(base_dir, outcomes))

    def _learned(self, name: str, tasks: range, seed: int, **options: Any) -> list[dict]:
        """Of each of some tasks, learned from a method's initialisation, what `methods.Learning` returns."""
        return [self._learners[name](task, seed, **options) for task in watching.each(tasks, f"{name}: tasks")]

    def _rho(self, method, seed):
        """rho of the first convolution from fresh weights (figure 4): `{convention_rate: [steps]}`, of one task."""
        rho, network, inner = {}, method.network, method.inner
        start = network.initial_values(tf.constant([seed, 3]))
        batch = methods.batches(method.tasks, tf.constant(0), inner.batch_size, tf.constant([seed, 4]))
        path = next(iter(network.values()[0]))
        for rate in self.rates:
            for convention in _CONVENTIONS:
                layer_jacobians = jacobians.of_layer(
                    network, start, batch, self.rate_steps, rate, path, supervised.cross_entropy, convention == "whole"
                )
                rho[f"{convention}_{rate}"] = jacobians.relative_precision(layer_jacobians).numpy()
        return rho
