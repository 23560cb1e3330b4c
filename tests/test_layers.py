"""Imports point one way (docs/architecture.md); and some modules belong to one room alone."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("tf_gtn", "binaries", "benchmarks")
SOURCES = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

BOTTOM = {"arguments", "errors", "keras_settings", "registries", "version", "watching"}
LEARNING = BOTTOM | {"core", "models", "data"}
RUNNING = LEARNING | {"runtime", "reporting"}
SYSTEMS = {"teaching", "gan", "nas", "rl", "dynamics", "transfer"}
EVERYTHING = RUNNING | SYSTEMS | {"config", "experiment", "gin_names", "tf_gtn", "legacy_keras"}

# What each room may import besides itself; "tf_gtn" is the package's own __init__.py, "gin_names" the modules of that name in
# the rooms of systems, where gin meets them.
MAY_IMPORT = {
    "errors": set(),
    "arguments": {"errors"},
    "registries": {"errors"},
    "register": EVERYTHING,
    "version": set(),
    "watching": set(),
    "keras_settings": {"errors"},
    "legacy_keras": {"errors"},
    "core": BOTTOM,
    "models": BOTTOM | {"core"},
    "data": BOTTOM | {"core"},
    "runtime": BOTTOM | {"core"},
    "reporting": BOTTOM | {"runtime"},
    "config": LEARNING | {"runtime"},
    "experiment": RUNNING | {"config"},
    "teaching": RUNNING | {"experiment"},
    "gan": RUNNING | {"experiment", "teaching", "legacy_keras"},
    "nas": RUNNING | {"experiment", "teaching"},
    "transfer": RUNNING | {"experiment", "teaching"},
    "rl": RUNNING | {"experiment", "teaching", "transfer", "legacy_keras"},
    "dynamics": RUNNING | {"experiment", "legacy_keras"},
    "gin_names": RUNNING | SYSTEMS | {"config", "experiment"},
    "tf_gtn": LEARNING | {"teaching"},
    "binaries": EVERYTHING,
    "benchmarks": EVERYTHING,
}

# Modules that only these rooms may import.
RESERVED = {
    "gin": {"config", "experiment", "gin_names", "binaries", "benchmarks"},
    "absl": {"experiment", "binaries", "benchmarks"},
    "tf_agents": {"rl"},
    "tf_keras": {"rl"},
    "tensorflow_probability": {"rl", "gan", "dynamics"},
    "tensorflow.keras": {"rl", "legacy_keras"},
    "pickle": set(),
    "cloudpickle": set(),
    "dill": set(),
    "shelve": set(),
}


def room(path):
    """`tf_gtn/core/unrolling.py` -> core, `tf_gtn/errors.py` -> errors, `binaries/x.py` -> binaries."""
    parts = path.with_suffix("").parts
    if parts[-1] == "gin_names":
        return "gin_names"
    return parts[0] if parts[0] != "tf_gtn" or parts[1] == "__init__" else parts[1]


def imported(tree, path):
    """The dotted names that a module imports anywhere, also inside functions; `from a import b` gives `a.b`."""
    package = path.with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            yield from (".".join(filter(None, [*above, node.module, alias.name])) for alias in node.names)


def mistakes(source, path):
    """What is wrong with the imports of one file, a line each."""
    tree, here = ast.parse(source), room(path)
    names = set(imported(tree, path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "keras" and isinstance(node.value, ast.Name):
            names.add(f"{'tensorflow' if node.value.id == 'tf' else node.value.id}.keras")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True) is not False:
            yield "allow_pickle is on"
    for name in sorted(names):
        parts = name.split(".")
        target = parts[1] if parts[0] == "tf_gtn" and set(parts[1:2]) & MAY_IMPORT.keys() else parts[0]
        if target in MAY_IMPORT and target not in MAY_IMPORT[here] | {here}:
            yield f"{here} may not import {target}"
        for reserved, rooms in RESERVED.items():
            if f"{name}.".startswith(f"{reserved}.") and here not in rooms:
                yield f"{here} may not use {reserved}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_one_way(path):
    assert room(path) in MAY_IMPORT, f"the room of {path} is new: say in MAY_IMPORT where it stands"
    assert not list(mistakes((ROOT / path).read_text(encoding="utf-8"), path))


def test_files_and_shared_rooms_stay_small():
    """A file of the package has at most 300 lines; the rooms around the systems, which know no system, at most 5,200."""
    lines = {path: (ROOT / path).read_text(encoding="utf-8").count("\n") for path in SOURCES if path.parts[0] == "tf_gtn"}
    assert not {str(path): count for path, count in lines.items() if count > 300}
    assert sum(count for path, count in lines.items() if room(path) in ("runtime", "reporting", "config", "experiment")) <= 5200


def test_the_rules_themselves_have_no_cycle():
    """Taking away, again and again, the rooms that import no other that is left takes away all."""
    left = {here: targets - {"tf_gtn"} for here, targets in MAY_IMPORT.items()}
    while done := {here for here, targets in left.items() if not targets & left.keys()}:
        left = {here: targets for here, targets in left.items() if here not in done}
    assert not left


@pytest.mark.parametrize(
    "source, path, mistake",
    [
        ("from tf_gtn import errors, teaching", "tf_gtn/core/a.py", "core may not import teaching"),
        ("import tf_gtn.config.gin_table", "tf_gtn/teaching/a.py", "teaching may not import config"),
        ("from tf_gtn.rl import a2c", "tf_gtn/transfer/a.py", "transfer may not import rl"),
        ("from ..teaching import curricula", "tf_gtn/models/a.py", "models may not import teaching"),
        ("from .. import runtime", "tf_gtn/models/a.py", "models may not import runtime"),
        ("from tf_gtn import load", "tf_gtn/runtime/a.py", "runtime may not import tf_gtn"),
        ("from binaries import train_gtn", "tf_gtn/runtime/a.py", "runtime may not import binaries"),
        ("def f():\n  import gin", "tf_gtn/models/a.py", "models may not use gin"),
        ("from absl import flags", "tf_gtn/core/a.py", "core may not use absl"),
        ("tf.keras.Model", "tf_gtn/core/a.py", "core may not use tensorflow.keras"),
        ("from tensorflow import keras", "tf_gtn/runtime/a.py", "runtime may not use tensorflow.keras"),
        ("import pickle", "tf_gtn/rl/a.py", "rl may not use pickle"),
        ("np.load(path, allow_pickle=True)", "tf_gtn/data/a.py", "allow_pickle is on"),
    ],
)
def test_a_wrong_import_is_found(source, path, mistake):
    assert list(mistakes(source, pathlib.Path(path))) == [mistake]


@pytest.mark.parametrize(
    "source, path",
    [
        ("import keras\nimport tensorflow as tf\nkeras.Model", "tf_gtn/core/a.py"),
        ("import ginger", "tf_gtn/core/a.py"),
        ("tf.keras.Model", "tf_gtn/rl/a.py"),
        ("import gin\nfrom tf_gtn.config import registrations\nfrom tf_gtn.nas import ranking", "tf_gtn/nas/gin_names.py"),
        ("from . import unrolling\nfrom tf_gtn import errors", "tf_gtn/core/a.py"),
        ("np.load(path, allow_pickle=False)", "tf_gtn/data/a.py"),
    ],
)
def test_a_right_import_is_let_through(source, path):
    assert not list(mistakes(source, pathlib.Path(path)))
