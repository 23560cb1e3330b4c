"""A search: architectures are proposed, evaluated on Ray, ranked by one evaluation against another, and the best tried again.

    <base_dir>/evaluations.jsonl    every finished evaluation (`records`)
    <base_dir>/networks/<k>.keras   the Pareto front's networks, trained
    <base_dir>/networks/front.json  what they cost and how accurate they are

The same command goes on: a finished evaluation is not made again.
"""

import dataclasses
import json
import os

import gin
import numpy as np

from tf_gtn import errors, watching
from tf_gtn.config import registrations
from tf_gtn.nas import costs, evaluation, farm, figures, ranking, records, search
from tf_gtn.reporting import figures as findings_figures
from tf_gtn.reporting import report, results, statistics
from tf_gtn.runtime import files, json_values, loop
from tf_gtn.runtime import progress as progress_lib
from tf_gtn.teaching import gin_names as build
from tf_gtn.teaching import loading

for _configurable in (evaluation.GTN, evaluation.Real, search.Random, search.Evolution, search.TPE):
    gin.external_configurable(_configurable, module="nas")

_ATTEMPTS = 10_000  # at a slot's proposal
LIMITED = ("parameters", "flops", "latency")


@gin.configurable(module="nas")
@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, how, and what is made of it.

    Attributes:
      space: `@nas.Cells()` or `@nas.Plain()`.
      proposer: `@nas.Random()`, `@nas.Evolution()` or `@nas.TPE()`; it goes by the first evaluation.
      architectures: how many are evaluated.
      evaluations: in this order; after each the best `keep` go on to the next.
      keep: share of the architectures that stay after an evaluation (successive halving); 1.0: all.
      limits: `{"parameters" or "flops" or "latency": largest}`; what is proposed above is passed over. Latency: milliseconds of
        an image on this machine.
      reference: the budget that the others are ranked against, by correlation; None: none is.
      reference_seeds: trainings by the reference whose mean ranks, from the run's seed on; how well the first agrees with the
        others' mean, its reliability, bounds what any evaluation can reach.
      compared: two budgets whose correlations with the reference are compared, a claim.
      final: an evaluation of the best by each budget and of a random pick, with `final_seeds`; None: there is none.
      final_space: what their cells are built in then, such as more and wider ones; None: `space`.
      final_seeds: from the run's seed on.
      front: quantities among parameters, flops, latency: the networks that no other beats in accuracy and these are trained
        by the first evaluation and saved. Empty: none is.
    """

    space: object
    proposer: object
    evaluations: tuple
    architectures: int = 60
    keep: float = 1.0
    limits: dict = dataclasses.field(default_factory=dict)
    reference: str | None = None
    reference_seeds: int = 1
    compared: tuple = ()
    final: object = None
    final_space: object = None
    final_seeds: int = 5
    front: tuple = ()

    def __post_init__(self):
        numbers = {name: getattr(self, name) for name in ("architectures", "final_seeds", "reference_seeds")}
        errors.at_least_one("nas.Search", **numbers)
        if self.reference_seeds > 1 and self.reference is None:
            raise errors.UserError("nas.Search.reference_seeds has no effect without a reference")
        if not 0 < self.keep <= 1:
            raise errors.UserError(f"nas.Search.keep is a share above 0, at most 1; got {self.keep}")
        for name in (*self.limits, *self.front):
            if name not in LIMITED:
                raise errors.unknown("cost of a network", name, LIMITED)
        if not self.evaluations:
            raise errors.UserError("nas.Search.evaluations is empty")
        for name in filter(None, (self.reference, *self.compared)):
            if name not in self.budgets:
                raise errors.unknown("budget", name, self.budgets)
        if self.final is None:
            registrations.check_effect("nas.Search", self, ("final_space", "final_seeds"), "without nas.Search.final")
        if self.compared and len(self.compared) != 2:
            raise errors.UserError(f"nas.Search.compared is two budgets; got {self.compared!r}")
        if self.reference is None and self.final is None:
            registrations.check_effect("nas.Search", self, ("compared",), "without nas.Search.reference or final")
        if self.reference and self.keep < 1:
            raise errors.UserError("nas.Search.reference ranks all architectures, nas.Search.keep leaves some out: keep is 1.0")

    @property
    def budgets(self):
        return tuple(name for each in self.evaluations for name in each.names)


def run(run, address=None, workers=None):
    """Everything from proposing to report.html; returns the metrics, or None in a dry run."""
    farm.check(address)
    dataset, settings = registrations.load_data(run), Search()
    _check(settings, dataset, run.seed)
    if not run.ready(allowed=("nas.Search.reference_seeds",)):
        return None
    found = records.Records(run.base_dir)
    with farm.Farm(settings.space, dataset, address, workers) as pool, loop.signals() as received:
        print(f"evaluations run {pool.workers} at a time, {pool.where}", flush=True)
        everything = _Everything(run, settings, dataset, found, pool, received)
        proposed = everything.first()
        left = proposed
        for budget in settings.evaluations[1:]:
            rows = [found.find(a, run.seed, settings.budgets[0]) for a in left]
            if settings.keep < 1:
                left = [row["architecture"] for row in search.halved(rows, settings.keep)]
            everything.evaluate([(a, run.seed, budget) for a in left])
        if settings.reference_seeds > 1:
            reference = _alone(settings)
            seeds = range(run.seed + 1, run.seed + settings.reference_seeds)
            everything.evaluate([(a, s, reference) for s in seeds for a in proposed])
        picked = _picked(settings, found, proposed, run.seed)
        if settings.final is not None:
            seeds = range(run.seed, run.seed + settings.final_seeds)
            finals = [(a, s, settings.final) for a in dict.fromkeys(picked.values()) for s in seeds]
            everything.evaluate(finals, space=settings.final_space)
    return _conclude(run, settings, dataset, found, proposed, picked)


def _alone(settings):
    """The reference, without the other budgets of its evaluation."""
    budget = next(each for each in settings.evaluations if settings.reference in each.names)
    if isinstance(budget, evaluation.GTN):
        return budget
    return dataclasses.replace(budget, epochs=(budget.all_epochs[budget.names.index(settings.reference)],))


def _check(settings, dataset, seed):
    """Builds one network and loads the exports: what does not fit is found before anything is evaluated."""
    for budget in settings.evaluations:
        if isinstance(budget, evaluation.GTN):
            build.check_fits(loading.load(budget.export_dir), dataset)
    text = settings.proposer.propose(settings.space, [], 0, seed)
    settings.space.build(settings.space.parse(text), dataset.image_shape, dataset.num_classes)


class _Everything:
    """The evaluations of one run, with their progress and signals."""

    def __init__(self, run, settings, dataset, found, pool, received):
        self._run, self._settings, self._dataset = run, settings, dataset
        self._found, self._pool, self._received = found, pool, received

    def evaluate(self, jobs, more=lambda: None, total=None, space=None, slots=None):
        """Those that are not finished yet; in another `space`, if given. `slots`: `{architecture: its place in the search}`."""
        jobs = [job for job in jobs if not self._found.finished(job)]
        total = len(jobs) if total is None else total
        if not total:
            return
        with progress_lib.Progress(total, 0, "evaluations", first="starting workers") as bar:
            ended = self._pool.rows(jobs, more, space, stop=lambda: bool(self._received))
            for done, ((architecture, *_), rows) in enumerate(ended, 1):
                self._found.add([{**row, "slot": slots[architecture]} for row in rows] if slots is not None else rows)
                bar.update(done, accuracy=rows[-1].get("accuracy", float("nan")))
        self._stop_if_asked()

    def _stop_if_asked(self):
        if self._received:
            raise loop.Stopped(self._received[0], len(self._found.rows))

    def first(self):
        """The first evaluation of every architecture, in slots, each proposed as those that it goes by end; sorted."""
        budget, seed, count = self._settings.evaluations[0], self._run.seed, self._settings.architectures
        known = _slots(self._found.of(budget.names[0], seed), count)
        missing = [slot for slot in range(count) if slot not in known or not self._found.finished((known[slot], seed, budget))]
        slots = {}  # architecture: slot, up to the newest

        def more():
            while (slot := len(slots)) < count:
                goes_by = [*slots][: slot + 1 - min(slot + 1, self._settings.proposer.concurrent)]
                rows = [self._found.find(architecture, seed, budget.names[0]) for architecture in goes_by]
                if None in rows:
                    return None  # until they have ended
                architecture = known.get(slot) or self._propose(slot, rows, {*slots, *known.values()})
                slots[architecture] = slot
                if slot in missing:
                    return architecture, seed, budget
            return None

        self.evaluate([], more, len(missing), slots=slots)
        if not missing:
            more()
        return sorted(slots)

    def _propose(self, slot, rows, taken):
        settings = self._settings
        for attempt in range(_ATTEMPTS):
            self._stop_if_asked()
            index = slot + attempt * settings.architectures
            architecture = settings.proposer.propose(settings.space, rows, index, self._run.seed)
            if architecture not in taken and self._within_limits(architecture):
                return architecture
        raise errors.UserError("no further architecture is within nas.Search.limits, or the space has no more")

    def _within_limits(self, architecture):
        if not self._settings.limits:
            return True
        found = network_costs(self._settings.space, architecture, self._dataset, "latency" in self._settings.limits)
        return all(found[name] <= limit for name, limit in self._settings.limits.items())


def _slots(rows, count):
    """`{slot: architecture}` of the first evaluation; rows without a slot, of earlier versions, take the free ones in order."""
    known = {row["slot"]: row["architecture"] for row in rows if "slot" in row}
    free = (slot for slot in range(count) if slot not in known)
    known |= dict(zip(free, dict.fromkeys(row["architecture"] for row in rows if "slot" not in row)))
    return known


def network_costs(space, architecture, dataset, latency):
    """`{"parameters", "flops"}` of a network, and "latency" if asked for."""
    model = space.build(space.parse(architecture), dataset.image_shape, dataset.num_classes)
    found = {"parameters": costs.parameters(model), "flops": costs.flops(model)}
    return found | ({"latency": costs.latency(model)} if latency else {})


def _picked(settings, found, proposed, seed):
    """The best architecture by each budget, and a random one."""
    picked = {"random": proposed[int(np.random.default_rng([seed, 7]).integers(len(proposed)))]}
    for budget in settings.budgets:
        there = search.halved([found.find(a, seed, budget) or {} for a in proposed], 0.0)
        if there:
            picked[budget] = there[0]["architecture"]
    return picked


def _conclude(run, settings, dataset, found, proposed, picked):
    seed, made = run.seed, []
    rows = {b: [row for a in proposed if "accuracy" in (row := found.find(a, seed, b) or {})] for b in settings.budgets}
    whole = set.intersection(*({row["architecture"] for row in each} for each in rows.values()))
    whole = [a for a in proposed if a in whole]
    table = {b: {k: [found.find(a, seed, b)[k] for a in whole] for k in _MEASURED} for b in settings.budgets}
    metrics = {"architectures": len(proposed), "failed": sum("failed" in row for row in found.rows), "evaluated": len(whole)}
    kinds = {"accuracy": statistics.SHARE, "training_seconds": statistics.NOT_NEGATIVE, "seconds": statistics.NOT_NEGATIVE}
    for budget, each in rows.items():
        metrics[budget] = {
            name: statistics.summary([[row[name] for row in each]], kind, "architectures") if each else None
            for name, kind in kinds.items()
        }
    if settings.reference:
        seeds = range(seed, seed + settings.reference_seeds)
        again = [[(found.find(a, s, settings.reference) or {}).get("accuracy", np.nan) for a in whole] for s in seeds]
        made += _rank(settings, table, metrics, np.array(again, float))
        if len(whole) > 2:
            figures.scatter(run.base_dir, table, settings.reference)
    if settings.final is not None:
        seeds = range(seed, seed + settings.final_seeds)
        accuracies = {
            name: [found.find(a, s, settings.final.names[-1]).get("accuracy") for s in seeds] for name, a in picked.items()
        }
        metrics["final"] = {name: statistics.summary(values, statistics.SHARE) for name, values in accuracies.items()}
        metrics["picked"] = picked
        for name in set(settings.compared[:1]):
            for other in [*settings.compared[1:], "random"]:
                one, two = (np.array(accuracies.get(each, [None] * settings.final_seeds), float) for each in (name, other))
                bounds = statistics.difference(statistics.SHARE, statistics.SHARE)
                mean, interval = statistics.mean_and_interval(one - two, bounds)
                statement = f"The best by {name}, trained on real data, is above the best by {other} ({len(one)} seeds)"
                interval = interval if len(one) > 1 else None
                made.append(results.claim(f"final_{name}_above_{other}", statement, None, mean, interval, "ci95[0] > 0"))
        if drawn := findings_figures.whole(accuracies):
            figures.bars(run.base_dir, drawn)
    if settings.front:
        metrics["front"] = save_front(run, settings, dataset, found, proposed)
        if metrics["front"]:
            figures.front(run.base_dir, metrics["front"], settings.front[0])
    figures.best(run.base_dir, settings.space, picked)
    report.conclude(run, "nas", "search_architectures", metrics, made)
    return metrics


_MEASURED = ("accuracy", "loss", "training_seconds", "seconds", "parameters", "flops")


def _rank(settings, table, metrics, again):
    """Correlations of every budget with the reference, and the claims; `again` `[seeds, architectures]`: the reference's.

    With fewer than three architectures that all budgets have evaluated there is no correlation, and no claim holds.
    """
    ranked = again.shape[1] > 2
    if ranked:
        reference = np.nanmean(again, 0)
        _correlate(settings, table, metrics, reference)
        if len(again) > 1:
            metrics[settings.reference]["reliability"] = ranking.correlation(again[0], np.nanmean(again[1:], 0))
    if len(settings.compared) != 2:
        return []
    made, (first, second) = [], settings.compared
    for share, words, seed_value in ((1.0, "", "0.3606 (section 3.4)"), (0.5, " within its top half", "0.5582 against 0.5235")):
        both = table[first]["accuracy"], table[second]["accuracy"]
        found = ranking.difference(*both, reference, share) if ranked else {"value": None, "ci95": None}
        statement = (
            f"{first} ranks architectures{words} better than {second} (difference of Spearman's correlations, bootstrap)"
        )
        identity = f"{first}_above_{second}{'_top_half' if share < 1 else ''}"
        made.append(results.claim(identity, statement, seed_value, found["value"], found["ci95"], "ci95[0] > 0"))
    return made


def _correlate(settings, table, metrics, reference):
    metrics["correlations"] = {
        first: {second: ranking.spearman(one["accuracy"], other["accuracy"]) for second, other in table.items()}
        for first, one in table.items()
    }
    for budget, columns in table.items():
        if budget != settings.reference:
            metrics[budget] |= {
                "correlation": ranking.correlation(columns["accuracy"], reference),
                "correlation_of_top_half": ranking.correlation(columns["accuracy"], reference, 0.5),
                "cost_ratio": float(
                    np.sum(table[settings.reference]["training_seconds"]) / np.sum(columns["training_seconds"])
                ),
            }


def save_front(run, settings, dataset, found, proposed):
    """Trains and saves the Pareto front's networks by the first evaluation; returns their rows."""
    budget, rows = settings.evaluations[0], []
    for architecture in proposed:
        row = found.find(architecture, run.seed, settings.budgets[-1]) or found.find(architecture, run.seed, budget.names[0])
        if "accuracy" in row:
            measured = network_costs(settings.space, architecture, dataset, "latency" in settings.front)
            rows.append({"architecture": architecture, "accuracy": row["accuracy"], **measured})
    equal = {(row["accuracy"], *(row[name] for name in settings.front)): row for row in reversed(rows)}  # one of each
    front = sorted(search.pareto([*equal.values()], settings.front), key=lambda row: row[settings.front[0]])
    folder = os.path.join(run.base_dir, "networks")
    files.folder(folder)
    for k, row in enumerate(watching.each(front, "networks of the front")):
        for _, model, seconds in evaluation.trained(settings.space, row["architecture"], run.seed, budget, dataset):
            row |= {"file": f"networks/{k}.keras", "training_seconds": seconds}
            with files.writing(path := os.path.join(folder, f"{k}.keras")):
                model.save(path)
    files.write(os.path.join(folder, "front.json"), json.dumps(json_values.plain(front, "the front"), indent=2))
    return front
