"""What the parameters of a callable take, as far as a literal can contradict it: by type, and by `tf_gtn.arguments`."""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from tf_gtn import arguments

_ARTICLES = {int: "an int", float: "a float", str: "a str", bool: "a bool", tuple: "a tuple", list: "a list", dict: "a dict"}
_TAKEN = {kind: (kind,) for kind in _ARTICLES} | {float: (float, int)}
_TAKEN |= dict.fromkeys([tuple, list, collections.abc.Sequence], (tuple, list))  # gin files use either
_NUMBERS = {int, float, bool}
_LITERALS = (*_ARTICLES, bytes, complex)


def parameters(callable_or_class: Callable | type) -> tuple[dict[str, inspect.Parameter], bool]:
    """`({name: inspect.Parameter}, whether it takes any other name too)`; annotations are types where they can be."""
    function = _constructor(callable_or_class) if inspect.isclass(callable_or_class) else callable_or_class
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # an annotation is code, and may name what is imported for type checkers only
        signature = inspect.signature(function)
    named = {p.name: p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if inspect.isclass(callable_or_class) and named:
        named.pop(next(iter(signature.parameters)), None)  # self or cls
    return named, any(p.kind == p.VAR_KEYWORD for p in signature.parameters.values())


def fits(value: Any, parameter: inspect.Parameter) -> bool:
    """Whether a value may be meant for a parameter: by its annotation or, lacking one, the type of its default.

    An int is a float, a tuple a list and a list a tuple; None is no number; what is no literal fits everywhere.
    """
    return value is parameter.default or _fits(value, _annotation(parameter))


def complaint(name: str, value: Any, parameter: inspect.Parameter) -> str | None:
    """What a parameter's annotation says against a literal beyond its type, in one line with its name; None for nothing."""
    if value is parameter.default:
        return None
    return arguments.complaint(name, parameter.annotation, value, literals_only=True)


def describe(parameter: inspect.Parameter) -> str:
    """What a parameter takes, in words: `an int (default 700)`."""
    annotation = _annotation(parameter)
    words = _ARTICLES.get(annotation) if isinstance(annotation, type) else None
    default = "" if parameter.default is parameter.empty else f" (default {parameter.default!r})"
    return (words or inspect.formatannotation(annotation).replace("typing.", "")) + default


def _constructor(cls):
    """The `__init__` or `__new__` nearest to a class, which is the one that gin looks at."""
    return next(vars(base)[name] for base in cls.__mro__ for name in ("__init__", "__new__") if name in vars(base))


def _annotation(parameter):
    if parameter.annotation is not parameter.empty:
        return arguments.plain(parameter.annotation)
    return typing.Any if parameter.default is parameter.empty else type(parameter.default)


def _fits(value, annotation):
    kind, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if value is None:
        return kind not in _NUMBERS
    if type(value) not in _LITERALS:
        return True
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments if argument is not types.NoneType)
    if not isinstance(kind, type) or kind not in _TAKEN:
        return True
    if type(value) not in _TAKEN[kind]:
        return False
    if kind in (list, collections.abc.Sequence) or arguments[1:] == (...,):
        return all(_fits(element, arguments[0]) for element in value) if arguments else True
    return True
