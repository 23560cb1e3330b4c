"""What an experiment is run by where no program is: a call from Python, with its settings as plain values.

The folder has what a program's has; config.gin holds the call's settings, a line each, and a call with others does not resume.
"""

import contextlib
import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import holding, loop, replicas


@dataclasses.dataclass(frozen=True)
class Call:
    """A `runs.Run` from Python: one process, no scopes.

    Attributes:
      base_dir: the folder, which the caller has opened.
      seed: everything random follows from it.
      settings: `{name: value}`, all that makes the run; values show themselves by `repr`, and on one line.
      times: when it logs, saves and validates.
      data: `{name: fingerprint}` of what it learns from.
      among: the processes that take part.
      started: time.monotonic() at the start.
    """

    base_dir: str
    seed: int
    settings: Mapping[str, Any]
    times: loop.Schedule
    data: Mapping[str, str]
    among: replicas.Replicas = replicas.ALONE
    started: float = dataclasses.field(default_factory=time.monotonic)

    def schedule(self) -> loop.Schedule:
        """When it logs, saves and validates."""
        return self.times

    def scope(self, name: str | None) -> contextlib.AbstractContextManager:
        """The settings hold for all."""
        del name
        return contextlib.nullcontext()

    def check_arms_differ(self, arms: Sequence[str]) -> None:
        """There is one arm."""

    def ready(self, allowed: Sequence[str] = ()) -> bool:
        """Writes config.gin, or compares it; `UserError` if another setting was changed than those `allowed`."""
        base_dirs.check_same_config(self.base_dir, self.configuration(), allowed)
        return True

    def configuration(self) -> str:
        """The settings as text: `inner_steps = 32`, a line each."""
        data = "".join(f"# data {name!r} = {fingerprint}\n" for name, fingerprint in self.data.items())
        text = "".join(f"{name} = {value!r}\n" for name, value in self.settings.items())
        return "# a call from Python\n" + data + re.sub(r" at 0x[0-9a-f]+", "", text)  # addresses are other ones the next time

    def seconds(self) -> float:
        """Wall-clock seconds of all such calls in the folder."""
        return holding.seconds(self.base_dir, self.started)
