"""A study of learning dynamics: parts by name, what is claimed of their numbers, figures.

<base_dir>/parts/<name>.json    what a part found, "diverged" says why if nothing; one that has its file is not done again,
                                unless that is damaged or its metrics.jsonl is another
<base_dir>/parts/<name>/        checkpoints and curves of its meta-learners
"""

import dataclasses
import os
from typing import Any, ClassVar

from tf_gtn import errors
from tf_gtn.dynamics import figures
from tf_gtn.dynamics.part import Part
from tf_gtn.experiment import experiment
from tf_gtn.reporting import claims
from tf_gtn.runtime import files, json_values, loop
from tf_gtn.runtime import metrics as metrics_lib

_LOGGED = "logged"  # in a part: the digest of its metrics.jsonl


@dataclasses.dataclass(kw_only=True)
class Study(experiment.Experiment):
    """What is looked at and claimed.

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
        errors.check_effect(self.NAME, self, unused, "on parts, which have runs of their own")
        super().__post_init__()
        for name in self.paper:
            if name not in self.parts:
                raise errors.unknown("part in dynamics.Experiment.paper", name, self.parts)

    def check_arms(self):
        if not self.parts:
            raise errors.UserError("dynamics.Experiment.parts is empty: it names at least one part")
        for name, part in self.parts.items():
            if not str(name).isidentifier():
                raise errors.UserError(f"a part's name has letters, digits and _; got {name!r}")
            if not isinstance(part, Part):
                raise errors.UserError(
                    f"dynamics.Experiment.parts are made, such as @dynamics.Learner(), and have numbers, check and measure; got {part!r}"
                )

    def trainings(self, arm, seed):
        return self.parts

    def check(self, trainings):
        for part in trainings.values():
            part.check()

    def expected(self, trainings):
        names = {name for spec in self.claims for name in claims.named(spec)}
        for name in names:
            part, _, number = name.partition("/")
            if part not in self.parts or number not in self.parts[part].numbers:
                known = [f"{part}/{number}" for part, each in self.parts.items() for number in each.numbers]
                raise errors.unknown("quantity of a claim", name, known)
        return {name: claims.Quantity([0.0], once=True, interval=(0.0, 0.0)) for name in names}

    def outcomes(self, run, trainings, make, one):
        found = {}
        for k, (name, part) in enumerate(trainings.items()):
            print_as = f"{name} ({k + 1} of {len(trainings)})"
            found[name] = _made(os.path.join(run.base_dir, "parts"), name, part, run.seed, print_as)
        if all("diverged" in each for each in found.values()):
            reasons = "; ".join(each["diverged"] for each in found.values())
            raise errors.UserError(f"no part came to its end: {reasons}")
        return [found]

    def quantities(self, outcomes):
        """What the claims name, of the parts' numbers, with an interval where the part gives one."""
        quantities, (found,) = {}, outcomes
        for name in {name for spec in self.claims for name in claims.named(spec)}:
            part, number = name.split("/", 1)
            numbers = found[part]["numbers"]
            if "diverged" not in found[part] and number not in numbers:
                raise errors.unknown(f"number of {part}", number, numbers)
            interval = [numbers.get(f"{number}_{end}") for end in ("low", "high")]
            interval = None if None in interval else interval
            quantities[name] = claims.Quantity([numbers.get(number)], once=True, interval=interval)
        return quantities

    def metrics(self, quantities, outcomes):
        return {name: _metrics(each) for name, each in outcomes[0].items()}

    def draw(self, base_dir, outcomes, metrics):
        for name, each in outcomes[0].items():
            if "diverged" not in each:
                figures.part(base_dir, name, each, self.paper.get(name))


def _made(folder, name, part, seed, words):
    """What a part finds, from its file if it was done already."""
    path, own = os.path.join(folder, f"{name}.json"), os.path.join(folder, name)

    def make():
        print(words, flush=True)
        try:
            measured = part.measure(seed, own)
        except loop.Diverged as diverged:
            print(f"{name}: {diverged}", flush=True)
            measured = {"diverged": str(diverged), "numbers": {}, "to": {}, "labels": []}
        return json_values.plain({**measured, _LOGGED: metrics_lib.digest(own)}, name)

    def check(made):
        if made.get(_LOGGED, digest := metrics_lib.digest(own)) != digest:
            raise files.Damaged(path, f"was made with another {os.path.join(own, 'metrics.jsonl')}")

    return files.made(path, make, ("numbers", "to", "labels"), check)


def _metrics(found):
    """Of a part for results.json; None if it diverged."""
    if "diverged" in found:
        return None
    table = {"table": found["table"]} if "table" in found else {}
    return {**found["numbers"], "to": found["to"], "labels": found["labels"], **table}
