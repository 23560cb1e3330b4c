"""An experiment of GANs: several arms trained from the same seeds, measured as they learn and in the end.

Beside what every experiment leaves in a seed's folder (`experiment.experiment`):

    outcome.json    {"measures": {arm: {measure: [one per network]}}, "seconds_per_iteration": {arm: s},
                     "iterations": {arm: n}}, null where it diverged
    samples/<arm>-<outer step>.npy   what the first network's generator made at a validation
    export/<arm>/<version>/          the first network's generator, as a SavedModel

Networks that stand side by side in one graph (`gan.UnrolledGAN.parallel_seeds`) count as seeds.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.experiment import experiment, runs
from tf_gtn.gan import analyses, export, figures, gtn_gan, judges, measures
from tf_gtn.gan import training as gan_training
from tf_gtn.reporting import claims, statistics
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.teaching import experiment as teaching

_SEED = 1_000_001  # of the samples that are measured
_KEPT = 2500  # of them in a file, points; 64 images
_NUMBERS = ("seconds_per_iteration", "iterations")

Training = gan_training.UnrolledGAN | gtn_gan.GTNGAN
"""What an arm is."""


@dataclasses.dataclass(kw_only=True)
@arguments.checked("gan.Experiment")
class GANs(experiment.Experiment):
    """What is trained and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: runs of each arm, from the run's seed on.
      samples: how many are measured at every validation; the figure of samples shows 25 of them.
      analyses: of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `reporting.claims.compare`; quantities are `<arm>/<measure>` and `<analysis>/<quantity>`.
      settled: iterations after which `at_most` must hold at every check.
      at_most: `{arm: modes}`: how many modes at most an arm's generator holds at a time.
      all_modes: arms that hold all modes in the end.
      least_seeds: of how many seeds `at_most` and `all_modes` must be true.
      shown: checks in the figure of samples.
    """

    samples: Annotated[int, arguments.at_least(figures.SHOWN)] = measures.SAMPLES
    settled: arguments.Count = 2000
    at_most: dict[str, int] = dataclasses.field(default_factory=dict)
    all_modes: tuple[str, ...] = ()
    least_seeds: arguments.Count = 4
    shown: arguments.Count = 6

    SYSTEM: ClassVar[str] = "gan"
    NAME: ClassVar[str] = "gan.Experiment"
    UNITS: ClassVar[str] = "fresh learners of one outer run"
    TABLES: ClassVar[tuple[str, ...]] = ("measures",)
    NUMBERS: ClassVar[tuple[str, ...]] = (*experiment.NUMBERS, *_NUMBERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (*self.at_most, *self.all_modes):
            if name not in self.arms:
                raise errors.unknown("arm of a claim", name, self.arms)
        if not self.at_most:
            arguments.no_effect(self.NAME, self, ("settled",), "without gan.Experiment.at_most")
        if not self.at_most and not self.all_modes:
            arguments.no_effect(self.NAME, self, ("least_seeds",), "without at_most or all_modes")

    def given(self, learned: Any, make: Callable[[int, Any], Training], tests: Callable[[], teaching.Evaluation]) -> "GANs":
        """The source that is learned, `(seed, source) -> training`, how what a GTN-GAN teaches is tested; returns itself."""
        self.learned, self._make, self._tests = learned, make, tests
        return self

    def arm(self, seed: int) -> Any:
        return self._make(seed, self.learned)

    def check(self, trainings: Mapping[str, Training]) -> None:
        if self.seeds > 1 and any(trained.count > 1 for trained in trainings.values()):
            raise errors.UserError(
                "networks side by side are seeds already: gan.Experiment.seeds or gan.UnrolledGAN.parallel_seeds is 1"
            )
        if any(isinstance(trained, gtn_gan.GTNGAN) for trained in trainings.values()):
            self.settings = self._tests()  # pyrefly: ignore[read-only]  # the class has a default of it

    def expected(self, trainings: Mapping[str, Training]) -> dict[str, claims.Quantity]:
        keys = judges.kind(self.learned).keys
        networks = {f"{name}/{key}": trained.count for name, trained in trainings.items() for key in keys}
        return {name: claims.Quantity([0.0] * count * self.seeds) for name, count in networks.items()}

    def begin(self) -> None:
        self.judge, self._named = judges.of(self.learned), set()

    def validate(self, run: runs.SeedRun, name: str, training: Training) -> dict[str, Any]:
        samples = training.samples(self.samples, _SEED).numpy()
        first_network = samples[0][: _KEPT if samples.ndim == 3 else 64].astype(np.float32)
        file_name = _samples_file(name, int(training.taken.numpy()))
        files.write_array(os.path.join(run.folder, "samples", file_name), first_network)
        judgements = [self.judge(values) for values in samples]
        for n, values in enumerate(judgements):
            _name_trouble(name, run.seed + n, training, self.judge.trouble(values), self._named)
        judged = {f"{key}_{n}": values[key] for n, values in enumerate(judgements) for key in self.judge.keys}
        return {"samples": file_name, **judged}

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        rows, measures_by_arm, keys = metrics_lib.read(run.folder), {}, self.judge.keys
        for name, trained in run.trainings.items():
            last = next((row for row in reversed(rows) if f"{name}/{keys[0]}_0" in row), {})
            lost_networks = trained.diverged if name in run.healthy else range(trained.count)
            measures_by_arm[name] = {
                key: [None if n in lost_networks else last[f"{name}/{key}_{n}"] for n in range(trained.count)] for key in keys
            }
            for n in lost_networks if name in run.healthy else ():
                print(f"{name}, seed {run.seed + n}: diverged and ended early, its numbers are left out", flush=True)
            folder = os.path.join(run.folder, "export", name)
            if 0 in lost_networks:
                print(f"{name} is neither exported nor analysed: its first network diverged", flush=True)
            elif isinstance(trained, gtn_gan.GTNGAN):
                accuracies = analyses.few_step(trained, self.settings)
                teaching.export_gtn(trained.training, folder, accuracies, run.configuration)
            else:
                export.save(trained, folder, trained.outer_steps)
        return {
            "measures": measures_by_arm,
            "seconds_per_iteration": {name: run.seconds[name] / trained.iterations for name, trained in run.trainings.items()},
            "iterations": {name: trained.outer_steps * trained.iterations for name, trained in run.trainings.items()},
        }

    def context(self, run: runs.SeedRun) -> analyses.Context:
        healthy = {name: trained for name, trained in run.healthy.items() if 0 not in trained.diverged}
        return analyses.Context(trainings=healthy, seed=run.seed, folder=run.folder, judge=self.judge, settings=self.settings)

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        return {
            f"{name}/{key}": claims.Quantity([v for o in outcomes for v in o["measures"][name][key]], self.judge.bounds[key])
            for name in self.arms
            for key in self.judge.keys
        }

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        by_arm: dict[str, dict[str, Any]] = {}
        for name, quantity in quantities.items():
            arm, key = name.split("/")
            by_arm.setdefault(arm, {})[key] = statistics.summary(quantity.values, quantity.bounds)
        for arm in self.arms:
            by_arm[arm] |= {key: statistics.median([o[key][arm] for o in outcomes]) for key in _NUMBERS}
        return by_arm

    def more_claims(self, base_dir: str, outcomes: Sequence[Mapping]) -> list[dict]:
        return _mode_claims(self, self.judge, _curves(base_dir, self, self.judge, outcomes))

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        if curves := _curves(base_dir, self, self.judge, outcomes):
            figures.modes(base_dir, curves, self.judge.all_modes)
        iterations = {name: int(outcomes[0]["iterations"][name]) for name in self.arms}
        figures.samples(base_dir, _samples_files(base_dir, self.arms, self.judge), self.learned, self.shown, iterations)


def _samples_file(arm, step):
    return f"{arm}-{step:06d}.npy"


def _samples_files(folder, arms, judge):
    """`{arm: names}` of the files that its checks wrote, by metrics.jsonl; a file that was deleted since is named as well."""
    rows = metrics_lib.read(folder)
    checked = {arm: [row for row in rows if f"{arm}/{judge.keys[0]}_0" in row] for arm in arms}
    named = {arm: [row.get(f"{arm}/samples", _samples_file(arm, row["step"])) for row in checked[arm]] for arm in arms}
    return {arm: list(dict.fromkeys(names)) for arm, names in named.items()}  # an arm that gave up overwrites its last one


def _name_trouble(name, seed, trained, trouble, named):
    """Prints that a network collapses or diverges, once for each time that it begins; `named`: what was printed before."""
    condition, reason = trouble or (None, None)
    for other in ("diverged", "collapsed"):
        if other != condition:
            named.discard((name, seed, other))
    if condition and (name, seed, condition) not in named:
        named.add((name, seed, condition))
        iteration = int(trained.taken.numpy()) * trained.iterations
        print(f"{name}, seed {seed}: {condition} by iteration {iteration}: {reason}", flush=True)


def _curves(base_dir, experiment, judge, outcomes):
    """`{arm: (iterations [checks], {measure: [checks, seeds]})}` of the seeds that did not diverge, and arms that have such."""
    curves = {}
    for name in experiment.arms:
        parts, steps = [], np.zeros(0)
        for k, outcome in enumerate(outcomes):
            rows = [row for row in metrics_lib.read(base_dirs.repeat(base_dir, k)) if f"{name}/{judge.keys[0]}_0" in row]
            networks = [n for n, modes in enumerate(outcome["measures"][name][judge.keys[0]]) if modes is not None]
            if networks:
                steps = np.array([row["step"] for row in rows])
                parts.append({key: [[row[f"{name}/{key}_{n}"] for n in networks] for row in rows] for key in judge.keys})
        if parts:
            curves[name] = (
                steps * (outcomes[0]["iterations"][name] / steps[-1]),
                {key: np.concatenate([np.array(part[key], float) for part in parts], 1) for key in judge.keys},
            )
    return curves


def _mode_claims(experiment, judge, curves):
    """That arms collapse, by `at_most`, or cover all modes, each in at least so many of the seeds that did not diverge."""
    mode_claims, nothing = [], (np.zeros(0), {"modes": np.zeros((0, 0))})
    for name, most in experiment.at_most.items():
        iterations, columns = curves.get(name, nothing)
        later, seeds = columns["modes"][iterations > experiment.settled], columns["modes"].shape[1]
        statement = f"{name} holds at most {most} modes at every check after {experiment.settled} iterations, seeds of {seeds}"
        values = later.max(0) if len(later) else ()  # a shortened run has no such check
        spec = f"{name}/modes", "at_most_in_seeds", (most, experiment.least_seeds), "collapses (figure 1)"
        quantity = {spec[0]: claims.Quantity(list(values))}
        mode_claims.append(claims.named_otherwise(spec, quantity, f"{name}_at_most_{most}", statement))
    for name in experiment.all_modes:
        last = curves.get(name, nothing)[1]["modes"][-1:]
        statement = f"{name} holds all {judge.all_modes} modes at the end, seeds of {last.shape[1]}"
        values = last[0] if len(last) else ()
        spec = f"{name}/modes", "at_least_in_seeds", (judge.all_modes, experiment.least_seeds), "covers all (figure 1)"
        quantity = {spec[0]: claims.Quantity(list(values))}
        mode_claims.append(claims.named_otherwise(spec, quantity, f"{name}_all_modes", statement))
    return mode_claims
