"""What a run file claims of an experiment's quantities, computed from their numbers."""

import numpy as np

from tf_gtn import errors
from tf_gtn.run.config import registrations
from tf_gtn.run.findings import results, statistics

RELATIONS = ("above", "at_least")


def check(where, specs):
    """Raises `UserError` unless claims have the form that `compare` takes; `where` is their gin name."""
    for spec in specs:
        whole = isinstance(spec, list | tuple) and len(spec) in (3, 4)
        if not whole or not isinstance(spec[0], str) or not isinstance(spec[2], str | int | float):
            raise errors.UserError(f"a claim is (quantity, relation, quantity or number, the paper's value); got {spec!r}")
        if spec[1] not in RELATIONS:
            raise errors.unknown("relation", spec[1], RELATIONS)
    registrations.check_different(where, [tuple(spec[:3]) for spec in specs])


def rehearse(specs, quantities, unsaid=()):
    """Makes the claims from stand-ins: one that could not be made after training is refused before it.

    Args:
      specs: see `compare`.
      quantities: see `stand_ins`.
      unsaid: analyses that don't say what they find; a claim about `<analysis>/...` is taken as it is.

    Raises:
      UserError: as `compare`.
    """
    named = [[name.split("/")[0] for name in (spec[0], spec[2]) if isinstance(name, str)] for spec in specs]
    compare([spec for spec, names in zip(specs, named) if not {*names} & {*unsaid}], quantities)


def stand_ins(sizes, seeds):
    """Quantities as `compare` takes them, all 0, from `{name: numbers of a seed, or 0 for a single one}`."""
    return {name: [np.zeros(size) if size else 0.0] * seeds for name, size in sizes.items()}


def compare(specs, quantities, units="fresh learners of one outer run", bounds=None):
    """Claims from a table such as `(("gtn", "above", "real", "p < 0.01 (figure 2)"), ("gtn", "at_least", 0.93))`.

    Relations:
      above: with several seeds, the 95% interval of the mean difference, seed by seed, lies above 0 (Student's t); with one,
        the two intervals over learners lie apart (bootstrapped).
      at_least: the mean is at least the other's, or the number.

    A quantity that is missing for one of the seeds, since its arm diverged, measures nothing: the claim does not hold.

    Args:
      specs: (quantity, relation, other quantity or number, and what the paper says or nothing).
      quantities: `{name: for each seed a number, or one for each learner, or None}`.
      units: what those of a single seed are, in words.
      bounds: `quantity's name -> (low, high)`, see `statistics`; None: of any quantity any value is possible.

    Raises:
      UserError: an unknown quantity.
    """
    return [claim(quantities, *spec, units=units, bounds=bounds) for spec in specs]


def claim(quantities, name, relation, other, seed_value=None, units="fresh learners of one outer run", bounds=None):
    """One of the claims of `compare`."""
    bounds = bounds or (lambda _: statistics.ANY)
    for wanted in (name, other):
        if isinstance(wanted, str) and wanted not in quantities:
            raise errors.unknown("quantity of a claim", wanted, quantities)
    words = "is above" if relation == "above" else "is at least"
    statement = f"{_label(name)} {words} {_label(other) if isinstance(other, str) else other}"
    identity = f"{name}_{relation}_{other}".replace("/", "_").replace(".", "_")
    named = [wanted for wanted in (name, other) if isinstance(wanted, str)]
    missing = [_label(each) for each in named if any(value is None for value in quantities[each])]
    if missing:
        rule = "measured >= 0" if relation == "at_least" else "ci95[0] > 0"
        return results.claim(
            identity, f"{statement} (no value in some runs: {', '.join(missing)})", seed_value, None, None, rule
        )
    values, over = statistics.units(quantities[name])
    if isinstance(other, str):
        others, other_over = statistics.units(quantities[other])
        if (other_over, len(others)) != (over, len(values)):
            raise errors.UserError(
                f"a claim compares like with like: {name} has {len(values)} {over}, {other} has {len(others)} {other_over}"
            )
    if over == "seeds":
        difference = values - (others if isinstance(other, str) else float(other))
        least = bounds(other) if isinstance(other, str) else float(other)
        mean, interval = _mean_and_interval(difference, statistics.difference(bounds(name), least))
        rule = "measured >= 0" if relation == "at_least" else "ci95[0] > 0"
        statement += f" (mean difference over {len(difference)} seeds)"
        return results.claim(identity, statement, seed_value, mean, interval, rule)
    mean, interval = _mean_and_interval(values, bounds(name))
    statement += f" ({len(values)} {units}{' each' if isinstance(other, str) else ''})"
    if isinstance(other, str):
        second, second_interval = _mean_and_interval(others, bounds(other))
    else:
        second, second_interval = float(other), [float(other)] * 2
    rule = "measured >= other" if relation == "at_least" else "ci95[0] > other_ci95[1]"
    return results.claim(identity, statement, seed_value, mean, interval, rule, other=second, other_ci95=second_interval)


def _mean_and_interval(values, bounds):
    """Without an interval if there is but one value: then no claim of `above` holds."""
    mean, interval = statistics.mean_and_interval(values, bounds)
    return mean, interval if len(values) > 1 else None


def _label(name):
    return name.replace("/", ": ").replace("_", " ")
