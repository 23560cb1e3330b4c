"""Hyperparameter optimisation of several arms, and how robust each of them is to its hyperparameters (GTN paper, figure 1b).

A trial binds one point of the search space in an arm's scope, trains, and is judged (`trials`). The test split is not even
held. Trials lie in `<base_dir>/tuning.db`, see `studies`; those of the k-th further seed, a search of its own, in
`<base_dir>/repeats/<k>`.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.data import Dataset
from tf_gtn.experiment import experiment
from tf_gtn.reporting import claims, figures, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, stopping
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.runtime import progress as progress_lib
from tf_gtn.teaching import plots, studies
from tf_gtn.teaching import trials as trials_lib
from tf_gtn.teaching.experiment import Evaluation
from tf_gtn.teaching.training import Training

_WAIT = 1.0  # seconds between looks at whether the other processes are done


class Run(experiment.Run, Protocol):
    """What a search is run by: a program.

    Attributes:
      joined: whether the folder is another process' run, which this one helps with.
    """

    joined: bool

    def check_parameter(self, name: str, values: Sequence) -> None:
        """Raises `UserError` unless there is a setting of that name that takes these values."""

    def bound(self, scope: str, values: Mapping[str, Any]) -> contextlib.AbstractContextManager[Callable[[], list[str]]]:
        """In it these settings hold in a scope; yields a function that gives those that nothing has used so far."""


@dataclasses.dataclass(kw_only=True)
@arguments.checked("teaching.Tuning")
class Tuning(experiment.Experiment):
    """What is tuned and claimed.

    Attributes:
      arms: names; each is a gin scope.
      trials: per arm (GTN paper, figure 1b: 20).
      seeds: searches of each arm, from the run's seed on.
      sampler: gp (Gaussian process), tpe or random.
      space: `{"teaching.Training.learning_rate": (1e-3, 0.3, "log"), ...}`: gin parameters and their ranges, the same for all
        arms; integers where both ends are.
      diverged_above: a final loss above it counts as diverged, like one that is not finite; ln(classes) is chance.
      claims: see `reporting.claims.compare`; quantities are arms, by the losses of their trials.
    """

    arms: tuple[str, ...] = ("weight_norm", "plain")
    trials: arguments.Count = 20
    sampler: studies.Sampler = "gp"
    space: dict[str, tuple] = dataclasses.field(default_factory=dict)
    diverged_above: float = 100.0

    SYSTEM: ClassVar[str] = "teaching"
    NAME: ClassVar[str] = "teaching.Tuning"
    UNITS: ClassVar[str] = "final losses of trials"
    TRAINS: ClassVar[bool] = False
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.no_effect(self.NAME, self, ("analyses", "callbacks"), "on trials, which are judged and not kept")
        if not self.space:
            raise errors.UserError("teaching.Tuning.space is empty: it names the gin parameters to tune and their ranges")
        for name, entry in self.space.items():
            studies.check_range(name, entry)
        studies.check_sampler(self.sampler)

    def given(self, run: Run, dataset: Dataset, settings: Evaluation, make: Callable[[Dataset, int], Training]) -> "Tuning":
        """By what it is run, what is learned, how it is judged, and `(dataset, seed) -> Training`; returns itself."""
        self._run, self.dataset, self._make = run, dataset, make
        self.settings = settings  # pyrefly: ignore[read-only]  # the class has a default of it
        return self

    def made(self, arm: str, seed: int) -> Training:
        """A fresh training of an arm, with what is bound in its scope."""
        with self._run.scope(arm):
            return self._make(self.dataset, seed)

    def trainings(self, arm: str | None, seed: int) -> dict[str, Any]:
        """Nothing: trials make theirs."""
        return {}

    def check(self, trainings: Mapping[str, Any]) -> None:
        """Builds each arm at both ends of the search space.

        Raises:
          UserError: a value does not fit, or a parameter of the search space has no effect.
        """
        for name, entry in self.space.items():
            self._run.check_parameter(name, entry[:2])
        for arm in self.arms:
            for end in (0, 1):
                point = {name: entry[end] for name, entry in self.space.items()}
                with self._run.bound(arm, point) as unused:
                    self.made(arm, self._run.seed)
                    if unused():
                        raise errors.UserError(
                            f"{unused()[0]} in teaching.Tuning.space does nothing: nothing uses it in the arm {arm}"
                        )

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims.Quantity]:
        return claims.stand_ins(dict.fromkeys(self.arms, self.trials), self.seeds)

    def outcomes(self, run: experiment.Run, trainings: dict, make: Callable, one: Callable) -> list[dict]:
        """The trials of each search, `{arm: [trial]}` by slot; nothing where another process' run was joined."""
        searches, trials_made = [], 0
        for k in range(self.seeds):
            folder, seed = base_dirs.repeat(self._run.base_dir, k), self._run.seed + k
            files.folder(folder)
            with studies.Studies(folder, self.arms, self.trials, self.space, self.sampler, seed) as shared:
                trials_made += _work(self._run, self, shared, seed)
                searches.append(shared.finished())
        if not self._run.joined:
            return [{arm: [search[arm][slot] for slot in range(self.trials)] for arm in self.arms} for search in searches]
        finished = sum(len(slots) for by_arm in searches for slots in by_arm.values())
        print(f"made {trials_made} trials; {finished} of {self.trials * len(self.arms) * self.seeds} are finished")
        return []

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        return {arm: claims.Quantity([[trial.value for trial in search[arm]] for search in outcomes]) for arm in self.arms}

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        return {arm: summary([trial for search in outcomes for trial in search[arm]]) for arm in self.arms}

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        """The final loss of every trial; and metrics.jsonl, which a search has only in the end."""
        for k, search in enumerate(outcomes):
            _write_metrics(base_dirs.repeat(base_dir, k), search)
        plots.boxes(
            figures.path(base_dir, "final_loss"),
            {arm: arm_summary["values"] for arm, arm_summary in metrics.items()},
            "final validation loss",
            f"Final loss of each of {len(outcomes)} x {self.trials} trials per arm during hyperparameter optimisation "
            "(points), their median and quartiles (boxes). What diverged (not finite, or above "
            f"{self.diverged_above:g}) lies as a cross at the upper edge.",
        )


class Stopped(loop.Stopped):
    """A signal broke a trial off."""

    def __init__(self, number: int, finished: int, total: int) -> None:
        super().__init__(number, 0)
        name = stopping.name(number)
        self.args = (f"stopped by {name}; {finished} of {total} trials are finished: the same command goes on from there",)


def without_test(dataset: Dataset) -> Dataset:
    """A data set with an empty test split: what is chosen here must not have seen it."""
    return dataclasses.replace(dataset, test=dataset.test.take(np.arange(0)))


def summary(trials: Sequence[Any]) -> dict[str, Any]:
    """The losses of an arm's trials, their quartiles, and the best trial; `trials`: Optuna's, by search and slot."""
    values = [t.value for t in trials]
    low, median, high = statistics.quartiles(values)
    best_index = int(np.argmin(values))
    best = trials[best_index]
    return {
        "values": values,
        "median": median,
        "quartiles": [low, high],
        "diverged": float(np.mean(np.isinf(values))),
        "best": best.value,
        "best_accuracy": best.user_attrs["validation_accuracy"],
        "best_trial": best_index + 1,
        "best_parameters": best.params,
        "seconds_per_trial": float(np.median([t.user_attrs["seconds"] for t in trials])),
    }


def _work(run, tuning, shared, seed):
    """Makes trials until none is open, and waits for those of others; returns how many were made here."""
    total, trials_made, done = tuning.trials * len(tuning.arms), 0, sum(map(len, shared.finished().values()))
    if done:
        print(f"{done} of {total} trials are finished" if done < total else f"all {total} trials are finished", flush=True)
    with loop.signals() as received, progress_lib.Progress(total, done, "trials", first="tracing the first") as bar:

        def stopped():
            if received:
                raise Stopped(received[0], sum(map(len, shared.finished().values())), total)

        while done < total:
            claim = shared.claim()
            if claim is not None:
                trials_made += 1
                outcome = _make_trial(run, tuning, claim, shared, seed, stopped)
                losses = {claim.name: outcome.loss}
            elif run.joined:
                break
            else:
                time.sleep(_WAIT)
                losses = {}
            stopped()
            done = sum(map(len, shared.finished().values()))
            bar.update(done, **losses)
    return trials_made


def _make_trial(run, tuning, claim, shared, seed, stopped):
    """Makes one trial and stores it."""
    started = time.perf_counter()
    try:
        trial_seed = int(np.random.SeedSequence([seed, claim.slot]).generate_state(1)[0] >> 1)  # the same for all arms
        with trials_lib.traces_forgotten(), run.bound(claim.name, claim.parameters):
            training, judges = tuning.made(claim.name, trial_seed), tuning.settings.validation_learners
            outcome = trials_lib.trial(training, judges, tuning.diverged_above, stopped)
            del training
    except BaseException:
        shared.give_back(claim)
        raise
    attributes = {"validation_accuracy": outcome.accuracy, "steps": outcome.steps, "skipped": outcome.skipped}
    shared.finish(claim, outcome.loss, **attributes, seconds=round(time.perf_counter() - started, 3))
    return outcome


def _write_metrics(base_dir, trials):
    """Writes one line of metrics.jsonl per slot, with the trials of all arms in it."""
    writer = metrics_lib.MetricsWriter(base_dir)
    for slot, row in enumerate(zip(*trials.values())):
        line = {}
        for arm, t in zip(trials, row):
            line |= {f"{arm}/loss": t.value, f"{arm}/seconds": t.user_attrs["seconds"]}
            line |= {f"{arm}/{name}": t.user_attrs[name] for name in ("validation_accuracy", "steps", "skipped")}
            line |= {f"{arm}/{name}": value for name, value in t.params.items()}
        writer.write(slot + 1, **line)
    writer.close()


def best_bindings(arm_summary: Mapping[str, Any]) -> list[str]:
    """The best parameters of an arm, from its summary, as gin bindings: one line each."""
    return [f"{name} = {value!r}" for name, value in arm_summary["best_parameters"].items()]
