"""An experiment of agents: several arms, each a gin scope, trained from the same seeds, tested in the real environment.

Each seed's folder (`repeats`) has checkpoints, metrics.jsonl, the exports and

    outcome.json    {"return": {arm: [returns]}, "seconds_per_step": {arm: s}, "outer_steps": {arm: n},
                     "environment_steps": {arm: n}, "architectures": {name: [returns]}, "steps": {number: [returns]},
                     "steps_to_solve": {arm: n}}, null where the arm diverged
    export/<version>/    the first GTN, as a SavedModel
    policies/<arm>/      each agent's greedy policy, as tf-agents' PolicySaver writes it
"""

import contextlib
import dataclasses
import os
import warnings

import gin
import numpy as np
from absl import logging

from tf_gtn import errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.models import perceptrons
from tf_gtn.reporting import claims, report, statistics
from tf_gtn.rl import figures, policy_gtn
from tf_gtn.rl import gin_names as build
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, repeats
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.teaching import export

_TEST, _VALIDATION = 2_000_003, 1_000_001  # seeds that no training draws from
_UNITS = "policies or episodes of one outer run"


@gin.configurable(module="rl")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is trained and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: runs of each arm, from the run's seed on.
      claims: see `findings.claims.compare`; quantities are arms, `architectures/<name>`, `steps/<number>` and
        `steps_to_solve/<arm>`: environment steps from which on all validations are at least `rl.Evaluation.solved`
        (null if there are none).
    """

    arms: tuple[str, ...] = ("gtn",)
    seeds: int = 1
    claims: tuple = ()

    def __post_init__(self):
        registrations.at_least(1, "rl.Experiment", self)
        registrations.check_arms("rl.Experiment", self.arms, taken={*_TABLES, *_NUMBERS})
        claims.check("rl.Experiment.claims", self.claims)


_TABLES, _NUMBERS = (
    ("architectures", "steps", "steps_to_solve"),
    ("seconds_per_step", "seconds", "outer_steps", "environment_steps"),
)
_OUTCOME = ("return", *_TABLES)


def run(run, program):
    """Everything from building to report.html; returns `{arm: summary}`, or None in a dry run."""
    experiment = Experiment()
    gin_config.check_arms_differ(experiment.arms)
    schedule, settings = registrations.Schedule(), build.Evaluation()

    def make(seed):
        made = {}
        for name in experiment.arms:
            with gin.config_scope(name):
                made[name] = build.arm(seed)
        return made

    trainings = make(run.seed)
    _check(experiment, settings, trainings)
    if not run.ready(allowed=("rl.Experiment.claims", "rl.Experiment.seeds")):
        return None

    def one(folder, seed, trainings):
        files.folder(folder)
        return _outcome(folder, seed, trainings, schedule, settings, experiment.seeds == 1)

    found = repeats.outcomes(run, experiment.seeds, trainings, make, one, _OUTCOME)
    return _conclude(run, program, experiment, found)


def _check(experiment, settings, trainings):
    """What could go wrong after training is found before it."""
    gtn = next((t for t in trainings.values() if isinstance(t, policy_gtn.PolicyGTN)), None)
    if not any(hasattr(t, "agent") for t in trainings.values()):
        registrations.check_effect(
            "rl.Evaluation", settings, ("greedy",), "where no arm is an agent: GTNs' policies are greedy"
        )
    if gtn is None and (settings.architectures or settings.steps):
        raise errors.UserError("rl.Evaluation.architectures and steps are for a GTN; none of the arms is one")
    for name, layers in settings.architectures.items():
        try:
            perceptrons.perceptron(gtn.arena.observation_shape[0], gtn.arena.actions, **layers)
        except (TypeError, ValueError) as error:
            reason = str(error).splitlines()[0][:150]
            raise errors.UserError(f"rl.Evaluation.architectures: {name!r} is no perceptron: {reason}") from None
    solving = experiment.arms if settings.solved is not None else ()
    tested = [
        *experiment.arms,
        *(f"architectures/{name}" for name in settings.architectures),
        *(f"steps/{number}" for number in settings.steps),
    ]
    sizes = dict.fromkeys(tested, settings.test) | {f"steps_to_solve/{name}": 0 for name in solving}
    claims.rehearse(experiment.claims, claims.stand_ins(sizes, experiment.seeds))


def _outcome(folder, seed, trainings, schedule, settings, only):
    """Trains, tests and exports one seed, the `only` one or one of several."""

    def returns(trained, count, own_seed):
        options = {} if settings.greedy or not hasattr(trained, "agent") else {"greedy": False}
        return trained.returns(count, 1, own_seed + seed, **options)[:, 0]

    def validate(name, trained):
        return {"validation_return": float(returns(trained, settings.validation, _VALIDATION).mean())}

    seconds = loop.train(trainings, folder, validate, **dataclasses.asdict(schedule), only=only)
    healthy = {name: trained for name, trained in trainings.items() if not loop.stuck(trained)}
    tested = {n: returns(trained, settings.test, _TEST) if n in healthy else None for n, trained in trainings.items()}
    outcome = {
        "return": tested,
        "seconds_per_step": seconds,
        "outer_steps": {name: t.outer_steps for name, t in trainings.items()},
        "environment_steps": {name: int(t.environment_steps.numpy()) for name, t in trainings.items()},
        "architectures": {},
        "steps": {},
        "steps_to_solve": {},
    }
    if settings.solved is not None:
        rows = metrics_lib.read(folder)
        for name in trainings:
            outcome["steps_to_solve"][name] = _steps_to_solve(rows, name, settings.solved) if name in healthy else None
    name = next((name for name, t in trainings.items() if isinstance(t, policy_gtn.PolicyGTN)), None)
    if name is not None and name not in healthy:
        outcome["architectures"] = dict.fromkeys(settings.architectures)
        outcome["steps"] = dict.fromkeys(map(str, settings.steps))
    elif name is not None:
        gtn, (mean, interval) = trainings[name], statistics.mean_and_interval(tested[name], build.score_bounds(trainings))
        score = {"mean": mean, "ci95": interval, "learners": settings.test}
        meta = export.metadata(gtn, gin_config.config_str(), score=score)
        export.save(gtn, os.path.join(folder, "export"), gtn.outer_steps, meta)
        (length,), actions = gtn.arena.observation_shape, gtn.arena.actions
        for name, layers in settings.architectures.items():
            policy = perceptrons.perceptron(length, actions, **layers)
            outcome["architectures"][name] = gtn.returns(settings.test, 1, _TEST + seed, policy)[:, 0]
        for steps in settings.steps:
            outcome["steps"][str(steps)] = gtn.returns(settings.test, 1, _TEST + seed, steps=steps)[:, 0]
    for name, trained in healthy.items():
        if hasattr(trained, "agent"):
            with _quietly():
                trained.save_policy(os.path.join(folder, "policies", name))
                figures.strip(folder, name, trained.frames(_TEST + seed))
    return outcome


def _steps_to_solve(rows, name, solved):
    """Environment steps from which on every validation was at least `solved`; None if the last one was not."""
    steps, values = figures.columns(rows, name, "validation_return")
    below = np.flatnonzero(values < solved)
    first = below[-1] + 1 if len(below) else 0
    return float(steps[first]) if first < len(steps) else None


@contextlib.contextmanager
def _quietly():
    """Without TensorFlow's remarks on tf-agents' names and types, which a user can do nothing about."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


def _conclude(run, program, experiment, outcomes):
    """Numbers, claims, figures and report from the outcomes of all seeds."""
    quantities = {name: [o["return"][name] for o in outcomes] for name in experiment.arms}
    for table in _TABLES:
        quantities |= {f"{table}/{key}": [o[table][key] for o in outcomes] for key in outcomes[0][table]}
    scores = build.score_bounds(experiment.arms)

    def bounds(quantity):
        return statistics.NOT_NEGATIVE if quantity.startswith("steps_to_solve/") else scores

    metrics = {name: statistics.summary(values, bounds(name), "episodes") for name, values in quantities.items()}
    for name in _NUMBERS:
        if name in outcomes[0]:
            metrics[name] = {arm: statistics.median([o[name][arm] for o in outcomes]) for arm in experiment.arms}
    measured = {name: claims.Quantity(values, bounds(name)) for name, values in quantities.items()}
    made = claims.compare(experiment.claims, measured, _UNITS)
    rows = [metrics_lib.read(base_dirs.repeat(run.base_dir, k)) for k in range(len(outcomes))]
    figures.draw(
        run.base_dir,
        experiment.arms,
        rows,
        {name: quantities[name] for name in quantities if name.split("/")[0] in ("architectures", "steps")},
        scores,
    )
    report.conclude(run, "rl", program, metrics, made)
    return {name: metrics[name] for name in experiment.arms}


def main(run_, program):
    """The whole of a program."""
    found = run(run_, program)
    if found is not None:
        for name, summary in found.items():
            count, lost = len(summary["values"]), int(np.isnan(summary["values"]).sum())
            words = f"diverged in {lost} of" if lost else f"mean return {summary['mean']:.1f} over"
            print(f"{name}: {words} {count} {summary['over']}")
        print(f"report: {run_.base_dir}/report.html")
