"""The results of a run as numbers, and the claims that follow from them.

    <base_dir>/results.json   {"system", "name", "seed", "versions", "wall_seconds", "metrics": {...}, "claims": [...]}

A run that was extended also has "extended": {setting: [its values before]}.

A claim is `{"id", "statement", "seed_value", "measured", "ci95", "rule", "holds", "numbers"}`. `holds` follows from the numbers
beside it by `rule`, so it can be computed again from the file alone (`recompute`), and reading a file does.
"""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import errors, version
from tf_gtn.reporting import rules
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, json_values

_MEASURED = ("measured", "ci95")  # names that every rule can use


def claim(
    id: str,
    statement: str,
    seed_value: float | str | None,
    measured: float | None,
    ci95: Sequence[float] | None,
    rule: str,
    **numbers: Any,
) -> dict[str, Any]:
    """A claim, with `holds` computed.

    Args:
      id: a short name, unique in its run.
      statement: what is claimed, in words.
      seed_value: what the paper reports: a number, a text, or None if it says nothing.
      measured: the number measured here; None or NaN: no number could be measured, and the claim does not hold.
      ci95: its 95% interval `(low, high)`, or None.
      rule: when the claim holds, in the language of `rules`, such as `measured >= 0.93`.
      **numbers: further numbers that the rule names, or lists of numbers.

    Returns:
      A dict that fits results.json.

    Raises:
      ValueError: the rule can't be evaluated, or a value has the wrong form.
    """
    unchecked = {
        "id": id,
        "statement": statement,
        "seed_value": seed_value,
        "measured": measured,
        "ci95": ci95,
        "rule": rule,
        "holds": False,
        "numbers": numbers,
    }
    result = json_values.plain(unchecked, f"claim {id!r}")
    result["holds"] = recompute(result)
    _check_claim(result, f"claim {id!r}")
    return result


def recompute(claim: Mapping[str, Any]) -> bool:
    """Whether a claim holds by its rule and its numbers; False where one of them is missing.

    Raises:
      ValueError: the rule can't be evaluated.
    """
    return rules.evaluate(claim["rule"], {**claim.get("numbers", {}), **{name: claim[name] for name in _MEASURED}})


def write(
    base_dir: str,
    system: str,
    name: str,
    seed: int,
    metrics: Mapping[str, Any],
    claims: Sequence[Mapping[str, Any]],
    wall_seconds: float,
) -> dict[str, Any]:
    """Writes results.json, whole or not at all; NaN and infinity become null.

    Args:
      base_dir: the run's folder; made if need be.
      system: `teaching`, `gan`, ...
      name: the program's name.
      seed: the run's seed.
      metrics: `{name: number, text, None, array, or dict or list of those}`.
      claims: a list of `claim(...)`.
      wall_seconds: of the run.

    Returns:
      What was written, a dict.

    Raises:
      ValueError: something does not fit the schema; names it.
    """
    lengths = base_dirs.extended(base_dir)
    contents = json_values.plain(
        {
            "system": system,
            "name": name,
            "seed": seed,
            "versions": versions(),
            "wall_seconds": wall_seconds,
            "metrics": metrics,
            "claims": claims,
            **({"extended": lengths} if lengths else {}),
        },
        "results",
    )
    validate(contents)
    files.write_json(_path(base_dir), contents, indent=1)
    return contents


def read(base_dir: str) -> dict[str, Any]:
    """The contents of a run's results.json.

    Raises:
      UserError: the file does not exist, isn't whole, or doesn't fit the schema.
    """
    path = _path(base_dir)
    if not tf.io.gfile.exists(path):
        what = "has no results.json: its run isn't finished" if tf.io.gfile.isdir(base_dir) else "is not the folder of a run"
        raise errors.UserError(f"{base_dir} {what}")
    contents = files.read_json(path, remedy="the command of that run writes it again")
    try:
        validate(contents)
    except ValueError as error:
        raise errors.UserError(f"{path} doesn't fit: {error}") from None
    return contents


def validate(contents: Any) -> None:
    """Checks the contents of a results.json against the schema; further keys are allowed.

    Raises:
      ValueError: names the first field that is wrong.
    """
    _check(isinstance(contents, dict), "results", "an object", contents)
    for key, kind, what in (
        ("system", str, "a text"),
        ("name", str, "a text"),
        ("seed", int, "an integer"),
        ("versions", dict, "an object"),
        ("wall_seconds", int | float, "a number"),
        ("metrics", dict, "an object"),
        ("claims", list, "a list"),
    ):
        _check(key in contents, key, what)
        _check(isinstance(contents[key], kind) and not isinstance(contents[key], bool), key, what, contents[key])
    for key, value in contents["versions"].items():
        _check(isinstance(value, str), f"versions.{key}", "a text", value)
    _check(
        _is_number(contents["wall_seconds"]) and contents["wall_seconds"] >= 0,
        "wall_seconds",
        "a number of seconds",
        contents["wall_seconds"],
    )
    seen = set()
    for i, item in enumerate(contents["claims"]):
        _check_claim(item, f"claims[{i}]")
        _check(item["id"] not in seen, f"claims[{i}].id", "unique", item["id"])
        seen.add(item["id"])


def versions() -> dict[str, str]:
    """Versions of what a number depends on most, and how many cores it had: sums are split among them, and so rounded."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "python": platform.python_version(),
        "tf_gtn": version.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _path(base_dir):
    return os.path.join(base_dir, "results.json")


def _check_claim(item, where):
    _check(isinstance(item, dict), where, "an object", item)
    for key in ("id", "statement", "seed_value", "measured", "ci95", "rule", "holds"):
        _check(key in item, f"{where}.{key}", "there")
    for key in ("id", "statement", "rule"):
        _check(isinstance(item[key], str) and item[key].strip(), f"{where}.{key}", "a text", item[key])
    _check(
        item["seed_value"] is None or isinstance(item["seed_value"], str) or _is_number(item["seed_value"]),
        f"{where}.seed_value",
        "a number, a text or null",
        item["seed_value"],
    )
    _check(_are_numbers([item["measured"]]), f"{where}.measured", "a number or null", item["measured"])
    interval = item["ci95"]
    _check(
        interval is None or (isinstance(interval, list) and len(interval) == 2 and _are_numbers(interval)),
        f"{where}.ci95",
        "[low, high] or null",
        interval,
    )
    _check(isinstance(item["holds"], bool), f"{where}.holds", "true or false", item["holds"])
    numbers = item.get("numbers", {})
    _check(isinstance(numbers, dict), f"{where}.numbers", "an object", numbers)
    for key, value in numbers.items():
        _check(key not in _MEASURED, f"{where}.numbers.{key}", "named otherwise")
        _check(
            _are_numbers(value if isinstance(value, list) else [value]),
            f"{where}.numbers.{key}",
            "a number, null or a list of those",
            value,
        )
    try:
        holds = recompute(item)
    except ValueError as error:
        raise ValueError(f"{where}.rule: {error}") from None
    _check(holds == item["holds"], f"{where}.holds", f"{json.dumps(holds)}, as {item['rule']!r} gives", item["holds"])


def _check(ok, where, what, *got):
    if not ok:
        received = f"; got {repr(got[0])[:80]}" if got else ""
        raise ValueError(f"{where} must be {what}{received}")


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(values):
    return all(value is None or isinstance(value, bool) or _is_number(value) for value in values)
