"""A study of learning dynamics: parts by name, what is claimed of their numbers, figures.

<base_dir>/parts/<name>.json    what a part found, "diverged" says why if nothing; one that has its file is not done again,
                                unless that is damaged or its metrics.jsonl is another
<base_dir>/parts/<name>/        checkpoints and curves of its meta-learners
"""

import dataclasses
import os

import gin

from tf_gtn import errors
from tf_gtn.config import registrations
from tf_gtn.dynamics import figures
from tf_gtn.dynamics import lstm_parts as _meta_learners  # noqa: F401 - registers gin names, those of parts as well
from tf_gtn.reporting import claims, report
from tf_gtn.runtime import files, json_values, loop
from tf_gtn.runtime import metrics as metrics_lib

_LOGGED = "logged"  # in a part: the digest of its metrics.jsonl


@gin.configurable(module="dynamics")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is looked at and claimed.

    Attributes:
      parts: `{name: part}`, such as `{'learner': @learner/dynamics.Learner()}`.
      claims: see `findings.claims.compare`; quantities are `<part>/<number>`.
      paper: `{name: words}`, what the paper has of a part, for captions: "figure 1, 9 times".
    """

    parts: dict
    claims: tuple = ()
    paper: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        registrations.check_arms("dynamics.Experiment", tuple(self.parts))
        for part in self.parts.values():
            if not hasattr(part, "measure"):
                raise errors.UserError(f"dynamics.Experiment.parts are made, such as @dynamics.Learner(); got {part!r}")
        for name in self.paper:
            if name not in self.parts:
                raise errors.unknown("part in dynamics.Experiment.paper", name, self.parts)
        claims.check("dynamics.Experiment.claims", self.claims)
        names = {name for spec in self.claims for name in claims.named(spec)}
        for name in names:
            self._check_number(name)
        claims.rehearse(self.claims, {name: claims.Quantity([0.0], once=True, interval=(0.0, 0.0)) for name in names})

    def _check_number(self, name):
        """Whether a part gives it; of one that does not say what it gives, whatever is asked for."""
        known = {name: getattr(part, "numbers", None) for name, part in self.parts.items()}
        part, _, number = str(name).partition("/")
        if part not in known or not number or number not in (known[part] or [number]):
            known = [f"{part}/{number}" for part, numbers in known.items() for number in numbers or ["ratio"]]
            raise errors.unknown("quantity of a claim", name, known)


def run(run, program):
    """Everything from building to report.html; returns the metrics, or None in a dry run."""
    experiment = Experiment()
    if not run.ready(allowed=("dynamics.Experiment.claims", "dynamics.Experiment.paper")):
        return None
    folder = os.path.join(run.base_dir, "parts")
    found = {}
    for k, (name, part) in enumerate(experiment.parts.items()):
        path, own = os.path.join(folder, f"{name}.json"), os.path.join(folder, name)

        def make(name=name, part=part, k=k, own=own):
            print(f"{name} ({k + 1} of {len(experiment.parts)})", flush=True)
            try:
                measured = part.measure(run.seed, own)
            except loop.Diverged as diverged:
                print(f"{name}: {diverged}", flush=True)
                measured = {"diverged": str(diverged), "numbers": {}, "to": {}, "labels": []}
            return json_values.plain({**measured, _LOGGED: metrics_lib.digest(own)}, name)

        def check(made, path=path, own=own):
            if made.get(_LOGGED, digest := metrics_lib.digest(own)) != digest:
                raise files.Damaged(path, f"was made with another {os.path.join(own, 'metrics.jsonl')}")

        found[name] = files.made(path, make, ("numbers", "to", "labels"), check)
    return _conclude(run, program, experiment, found)


def _conclude(run, program, experiment, found):
    whole = {name: each for name, each in found.items() if "diverged" not in each}
    if not whole:
        raise errors.UserError(f"no part came to its end: {'; '.join(each['diverged'] for each in found.values())}")
    metrics = dict.fromkeys(found)
    metrics |= {name: {**each["numbers"], "to": each["to"], "labels": each["labels"]} for name, each in whole.items()}
    for name, each in whole.items():
        metrics[name] |= {"table": each["table"]} if "table" in each else {}
        figures.part(run.base_dir, name, each, experiment.paper.get(name))
    made = claims.compare(experiment.claims, _quantities(experiment.claims, found))
    report.conclude(run, "dynamics", program, metrics, made)
    return metrics


def _quantities(specs, found):
    """What the claims name, of the parts' numbers: `<part>/<number>`, with its interval where the part gives one."""
    quantities = {}
    for name in {name for spec in specs for name in claims.named(spec)}:
        part, number = name.split("/", 1)
        numbers = found[part]["numbers"]
        if "diverged" not in found[part] and number not in numbers:
            raise errors.unknown(f"number of {part}", number, numbers)
        interval = [numbers.get(f"{number}_{end}") for end in ("low", "high")]
        quantities[name] = claims.Quantity([numbers.get(number)], once=True, interval=None if None in interval else interval)
    return quantities
