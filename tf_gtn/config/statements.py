"""gin files as statements: found by name, read as text, parsed; what is wrong is named with its place."""

import contextlib
import os
import pathlib
import re
import tokenize
from collections.abc import Collection, Iterator
from typing import Any

import tensorflow as tf
from gin import config, config_parser

from tf_gtn import errors

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
GIN_DIR = _PACKAGE / "gin" if (_PACKAGE / "gin").is_dir() else _PACKAGE.parent / "gin"  # in a wheel, in the repository


def shipped() -> list[str]:
    """Names of the gin files that come with the package, such as `gin/teaching/digits.gin`."""
    return sorted(f"gin/{path.relative_to(GIN_DIR).as_posix()}" for path in GIN_DIR.rglob("*.gin"))


def read(name: str, folder: str, including: Collection[str]) -> tuple[str, str]:
    """The path and text of a gin file.

    Args:
      name: a path, or the name of a shipped file.
      folder: of the file that includes it, which is looked into first.
      including: paths of the files around it.

    Raises:
      UserError: there is no such file, it is not text, or it includes itself.
    """
    try:
        path = _find(name, folder)
        if path in including:
            raise errors.UserError(f"the gin file {name} includes itself")
        with tf.io.gfile.GFile(path, "rb") as file:
            return path, file.read().decode("utf-8-sig")  # editors of Windows put a byte order mark in front
    except tf.errors.OpError as error:
        raise errors.UserError(f"cannot read the gin file {name}: {first_line(error)}") from None
    except UnicodeDecodeError:
        raise errors.UserError(f"cannot read the gin file {name}: it is not text in UTF-8") from None


def parsed(text: str, file: str | None, macros: Collection[str]) -> Iterator[Any]:
    """Yields gin's statements, references to what is unknown among them. `macros`: names of those that were set before."""
    try:
        parser = config_parser.ConfigParser(text, config.ParserDelegate(skip_unknown=True))
        while (statement := parser.parse_statement()) is not None:
            yield statement
    except Exception as error:  # gin's parser, the tokenizer and `literal_eval` raise nearly anything
        lines = text.splitlines() or [""]
        number = min(getattr(error, "lineno", None) or len(lines), len(lines))
        raise errors.UserError(f"{place(file, number, lines[number - 1])}: {_syntax(error, macros)}") from None


def _syntax(error, macros):
    """What the parser did not like, with a thought for forgotten quotes and percent signs."""
    token = re.search(r"Failed to parse token '(\w+)'", str(error))
    if token is None:
        kind = "bad syntax: " if isinstance(error, SyntaxError | tokenize.TokenError) else ""
        hint = "; a string needs quotes" if re.search("Unable to parse value|Expected newline", str(error)) else ""
        return kind + first_line(error) + hint
    token = token[1]
    if token.capitalize() in ("True", "False", "None"):
        return f"{token} is not a value; did you mean {token.capitalize()}?"
    if token in macros:
        return f"{token} is not a value; did you mean %{token}?"
    return f"{token} is not a value; a string needs quotes: {token!r}"


@contextlib.contextmanager
def at(place: str | None) -> Iterator[None]:
    """Puts a place in front of errors."""
    try:
        yield
    except errors.UserError as error:
        raise errors.UserError(f"{place}: {error}" if place else str(error)) from None


def place(file: str | None, line: int, content: str) -> str:
    """Of a statement: file and line, or the binding of the command line."""
    return f"{file}:{line}" if file else f'the binding "{content.strip()}"'


def unknown(kind: str, name: str, known: Collection[str]) -> errors.UserError:
    """As `errors.unknown`, also where nothing is known."""
    return errors.unknown(kind, name, known) if known else errors.UserError(f"unknown {kind} {name!r}; there is none here")


def first_line(error: BaseException) -> str:
    """Of what an error says."""
    return (str(error.args[0] if error.args else error).strip().splitlines() or [type(error).__name__])[0].strip('". ')


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
    raise unknown("gin file", name, {*beside, *shipped()})
