"""One experiment, whatever the system: arms and seeds, trained, measured, analysed; then claims, figures and the report.

A system is a subclass of `Experiment`. It says how an arm is made, what is measured while arms train and in the end, and what
is drawn; `run` does the rest. Each seed's folder (`runtime.repeats`) has checkpoints, metrics.jsonl and

    outcome.json                what the system measured, {"seconds_per_step": {arm: s}, "outer_steps": {arm: n},
                                "analyses": {analysis: {quantity: number, list or list of lists}}} beside it
    analyses/<analysis>.json    the quantities of one, from when it ended

A seed whose outcome is there is not run again, nor an analysis that has its file.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from tf_gtn import arguments, errors
from tf_gtn.experiment import analyses as analyses_lib
from tf_gtn.experiment import concluding
from tf_gtn.experiment.runs import Run, SeedRun
from tf_gtn.reporting import claims as claims_lib
from tf_gtn.reporting import figures, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import best as best_lib
from tf_gtn.runtime import callbacks as callbacks_lib
from tf_gtn.runtime import files, json_values, loop, repeats, summaries
from tf_gtn.runtime import metrics as metrics_lib

NUMBERS = ("seconds_per_step", "outer_steps")  # of every arm, in every outcome


@dataclasses.dataclass(kw_only=True)
class Experiment:
    """What is trained and claimed. The fields of a subclass, too, must fit their annotations (`tf_gtn.arguments`).

    Attributes:
      arms: names; each is a scope of the configuration: what is set in it holds for that arm alone.
      seeds: runs of each arm, from the run's seed on.
      analyses: names of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `reporting.claims.compare`.
      callbacks: names of `runtime.callbacks.REGISTRY`, or callbacks, which listen to the training of each seed.
    """

    arms: tuple[str, ...] = ()
    seeds: arguments.Count = 1
    analyses: tuple[Annotated[str, arguments.OneOf(analyses_lib.REGISTRY, "analysis")], ...] = ()
    claims: tuple = ()
    callbacks: tuple = ()

    SYSTEM: ClassVar[str] = "experiment"  # in results.json
    NAME: ClassVar[str] = "Experiment"  # of its settings, in errors: gin's
    SCOPES: ClassVar[tuple[str, ...]] = ("arms",)  # settings whose values name scopes
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("claims", "seeds")  # settings that may be others when a run resumes
    LENGTH: ClassVar[tuple[str, ...]] = ()  # settings, in full, that may be larger when a run resumes: it is extended
    UNITS: ClassVar[str] = "values of one run"  # what the values of a single seed are, in words
    EACH: ClassVar[str] = "values"  # the same in a word
    TABLES: ClassVar[tuple[str, ...]] = ()  # of an outcome: `{table: {name: number, or one for each learner}}`
    NUMBERS: ClassVar[tuple[str, ...]] = NUMBERS  # of an outcome: `{number: {name: number}}`, no quantities of claims
    NEEDED: ClassVar[tuple[str, ...]] = ()  # of an outcome, beside `TABLES`; one that lacks it is made again
    TRAINS: ClassVar[bool] = True  # whether `run.Schedule` says when it logs, saves and validates

    settings: ClassVar[Any] = None  # how arms are tested; analyses get it

    def __post_init__(self) -> None:
        arguments.check_fields(self.NAME, self)
        self.check_arms()
        if len(set(self.analyses)) < len(self.analyses):
            raise errors.UserError(f"{self.NAME}.analyses names one twice; got {self.analyses!r}")
        claims_lib.check(f"{self.NAME}.claims", self.claims)
        callbacks_lib.check(f"{self.NAME}.callbacks", self.callbacks)

    def check_arms(self) -> None:
        """Raises `UserError` unless the arms are different names that can be scopes, and that nothing else has."""
        if not self.arms or len(set(self.arms)) < len(self.arms):
            raise errors.UserError(f"{self.NAME}.arms are different names, at least one; got {self.arms!r}")
        for name in self.arms:
            if not name.isidentifier() or name in {*analyses_lib.REGISTRY, *self.TABLES, *self.NUMBERS}:
                raise errors.UserError(f"an arm's name is a gin scope (letters, digits, _) that nothing else has; got {name!r}")

    # What a system supplies.

    def arm(self, seed: int) -> loop.Trainable:
        """A fresh training, made as the scope of the moment says."""
        raise NotImplementedError

    def trainings(self, arm: str | None, seed: int) -> dict[str, loop.Trainable]:
        """`{name: fresh training}` of an arm, in its scope; by default the one that `arm` makes."""
        return {str(arm): self.arm(seed)}

    def check(self, trainings: Mapping[str, Any]) -> None:
        """Raises `UserError` for what would go wrong after training."""
        del trainings

    def check_start(self, base_dir: str, trainings: Mapping[str, Any]) -> None:
        """Raises `UserError` if a run in this folder can't begin as it is to; "" in a dry run without a folder."""
        del base_dir, trainings

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims_lib.Quantity] | None:
        """Stand-ins of the quantities that there will be, so that claims are checked before the first step; None: unknown."""
        del trainings

    def begin(self) -> None:
        """Makes what only a run needs, not a dry one."""

    def validate(self, run: SeedRun, name: str, training: Any) -> dict[str, Any]:
        """`{quantity: number}` of a training on its way, for metrics.jsonl."""
        del run, name, training
        return {}

    def best(self, trainings: Mapping[str, Any]) -> dict[str, best_lib.Best]:
        """What keeps the parameters of trainings where they validate best; by default nothing."""
        del trainings
        return {}

    def images(self, name: str, training: Any) -> dict[str, Any]:
        """`{what: [H, W, 1, 3 or 4]}` of a training that was just validated, for TensorBoard: uint8, or floats from 0 to 1."""
        del name, training
        return {}

    def listeners(self, run: SeedRun) -> list[callbacks_lib.Callback]:
        """Who listens to the training of a seed."""
        if not run.among.chief:
            return []
        return [summaries.Summaries(run.configuration, self.images), *callbacks_lib.make(self.callbacks)]

    def train(self, run: SeedRun) -> dict[str, float]:
        """Trains all arms; returns `{name: median seconds of an outer step}`."""
        return loop.train(
            run.trainings,
            run.folder,
            lambda name, training: self.validate(run, name, training),
            **dataclasses.asdict(run.schedule),
            among=run.among,
            only=run.only,
            callbacks=self.listeners(run),
            best=run.best,
        )

    def measure(self, run: SeedRun) -> dict[str, Any]:
        """The outcome of the trained arms: `TABLES` and `NUMBERS`, None where an arm diverged, and what else it needs."""
        raise NotImplementedError

    def outcomes(self, run: Run, trainings: dict, make: Callable, one: Callable) -> list[dict]:
        """The outcome of each seed, from `make(seed)` -> trainings and `one(folder, seed, trainings)` -> outcome."""
        keys = (*self.TABLES, *self.NEEDED, *(["analyses"] if self.analyses else []))
        return repeats.outcomes(run, self.seeds, trainings, make, one, keys)

    def context(self, run: SeedRun) -> analyses_lib.Context:
        """What analyses get."""
        return analyses_lib.Context(trainings=run.healthy, seed=run.seed, folder=run.folder)

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims_lib.Quantity]:
        """What claims can be about, by default `<table>/<name>` of all `TABLES`."""
        return {
            f"{table}/{name}": claims_lib.Quantity([o[table][name] for o in outcomes], self.bounds(f"{table}/{name}"))
            for table in self.TABLES
            for name in outcomes[0][table]
        }

    def bounds(self, quantity: str) -> tuple[float, float]:
        """`(low, high)` beyond which no value of a quantity can lie, see `reporting.statistics`."""
        del quantity
        return statistics.ANY

    def metrics(self, quantities: Mapping[str, claims_lib.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        """For results.json, by default a summary of each quantity and the medians of `NUMBERS`."""
        metrics = {name: statistics.summary(q.values, q.bounds, self.EACH) for name, q in quantities.items()}
        for number in self.NUMBERS:
            if names := outcomes[0].get(number):
                metrics[number] = {name: statistics.median([o[number][name] for o in outcomes]) for name in names}
        return metrics

    def more_claims(self, base_dir: str, outcomes: Sequence[Mapping]) -> list[dict]:
        """Claims beside those of `claims`."""
        del base_dir, outcomes
        return []

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        """Figures, by default the arms' losses by outer step and bars of each of `TABLES`."""
        rows, names = metrics_lib.read(base_dir), [*outcomes[0]["outer_steps"]]
        curves = {name: metrics_lib.column(rows, f"{name}/loss") for name in names}
        curves = {name: curve for name, curve in curves.items() if len(curve[0])}
        figures.loss_curve(figures.path(base_dir, "outer_loss"), curves)
        for table in self.TABLES:
            values = figures.whole({name: [o[table][name] for o in outcomes] for name in outcomes[0][table]})
            groups = {name: {table: statistics.units(of_arm)[0]} for name, of_arm in values.items()}
            figures.bars(figures.path(base_dir, table), groups, table.replace("_", " "), bounds=self.bounds(table))


def run(run: Run, program: str, experiment: Experiment, scoped: bool = True) -> dict[str, Any] | None:
    """Everything from building to report.html.

    Args:
      run: the program's, or Python's.
      program: its name, for results.json.
      experiment: what is done.
      scoped: whether an arm's name is a scope.

    Returns the metrics of results.json; None in a dry run, and in workers beside the chief.

    Raises:
      UserError: something is configured that can't be done; before the first step.
      loop.Diverged: no training of any seed went to its end.
      stopping.Stopped: a signal came; the run is saved.
    """
    if scoped:
        run.check_arms_differ(experiment.arms)
    schedule, several = run.schedule() if experiment.TRAINS else loop.Schedule(), experiment.seeds > 1

    def make(seed):
        trainings = {}
        for arm in experiment.arms or (None,):
            with run.scope(arm if scoped else None):
                trainings |= experiment.trainings(arm, seed)
        return trainings

    trainings = make(run.seed)
    experiment.check(trainings)
    _check_start(run, experiment, trainings)
    expected = _rehearsed(experiment, trainings)
    allowed = [f"{experiment.NAME}.{name}" for name in (*experiment.MAY_CHANGE, "callbacks")]
    if experiment.LENGTH and len({t.outer_steps for t in trainings.values()}) == 1:  # else arms rest, and lost their place
        allowed += map(base_dirs.Growing, experiment.LENGTH)
    if not run.ready(allowed=tuple(allowed)):
        return None
    experiment.begin()
    configuration = run.configuration()

    def run_seed(folder, seed, trainings):
        best = experiment.best(trainings)
        seed_run = SeedRun(seed, folder, trainings, schedule, run.among, not several, configuration, best)
        if run.among.chief:
            files.folder(folder)
        seconds = experiment.train(seed_run)
        return _outcome(experiment, dataclasses.replace(seed_run, seconds=seconds)) if run.among.chief else None

    outcomes = experiment.outcomes(run, trainings, make, run_seed)
    return concluding.conclude(run, program, experiment, outcomes, expected) if outcomes else None


def _check_start(run, experiment, trainings):
    """The chief alone looks at folders; a mistake that it finds ends all processes."""
    mistake = None
    if run.among.chief:
        try:
            experiment.check_start(run.base_dir, trainings)
        except errors.UserError as error:
            mistake = error
    if run.among.share(mistake is not None):
        raise mistake or errors.UserError("worker 0 found a mistake")


def _rehearsed(experiment, trainings):
    """Stand-ins of all quantities, of which the claims could be made; None if the system does not say what it measures."""
    analyses_lib.check(experiment.analyses, trainings, experiment.settings)
    expected = experiment.expected(trainings)
    sizes, unknown = analyses_lib.sizes(experiment.analyses, trainings, experiment.settings)
    if expected is not None:
        expected = expected | claims_lib.stand_ins(sizes, experiment.seeds)
        claims_lib.rehearse(experiment.claims, expected, unknown)
    return expected


def _outcome(experiment, seed_run):
    steps = {name: training.outer_steps for name, training in seed_run.trainings.items()}
    outcome = {"seconds_per_step": seed_run.seconds, "outer_steps": steps, **experiment.measure(seed_run)}
    if experiment.analyses:
        context = experiment.context(seed_run)
        outcome["analyses"] = {name: _analysed(name, context) for name in experiment.analyses}
    return outcome


def _analysed(name, context):
    """The quantities of an analysis, from its file if it was done already."""
    if not context.trainings:
        return {}
    path = os.path.join(context.folder, "analyses", f"{name}.json")
    return files.made(path, lambda: json_values.plain(analyses_lib.REGISTRY[name].measure(context), name))


def rows(base_dir: str, outcomes: Sequence[Mapping]) -> list[list[dict]]:
    """For each seed the lines of its metrics.jsonl."""
    return [metrics_lib.read(base_dirs.repeat(base_dir, k)) for k in range(len(outcomes))]
