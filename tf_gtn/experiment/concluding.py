"""The end of an experiment: numbers, claims, figures and report, from the outcomes of all its seeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_gtn.experiment import analyses as analyses_lib
from tf_gtn.experiment.runs import Run
from tf_gtn.reporting import claims as claims_lib
from tf_gtn.reporting import report, statistics

if TYPE_CHECKING:
    from tf_gtn.experiment.experiment import Experiment


def conclude(
    run: Run, program: str, experiment: "Experiment", outcomes: Sequence[Mapping], expected: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Numbers, claims, figures and report from the outcomes of all seeds; returns the metrics.

    `expected`: stand-ins of the quantities, those among them that no seed has a value of, since their arm diverged in all.
    """
    quantities = experiment.quantities(outcomes)
    metrics, analyses = experiment.metrics(quantities, outcomes), analyses_lib.REGISTRY
    tables = {name: analyses_lib.table(name, outcomes, expected or ()) for name in experiment.analyses}
    for name, table in tables.items():
        numbers, bounds = analyses[name].numbers(table), analyses[name].bounds
        quantities |= {f"{name}/{key}": claims_lib.Quantity(values, bounds(key)) for key, values in numbers.items()}
        metrics[name] = {key: statistics.summary(values, bounds(key)) for key, values in numbers.items()}
    # What no seed has a value of: an arm diverged, or an analysis that does not say what it measures measured something else.
    unmeasured = {name for spec in experiment.claims for name in claims_lib.named(spec) if name.split("/")[0] in tables}
    for name in {*(expected or ()), *unmeasured}:
        quantities.setdefault(name, claims_lib.Quantity([None] * len(outcomes)))
    claims = [
        *experiment.more_claims(run.base_dir, outcomes),
        *claims_lib.compare(experiment.claims, quantities, experiment.UNITS),
        *(claim for name, table in tables.items() for claim in analyses[name].claims(table)),
    ]
    experiment.draw(run.base_dir, outcomes, metrics)
    for name, table in tables.items():
        if drawn := analyses_lib.drawable(table):
            analyses[name].draw(run.base_dir, drawn)
    report.publish(run, experiment.SYSTEM, program, metrics, claims)
    return metrics
