"""Analyses of some arms, and of shares."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tf_gtn import errors
from tf_gtn.experiment.analyses import Analysis
from tf_gtn.reporting import statistics


class OfArms(Analysis):
    """An analysis of the arms that its settings name (`arms`), or else of all that fit.

    Attributes:
      need: which arms fit, in words.
    """

    need: ClassVar[str]

    def fits(self, training: Any, named: bool) -> bool:
        """Whether an arm can be analysed; `named`: by the settings."""
        raise NotImplementedError

    def arms(self, trainings: Mapping[str, Any]) -> list[str]:
        """The arms to analyse, of those that are there."""
        named = self.settings().arms
        return [arm for arm in named or trainings if arm in trainings and self.fits(trainings[arm], bool(named))]

    def check(self, trainings: Mapping[str, Any], settings: Any) -> None:
        for arm in self.settings().arms:
            if arm not in trainings:
                raise errors.unknown(f"arm of analyses.{self.name}.arms", arm, trainings)
            if not self.fits(trainings[arm], True):
                raise errors.UserError(f"analyses.{self.name} takes {self.need}; the arm {arm!r} has none")
        if not self.arms(trainings):
            raise errors.UserError(f"analyses.{self.name} takes {self.need}; none of the arms has: {', '.join(trainings)}")


class OfShares(Analysis):
    """An analysis of accuracies and other shares; quantities that end like one of `others` are numbers from 0 on."""

    others: ClassVar[tuple[str, ...]] = ()

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.NOT_NEGATIVE if quantity.endswith(self.others) else statistics.SHARE
