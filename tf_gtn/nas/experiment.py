"""A search: architectures are proposed, evaluated on Ray, ranked by one evaluation against another, and the best tried again.

    <base_dir>/evaluations.jsonl    every finished evaluation (`records`)
    <base_dir>/networks/<k>.keras   the Pareto front's networks, trained
    <base_dir>/networks/front.json  what they cost and how accurate they are

The same command goes on: a finished evaluation is not made again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.data import Dataset
from tf_gtn.experiment import experiment, runs
from tf_gtn.nas import driver, evaluation, farm, figures, front, ranking, records, search, table
from tf_gtn.reporting import claims, statistics
from tf_gtn.reporting import figures as reporting_figures
from tf_gtn.runtime import loop
from tf_gtn.teaching import compatibility, loading

LIMITED = ("parameters", "flops", "latency")
Cost = Annotated[str, arguments.OneOf(LIMITED, "cost of a network")]
Kept = Annotated[float, arguments.above(0), arguments.Range("at most 1", lambda share: share <= 1)]
_MEASURED = ("score", "accuracy", "loss", "training_seconds", "seconds", "parameters", "flops")
_HALVES = ((1.0, "", "0.3606 (section 3.4)"), (0.5, " within its top half", "0.5582 against 0.5235"))


@dataclasses.dataclass(kw_only=True)
@arguments.checked("nas.Search")
class Search(experiment.Experiment):
    """What is searched and how, and what the results are used for.

    Attributes:
      space: `@nas.Cells()`, `@nas.Plain()`, `@nas.Macro()` or `@nas.Bench201()`.
      proposer: `@nas.Random()`, `@nas.Evolution()`, `@nas.TPE()` or `@nas.Listed()`; it goes by the first evaluation.
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

    space: Any
    proposer: Any
    evaluations: tuple[Any, ...]
    architectures: arguments.Count = 60
    keep: Kept = 1.0
    limits: dict[Cost, float] = dataclasses.field(default_factory=dict)
    reference: str | None = None
    reference_seeds: arguments.Count = 1
    compared: tuple[str, ...] = ()
    final: Any = None
    final_space: Any = None
    final_seeds: arguments.Count = 5
    front: tuple[Cost, ...] = ()

    SYSTEM: ClassVar[str] = "nas"
    NAME: ClassVar[str] = "nas.Search"
    SCOPES: ClassVar[tuple[str, ...]] = ()
    TRAINS: ClassVar[bool] = False
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("claims", "reference_seeds")

    def __post_init__(self) -> None:
        arguments.no_effect(self.NAME, self, ("arms", "seeds", "analyses", "callbacks"), "on a search: it has evaluations")
        super().__post_init__()
        if self.reference is None:
            arguments.no_effect(self.NAME, self, ("reference_seeds",), "without a reference")
        if not self.evaluations:
            raise errors.UserError("nas.Search.evaluations is empty")
        for name in filter(None, (self.reference, *self.compared)):
            if name not in self.budgets:
                raise errors.unknown("budget", name, self.budgets)
        if self.final is None:
            arguments.no_effect(self.NAME, self, ("final_space", "final_seeds"), "without nas.Search.final")
        if isinstance(self.final, evaluation.Proxy):
            raise errors.UserError(
                "nas.Search.final tests accuracy; a zero-cost proxy has none: name @nas.Real() or @nas.Table()"
            )
        if self.front and not isinstance(self.evaluations[0], evaluation.GTN | evaluation.Real):
            raise errors.UserError(
                "nas.Search.front trains networks by the first of nas.Search.evaluations: @nas.GTN() or @nas.Real()"
            )
        if self.compared and len(self.compared) != 2:
            raise errors.UserError(f"nas.Search.compared is two budgets; got {self.compared!r}")
        if self.reference is None and self.final is None:
            arguments.no_effect(self.NAME, self, ("compared",), "without nas.Search.reference or final")
        if self.reference and self.keep < 1:
            raise errors.UserError("nas.Search.reference ranks all architectures, nas.Search.keep leaves some out: keep is 1.0")

    def check_arms(self) -> None:
        """A search has no arms."""

    @property
    def budgets(self) -> tuple[str, ...]:
        """Names of what the evaluations give."""
        return tuple(name for each in self.evaluations for name in each.names)

    def given(self, dataset: Dataset, address: str | None = None, workers: int | None = None) -> "Search":
        """Sets the data set, the address of a Ray cluster to join, and how many evaluations run at a time; returns itself."""
        self.dataset, self._address, self._workers = dataset, address, workers
        return self

    def trainings(self, arm: str | None, seed: int) -> dict[str, loop.Trainable]:
        return {}

    def check(self, trainings: Mapping[str, Any]) -> None:
        """Builds one network, loads the exports and reads the tables: what does not fit is an error before any evaluation."""
        farm.check(self._address)
        for budget in (*self.evaluations, self.final):
            if isinstance(budget, evaluation.GTN):
                compatibility.check_fits(loading.load(budget.export_dir), self.dataset)
            elif isinstance(budget, table.Table):
                _ = budget.accuracies
        text = self.proposer.propose(self.space, [], 0, 0)
        self.space.build(self.space.parse(text), self.dataset.image_shape, self.dataset.num_classes)

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims.Quantity]:
        names = ("random", *self.budgets) if self.final is not None else ()
        return {f"final/{name}": claims.Quantity([0.0] * self.final_seeds, statistics.SHARE) for name in names}

    def outcomes(self, run: runs.Run, trainings: dict, make: Callable, one: Callable) -> list[dict]:
        seed, evaluated = run.seed, records.Records(run.base_dir)
        with farm.Farm(self.space, self.dataset, self._address, self._workers) as pool, loop.signals() as received:
            print(f"evaluations run {pool.workers} at a time, {pool.where}", flush=True)
            work = driver.Driver(seed, self, self.dataset, evaluated, pool, received)
            proposed = work.first()
            left = proposed
            for budget in self.evaluations[1:]:
                rows = [evaluated.find(a, seed, self.budgets[0]) or {} for a in left]
                if self.keep < 1:
                    left = [row["architecture"] for row in search.halved(rows, self.keep)]
                work.evaluate([(a, seed, budget) for a in left])
            if self.reference_seeds > 1:
                reference, seeds = self._reference_alone(), range(seed + 1, seed + self.reference_seeds)
                work.evaluate([(a, s, reference) for s in seeds for a in proposed])
            picked = _picked(self, evaluated, proposed, seed)
            if self.final is not None:
                seeds = range(seed, seed + self.final_seeds)
                finals = [(a, s, self.final) for a in dict.fromkeys(picked.values()) for s in seeds]
                work.evaluate(finals, space=self.final_space)
        return [self.outcome(run.base_dir, seed, evaluated, proposed, picked)]

    def outcome(
        self, base_dir: str, seed: int, evaluated: records.Records, proposed: list[str], picked: dict[str, str]
    ) -> dict[str, Any]:
        """The results: of the architectures that all budgets have evaluated, of the best ones, and of the front."""

        def row_of(architecture, seed, budget):
            row = evaluated.find(architecture, seed, budget) or {}
            return row if (score := search.score(row)) is None else {**row, "score": score}

        rows = {b: [row for a in proposed if search.score(row := row_of(a, seed, b)) is not None] for b in self.budgets}
        in_all = set.intersection(*({row["architecture"] for row in of_budget} for of_budget in rows.values()))
        whole = [a for a in proposed if a in in_all]
        outcome: dict[str, Any] = {
            "rows": rows,
            "proposed": len(proposed),
            "failed": sum("failed" in row for row in evaluated.rows),
        }
        outcome["table"] = {b: {k: [row_of(a, seed, b).get(k) for a in whole] for k in _MEASURED} for b in self.budgets}
        outcome |= {"picked": picked, "final": {}, "reference": np.zeros([0, len(whole)])}
        if self.reference:
            repeats = [row_of(a, s, self.reference) for s in range(seed, seed + self.reference_seeds) for a in whole]
            accuracies = np.array([row.get("score", np.nan) for row in repeats], float)
            outcome["reference"] = accuracies.reshape(self.reference_seeds, len(whole))
        if self.final is not None:
            seeds, budget = range(seed, seed + self.final_seeds), self.final.names[-1]
            outcome["final"] = {name: [row_of(a, s, budget).get("accuracy") for s in seeds] for name, a in picked.items()}
        if self.front:
            outcome["front"] = front.save(base_dir, seed, self, evaluated, proposed)
        return outcome

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        """`final/<name>`: accuracies of the best by each budget, one per seed."""
        (outcome,) = outcomes
        return {f"final/{name}": claims.Quantity(values, statistics.SHARE) for name, values in outcome["final"].items()}

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        (outcome,) = outcomes
        table, whole = outcome["table"], outcome["reference"].shape[1]
        metrics: dict[str, Any] = {"architectures": outcome["proposed"], "failed": outcome["failed"], "evaluated": whole}
        kinds = {
            "score": statistics.ANY,
            "accuracy": statistics.SHARE,
            "training_seconds": statistics.NOT_NEGATIVE,
            "seconds": statistics.NOT_NEGATIVE,
        }
        for budget, rows in outcome["rows"].items():
            metrics[budget] = {
                name: statistics.summary([[row[name] for row in rows]], bounds, "architectures") if rows else None
                for name, bounds in kinds.items()
                if all(name in row for row in rows)
            }
        if self.reference and whole > 2:
            accuracies = outcome["reference"]
            for budget, correlations in ranking.against(table, self.reference, np.nanmean(accuracies, 0)).items():
                metrics[budget] |= correlations
            if len(accuracies) > 1:
                metrics[self.reference]["reliability"] = ranking.correlation(accuracies[0], np.nanmean(accuracies[1:], 0))
            metrics["correlations"] = ranking.of_each_other(table)
        if self.final is not None:
            metrics["final"] = {name: statistics.summary(v, statistics.SHARE) for name, v in outcome["final"].items()}
            metrics["picked"] = outcome["picked"]
        return metrics | ({"front": outcome["front"]} if self.front else {})

    def more_claims(self, base_dir: str, outcomes: Sequence[Mapping]) -> list[dict]:
        """That the first of `compared` ranks better than the second, and finds a better architecture."""
        (outcome,) = outcomes
        return [*self._ranks_better(outcome), *self._finds_better(outcome)]

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        (outcome,) = outcomes
        if self.reference and outcome["reference"].shape[1] > 2:
            figures.scatter(base_dir, outcome["table"], self.reference)
        if drawn := reporting_figures.whole(outcome["final"]):
            figures.bars(base_dir, drawn)
        if outcome.get("front"):
            figures.front(base_dir, outcome["front"], self.front[0])
        figures.best(base_dir, self.space, outcome["picked"])

    def _reference_alone(self):
        """The reference, without the other budgets of its evaluation."""
        budget = next(each for each in self.evaluations if self.reference in each.names)
        if not isinstance(budget, evaluation.Real):
            return budget
        return dataclasses.replace(budget, epochs=(budget.all_epochs[budget.names.index(self.reference)],))

    def _ranks_better(self, outcome):
        """Claims of correlations; fewer than three architectures that all budgets have evaluated have none: no claim holds."""
        if not self.reference or len(self.compared) != 2:
            return []
        results, (first, second), accuracies = [], self.compared, outcome["reference"]
        for share, words, paper in _HALVES:
            value = interval = None
            if accuracies.shape[1] > 2:
                proxies = [outcome["table"][name]["score"] for name in self.compared]
                measured = ranking.difference(proxies[0], proxies[1], np.nanmean(accuracies, 0), share)
                value, interval = measured["value"], measured["ci95"]
            statement = (
                f"{first} ranks architectures{words} better than {second} (difference of Spearman's correlations, bootstrap)"
            )
            identity = f"{first}_above_{second}{'_top_half' if share < 1 else ''}"
            difference = claims.Quantity([value], once=True, interval=interval)
            spec = "difference", "above", 0, paper
            claim = claims.named_otherwise(spec, {"difference": difference}, identity, statement)
            results.append({**claim, "rule": "ci95[0] > 0", "numbers": {}})
        return results

    def _finds_better(self, outcome):
        if self.final is None or not self.compared:
            return []
        results, (first, *others) = [], self.compared
        lost = [None] * self.final_seeds
        for other in [*others, "random"]:
            pair = {f"final/{name}": outcome["final"].get(name, lost) for name in (first, other)}
            pair = {name: claims.Quantity(values, statistics.SHARE) for name, values in pair.items()}
            statement = f"The best by {first}, trained on real data, is above the best by {other} ({self.final_seeds} seeds)"
            spec = f"final/{first}", "above", f"final/{other}"
            results.append(claims.named_otherwise(spec, pair, f"final_{first}_above_{other}", statement))
        return results


def _picked(settings, evaluated, proposed, seed):
    """The best architecture by each budget, and a random one."""
    picked = {"random": proposed[int(np.random.default_rng([seed, 7]).integers(len(proposed)))]}
    for budget in settings.budgets:
        best = search.halved([evaluated.find(a, seed, budget) or {} for a in proposed], 0.0)
        if best:
            picked[budget] = best[0]["architecture"]
    return picked
