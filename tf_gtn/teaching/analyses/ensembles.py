"""Ensembles of learners of one teacher (GTN paper, appendix G, figure 7)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn import arguments
from tf_gtn.experiment import analyses
from tf_gtn.reporting import figures, results, statistics
from tf_gtn.teaching import ensembles, evaluation, treatments
from tf_gtn.teaching.analyses import bases, plots
from tf_gtn.teaching.training import Training


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.ensembles")
class Settings:
    """How large.

    Attributes:
      arms: any; `()` for all with a generator.
      learners: fresh learners in the largest ensemble (GTN paper, appendix G: 32).
      subsets: random ensembles of each smaller size.
    """

    arms: tuple[str, ...] = ()
    learners: arguments.Count = 32
    subsets: arguments.Count = 20


@analyses.register("ensembles")
class Ensembles(bases.OfArms, bases.OfShares):
    """Of each arm `<arm>/ensemble` (accuracy), `/individual` (of each learner), `/disagreement` (share); nested: `/by_size`."""

    of = Training
    Settings = Settings

    need = "arms with a generator"

    def fits(self, training: Training, named: bool) -> bool:
        return named or _generates(training)

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        sizes = {"ensemble": 0, "individual": self.settings().learners, "disagreement": 0}
        return {f"{arm}/{what}": size for arm in self.arms(trainings) for what, size in sizes.items()}

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, split, quantities = self.settings(), context.dataset.test, {}
        for arm in self.arms(context.trainings):
            probabilities = context.evaluators[arm].probabilities(split, settings.learners, evaluation.TEST_SEED + context.seed)
            by_size = ensembles.accuracy_by_size(probabilities, split.labels, settings.subsets, context.seed)
            quantities |= {
                f"{arm}/ensemble": ensembles.accuracy(probabilities, split.labels),
                f"{arm}/individual": ensembles.individual_accuracies(probabilities, split.labels),
                f"{arm}/disagreement": ensembles.disagreement(probabilities),
                f"{arm}/by_size": [ensembles.sizes(settings.learners), by_size],
            }
        return quantities

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """The ensemble above its members' mean: outside their interval, or over seeds by Student's t."""
        claims: list[dict] = []
        for arm in analyses.first_parts(table):
            ensemble, members = table[f"{arm}/ensemble"], table[f"{arm}/individual"]
            identity = f"ensembles_{arm}_above_individual"
            paper = "substantially improves performance (figure 7)"
            count = next((len(accuracies) for accuracies in members if accuracies is not None), "all")
            statement = f"{arm}: an ensemble of {count} learners of one generator is above their mean"
            if any(accuracies is None for accuracies in members):
                claims.append(results.claim(identity, f"{statement} (missing: it diverged)", paper, None, None, "measured > 0"))
            elif len(ensemble) == 1:
                mean, interval = statistics.mean_and_interval(members[0], statistics.SHARE)
                rule = "measured > individual_ci95[1]"
                claims.append(
                    results.claim(
                        identity, statement, paper, ensemble[0], None, rule, individual=mean, individual_ci95=interval
                    )
                )
            else:
                gains = np.array(ensemble) - [np.mean(accuracies) for accuracies in members]
                gain, interval = statistics.mean_and_interval(gains, statistics.difference(statistics.SHARE, statistics.SHARE))
                statement += f" (mean gain over {len(ensemble)} seeds)"
                claims.append(results.claim(identity, statement, paper, gain, interval, "ci95[0] > 0"))
        return claims

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        curves = {}
        for arm in analyses.first_parts(table):
            sizes, _ = table[f"{arm}/by_size"][0]
            curves[arm] = (sizes, [accuracies for _, accuracies in table[f"{arm}/by_size"]])
        caption = (
            "Test accuracy of ensembles by their size: mean over random choices of the learners of one teacher; at 1, single "
            "learners (GTN paper, figure 7)."
        )
        path = figures.path(base_dir, "ensembles")
        plots.lines(path, {"learners in the ensemble": curves}, "test accuracy", integer=False, caption=caption)


def _generates(training):
    return isinstance(training.treatment, treatments.GTN)
