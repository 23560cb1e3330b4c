"""Mistakes of the user's, and the nearest right name for a wrong one."""

import dataclasses
import difflib
import sys
import warnings
from collections.abc import Collection, Iterable
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


def at_least_one(where: str, **numbers: Any) -> None:
    """Raises `UserError` for a number, or one of a list of them, below 1: `<where>.<name> must be at least 1`."""
    for name, value in numbers.items():
        if any(each < 1 for each in (value if isinstance(value, list | tuple) else [value])):
            raise UserError(f"{where}.{name} must be at least 1; got {value}")


def above_zero(where: str, **numbers: Any) -> None:
    """Raises `UserError` for a number that is not above 0, or a list that is empty or holds such a one."""
    for name, value in numbers.items():
        many = value if isinstance(value, list | tuple) else [value]
        if not many or not all(isinstance(each, int | float) and each > 0 for each in many):
            raise UserError(f"{where}.{name} must be above 0; got {value!r}")


def check_effect(where: str, values: Any, names: Collection[str], why: str) -> None:
    """Raises `UserError` for a field of a dataclass that has another value than its default, and no effect."""
    for field in dataclasses.fields(values):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if field.name in names and getattr(values, field.name) != default:
            raise UserError(f"{where}.{field.name} has no effect {why}; got {getattr(values, field.name)!r}")


def all_at_least_one(where: str, values: Any) -> None:
    """Raises `UserError` for an integer field of a dataclass below 1."""
    numbers = {name: v for name, v in vars(values).items() if isinstance(v, int) and not isinstance(v, bool)}
    at_least_one(where, **numbers)
