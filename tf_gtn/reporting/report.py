"""Any set of runs as one report.html that needs no other file, and one run as a few lines for a terminal.

Of each run it reads results.json, figures/*.png, config.gin and operative_config.gin. Equal runs give equal bytes.
"""

import base64
import importlib.resources
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jinja2
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.reporting import drawing, results, rules
from tf_gtn.runtime import files

_SUMMARY_METRICS = 12  # lines
_LONGEST_LIST = 20  # items
_CONFIGS = ("config.gin", "operative_config.gin")


class Run(Protocol):
    """A run as `conclude` needs it."""

    @property
    def base_dir(self) -> str: ...
    @property
    def seed(self) -> int: ...
    def seconds(self) -> float: ...


def check(base_dirs: Sequence[str]) -> None:
    """Raises `UserError` unless each folder is that of a finished run."""
    if not base_dirs:
        raise errors.UserError("a report needs at least one run")
    for base_dir in base_dirs:
        results.read(base_dir)


def publish(run: Run, system: str, program: str, metrics: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]) -> None:
    """Ends a run: writes results.json and, from it and from the run's figures, report.html in the run's folder."""
    results.write(run.base_dir, system, program, run.seed, metrics, claims, run.seconds())
    write(f"{run.base_dir}/report.html", [run.base_dir])


def write(path: str, base_dirs: Sequence[str], captions: Mapping[str, str] | None = None) -> str:
    """Writes the report, whole or not at all.

    Args:
      path: of the HTML file; its folder is made if need be.
      base_dirs: folders of finished runs, in the order of the report.
      captions: `{figure's file name without .png: text}`, instead of the caption inside the PNG.

    Returns:
      `path`.

    Raises:
      UserError: a folder has no readable results.json.
    """
    check(base_dirs)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        importlib.resources.files("tf_gtn.reporting").joinpath("report.html.j2").read_text("utf-8")
    )
    html = template.render(runs=[_run(base_dir, captions or {}) for base_dir in base_dirs])
    files.write(path, html)
    return path


def summary(contents: Mapping[str, Any]) -> str:
    """The results of a run, in a few aligned lines.

    Args:
      contents: the contents of a results.json.

    Returns:
      Text: a line for the run, then one for each claim; without claims the first metrics instead.
    """
    head = f"{contents['system']}/{contents['name']}, seed {contents['seed']}, {duration(contents['wall_seconds'])}"
    if contents["claims"]:
        head += f": {_held(contents['claims'])}"
        rows = [
            (
                "holds" if claim["holds"] else "does not hold",
                claim["id"],
                number(claim["measured"]),
                f"[{', '.join(map(number, claim['ci95']))}]" if claim["ci95"] else "",
                _reason(claim),
            )
            for claim in contents["claims"]
        ]
    else:
        rows = list(_metrics(contents["metrics"]))
        if len(rows) > _SUMMARY_METRICS:
            rows[_SUMMARY_METRICS:] = [(f"... and {len(rows) - _SUMMARY_METRICS} more in results.json", "")]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join([head, *("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)])


def number(value: float | None) -> str:
    """A number with four significant digits; integers whole."""
    if value is None:
        return "n/a"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`42 s`, `2 min 50 s`, `3 h 5 min`."""
    if seconds < 60:
        return f"{number(float(seconds))} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _run(base_dir, captions):
    """What the template shows of a run."""
    contents = results.read(base_dir)
    return {
        **contents,
        "base_dir": base_dir,
        "claims": [
            {
                **claim,
                "measured": number(claim["measured"]),
                "ci95": _text(claim["ci95"]),
                "seed_value": "not given" if claim["seed_value"] is None else _text(claim["seed_value"]),
                "numbers": _numbers(claim),
            }
            for claim in contents["claims"]
        ],
        "held": _held(contents["claims"]),
        "all_hold": all(claim["holds"] for claim in contents["claims"]),
        "metrics": list(_metrics(contents["metrics"])),
        "duration": duration(contents["wall_seconds"]),
        "figures": [_figure(path, captions) for path in _figures(base_dir)],
        "configs": [(name, text) for name in _CONFIGS if (text := _read(os.path.join(base_dir, name)))],
    }


def _held(claims):
    """`3 of 4 claims hold`."""
    if not claims:
        return "no claims"
    if len(claims) == 1:
        return "1 claim, which holds" if claims[0]["holds"] else "1 claim, which does not hold"
    return f"{sum(claim['holds'] for claim in claims)} of {len(claims)} claims hold"


def _reason(claim):
    """`ci95[0] > real_ci95[1]  (real_ci95 0.88 to 0.91)`."""
    numbers = "; ".join(f"{name} {text}" for name, text in _numbers(claim))
    return claim["rule"] + (f"  ({numbers})" if numbers else "")


def _numbers(claim):
    """The further numbers in a claim's rule, as pairs of name and text."""
    numbers = claim.get("numbers", {})
    return [(name, _text(numbers[name])) for name in rules.names(claim["rule"]) if name in numbers]


def _metrics(metrics, prefix=""):
    """Nested metrics as rows `(dotted name, text)`."""
    for key, value in metrics.items():
        if isinstance(value, dict):
            yield from _metrics(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value, interval=key != "values")


def _text(value, interval=True):
    """A JSON value as text; of many numbers their count, range and mean; a pair of floats may be an `interval`."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return number(value)
    if interval and len(value) == 2 and all(isinstance(v, float) or v is None for v in value):
        return f"{number(value[0])} to {number(value[1])}"
    numbers = [v for v in value if isinstance(v, int | float)]
    if len(numbers) > 4 and len(numbers) == len(value) - value.count(None):
        missing = f", {value.count(None)} n/a" if None in value else ""
        mean = number(sum(numbers) / len(numbers))
        return f"{len(value)} values from {number(min(numbers))} to {number(max(numbers))}, mean {mean}{missing}"
    items = [f"[{_text(v)}]" if isinstance(v, list) else _text(v) for v in value[:_LONGEST_LIST]]
    return ", ".join(items) + (f", ... ({len(value)} values)" if len(value) > _LONGEST_LIST else "")


def _figures(base_dir):
    folder = os.path.join(base_dir, "figures")
    if not tf.io.gfile.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(tf.io.gfile.listdir(folder)) if name.endswith(".png")]


def _figure(path, captions):
    """`{"caption", "uri"}` of a PNG; `uri` is None if the file isn't whole."""
    name = os.path.basename(path).removesuffix(".png")
    try:
        content = files.read(path)
        caption = drawing.caption(io.BytesIO(content))
    except (OSError, ValueError, SyntaxError):
        return {"caption": f"{os.path.basename(path)} can't be read: it isn't a whole PNG.", "uri": None}
    words = name.replace("_", " ")
    return {
        "caption": captions.get(name) or caption or words[:1].upper() + words[1:],
        "uri": "data:image/png;base64," + base64.b64encode(content).decode("ascii"),
    }


def _read(path):
    """A file's text, or None if the file does not exist."""
    if not tf.io.gfile.exists(path):
        return None
    try:
        return files.read(path).decode("utf-8", "replace")
    except files.Damaged as error:
        return str(error)
