"""What an experiment does with its trained arms: the registry of analyses, and what each of them needs.

An analysis is a module-like object with

    check(trainings)          raises `UserError` if these arms can't be analysed so; before the first step
    measure(context)          -> {quantity: number, or one for each learner, or nested lists}, for one seed
    claims(table)             claims from `{quantity: [for each seed what measure gave]}`
    draw(base_dir, table)     figures from the same

Its settings are gin's, under `analyses.<name>`.
"""

import dataclasses

import gin

from tf_gtn.run.findings import figures as drawn
from tf_gtn.run.findings import statistics
from tf_gtn.run.teaching import claims as claims_lib
from tf_gtn.teaching import held_out, loading

REGISTRY = {}


@dataclasses.dataclass(frozen=True)
class Context:
    """The trained arms of one seed.

    Attributes:
      dataset: a `data.Dataset`.
      trainings: `{arm: Training}`.
      evaluators: `{arm: Evaluator}`, with traces.
      exports: `{arm: path}` of the arm that was exported, if any.
      settings: `build.Evaluation`.
      seed: of this outer run.
      folder: of this outer run.
    """

    dataset: object
    trainings: dict
    evaluators: dict
    exports: dict
    settings: object
    seed: int
    folder: str


class Analysis:
    """One that has nothing to check, claim or draw."""

    def check(self, trainings):
        del trainings

    def claims(self, table):
        del table
        return []

    def draw(self, base_dir, table):
        del base_dir, table


def register(name):
    """Adds a class under a name, as an instance; its `measure` becomes configurable as `analyses.<name>`."""

    def add(cls):
        cls.measure = gin.configurable(name, module="analyses")(cls.measure)
        REGISTRY[name] = cls()
        return cls

    return add


def check(names, trainings):
    """Whether these arms can be analysed so; raises `UserError`."""
    for name in names:
        REGISTRY[name].check(trainings)


@register("held_out")
class HeldOut(Analysis):
    """The exported GTN against real data on architectures that it never saw: `teaching.Evaluation.held_out`."""

    def measure(self, context):
        ((_, path),) = context.exports.items()
        gtn, count = loading.load(path), context.settings.test_learners
        found = {name: held_out.compare(gtn, context.dataset, name, count, context.seed) for name in context.settings.held_out}
        return {f"{name}/{kind}": one[kind] for name, one in found.items() for kind in ("gtn", "real", "limits")} | {
            f"{name}/real_setting_{what}": one["real_setting"][i]
            for name, one in found.items()
            for i, what in enumerate(("learning_rate", "momentum"))
        }

    def claims(self, table):
        return [claims_lib.held_out(name, table[f"{name}/gtn"], table[f"{name}/real"]) for name in _first_parts(table)]

    def draw(self, base_dir, table):
        groups = {
            name: {kind: statistics.units(table[f"{name}/{kind}"])[0] for kind in ("gtn", "real")}
            for name in _first_parts(table)
        }
        drawn.bars(drawn.path(base_dir, "held_out"), groups, "test accuracy")


def _first_parts(table):
    return list(dict.fromkeys(key.split("/")[0] for key in table))
