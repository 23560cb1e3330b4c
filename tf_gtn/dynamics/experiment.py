"""A study of learning dynamics: parts by name, what is claimed of their numbers, figures.

<base_dir>/parts/<name>.json    the results of a part, or "diverged" and why; a part that has its file is not done again,
                                unless the file is damaged or its metrics.jsonl is another
<base_dir>/parts/<name>/        checkpoints and curves of its meta-learners
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from tf_gtn import arguments, errors
from tf_gtn.dynamics import figures
from tf_gtn.dynamics.part import Part
from tf_gtn.experiment import experiment, runs
from tf_gtn.reporting import claims
from tf_gtn.runtime import files, json_values, loop
from tf_gtn.runtime import metrics as metrics_lib

_LOGGED = "logged"  # in a part: the digest of its metrics.jsonl


@dataclasses.dataclass(kw_only=True)
class Study(experiment.Experiment):
    """The parts of a study and the claims about them.

    Attributes:
      parts: `{name: part}`, such as `{'learner': @learner/dynamics.Learner()}`.
      claims: see `reporting.claims.compare`; quantities are `<part>/<number>`.
      paper: `{name: words}`, what the paper has of a part, for captions: "figure 1, 9 times".
    """

    parts: dict[str, Any]
    paper: dict[str, str] = dataclasses.field(default_factory=dict)

    SYSTEM: ClassVar[str] = "dynamics"
    NAME: ClassVar[str] = "dynamics.Experiment"
    SCOPES: ClassVar[tuple[str, ...]] = ()
    TRAINS: ClassVar[bool] = False
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("claims", "paper")

    def __post_init__(self) -> None:
        unused = ("arms", "seeds", "analyses", "callbacks")
        arguments.no_effect(self.NAME, self, unused, "on parts, which have runs of their own")
        super().__post_init__()
        for name in self.paper:
            if name not in self.parts:
                raise errors.unknown("part in dynamics.Experiment.paper", name, self.parts)

    def check_arms(self) -> None:
        if not self.parts:
            raise errors.UserError("dynamics.Experiment.parts is empty: it names at least one part")
        for name, part in self.parts.items():
            if not str(name).isidentifier():
                raise errors.UserError(f"a part's name has letters, digits and _; got {name!r}")
            if not isinstance(part, Part):
                raise errors.UserError(
                    "dynamics.Experiment.parts are made, such as @dynamics.Learner(), and have numbers, check and measure; "
                    f"got {part!r}"
                )

    def trainings(self, arm: str | None, seed: int) -> dict[str, Any]:
        return self.parts

    def check(self, trainings: Mapping[str, Any]) -> None:
        for part in trainings.values():
            part.check()

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims.Quantity]:
        names = {name for spec in self.claims for name in claims.named(spec)}
        for name in names:
            part, _, number = name.partition("/")
            if part not in self.parts or number not in self.parts[part].numbers:
                known = [f"{part}/{number}" for part, each in self.parts.items() for number in each.numbers]
                raise errors.unknown("quantity of a claim", name, known)
        return {name: claims.Quantity([0.0], once=True, interval=(0.0, 0.0)) for name in names}

    def outcomes(self, run: runs.Run, trainings: dict, make: Callable, one: Callable) -> list[dict]:
        results = {}
        for k, (name, part) in enumerate(trainings.items()):
            print_as = f"{name} ({k + 1} of {len(trainings)})"
            results[name] = _results(os.path.join(run.base_dir, "parts"), name, part, run.seed, print_as)
        if all("diverged" in of_part for of_part in results.values()):
            reasons = "; ".join(of_part["diverged"] for of_part in results.values())
            raise errors.UserError(f"no part came to its end: {reasons}")
        return [results]

    def quantities(self, outcomes: Sequence[Mapping]) -> dict[str, claims.Quantity]:
        """The quantities that the claims name, of the parts' numbers, with an interval where the part gives one."""
        quantities, (results,) = {}, outcomes
        for name in {name for spec in self.claims for name in claims.named(spec)}:
            part, number = name.split("/", 1)
            numbers = results[part]["numbers"]
            if "diverged" not in results[part] and number not in numbers:
                raise errors.unknown(f"number of {part}", number, numbers)
            low, high = (numbers.get(f"{number}_{end}") for end in ("low", "high"))
            interval = None if low is None or high is None else (low, high)
            quantities[name] = claims.Quantity([numbers.get(number)], once=True, interval=interval)
        return quantities

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        return {name: _metrics(results) for name, results in outcomes[0].items()}

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        for name, results in outcomes[0].items():
            if "diverged" not in results:
                figures.part(base_dir, name, results, self.paper.get(name))


def _results(folder, name, part, seed, words):
    """The results of a part, from its file if it was done already."""
    path, part_folder = os.path.join(folder, f"{name}.json"), os.path.join(folder, name)

    def make():
        print(words, flush=True)
        try:
            measured = part.measure(seed, part_folder)
        except loop.Diverged as diverged:
            print(f"{name}: {diverged}", flush=True)
            measured = {"diverged": str(diverged), "numbers": {}, "to": {}, "labels": []}
        return json_values.plain({**measured, _LOGGED: metrics_lib.digest(part_folder)}, name)

    def check(contents):
        if contents.get(_LOGGED, digest := metrics_lib.digest(part_folder)) != digest:
            raise files.Damaged(path, f"was made with another {os.path.join(part_folder, 'metrics.jsonl')}")

    return files.made(path, make, ("numbers", "to", "labels"), check)


def _metrics(results):
    """A part's numbers for results.json; None if it diverged."""
    if "diverged" in results:
        return None
    table = {"table": results["table"]} if "table" in results else {}
    return {**results["numbers"], "to": results["to"], "labels": results["labels"], **table}
