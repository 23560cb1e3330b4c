"""The suite itself: what holds on a machine that is slow or has much else to do."""

import ast
import os
import pathlib
import runpy

import pytest

from tests import programs

TESTS = pathlib.Path(__file__).parent


def test_no_test_has_a_time_limit_of_its_own():
    """Of those that a test could set, seconds for something to end."""
    found = []
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                limits = [k.value for k in node.keywords if k.arg == "timeout" and called != "sqlite3.connect"]
                limits += node.args if called.rpartition(".")[2] in ("wait", "join") else []
                found += [
                    f"{path.name}:{node.lineno}"
                    for value in limits
                    if isinstance(value, ast.Constant) and not isinstance(value.value, str)
                ]
    assert not found, "tests/conftest.py has the limit"


def test_one_variable_scales_the_limit(monkeypatch):
    monkeypatch.delenv("PYTEST_TIMEOUT")
    monkeypatch.setenv("TEST_TIME_SCALE", "1.5")
    runpy.run_path(str(TESTS / "conftest.py"))
    assert float(os.environ["PYTEST_TIMEOUT"]) == 3600


def test_who_waits_for_a_program_that_has_ended_is_told():
    with pytest.raises(AssertionError, match="ended before"):
        programs.wait_for(lambda: False)
