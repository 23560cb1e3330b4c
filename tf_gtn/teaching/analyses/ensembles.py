"""Ensembles of learners of one teacher (GTN paper, appendix G, figure 7)."""

import dataclasses

import gin
import numpy as np

from tf_gtn.experiment import analyses as registry
from tf_gtn.reporting import figures, results, statistics
from tf_gtn.teaching import ensembles
from tf_gtn.teaching import gin_names as build

NEED = "arms with a generator"


@gin.configurable("ensembles", module="analyses")
@dataclasses.dataclass(frozen=True)
class Settings:
    """How large.

    Attributes:
      arms: any; none for all with a generator.
      learners: fresh learners in the largest ensemble (GTN paper, appendix G: 32).
      subsets: random ensembles of each smaller size.
    """

    arms: tuple[str, ...] = ()
    learners: int = 32
    subsets: int = 20

    def __post_init__(self):
        registry.positive("ensembles", learners=self.learners, subsets=self.subsets)


@registry.register("ensembles")
class Ensembles(registry.OfShares):
    """Of each arm `<arm>/ensemble` (accuracy), `/individual` (of each learner), `/disagreement` (share); nested: `/by_size`."""

    def check(self, trainings):
        self._arms(trainings)

    def sizes(self, trainings, settings):
        own = {"ensemble": 0, "individual": Settings().learners, "disagreement": 0}
        return {f"{arm}/{what}": size for arm in self._arms(trainings) for what, size in own.items()}

    def measure(self, context):
        settings, split, found = Settings(), context.dataset.test, {}
        for arm in self._arms(context.trainings):
            probabilities = context.evaluators[arm].probabilities(split, settings.learners, build.TEST_SEED + context.seed)
            by_size = ensembles.accuracy_by_size(probabilities, split.labels, settings.subsets, context.seed)
            found |= {
                f"{arm}/ensemble": ensembles.accuracy(probabilities, split.labels),
                f"{arm}/individual": ensembles.individual_accuracies(probabilities, split.labels),
                f"{arm}/disagreement": ensembles.disagreement(probabilities),
                f"{arm}/by_size": [ensembles.sizes(settings.learners), by_size],
            }
        return found

    def claims(self, table):
        """The ensemble above its members' mean: outside their interval, or over seeds by Student's t."""
        made = []
        for arm in registry.first_parts(table):
            ensemble, members = table[f"{arm}/ensemble"], table[f"{arm}/individual"]
            identity = f"ensembles_{arm}_above_individual"
            paper = "substantially improves performance (figure 7)"
            count = next((len(each) for each in members if each is not None), "all")
            statement = f"{arm}: an ensemble of {count} learners of one generator is above their mean"
            if any(each is None for each in members):
                made.append(results.claim(identity, f"{statement} (missing: it diverged)", paper, None, None, "measured > 0"))
            elif len(ensemble) == 1:
                mean, interval = statistics.mean_and_interval(members[0], statistics.SHARE)
                rule = "measured > individual_ci95[1]"
                made.append(
                    results.claim(
                        identity, statement, paper, ensemble[0], None, rule, individual=mean, individual_ci95=interval
                    )
                )
            else:
                gains = np.array(ensemble) - [np.mean(one) for one in members]
                gain, interval = statistics.mean_and_interval(gains, statistics.difference(statistics.SHARE, statistics.SHARE))
                statement += f" (mean gain over {len(ensemble)} seeds)"
                made.append(results.claim(identity, statement, paper, gain, interval, "ci95[0] > 0"))
        return made

    def draw(self, base_dir, table):
        curves = {}
        for arm in registry.first_parts(table):
            sizes, _ = table[f"{arm}/by_size"][0]
            curves[arm] = (sizes, [accuracies for _, accuracies in table[f"{arm}/by_size"]])
        caption = (
            "Test accuracy of ensembles by their size: mean over random choices of the learners of one teacher; at 1, single "
            "learners (GTN paper, figure 7)."
        )
        path = figures.path(base_dir, "ensembles")
        figures.lines(path, {"learners in the ensemble": curves}, "test accuracy", integer=False, caption=caption)

    def _arms(self, trainings):
        return self.arms(Settings().arms, trainings, _generates if not Settings().arms else lambda _: True, NEED)


def _generates(training):
    return hasattr(training.treatment, "curriculum")
