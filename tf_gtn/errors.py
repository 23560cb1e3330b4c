"""Mistakes of the user's, and the nearest right name for a wrong one."""

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class Notice(UserWarning):
    """What a user should know and no program stops for; its message is one line."""


class UserError(ValueError):
    """A mistake that the user can mend; its message is one line, and a binary ends with it and exit code 2."""


def warn(message: str) -> None:
    """Warns with a `Notice`, at the line outside this package that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("tf_gtn."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, Notice, stacklevel=level)


def unknown(kind: str, name: Any, known: Iterable[str]) -> UserError:
    """A `UserError` that names the thing received and the nearest of the right ones: `unknown learner 'conv': ...`."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}; {hint}")
