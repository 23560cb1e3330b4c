"""gin at the rim: gin files found by name, and no configuration that does nothing.

Statements are read with gin's parser and bound with `gin.bind_parameter`, but in a loop of our own: gin's lets misspelt
macros and scopes pass, and does not know where it bound what. A mistake is a `UserError` of one line,
`gin/teaching/digits.gin:3: unknown macro 'OUTER_STEP'; did you mean 'OUTER_STEPS'?`.

The config stays unlocked: a locked one (`gin.finalize`) forbids to register, and so to import, further configurables.
"""

import contextlib
import importlib
import os
import pathlib
import re
import tokenize
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

import gin
import tensorflow as tf
from gin import config, config_parser

from tf_gtn import errors
from tf_gtn.config import gin_table, signatures
from tf_gtn.config.gin_table import MACRO

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
GIN_DIR = _PACKAGE / "gin" if (_PACKAGE / "gin").is_dir() else _PACKAGE.parent / "gin"  # in a wheel, in the repository

# The parameters whose values name scopes.
ARMS = tuple(
    (name, "arms")
    for name in ("teaching.Comparison", "teaching.Tuning", "rl.Experiment", "gan.Experiment", "transfer.Experiment")
)

# Rooms whose gin names any program knows, imported where a configuration names them.
ROOMS = {"nas": "tf_gtn.nas.gin_names"}

# The programs that know a name, or all of a module, where the one that runs does not.
PROGRAMS = {
    "teaching.Comparison": "compare_treatments or train_gtn",
    "teaching.Tuning": "tune_gtn",
    **dict.fromkeys(("gan", "gans"), "train_unrolled_gan"),
    **dict.fromkeys(("rl", "networks"), "train_cartpole_gtn or train_a2c"),
    **{f"nas.{name}": "search_architectures" for name in ("Search", "GTN", "Real", "Random", "Evolution", "TPE")},
    "dynamics": "run_dynamics",
    "transfer": "train_leap",
}

# Of the last `parse`, by the keys of `gin_table`.
_places = {}  # where each was bound last: "file:line", or the binding itself
_command_line = set()  # those bound last on the command line
_ever = {}  # every value that was bound, also those that a later binding replaced
_left = set()  # scopes that files set something for, and that only replaced bindings refer to


def parse(files: Iterable[str] = (), bindings: Iterable[str] = (), known_scopes: Iterable[str] = ()) -> None:
    """Sets gin's config to the gin files, in order, then the bindings.

    Args:
      files: paths, or names of shipped files (`gin/teaching/digits.gin` or `teaching/digits.gin`), which are found from
        any directory. `include` looks beside the including file first.
      bindings: texts such as `OUTER_STEPS = 10`.
      known_scopes: scopes that the program enters with `gin.config_scope`, beyond those of references `@scope/name`.

    Raises:
      UserError: a file, configurable, parameter, macro, scope or reference does not exist; nothing refers to a macro, but for a
        file's whose parameters a later binding sets; bad syntax; a value contradicts its parameter's annotation, range and all
        (`tf_gtn.arguments`), or, lacking one, the type of its default.
    """
    gin.clear_config()
    _places.clear()
    _command_line.clear()
    _ever.clear()
    _left.clear()
    for name in files:
        _parse_file(name)
    for text in bindings:
        _parse_text(text)
    _check_scopes(gin_table.bindings(), known_scopes)
    _check_macros(gin_table.bindings())
    _check_values(gin_table.bindings())


def check_used() -> None:
    """Refuses a command line that does nothing; bindings in files are exempt, since runs share files.

    For the moment when everything is built, so that every configurable was called, before the first step.

    Raises:
      UserError: no call took a parameter from the config in that scope, or only such parameters refer to a macro.
    """
    table = gin_table.bindings()
    used = gin_table.used(table)
    for key, value in table.items():
        if key in _command_line and key not in used:
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
    return sorted({name for _, own, name in gin_table.bindings() if own == selector})


def check_arms_differ(arms: Sequence[str]) -> None:
    """Raises `UserError` if two of an experiment's arms have no binding in their scopes: they would be one and the same."""
    scopes = {scope.split("/")[0] for scope, selector, _ in gin_table.bindings() if selector != MACRO and scope}
    plain = [arm for arm in arms if arm not in scopes]
    if len(plain) > 1:
        others = sorted((scopes | _left) - set(arms))
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


def shipped() -> list[str]:
    """Names of the gin files that come with the package, such as `gin/teaching/digits.gin`."""
    return sorted(f"gin/{path.relative_to(GIN_DIR).as_posix()}" for path in GIN_DIR.rglob("*.gin"))


def config_str() -> str:
    """The whole config in full names, a binding a line: imports, macros, parameters. `parse` of it gives the same config."""
    lines = sorted((key[1] != MACRO, gin_table.statement(key, value)) for key, value in gin_table.bindings().items())
    return "".join(f"{line}\n" for line in [*gin_table.import_statements(), *(line for _, line in lines)])


def operative_config_str() -> str:
    """What was in use so far: all parameters of the configurables that were called, with defaults."""
    return gin.operative_config_str()


def _parse_file(name, place=None, including=()):
    """Reads a gin file; `place` is that of the include statement, `including` the files around it."""
    with _at(place):
        try:
            path = _find(name, os.path.dirname(including[-1]) if including else "")
            if path in including:
                raise errors.UserError(f"the gin file {name} includes itself")
            with tf.io.gfile.GFile(path, "rb") as file:
                text = file.read().decode("utf-8-sig")  # editors of Windows put a byte order mark in front
        except tf.errors.OpError as error:
            raise errors.UserError(f"cannot read the gin file {name}: {_first_line(error)}") from None
        except UnicodeDecodeError:
            raise errors.UserError(f"cannot read the gin file {name}: it is not text in UTF-8") from None
    _parse_text(text, name, (*including, path))


def _find(name, folder):
    """The path of a gin file: in the folder of the file that includes it, in the current folder, or a shipped one."""
    if "://" in name:
        name, places = os.path.split(name)[1], [name]
    else:
        places = [os.path.join(folder, name), name, str(GIN_DIR / name.removeprefix("gin/"))]
    for path in places:
        if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
            return path if "://" in path else os.path.normpath(path)
    beside = tf.io.gfile.glob(os.path.join(os.path.dirname(places[0]), "*.gin"))
    beside = [os.path.join(os.path.dirname(name), os.path.basename(path)) for path in beside]
    raise _unknown("gin file", name, {*beside, *shipped()})


def _parse_text(text, file=None, including=()):
    """Binds the statements of a text: of `file`, or of the command line."""
    for module, room in ROOMS.items():
        if re.search(rf"\b{module}\.", text):
            importlib.import_module(room)
    for statement in _statements(text, file):
        place = _place(file, statement.location.line_num, statement.location.line_content)
        if isinstance(statement, config_parser.IncludeStatement):
            _parse_file(statement.filename, place, including)
        elif isinstance(statement, config_parser.ImportStatement):
            with _at(place):
                _import(statement)
        elif isinstance(statement, config_parser.BindingStatement):
            with _at(place):
                key = _bind(statement)
            _places[key] = place
            _ever.setdefault(key, []).append(statement.value)
            (_command_line.add if file is None else _command_line.discard)(key)


def _statements(text, file):
    """Yields gin's statements; unknown references pass, for `_bind` to name."""
    try:
        parser = config_parser.ConfigParser(text, config.ParserDelegate(skip_unknown=True))
        while (statement := parser.parse_statement()) is not None:
            yield statement
    except Exception as error:  # gin's parser, the tokenizer and `literal_eval` raise nearly anything
        lines = text.splitlines() or [""]
        number = min(getattr(error, "lineno", None) or len(lines), len(lines))
        raise errors.UserError(f"{_place(file, number, lines[number - 1])}: {_syntax(error)}") from None


def _syntax(error):
    """What the parser did not like, with a thought for forgotten quotes and percent signs."""
    token = re.search(r"Failed to parse token '(\w+)'", str(error))
    if token is None:
        kind = "bad syntax: " if isinstance(error, SyntaxError | tokenize.TokenError) else ""
        hint = "; a string needs quotes" if re.search("Unable to parse value|Expected newline", str(error)) else ""
        return kind + _first_line(error) + hint
    token = token[1]
    if token.capitalize() in ("True", "False", "None"):
        return f"{token} is not a value; did you mean {token.capitalize()}?"
    if (token, MACRO, "value") in _places:
        return f"{token} is not a value; did you mean %{token}?"
    return f"{token} is not a value; a string needs quotes: {token!r}"


def _import(statement):
    """Imports a module, which may register configurables of its own."""
    if statement.module.startswith("__gin__"):
        raise errors.UserError(f"{statement.format()!r} is not supported here")
    try:
        importlib.import_module(statement.module)
    except ImportError as error:
        raise errors.UserError(f"cannot {statement.format()}: {_first_line(error)}") from None
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
        raise errors.UserError(_first_line(error)) from None
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
        raise _unknown(f"{selector} parameter", parameter, known)
    return matches[0]


def _unknown_configurable(name):
    module = name.split(".")[0]
    known_here = any(right.startswith(f"{module}.") for right in gin_table.registered())
    program = PROGRAMS.get(name) or (None if known_here else PROGRAMS.get(module))
    if program:
        return errors.UserError(f"{name} belongs to another program: {program}")
    parts = name.count(".") + 1  # compare with as many parts of the right names
    return _unknown("configurable", name, {".".join(right.split(".")[-parts:]) for right in gin_table.registered()})


def _check_macros(table):
    """A macro referred to is defined, not in terms of itself; a macro defined is, in the end, referred to by a parameter.

    A file's macro that only replaced bindings refer to goes: whoever sets the parameter itself need not know of it.
    """
    defined = {scope for scope, selector, _ in table if selector == MACRO}
    for key, value in table.items():
        reached = gin_table.reachable_macros(table, [value])
        with _at(_places[key]):
            for name in sorted(reached - defined):
                raise _unknown("macro", name, defined)
            if key[1] == MACRO and key[0] in reached:
                raise errors.UserError(f"the macro {key[0]} refers to itself")
    referred = gin_table.reachable_macros(table, [value for key, value in table.items() if key[1] != MACRO])
    for name in sorted(defined - referred):
        macro = name, MACRO, "value"
        users = [k for k in _ever if k[1] != MACRO and name in gin_table.reachable_macros(_ever, _ever[k])]
        with _at(_places[macro]):
            if not users:
                raise _unknown("macro", name, referred)
            if macro in _command_line:
                raise errors.UserError(
                    f"the macro {name} does nothing here: {gin_table.short_name(users[0])}, which referred to it, is set to "
                    "another value"
                )
        gin_table.unbind(macro)


def _check_scopes(table, known_scopes):
    """The scope of a parameter is entered by some reference, by an experiment's arms, or by the program.

    What a file sets in a scope that only replaced bindings refer to goes: whoever takes other arms need not know of it.
    """
    now, ever = (_entered(entries) | {"", *known_scopes} for entries in ({k: [v] for k, v in table.items()}, _ever))
    for key in table:
        if key[1] != MACRO and key[0] not in now:
            with _at(_places[key]):
                if key[0] not in ever or key in _command_line:
                    raise _unknown("scope", key[0], now - {""})
            gin_table.unbind(key)
            _left.add(key[0])


def _entered(entries):
    """The scopes that `{key: [value, ...]}` enters, and those around them."""
    arms = [value for key, values in entries.items() if key[1:] in ARMS for value in values if isinstance(value, list | tuple)]
    scopes = gin_table.entered_scopes(entries.values()) | {name for names in arms for name in names if isinstance(name, str)}
    return {outer for scope in scopes for outer in gin_table.outer_scopes(scope)}


def _check_values(table):
    """Every literal fits its parameter, also by way of macros."""
    for key in table:
        parameter = gin_table.parameters(key[1])[0].get(key[2])
        source = key
        while (name := gin_table.macro_name(table[source])) is not None:
            source = (name, MACRO, "value")
        with _at(_places[source]):
            value = gin_table.resolve(table, table[source])
            if value is gin.REQUIRED:
                raise errors.UserError(f"{gin_table.short_name(source)} must be given a value")
            if parameter and not signatures.fits(value, parameter):
                kind = "" if value is None else f" ({type(value).__name__})"
                got = f"got {value!r}{kind}" + (f" from the macro {source[0]}" if source != key else "")
                raise errors.UserError(f"{gin_table.short_name(key)} takes {signatures.describe(parameter)}; {got}")
            if parameter and (wrong := signatures.complaint(gin_table.short_name(key), value, parameter)):
                raise errors.UserError(wrong + (f" from the macro {source[0]}" if source != key else ""))


@contextlib.contextmanager
def _at(place):
    """Puts a place in front of errors."""
    try:
        yield
    except errors.UserError as error:
        raise errors.UserError(f"{place}: {error}" if place else str(error)) from None


def _place(file, line, content):
    return f"{file}:{line}" if file else f'the binding "{content.strip()}"'


def _unknown(kind, name, known):
    return errors.unknown(kind, name, known) if known else errors.UserError(f"unknown {kind} {name!r}; there is none here")


def _first_line(error):
    return (str(error.args[0] if error.args else error).strip().splitlines() or [type(error).__name__])[0].strip('". ')
