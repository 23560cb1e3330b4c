"""A study of learning dynamics: parts by name, what is claimed of their numbers, figures.

<base_dir>/parts/<name>.json    what a part found, "diverged" says why if nothing; one that has its file is not done again,
                                unless that is damaged or its metrics.jsonl is another
<base_dir>/parts/<name>/        checkpoints and curves of its meta-learners
"""

import dataclasses
import os

import gin

from tf_gtn import errors
from tf_gtn.run import files, loop
from tf_gtn.run import metrics as metrics_lib
from tf_gtn.run.config import registrations
from tf_gtn.run.dynamics import figures
from tf_gtn.run.dynamics import meta_learners as _meta_learners  # noqa: F401 - registers gin names, those of parts as well
from tf_gtn.run.findings import report, results

_LOGGED = "logged"  # in a part: the digest of its metrics.jsonl
_NUMBER = int | float
_RELATIONS = {"between": (_NUMBER, _NUMBER), "at_most": (_NUMBER,), "at_least": (_NUMBER,), "times_above": (str, _NUMBER)}


@gin.configurable(module="dynamics")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is looked at and claimed.

    Attributes:
      parts: `{name: part}`, such as `{'learner': @learner/dynamics.Learner()}`.
      claims: (quantity `<part>/<number>`, relation, bound, the paper's value): `between` (low, high), `at_most` or `at_least` a
        number, or `times_above` (another quantity, how many times at least).
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
        for spec in self.claims:
            if not isinstance(spec, list | tuple) or len(spec) not in (3, 4):
                raise errors.UserError(f"a claim is (quantity, relation, bound, the paper's value); got {spec!r}")
            if spec[1] not in _RELATIONS:
                raise errors.unknown("relation", spec[1], _RELATIONS)
            kinds = _RELATIONS[spec[1]]
            bound = spec[2] if isinstance(spec[2], list | tuple) else [spec[2]]
            if len(bound) != len(kinds) or not all(isinstance(*pair) for pair in zip(bound, kinds)):
                words = " and ".join("a quantity" if kind is str else "a number" for kind in kinds)
                raise errors.UserError(f"a claim of {spec[1]!r} takes {words}; got {spec[2]!r}")
            for name in (spec[0], *bound[: kinds.count(str)]):
                self._check_number(name)

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
            return results.plain({**measured, _LOGGED: metrics_lib.digest(own)}, name)

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
    made = [_claim(spec, found) for spec in experiment.claims]
    report.conclude(run, "dynamics", program, metrics, made)
    return metrics


def _claim(spec, found):
    quantity, relation, bound, *seed_value = spec

    def value(name):
        part, number = name.split("/", 1)
        if "diverged" in found[part]:
            return None
        if number not in found[part]["numbers"]:
            raise errors.unknown(f"number of {part}", number, found[part]["numbers"])
        return found[part]["numbers"][number]

    measured = value(quantity)
    words, numbers, rule = f"{bound}", {"bound": bound}, f"measured {'<=' if relation == 'at_most' else '>='} bound"
    if relation == "between":
        numbers, rule, words = {"low": bound[0], "high": bound[1]}, "low <= measured <= high", f"{bound[0]} and {bound[1]}"
    if relation == "times_above":
        other, times = bound
        numbers, rule = {"other": value(other), "times": times}, "measured >= times * other"
        words = f"{other} by a factor of {times}"
    statement = f"{quantity} is {relation.replace('_', ' ').replace('times above', 'above')} {words}"
    identity = f"{quantity}_{relation}{'_' + bound[0] if relation == 'times_above' else ''}".replace("/", "_")
    part = found[quantity.split("/")[0]]["numbers"]
    interval = [part.get(f"{quantity.split('/', 1)[1]}_{end}") for end in ("low", "high")]
    interval = None if None in interval else interval
    return results.claim(identity, statement, seed_value[0] if seed_value else None, measured, interval, rule, **numbers)
