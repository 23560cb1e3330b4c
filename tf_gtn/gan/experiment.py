"""An experiment of GANs: several arms, each a gin scope, trained from the same seeds, measured as they learn and in the end.

Each seed's folder (`repeats`) has checkpoints, metrics.jsonl, the exports and

    outcome.json    {"measures": {arm: {measure: [one a network]}}, "seconds_per_iteration": {arm: s}, "iterations": {arm: n},
                     "analyses": {analysis: {quantity: number or list}}}, null where it diverged
    samples/<arm>-<outer step>.npy   what the first network's generator made at a validation
    export/<arm>/<version>/          the first network's generator, as a SavedModel

Networks that stand side by side in one graph (`gan.UnrolledGAN.networks`) count as seeds.
"""

import dataclasses
import os

import gin
import numpy as np

from tf_gtn import errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.gan import analyses, export, figures, gtn_gan, judges, measures
from tf_gtn.gan import gin_names as build
from tf_gtn.reporting import claims, report, statistics
from tf_gtn.reporting import figures as findings_figures
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, repeats
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.teaching import gin_names as teaching

_SEED = 1_000_001  # of the samples that are measured
_KEPT = 2500  # of them in a file, points; 64 images


@gin.configurable(module="gan")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is trained and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: runs of each arm, from the run's seed on.
      samples: how many are measured, at every validation.
      analyses: of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `findings.claims.compare`; quantities are `<arm>/<measure>` and `<analysis>/<quantity>`.
      settled: iterations after which `at_most` must hold at every check.
      at_most: `{arm: modes}`: how many modes at most an arm's generator holds at a time.
      all_modes: arms that hold all modes in the end.
      least_seeds: of how many seeds `at_most` and `all_modes` must be true.
      shown: checks in the figure of samples.
    """

    arms: tuple[str, ...]
    seeds: int = 1
    samples: int = measures.SAMPLES
    analyses: tuple[str, ...] = ()
    claims: tuple = ()
    settled: int = 2000
    at_most: dict = dataclasses.field(default_factory=dict)
    all_modes: tuple = ()
    least_seeds: int = 4
    shown: int = 6

    def __post_init__(self):
        registrations.at_least(1, "gan.Experiment", self)
        if self.samples < figures.SHOWN:
            raise errors.UserError(f"gan.Experiment.samples is at least {figures.SHOWN}, to be shown; got {self.samples}")
        registrations.check_arms("gan.Experiment", self.arms, taken={*analyses.REGISTRY, *_NUMBERS})
        for name in (*self.at_most, *self.all_modes):
            if name not in self.arms:
                raise errors.unknown("arm of a claim", name, self.arms)
        for name in self.analyses:
            if name not in analyses.REGISTRY:
                raise errors.unknown("analysis", name, analyses.REGISTRY)
        if not self.at_most:
            registrations.check_effect("gan.Experiment", self, ("settled",), "without gan.Experiment.at_most")
        if not self.at_most and not self.all_modes:
            registrations.check_effect("gan.Experiment", self, ("least_seeds",), "without at_most or all_modes")
        claims.check("gan.Experiment.claims", self.claims)


_NUMBERS = ("seconds_per_iteration", "iterations")
_OUTCOME = ("measures", *_NUMBERS, "analyses")


def run(run, program):
    """Everything from building to report.html; returns the metrics, or None in a dry run."""
    experiment, schedule = Experiment(), registrations.Schedule()
    gin_config.check_arms_differ(experiment.arms)
    learned = build.source(lambda: teaching.dataset(run))

    def make(seed):
        made = {}
        for name in experiment.arms:
            with gin.config_scope(name):
                made[name] = build.arm(seed, learned)
        return made

    trainings = make(run.seed)
    if experiment.seeds > 1 and any(trained.count > 1 for trained in trainings.values()):
        raise errors.UserError("networks side by side are seeds already: gan.Experiment.seeds or gan.UnrolledGAN.networks is 1")
    analyses.check(experiment.analyses, trainings)
    taught = teaching.Evaluation() if any(isinstance(t, gtn_gan.GTNGAN) for t in trainings.values()) else None
    claims.rehearse(experiment.claims, _stand_ins(experiment, trainings, judges.kind(learned).keys))
    if not run.ready(allowed=("gan.Experiment.claims", "gan.Experiment.seeds")):
        return None
    judge = judges.of(learned)

    def one(folder, seed, trainings):
        return _outcome(folder, seed, trainings, schedule, experiment, judge, taught)

    outcomes = repeats.outcomes(run, experiment.seeds, trainings, make, one, _OUTCOME)
    return _conclude(run, program, experiment, learned, judge, outcomes, next(iter(trainings.values())))


def _stand_ins(experiment, trainings, keys):
    """What there will be claims about, see `claims.rehearse`."""
    networks = {f"{name}/{key}": t.count for name, t in trainings.items() for key in keys}
    measured = {name: claims.Quantity([0.0] * count * experiment.seeds) for name, count in networks.items()}
    found = [f"{name}/{key}" for name in experiment.analyses for key in analyses.REGISTRY[name].numbers(trainings)]
    return measured | claims.stand_ins(dict.fromkeys(found, 0), experiment.seeds)


def _outcome(folder, seed, trainings, schedule, experiment, judge, taught):
    """Trains, measures and exports one seed."""
    samples = os.path.join(folder, "samples")
    files.folder(samples)
    named = set()

    def validate(name, trained):
        made = trained.samples(experiment.samples, _SEED).numpy()
        shown = made[0][: _KEPT if made.ndim == 3 else 64].astype(np.float32)
        file = _samples_file(name, int(trained.taken.numpy()))
        files.write_array(os.path.join(samples, file), shown)
        found = [judge(each) for each in made]
        for n, each in enumerate(found):
            _name_trouble(name, seed + n, trained, judge.trouble(each), named)
        return {"samples": file, **{f"{key}_{n}": each[key] for n, each in enumerate(found) for key in judge.keys}}

    seconds = loop.train(trainings, folder, validate, **dataclasses.asdict(schedule), only=experiment.seeds == 1)
    rows, measured = metrics_lib.read(folder), {}
    healthy = {name: trained for name, trained in trainings.items() if not loop.stuck(trained)}
    for name, trained in trainings.items():
        last = next((row for row in reversed(rows) if f"{name}/{judge.keys[0]}_0" in row), {})
        lost = range(trained.count) if name not in healthy else trained.diverged
        measured[name] = {
            key: [None if n in lost else last[f"{name}/{key}_{n}"] for n in range(trained.count)] for key in judge.keys
        }
        if name in healthy:
            for n in lost:
                print(f"{name}, seed {seed + n}: diverged and ended early, its numbers are left out", flush=True)
        if 0 in lost:
            print(f"{name} is neither exported nor analysed: its first network diverged", flush=True)
            healthy.pop(name, None)
        elif isinstance(trained, gtn_gan.GTNGAN):
            teaching.export_gtn(trained.training, os.path.join(folder, "export", name), analyses.few_step(trained, taught))
        else:
            export.save(trained, os.path.join(folder, "export", name), trained.outer_steps)
    context = analyses.Context(healthy, judge, seed, folder, taught)
    return {
        "measures": measured,
        "seconds_per_iteration": {name: seconds[name] / t.iterations for name, t in trainings.items()},
        "iterations": {name: t.outer_steps * t.iterations for name, t in trainings.items()},
        "analyses": {name: analyses.REGISTRY[name].measure(context) if healthy else {} for name in experiment.analyses},
    }


def _samples_file(arm, step):
    return f"{arm}-{step:06d}.npy"


def _samples_files(folder, arms, judge):
    """`{arm: names}` of the files that its checks wrote, by metrics.jsonl: one that is not there any more is missed."""
    rows = metrics_lib.read(folder)
    checked = {arm: [row for row in rows if f"{arm}/{judge.keys[0]}_0" in row] for arm in arms}
    named = {arm: [row.get(f"{arm}/samples", _samples_file(arm, row["step"])) for row in checked[arm]] for arm in arms}
    return {arm: list(dict.fromkeys(names)) for arm, names in named.items()}  # an arm that gave up overwrites its last one


def _name_trouble(name, seed, trained, trouble, named):
    """Collapse and divergence by name, once for each time that they begin."""
    what, reason = trouble or (None, None)
    for each in ("diverged", "collapsed"):
        if each != what:
            named.discard((name, seed, each))
    if what and (name, seed, what) not in named:
        named.add((name, seed, what))
        at = int(trained.taken.numpy()) * trained.iterations
        print(f"{name}, seed {seed}: {what} by iteration {at}: {reason}", flush=True)


def _conclude(run, program, experiment, learned, judge, outcomes, first):
    """Numbers, claims, figures and report from the outcomes of all seeds."""
    quantities, metrics = {}, {}
    for name in experiment.arms:
        for key in judge.keys:
            quantities[f"{name}/{key}"] = [value for o in outcomes for value in o["measures"][name][key]]
        metrics[name] = {key: statistics.summary(quantities[f"{name}/{key}"], judge.bounds[key]) for key in judge.keys}
        for key in _NUMBERS:
            metrics[name][key] = statistics.median([o[key][name] for o in outcomes])
    for name in experiment.analyses:
        keys = dict.fromkeys(key for o in outcomes for key in o["analyses"][name])
        table = {key: [o["analyses"][name].get(key) for o in outcomes] for key in keys}
        numbers = {key: values for key, values in table.items() if all(np.ndim(value) == 0 for value in values)}
        quantities |= {f"{name}/{key}": values for key, values in numbers.items()}
        metrics[name] = {key: statistics.summary(values, analyses.bounds(name, key)) for key, values in numbers.items()}
        analyses.REGISTRY[name].draw(run.base_dir, findings_figures.whole(table))
    for name in {name for spec in experiment.claims for name in claims.named(spec)}:
        if name not in quantities and any(value is None for values in quantities.values() for value in values):
            quantities[name] = [None] * len(outcomes)  # an analysis' of an arm that diverged

    def bounds(quantity):
        where, key = quantity.split("/")
        return judge.bounds[key] if where in experiment.arms else analyses.bounds(where, key)

    curves = _curves(run, experiment, judge, outcomes)
    measured = {name: claims.Quantity(values, bounds(name)) for name, values in quantities.items()}
    made = [*_mode_claims(experiment, judge, curves), *claims.compare(experiment.claims, measured)]
    if curves:
        figures.modes(run.base_dir, curves, judge.all_modes)
    iterations = {name: int(outcomes[0]["iterations"][name]) for name in experiment.arms}
    figures.samples(run.base_dir, _samples_files(run.base_dir, experiment.arms, judge), learned, experiment.shown, iterations)
    report.conclude(run, "gan", program, metrics, made)
    return {name: metrics[name] for name in experiment.arms}


def _curves(run, experiment, judge, outcomes):
    """`{arm: (iterations [checks], {measure: [checks, seeds]})}` of the seeds that did not diverge, and arms that have such."""
    curves = {}
    for name in experiment.arms:
        parts = []
        for k, outcome in enumerate(outcomes):
            rows = [row for row in metrics_lib.read(base_dirs.repeat(run.base_dir, k)) if f"{name}/{judge.keys[0]}_0" in row]
            there = [n for n, modes in enumerate(outcome["measures"][name][judge.keys[0]]) if modes is not None]
            if there:
                steps = np.array([row["step"] for row in rows])
                parts.append({key: [[row[f"{name}/{key}_{n}"] for n in there] for row in rows] for key in judge.keys})
        if parts:
            curves[name] = (
                steps * (outcomes[0]["iterations"][name] / steps[-1]),
                {key: np.concatenate([np.array(part[key], float) for part in parts], 1) for key in judge.keys},
            )
    return curves


def _mode_claims(experiment, judge, curves):
    """That arms collapse, by `at_most`, or cover all modes, each in at least so many of the seeds that did not diverge."""
    made, nothing = [], (np.zeros(0), {"modes": np.zeros((0, 0))})
    for name, most in experiment.at_most.items():
        iterations, columns = curves.get(name, nothing)
        later, seeds = columns["modes"][iterations > experiment.settled], columns["modes"].shape[1]
        statement = f"{name} holds at most {most} modes at every check after {experiment.settled} iterations, seeds of {seeds}"
        values = later.max(0) if len(later) else ()  # a shortened run has no such check
        spec = f"{name}/modes", "at_most_in_seeds", (most, experiment.least_seeds), "collapses (figure 1)"
        made.append(_named(spec, values, f"{name}_at_most_{most}", statement))
    for name in experiment.all_modes:
        last = curves.get(name, nothing)[1]["modes"][-1:]
        statement = f"{name} holds all {judge.all_modes} modes at the end, seeds of {last.shape[1]}"
        values = last[0] if len(last) else ()
        spec = f"{name}/modes", "at_least_in_seeds", (judge.all_modes, experiment.least_seeds), "covers all (figure 1)"
        made.append(_named(spec, values, f"{name}_all_modes", statement))
    return made


def _named(spec, values, identity, statement):
    (claim,) = claims.compare([spec], {spec[0]: claims.Quantity(list(values))})
    return claim | {"id": identity, "statement": statement}
