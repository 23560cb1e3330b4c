"""gin at the rim: gin files found by name, and no configuration that does nothing.

Statements are read with gin's parser and bound with `gin.bind_parameter`, but in a loop of our own: gin's lets misspelt
macros and scopes pass, and does not know where it bound what. A mistake is a `UserError` of one line,
`gin/teaching/digits.gin:3: unknown macro 'OUTER_STEP'; did you mean 'OUTER_STEPS'?`.

The config stays unlocked: a locked one (`gin.finalize`) forbids to register, and so to import, further configurables.
"""

import contextlib
import difflib
import importlib
import os
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

import gin
from gin import config_parser

from tf_gtn import errors
from tf_gtn.config import checking, gin_table, signatures, statements
from tf_gtn.config.gin_table import MACRO
from tf_gtn.config.statements import at, first_line, shipped, unknown  # noqa: F401 - shipped: part of this module's own

# Rooms whose gin names any program knows, imported where a configuration names them.
ROOMS = {"nas": "tf_gtn.nas.gin_names"}

# What earlier versions had in configurations, and has no effect any more: left-hand sides, and imports.
OBSOLETE = (
    "transfer.program.experiment",
    "import tf_gtn.run.rl.leap",
    "import tf_gtn.run.teaching.comparison",
    "import tf_gtn.run.teaching.tuning",
)

# Names of parameters that changed: the earlier ones work for one release.
RENAMED = {
    "gan.UnrolledGAN.networks": "gan.UnrolledGAN.parallel_seeds",
    "rl.Leap.batch": "rl.Leap.meta_batch_size",
    "transfer.ProgressiveNets.batch": "transfer.ProgressiveNets.meta_batch_size",
    "transfer.arm.batch": "transfer.arm.meta_batch_size",
}

_bound = checking.Bound()  # by the last `parse`
_rooms = {}  # see `parse`


def parse(
    files: Sequence[str] = (),
    bindings: Sequence[str] = (),
    known_scopes: Sequence[str] = (),
    rooms: Mapping[str, str] | None = None,
    experiments: Sequence[str] | None = None,
) -> None:
    """Sets gin's config to the gin files, in order, then the bindings.

    Args:
      files: paths, or names of shipped files (`gin/teaching/digits.gin` or `teaching/digits.gin`), which are found from
        any directory. `include` looks beside the including file first.
      bindings: texts such as `OUTER_STEPS = 10`.
      known_scopes: scopes that the program enters with `gin.config_scope`, beyond those of references `@scope/name`.
      rooms: `{first part of gin names: module}` beside `ROOMS`: imported where a name begins so.
      experiments: names of experiments' settings that the program knows, such as `teaching.Comparison`; None: all.

    Raises:
      UserError: a file, configurable, parameter, macro, scope or reference does not exist; nothing refers to a macro, but for a
        file's whose parameters a later binding sets; bad syntax; a value contradicts its parameter's annotation, range and all
        (`tf_gtn.arguments`), or, lacking one, the type of its default.
    """
    gin.clear_config()
    global _bound, _rooms
    _bound, _rooms = checking.Bound(), {**ROOMS, **(rooms or {})}
    for name in files:
        _parse_file(name)
    for text in bindings:
        _parse_text(text)
    checking.check(_bound, known_scopes, experiments)


def check_used() -> None:
    """Refuses a command line that does nothing; bindings in files are exempt, since runs share files.

    For the moment when everything is built, so that every configurable was called, before the first step.

    Raises:
      UserError: no call took a parameter from the config in that scope, or only such parameters refer to a macro.
    """
    table = gin_table.bindings()
    used = gin_table.used(table)
    for key, value in table.items():
        if key in _bound.command_line and key not in used:
            name = gin_table.short_name(key)
            raise errors.UserError(f'the binding "{gin_table.statement(key, value)}" does nothing here: nothing uses {name}')


def check_parameter(name: str, values: Iterable) -> None:
    """Raises `UserError` unless a parameter such as `teaching.Training.learning_rate` exists and takes these values."""
    _, selector, parameter = key = _parameter_key("", name)
    known = gin_table.parameters(selector)[0].get(parameter)
    for value in values:
        if known and not signatures.fits(value, known):
            got = f"got {value!r} ({type(value).__name__})"
            raise errors.UserError(f"{gin_table.short_name(key)} takes {signatures.describe(known)}; {got}")
        if known and (wrong := signatures.complaint(gin_table.short_name(key), value, known)):
            raise errors.UserError(wrong)


def parameters_set(selector: str) -> list[str]:
    """Names of the parameters of a configurable that the config sets in any scope, in alphabetical order."""
    return sorted({name for _, owner, name in gin_table.bindings() if owner == selector})


def check_arms_differ(arms: Sequence[str]) -> None:
    """Raises `UserError` if an arm has no binding in its scope and another scope is nearly called so, or if two have none."""
    scopes = {scope.split("/")[0] for scope, selector, _ in gin_table.bindings() if selector != MACRO and scope}
    plain = [arm for arm in arms if arm not in scopes]
    others = sorted((scopes | _bound.left) - set(arms))
    for arm in plain:
        if near := difflib.get_close_matches(arm, others, n=1, cutoff=0.8):
            raise errors.UserError(f"the arm {arm!r} has no settings of its own; did you mean {near[0]!r}?")
    if len(plain) > 1:
        hint = f"; scopes that no arm enters: {', '.join(others)}" if others else ""
        raise errors.UserError(
            f"the arms {plain[0]!r} and {plain[1]!r} have no settings of their own, and so are the same{hint}"
        )


@contextlib.contextmanager
def bound(scope: str, values: dict[str, Any]) -> Generator[Callable[[], list[str]], None, None]:
    """Binds `{parameter's name: value}` in a scope until the context ends, which leaves no trace in the config.

    Yields a function that returns those names whose value no call has taken so far.
    """
    keys = {name: _parameter_key(scope, name) for name in values}
    before = gin_table.bindings()
    for name, key in keys.items():
        gin.bind_parameter(key, values[name])

    def unused():
        used = gin_table.used(gin_table.bindings())
        return [name for name, key in keys.items() if key not in used]

    try:
        yield unused
    finally:
        for key in keys.values():
            gin_table.unbind(key)
            if key in before:
                gin.bind_parameter(key, before[key])


def config_str() -> str:
    """The whole config in full names, a binding a line: imports, macros, parameters. `parse` of it gives the same config."""
    lines = sorted((key[1] != MACRO, gin_table.statement(key, value)) for key, value in gin_table.bindings().items())
    return "".join(f"{line}\n" for line in [*gin_table.import_statements(), *(line for _, line in lines)])


def operative_config_str() -> str:
    """What was in use so far: all parameters of the configurables that were called, with defaults."""
    return gin.operative_config_str()


def _parse_file(name, place=None, including=()):
    """Reads a gin file; `place` is that of the include statement, `including` the files around it."""
    with at(place):
        path, text = statements.read(name, os.path.dirname(including[-1]) if including else "", including)
    _parse_text(text, name, (*including, path))


def _parse_text(text, file=None, including=()):
    """Binds the statements of a text: of `file`, or of the command line."""
    for module, room in _rooms.items():
        if re.search(rf"\b{module}\.", text):
            importlib.import_module(room)
    macros = {scope for scope, selector, _ in _bound.places if selector == MACRO}
    for statement in statements.parsed(text, file, macros):
        place = statements.place(file, statement.location.line_num, statement.location.line_content)
        if isinstance(statement, config_parser.IncludeStatement):
            _parse_file(statement.filename, place, including)
        elif _left_hand_side(statement) in OBSOLETE:
            errors.warn(f"{place}: {_left_hand_side(statement)} has no effect any more: take it out")
        elif isinstance(statement, config_parser.ImportStatement):
            with at(place):
                _import(statement)
        elif isinstance(statement, config_parser.BindingStatement):
            with at(place):
                key = _bind(_renamed(statement, place))
            _bound.places[key] = place
            _bound.ever.setdefault(key, []).append(statement.value)
            (_bound.command_line.add if file is None else _bound.command_line.discard)(key)


def _left_hand_side(statement):
    """Of a binding; of an import the whole of it."""
    if isinstance(statement, config_parser.ImportStatement):
        return statement.format()
    return f"{statement.selector}.{statement.arg_name}" if isinstance(statement, config_parser.BindingStatement) else None


def _renamed(statement, place):
    """The statement with a parameter's new name in place of an earlier one, which is said."""
    selectors = gin_table.matches(statement.selector) if statement.arg_name else []
    earlier = f"{selectors[0]}.{statement.arg_name}" if len(selectors) == 1 else None
    if earlier not in RENAMED:
        return statement
    errors.warn(f"{place}: {earlier} is called {RENAMED[earlier]} now; the earlier name will go with the next release")
    return statement._replace(arg_name=RENAMED[earlier].rpartition(".")[2])


def current_names(config: str) -> str:
    """A configuration of `config_str`, perhaps of an earlier version, with the names of this one."""
    for earlier, name in RENAMED.items():
        config = re.sub(rf"^((?:\w+/)*){re.escape(earlier)}(?= = )", rf"\g<1>{name}", config, flags=re.MULTILINE)
    return config


def _import(statement):
    """Imports a module, which may register configurables of its own."""
    if statement.module.startswith("__gin__"):
        raise errors.UserError(f"{statement.format()!r} is not supported here")
    try:
        importlib.import_module(statement.module)
    except ImportError as error:
        raise errors.UserError(f"cannot {statement.format()}: {first_line(error)}") from None
    gin_table.add_import(statement)


def _bind(statement):
    """Binds a parameter or macro; returns its key."""
    scope, selector, parameter, value, _ = statement
    if not parameter:
        scope, selector, parameter = f"{scope}/{selector}".removeprefix("/"), MACRO, "value"
    for name in gin_table.unknown_references(value):
        raise _unknown_configurable(name)
    key = scope, _selector(selector, parameter), parameter
    try:
        gin.bind_parameter(key, value)
    except ValueError as error:  # in its denylist, or not in its allowlist
        raise errors.UserError(first_line(error)) from None
    return key


def _parameter_key(scope, name):
    """The key of a parameter `configurable.parameter` in a scope."""
    selector, _, parameter = name.rpartition(".")
    if not selector:
        raise errors.UserError(f"a parameter's name is like teaching.Training.learning_rate; got {name!r}")
    return scope, _selector(selector, parameter), parameter


def _selector(selector, parameter):
    """The full selector that a short one means; it has that parameter."""
    matches = gin_table.matches(selector)
    if not matches:
        raise _unknown_configurable(selector)
    if len(matches) > 1:
        raise errors.UserError(f"{selector} is ambiguous: {' or '.join(matches)}")
    known, takes_any = gin_table.parameters(matches[0])
    if parameter not in known and not takes_any:
        raise unknown(f"{selector} parameter", parameter, known)
    return matches[0]


def _unknown_configurable(name):
    module = name.split(".")[0]
    known_here = any(right.startswith(f"{module}.") for right in gin_table.registered())
    program = checking.PROGRAMS.get(name) or (None if known_here else checking.PROGRAMS.get(module))
    if program:
        return errors.UserError(f"{name} belongs to another program: {program}")
    parts = name.count(".") + 1  # compare with as many parts of the right names
    return unknown("configurable", name, {".".join(right.split(".")[-parts:]) for right in gin_table.registered()})
