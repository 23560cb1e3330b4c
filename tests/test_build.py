"""BUILD names every source and every test, and each target has the dependencies that its files import.

Bazel itself is not needed: BUILD is written in the part of Starlark that is Python too, and is run here with functions that
only take notes.
"""

import ast
import collections
import dataclasses
import importlib.metadata
import pathlib
import re

import pytest
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("tf_gtn", "binaries", "benchmarks", "tests")
RUNNER = "tests/bazel_main.py"  # the main program of every test, so in the srcs of each
DISTRIBUTIONS = importlib.metadata.packages_distributions()  # module -> distributions
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)}

# What Starlark allows in a BUILD file and Python means in the same way.
STARLARK = (
    ast.Module,
    ast.Expr,
    ast.Assign,
    ast.Name,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.Call,
    ast.keyword,
    ast.ListComp,
    ast.comprehension,
    ast.BinOp,
    ast.Add,
    ast.Mod,
    ast.IfExp,
    ast.Compare,
    ast.In,
    ast.NotIn,
    ast.Eq,
    ast.NotEq,
    ast.BoolOp,
    ast.And,
    ast.Mod,
    ast.Subscript,
    ast.Slice,
    ast.UnaryOp,
    ast.USub,
    ast.Load,
    ast.Store,
)


@dataclasses.dataclass
class Target:
    """A rule of BUILD, and which one."""

    kind: str
    name: str
    srcs: list = dataclasses.field(default_factory=list)
    deps: list = dataclasses.field(default_factory=list)
    data: list = dataclasses.field(default_factory=list)
    args: list = dataclasses.field(default_factory=list)
    main: str = ""
    size: str = ""
    tags: list = dataclasses.field(default_factory=list)
    testonly: bool = False


def glob(include, allow_empty=False):
    found = sorted({path.relative_to(ROOT).as_posix() for pattern in include for path in ROOT.glob(pattern) if path.is_file()})
    assert found or allow_empty, include
    return found


@pytest.fixture(scope="module")
def targets():
    """The targets of BUILD by name."""
    text = (ROOT / "BUILD").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        assert isinstance(node, STARLARK), f"BUILD:{getattr(node, 'lineno', '?')}: {type(node).__name__} is not Starlark"
    found, loaded = [], []

    def rule(kind):
        return lambda **attributes: found.append(Target(kind, **attributes))

    rules = ("py_library", "py_binary", "py_test")
    exec(
        compile(text, "BUILD", "exec"),
        {
            "__builtins__": {},
            "True": True,
            "False": False,
            "load": lambda _, *names: loaded.extend(names),
            "package": lambda **_: None,
            "exports_files": lambda _: None,
            "glob": glob,
            "filegroup": rule("filegroup"),
            **{kind: rule(kind) for kind in rules},
        },
    )
    assert set(loaded) == set(rules)
    repeated = [name for name, count in collections.Counter(target.name for target in found).items() if count > 1]
    assert not repeated
    return {target.name: target for target in found}


def sources():
    return sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_every_source_is_in_one_target(targets):
    count = collections.Counter(src for target in targets.values() for src in target.srcs if src != RUNNER)
    missing = [path for path in sources() if path not in count and path != RUNNER]
    assert not missing, "add to BUILD, a line each: " + ", ".join(missing)
    assert not [path for path, times in count.items() if times > 1]


def test_templates_and_gin_files_are_data_of_a_target(targets):
    held = {path for target in targets.values() for path in target.data + target.srcs}
    files = {
        path.relative_to(ROOT).as_posix()
        for folder in ("tf_gtn", "gin")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert not files - held


def test_every_file_that_a_target_names_is_there(targets):
    gone = [
        path
        for target in targets.values()
        for path in target.srcs + target.data
        if not path.startswith(":") and not (ROOT / path).is_file()
    ]
    assert not gone, "take out of BUILD: " + ", ".join(gone)


def test_programs_and_tests_are_targets_of_their_kind(targets):
    for path in sources():
        folder, name = path.split("/")[0], path.rsplit("/", 1)[1]
        kind = {"binaries": "py_binary", "benchmarks": "py_binary"}.get(folder)
        kind = "py_test" if folder == "tests" and name.startswith("test_") else kind
        if kind and not name.startswith("_"):
            assert path.removesuffix(".py") in targets, f"add to BUILD: {path}"
            target = targets[path.removesuffix(".py")]
            assert target.kind == kind
            assert target.main == (RUNNER if kind == "py_test" else path) and target.main in target.srcs
            assert kind != "py_test" or target.args == [path]


def test_dependencies_are_targets_or_locked_packages(targets):
    for target in targets.values():
        for label in target.deps + [entry for entry in target.data if entry.startswith(":")]:
            if label.startswith("@pypi//"):
                assert canonicalize_name(label.removeprefix("@pypi//")) in LOCKED, f"{target.name}: {label}"
            else:
                assert label.startswith(":") and label[1:] in targets, f"{target.name}: {label}"


def imported(path):
    """What a file imports: of the project the files, of others the name of the distribution, if the lock has it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            top = name.partition(".")[0]
            if top in FOLDERS:
                file = name.replace(".", "/")
                yield from (found for found in (f"{file}.py", f"{file}/__init__.py") if (ROOT / found).is_file())
            else:  # what is not locked is an extra, imported where it is used
                yield from {canonicalize_name(found) for found in DISTRIBUTIONS.get(top, [])} & LOCKED


def test_targets_depend_on_what_their_files_import(targets):
    """So that a sandbox holds everything; a dependency of a dependency does not count."""
    owner = {src: f":{target.name}" for target in targets.values() for src in target.srcs if src != RUNNER}
    missing = set()
    for target in targets.values():
        direct = {canonicalize_name(label.removeprefix("@pypi//")) if "//" in label else label for label in target.deps}
        for src in target.srcs:
            needed = {owner.get(name, name) for name in imported(src)} if src.endswith(".py") else set()
            missing |= {(target.name, name) for name in needed - direct - {f":{target.name}"}}
    assert not missing, "add to the deps: " + ", ".join(f"{name} of {target}" for target, name in sorted(missing))


def test_module_bazel_names_the_lock_and_a_supported_python():
    text = (ROOT / "MODULE.bazel").read_text(encoding="utf-8")
    assert 'requirements_lock = "//:requirements.lock"' in text and 'use_repo(pip, "pypi")' in text
    assert set(re.findall(r'python_version = "(.*)"', text)) == {"3.11"}
