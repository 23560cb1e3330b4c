"""Each arm's teaching tried on each other arm's learners."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, statistics
from tf_gtn.teaching import evaluation
from tf_gtn.teaching.analyses import bases, plots
from tf_gtn.teaching.training import Training


@analyses.register("crossed")
class Crossed(bases.OfShares):
    """Quantities `<arm>/<other arm>`: test accuracies of the other arm's learners, the same ones for each teacher."""

    of = Training

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        return {f"{arm}/{other}": settings.test_learners for arm in trainings for other in trainings}

    def measure(self, context: Any) -> Mapping[str, Any]:
        count, seed, quantities = context.settings.test_learners, evaluation.TEST_SEED + context.seed, {}
        for arm, training in context.trainings.items():
            for other, owner in context.trainings.items():
                make = functools.partial(evaluation.Evaluator.of, training, owner.population)
                evaluator = self.kept(training, other, make)
                quantities[f"{arm}/{other}"] = evaluator.accuracies(context.dataset.test, count, seed)
        return quantities

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        arms = analyses.first_parts(table)
        values = [[statistics.units(table[f"{arm}/{other}"])[0].mean() for other in arms] for arm in arms]
        caption = "Mean test accuracy of learners of each column's arm, taught by each row's."
        plots.matrix(figures.path(base_dir, "crossed"), np.array(values), arms, arms, caption=caption)
