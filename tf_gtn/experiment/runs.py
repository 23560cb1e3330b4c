"""What an experiment is run by, and one seed of it."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tf_gtn.reporting import report
from tf_gtn.runtime import best as best_lib
from tf_gtn.runtime import loop
from tf_gtn.runtime.replicas import Replicas


class Run(report.Run, Protocol):
    """What an experiment is run by: a program (`program.Run`), or a call from Python.

    Attributes:
      base_dir: the run's folder; "" in a dry run without one.
      seed: everything random follows from it.
      among: the processes that take part.
    """

    @property
    def among(self) -> Replicas: ...

    def schedule(self) -> loop.Schedule:
        """When the run logs, saves and validates."""

    def scope(self, name: str | None) -> contextlib.AbstractContextManager:
        """In it the configuration of the arm of that name holds; for None, the one of all."""

    def check_arms_differ(self, arms: Sequence[str]) -> None:
        """Raises `UserError` if two arms are configured alike."""

    def ready(self, allowed: Sequence[str] = ()) -> bool:
        """Everything is built; False in a dry run, which ends here. `allowed`: settings that may differ when it resumes."""

    def configuration(self) -> str:
        """The configuration as text, for exports."""


@dataclasses.dataclass(frozen=True)
class SeedRun:
    """The arms of one seed.

    Attributes:
      seed: everything random in it follows from it.
      folder: of this seed.
      trainings: `{name: Trainable}`.
      schedule: when they log, save and validate.
      among: the processes that take part.
      only: whether there is no other seed.
      configuration: of the run, as text, for exports.
      best: `{name: runtime.best.Best}` of the trainings whose best parameters are kept.
      seconds: `{name: median seconds of an outer step}`, once they are trained.
    """

    seed: int
    folder: str
    trainings: Mapping[str, Any]
    schedule: loop.Schedule
    among: Replicas
    only: bool
    configuration: str
    best: Mapping[str, best_lib.Best] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def healthy(self) -> dict[str, Any]:
        """The trainings that did not diverge."""
        return {name: training for name, training in self.trainings.items() if not loop.stuck(training)}
