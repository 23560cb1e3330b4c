"""What is public says its types: every argument and result, as far as pyrefly.toml excludes no room."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = (ROOT / "pyrefly.toml").read_text(encoding="utf-8")
EXCLUDED = re.findall(r'"(.+?)"', re.search(r"project-excludes = \[(.*?)\]", CONFIG, re.S)[1])
SOURCES = sorted(path.relative_to(ROOT) for path in (ROOT / "tf_gtn").rglob("*.py"))


def is_excluded(path):
    """Whether a pattern of pyrefly's, where ** is any number of folders, holds for a path or for a folder around it."""
    patterns = [re.escape(pattern).replace(r"\*\*/", "(.+/)?") + "(/.*)?" for pattern in EXCLUDED]
    return any(re.fullmatch(pattern, path.as_posix()) for pattern in patterns)


def missing(body, owner=""):
    """Yields the names of public functions' arguments and results that have no annotation, methods' among them."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from missing(node.body, f"{node.name}.")
        if not isinstance(node, ast.FunctionDef) or re.match("_(?!_)", node.name):
            continue
        signature = node.args
        given = [
            *signature.posonlyargs,
            *signature.args,
            *signature.kwonlyargs,
            *filter(None, (signature.vararg, signature.kwarg)),
        ]
        for argument in given:
            if argument.annotation is None and argument.arg not in ("self", "cls", "_"):
                yield f"{owner}{node.name}: {argument.arg}"
        if node.returns is None:
            yield f"{owner}{node.name}: what it returns"


@pytest.mark.parametrize("path", [path for path in SOURCES if not is_excluded(path)], ids=str)
def test_what_is_public_is_annotated(path):
    assert not list(missing(ast.parse((ROOT / path).read_text(encoding="utf-8")).body))


def test_every_exclusion_is_of_something():
    for pattern in EXCLUDED:
        assert list(ROOT.glob(pattern)), f"pyrefly.toml excludes {pattern}, which is not there"


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "tf_gtn" / "py.typed").exists()


def test_what_has_no_annotation_is_found():
    source = "class A:\n  def __init__(self, a, *b: int): ...\n  def _c(self, d): ...\ndef e(f: int = 1) -> int: ..."
    assert list(missing(ast.parse(source).body)) == ["A.__init__: a", "A.__init__: what it returns"]
