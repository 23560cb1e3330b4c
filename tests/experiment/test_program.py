"""What all programs share: where an error comes from, --help, what a flag may be."""

import dataclasses
import importlib
import sys
import types

import pytest
import tensorflow as tf

from tests import programs
from tf_gtn import arguments, errors
from tf_gtn.config import gin_table
from tf_gtn.core import optimizers
from tf_gtn.experiment import command_line, experiment, program

BINARIES = sorted(path.stem for path in (programs.ROOT / "binaries").glob("*.py") if path.stem != "__init__")
USERS = """
import keras

def broken(run):
    return None.steps

def through_keras(run):
    return keras.layers.Dense("many")

def mistaken(run):
    from tf_gtn import arguments, errors
    raise errors.UserError("known")
"""


@pytest.fixture
def users(tmp_path, monkeypatch):
    """A user's module, outside the package."""
    (tmp_path / "users_learner.py").write_text(USERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("users_learner")
    del sys.modules["users_learner"]


def building(built=False):
    return types.SimpleNamespace(built=built)


def test_an_error_of_the_package_while_it_builds_is_a_mistake_in_a_setting():
    main = optimizers.SGD().init  # of what is no structure of tensors
    with pytest.raises(errors.UserError, match="; --debug shows where it comes from"):
        program._build_and_go(main, building())
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        program._build_and_go(main, building(built=True))
    assert not isinstance(caught.value, errors.UserError)


def test_an_error_in_the_users_own_code_keeps_its_traceback(users, monkeypatch):
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'steps'"):
        program._build_and_go(users.broken, building())
    with pytest.raises(ValueError) as caught:
        program._build_and_go(users.through_keras, building())
    assert not isinstance(caught.value, errors.UserError)
    with pytest.raises(errors.UserError, match="known"):
        program._build_and_go(users.mistaken, building())
    # Also if it is installed like a library, and a gin file imports it.
    monkeypatch.setattr(program, "_PACKAGE", type(program._PACKAGE)(users.__file__).parent)
    monkeypatch.setattr(gin_table, "imported", lambda: {"users_learner"})
    with pytest.raises(AttributeError):
        program._build_and_go(users.broken, building())


def test_debug_shows_the_traceback_too():
    done = programs.run(
        "train_gtn", "--dry_run", "--debug", "--gin_file=gin/teaching/digits.gin", "--gin_bindings=import nothing_there"
    )
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert "ModuleNotFoundError" in done.stderr  # though it is raised `from None`
    assert "cannot import nothing_there" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", BINARIES)
def test_help_says_what_a_program_does_and_takes(name):
    done = programs.run(name, "--help")
    words = importlib.util.find_spec(f"binaries.{name}").loader.get_source(f"binaries.{name}").split('"""')[1]
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(words.strip()) and f"python -m binaries.{name}" in done.stdout
    for flag in ("base_dir", "gin_file", "gin_bindings", "seed", "[no]dry_run", "[no]debug"):
        assert f"\n  --{flag}\n" in done.stdout
    assert ("--export_dir" in done.stdout) == (name in ("evaluate_gtn", "train_learner"))


def test_the_largest_seed_is_an_integer_with_whatever_is_added_to_it():
    assert tf.constant([arguments.MAX_SEED + 100_000_000]).dtype == tf.int32


@pytest.mark.parametrize("encoding, word", [("ascii", "ünï"), ("iso8859-1", "Ã¼"), ("utf-8", "\udcff")])
def test_a_name_that_tensorflow_would_take_for_another_is_refused(encoding, word, monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    command_line._check_encoding(["--base_dir=runs"])
    with pytest.raises(errors.UserError, match="UTF-8"):
        command_line._check_encoding([f"--base_dir={word}"])


def test_the_fields_of_a_users_experiment_fit_their_annotations():
    @dataclasses.dataclass(kw_only=True)
    class Tides(experiment.Experiment):
        heights: arguments.Count = 3

        NAME = "tides.Tides"

    assert Tides(arms=("a",), heights=1).seeds == 1
    for field in ("heights", "seeds"):
        with pytest.raises(errors.UserError, match=rf"^tides\.Tides\.{field} must be at least 1; got 0$"):
            Tides(arms=("a",), **{field: 0})
    with pytest.raises(errors.UserError, match="unknown analysis 'ebb'"):
        Tides(arms=("a",), analyses=("ebb",))
