"""An experiment: several arms, trained side by side from the same seeds, tested, analysed, and what is claimed of them.

An arm is a name and a gin scope: `distilled/teaching.treatment.name = 'distilled'` holds for the arm `distilled` alone,
unscoped bindings for all. Each seed's folder (`repeats`) has checkpoints, metrics.jsonl, export and

    outcome.json    {"accuracy": {arm: [learners]}, "curve": {arm: [learners][T + 1]}, "seconds_per_step": {arm: s},
                     "outer_steps": {arm: n}, "diverged": [arms],
                     "analyses": {analysis: {quantity: number, list or list of lists}}}
    analyses/<analysis>.json    what one found, as it ended

A seed whose outcome is there is not run again, nor an analysis that has its file.
"""

import dataclasses
import os

import gin
import numpy as np

from tf_gtn import errors
from tf_gtn.config import gin_config, registrations
from tf_gtn.reporting import claims, report, statistics
from tf_gtn.runtime import files, json_values, loop, repeats
from tf_gtn.teaching import analyses, export, figures
from tf_gtn.teaching import gin_names as build

ANALYSES = "analyses"
_OUTCOME = ("accuracy", "curve", "seconds_per_step", "outer_steps", "diverged", "analyses")


@gin.configurable(module="teaching")
@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared and claimed.

    Attributes:
      arms: names; each is a gin scope.
      seeds: outer runs of each arm, from the run's seed on.
      analyses: names of `analyses.REGISTRY`, done with the trained arms of each seed.
      claims: see `claims.compare`.
    """

    arms: tuple[str, ...] = ()
    seeds: int = 1
    analyses: tuple[str, ...] = ()
    claims: tuple = ()

    def __post_init__(self):
        registrations.at_least(1, "teaching.Comparison", self)
        registrations.check_arms(
            "teaching.Comparison",
            self.arms,
            taken={*analyses.REGISTRY, "seconds_per_step", "seconds", "outer_steps", "diverged"},
        )
        for name in self.analyses:
            if name not in analyses.REGISTRY:
                raise errors.unknown("analysis", name, analyses.REGISTRY)
        if len(set(self.analyses)) < len(self.analyses):
            raise errors.UserError(f"teaching.Comparison.analyses names one twice; got {self.analyses!r}")
        claims.check("teaching.Comparison.claims", self.claims)


def run(run, program, comparison, scoped=True):
    """Everything from building to report.html; returns `{arm: summary}`, or None in a dry run and in workers beside the chief.

    Args:
      run: the `app.Run`.
      program: its name, for results.json.
      comparison: a `Comparison`.
      scoped: whether an arm's name is a gin scope.
    """
    if scoped:
        gin_config.check_arms_differ(comparison.arms)
    dataset = build.dataset(run)
    schedule, settings = registrations.Schedule(), build.Evaluation()

    def make(seed):
        made = {}
        for name in comparison.arms:
            with gin.config_scope(name if scoped else None):
                made[name] = build.make(dataset, seed, settings.held_out, run.among.strategy)
        return made

    trainings = make(run.seed)
    analyses.check(comparison.analyses, trainings)
    sizes, unsaid = analyses.sizes(comparison.analyses, trainings, settings)
    sizes |= dict.fromkeys(comparison.arms, settings.test_learners)
    claims.rehearse(comparison.claims, claims.stand_ins(sizes, comparison.seeds), unsaid)
    if not run.ready(allowed=("teaching.Comparison.claims", "teaching.Comparison.seeds")):
        return None
    evaluators = None  # of the first seed, with their traces

    def one(folder, seed, trainings):
        nonlocal evaluators
        if not run.among.chief:
            return build.train(trainings, folder, schedule, settings, among=run.among, only=comparison.seeds == 1)
        parts = trainings, evaluators, schedule, settings, comparison, run.among
        outcome, evaluators = _outcome(folder, seed, dataset, *parts)
        return outcome

    outcomes = repeats.outcomes(run, comparison.seeds, trainings, make, one, _OUTCOME)
    return _conclude(run, program, comparison, outcomes) if run.among.chief else None


def _outcome(folder, seed, dataset, trainings, evaluators, schedule, settings, comparison, among):
    """Trains, tests and analyses one seed; its outcome, and the evaluators with their traces."""
    files.folder(folder)
    only = comparison.seeds == 1
    evaluators, seconds = build.train(trainings, folder, schedule, settings, evaluators, among, only)
    shown = dataset.test.take(np.arange(min(len(dataset.test), settings.curve_images)))
    curves, accuracies = {}, {}
    for name, evaluator in evaluators.items():
        sample = settings.test_learners, build.TEST_SEED + seed
        curves[name] = evaluator.accuracies(shown, *sample, curve=True)
        whole = len(shown) == len(dataset.test)
        accuracies[name] = curves[name][:, -1] if whole else evaluator.accuracies(dataset.test, *sample)
    diverged = [name for name, training in trainings.items() if loop.stuck(training)]
    exported = next((name for name, t in trainings.items() if export.exportable(t) and name not in diverged), None)
    exports = (
        {exported: build.export_gtn(trainings[exported], os.path.join(folder, "export"), accuracies[exported])}
        if exported
        else {}
    )
    figures.draw_arms(folder, trainings)
    context = analyses.Context(dataset, trainings, evaluators, exports, settings, seed, folder)
    found = {name: _analysed(name, context) for name in comparison.analyses}
    return {
        "accuracy": accuracies,
        "curve": curves,
        "seconds_per_step": seconds,
        "outer_steps": {name: training.outer_steps for name, training in trainings.items()},
        "diverged": diverged,
        "analyses": found,
    }, evaluators


def _analysed(name, context):
    """What an analysis found, from its file if it was done already."""
    path = os.path.join(context.folder, ANALYSES, f"{name}.json")
    return files.made(path, lambda: json_values.plain(analyses.REGISTRY[name].measure(context), name))


def _conclude(run, program, comparison, outcomes):
    """Numbers, claims, figures and report from the outcomes of all seeds; what diverged is None in all of them."""

    def unless_diverged(outcome, arms, value):
        return None if {*arms} & {*outcome["diverged"]} else value

    quantities = {name: [unless_diverged(o, [name], o["accuracy"][name]) for o in outcomes] for name in comparison.arms}
    tables, numbers = {}, {}
    for name in comparison.analyses:
        keys = dict.fromkeys(key for o in outcomes for key in o["analyses"][name])
        tables[name] = {
            key: [unless_diverged(o, _arms(key, comparison.arms), o["analyses"][name].get(key)) for o in outcomes]
            for key in keys
        }
        numbers[name] = {k: values for k, values in tables[name].items() if all(np.ndim(v) < 2 for v in values)}
        quantities |= {f"{name}/{key}": values for key, values in numbers[name].items()}
    metrics = {name: statistics.summary(quantities[name], statistics.SHARE) for name in comparison.arms}
    metrics = {name: {"test_accuracy": found.pop("mean"), **found} for name, found in metrics.items()}
    seconds = {name: [o["seconds_per_step"][name] for o in outcomes] for name in comparison.arms}
    metrics["seconds_per_step"] = {name: statistics.median(values) for name, values in seconds.items()}
    metrics["outer_steps"] = outcomes[0]["outer_steps"]
    metrics["seconds"] = {
        name: None if each is None else each * metrics["outer_steps"][name]
        for name, each in metrics["seconds_per_step"].items()
    }
    for name in comparison.analyses:
        bounds = analyses.REGISTRY[name].bounds
        metrics[name] = {key: statistics.summary(values, bounds(key)) for key, values in numbers[name].items()}
    metrics["diverged"] = {name: sum(name in o["diverged"] for o in outcomes) for name in comparison.arms}
    made = claims.compare(comparison.claims, {name: claims.Quantity(v, _bounds(name)) for name, v in quantities.items()})
    for name in comparison.analyses:
        made += analyses.REGISTRY[name].claims(tables[name])
    if healthy := [name for name in comparison.arms if not metrics["diverged"][name]]:
        figures.draw_comparison(run.base_dir, healthy, outcomes, metrics["seconds_per_step"])
    for name in comparison.analyses:
        lacking = {key.split("/")[0] for key, values in tables[name].items() if any(each is None for each in values)}
        if drawn := {key: values for key, values in tables[name].items() if not lacking & {*key.split("/")}}:
            analyses.REGISTRY[name].draw(run.base_dir, drawn)
    report.conclude(run, "teaching", program, metrics, made)
    return metrics


def _bounds(quantity):
    """Of an arm's accuracy, or of `<analysis>/...`."""
    analysis, _, own = quantity.partition("/")
    return analyses.REGISTRY[analysis].bounds(own) if own else statistics.SHARE


def _arms(key, arms):
    """The arms that an analysis' quantity is of: that before the slash, and in `crossed` that behind it."""
    first, *more = key.split("/")
    return [name for name in (first, *(more if {*more} <= {*arms} else ())) if name in arms]
