"""Which architecture to try next: uniformly at random, by regularised evolution, by Optuna's TPE.

`propose(space, rows, index, seed)` gives the text of attempt number `index`, from the rows of the slots before, in their order.
A row is `{"architecture", "score"}`; a failed one has no score and counts as the worst. The accuracy is the score of a row
that has no other.

A proposer's `concurrent` says how many evaluations may run at a time: the proposal of slot i goes by the results of slots 0 to
i - `concurrent`, of all of them and of no other one. So what a search proposes does not depend on the order in which
evaluations end, nor on how many run at a time, and a search that was killed goes on from its rows alone.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn import arguments
from tf_gtn.nas import space as spaces

Rows = Sequence[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Random:
    """The seed's search: "a simple form of search (random search)" (GTN paper, section 3.4)."""

    concurrent = math.inf  # it goes by no result

    def propose(self, space: spaces.Space, rows: Rows, index: int, seed: int) -> str:
        del rows
        return str(space.sample(np.random.default_rng([seed, index])))


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Evolution")
class Evolution:
    """Regularised evolution (Real et al. 2019): the best of a sample of the newest architectures, mutated.

    Attributes:
      population: how many of the newest are alive; so many are drawn at random first.
      sample: how many compete to be the parent.
      concurrent: how many evaluations may run at a time; fewer see more results.
    """

    population: arguments.Count = 20
    sample: arguments.Count = 5
    concurrent: arguments.Count = 8

    def propose(self, space: spaces.Space, rows: Rows, index: int, seed: int) -> str:
        rng = np.random.default_rng([seed, index])
        if len(rows) < self.population:
            return str(space.sample(rng))
        alive = rows[-self.population :]
        competing = [alive[i] for i in rng.choice(len(alive), min(self.sample, len(alive)), replace=False)]
        parent = max(competing, key=_score)
        return str(space.mutate(space.parse(parent["architecture"]), rng))


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.TPE")
class TPE:
    """Optuna's tree-structured Parzen estimator over the choices of the space.

    Attributes:
      startup: how many are drawn at random first.
      concurrent: how many evaluations may run at a time; fewer see more results.
    """

    startup: arguments.Whole = 10
    concurrent: arguments.Count = 8

    def propose(self, space: spaces.Space, rows: Rows, index: int, seed: int) -> str:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=int(np.random.default_rng([seed, index]).integers(2**31)), n_startup_trials=0)
        if len(rows) < self.startup:
            sampler = optuna.samplers.RandomSampler(seed=int(np.random.default_rng([seed, index]).integers(2**31)))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        worst = min((value for row in rows if (value := score(row)) is not None), default=0.0)
        for row in rows:
            asked = _Recorder(space.parse(row["architecture"]), space)
            value = worst - 1 if (known := score(row)) is None else known
            study.add_trial(optuna.trial.create_trial(params=asked.params, distributions=asked.distributions, value=value))
        return str(space.suggest(study.ask()))


class _Recorder:
    """Answers `suggest` as an architecture would have been asked for, and keeps the answers."""

    def __init__(self, architecture, space):
        self.params, self.distributions, self._wanted = {}, {}, list(_values(architecture))
        space.suggest(self)

    def suggest_categorical(self, name, options):
        import optuna

        self.params[name] = self._wanted.pop(0)
        self.distributions[name] = optuna.distributions.CategoricalDistribution(options)
        return self.params[name]


def _values(architecture):
    """An architecture's choices in the order in which `suggest` asks for them."""
    for field in dataclasses.fields(architecture):
        value = getattr(architecture, field.name)
        if not isinstance(value, tuple):
            yield value
            continue
        for node in value:
            yield from (*node.inputs, *node.operations)


def score(row: Mapping[str, Any]) -> float | None:
    """What ranks a row; None if it failed."""
    return row.get("score", row.get("accuracy"))


def _score(row):
    value = score(row)
    return -math.inf if value is None else value


def halved(rows: Rows, share: float) -> list[dict[str, Any]]:
    """The best `share` of rows by their score, at least one; failed ones never."""
    ranked = sorted((row for row in rows if score(row) is not None), key=_score, reverse=True)
    return ranked[: max(1, round(len(ranked) * share))]


def pareto(rows: Rows, minimised: Sequence[str], accuracy: str = "accuracy") -> list[dict[str, Any]]:
    """The rows that no other one beats: none is at least as accurate and at most as costly in all, and better in one.

    Args:
      rows: with that accuracy and the `minimised` quantities.
      minimised: names.
    """

    def beats(one, other):
        least = one[accuracy] >= other[accuracy] and all(one[n] <= other[n] for n in minimised)
        return least and (one[accuracy] > other[accuracy] or any(one[n] < other[n] for n in minimised))

    measured = [row for row in rows if accuracy in row]
    return [row for row in measured if not any(beats(other, row) for other in measured)]
