"""What arguments must be, said by their annotations: a type, its range and its documentation are one thing.

    @dataclasses.dataclass(frozen=True)
    @arguments.checked("nas.Evolution")
    class Evolution:
        population: arguments.Count = 20          # nas.Evolution.population must be at least 1; got 0

    @arguments.checked("models.perceptron")
    def perceptron(inputs: int, outputs: int, units: tuple[arguments.Count, ...] = (64,)): ...

`checked` looks at every call; a gin file is looked at when it is read (`config.gin_config`), so that the place of a wrong value
is named before anything is built. An annotation that says no more than a type is looked at in gin files alone.
"""

import collections.abc
import dataclasses
import functools
import inspect
import math
import numbers
import operator
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar

from tf_gtn import errors

_Checked = TypeVar("_Checked", bound=Callable[..., Any])
_SEQUENCES = (tuple, list, collections.abc.Sequence)
_TYPES = ("an integer", "a number", "several values")  # of which type a value must be, in words


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers that `fits` holds for; `words` say which: `at least 1`."""

    words: str
    fits: Callable[[float], bool]

    def __repr__(self) -> str:
        return self.words


def at_least(low: float) -> Range:
    """`x >= low`."""
    return Range(f"at least {low}", lambda x: x >= low)


def above(low: float) -> Range:
    """`x > low`."""
    return Range(f"above {low}", lambda x: x > low)


def below(high: float) -> Range:
    """`x < high`."""
    return Range(f"below {high}", lambda x: x < high)


def between(low: float, high: float) -> Range:
    """`low <= x <= high`."""
    return Range(f"from {low} to {high}", lambda x: low <= x <= high)


@dataclasses.dataclass(frozen=True, eq=False)
class OneOf:
    """A name among those known, such as the keys of a registry.

    Attributes:
      known: looked at when a value comes, so that what is registered later counts.
      kind: of the things that have these names, in words: `unknown loss 'lst'; did you mean 'last'?`.
    """

    known: Collection[str]
    kind: str


Count = Annotated[int, at_least(1)]
"""How many."""
Whole = Annotated[int, at_least(0)]
"""How many, none among them."""
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, at_least(0)]
Share = Annotated[float, between(0, 1)]
MAX_SEED = 2_000_000_000  # with what is added to it, such as a seed of tests, it stays an int32
Seed = Annotated[int, between(0, MAX_SEED)]
Fraction = Annotated[float, at_least(0), below(1)]
"""Such as a momentum, which is a part of what was and never all of it."""


def checked(where: str) -> Callable[[_Checked], _Checked]:
    """Decorator of a function, an `__init__` or, under `@dataclasses.dataclass`, a class: its arguments fit their annotations.

    Arguments that a call leaves to their defaults are not looked at; of a dataclass all fields are, before its own
    `__post_init__`. A wrong one raises `UserError`: `<where>.<name> must be at least 1; got 0`.

    Args:
      where: what has these arguments, in the words of gin where it knows the thing: `teaching.Training`.
    """

    def decorate(made: _Checked) -> _Checked:
        return typing.cast(_Checked, _checked_class(made, where) if inspect.isclass(made) else _checked_function(made, where))

    return decorate


def check(where: str, annotation: Any, value: Any) -> None:
    """Raises `UserError` unless a value fits an annotation; `where` names it in full: `teaching.Training.learners`."""
    found = complaint(where, annotation, value)
    if found:
        raise errors.UserError(found)


def check_fields(where: str, values: Any) -> None:
    """Raises `UserError` unless each field of a dataclass fits its annotation; `where` names the class."""
    for field in dataclasses.fields(values):
        check(f"{where}.{field.name}", field.type, getattr(values, field.name))


def complaint(where: str, annotation: Any, value: Any, literals_only: bool = False) -> str | None:
    """What is wrong with a value in one line, None if it fits; `literals_only` lets everything pass that is no literal."""
    found = _wrong(annotation, value, literals_only)
    if found is None:
        return None
    return str(found) if isinstance(found, errors.UserError) else f"{where} must be {found[0]}; got {found[1]!r}"


def no_effect(where: str, values: Any, names: Collection[str], why: str) -> None:
    """Raises `UserError` for the first of some settings that was set and does nothing.

    Args:
      where: what has them, such as `gan.Unrolled`.
      values: a dataclass, whose field was set if it has another value than its default; or `{name: value}`, where one was set
        unless it is None, False, or empty.
      names: of those that have no effect.
      why: such as `with 0 unrolled steps`.
    """
    if isinstance(values, Mapping):
        given = {name: value for name, value in values.items() if not any(value is nothing for nothing in (None, False, ()))}
    else:
        given = {}
        for field in dataclasses.fields(values):
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            if getattr(values, field.name) != default:
                given[field.name] = getattr(values, field.name)
    for name, value in given.items():
        if name in names:
            raise errors.UserError(f"{where}.{name} has no effect {why}; got {value!r}")


def constrained(annotation: Any) -> bool:
    """Whether anything in an annotation says more than a type; a `Literal` does."""
    if isinstance(annotation, (list, tuple)):  # the arguments of a Callable
        return any(map(constrained, annotation))
    if typing.get_origin(annotation) is Literal:
        return True
    return any(isinstance(each, Range | OneOf) for each in getattr(annotation, "__metadata__", ())) or any(
        map(constrained, typing.get_args(annotation))
    )


def plain(annotation: Any) -> Any:
    """An annotation without what it says beyond types: `tuple[Count, ...] | None` -> `tuple[int, ...] | None`."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return plain(inside[0])
    if origin is Literal or not constrained(annotation):
        return annotation
    inside = tuple(each if each is Ellipsis else plain(each) for each in inside)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, inside)
    return origin[inside] if origin is not None else annotation


def _checked_class(cls, where):
    if "__dataclass_params__" in vars(cls):
        raise TypeError(f"@arguments.checked stands under @dataclasses.dataclass of {cls.__name__}, not above it")
    own = getattr(cls, "__post_init__", None)

    def __post_init__(self):
        check_fields(where, self)
        if own is not None:
            own(self)

    cls.__post_init__ = __post_init__
    return cls


def _checked_function(function, where):
    signature = inspect.signature(function)
    wanted = {name: p.annotation for name, p in signature.parameters.items() if constrained(p.annotation)}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # in the function's own words
            return function(*args, **kwargs)
        for name, annotation in wanted.items():
            if name in given:
                check(f"{where}.{name}", annotation, given[name])
        return function(*args, **kwargs)

    made: Any = wrapper
    made.__signature__ = signature  # gin asks for it, and does not look through decorators
    return made


def _wrong(annotation, value, literals_only):
    """None if a value fits; else `(what it must be, the value that is not)`, or the `UserError` of an unknown name."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if not constrained(annotation) or (literals_only and not _literal(value)):
        return None
    if origin is Annotated:
        return _wrong_number_or_name(inside[0], annotation.__metadata__, value)
    if origin is Literal:
        return None if _is(value, annotation) else (" or ".join(map(repr, inside)), value)
    if origin in (typing.Union, types.UnionType):
        return _wrong_for_all(inside, value, literals_only)
    if origin in _SEQUENCES:
        if not isinstance(value, tuple | list):
            return "several values", value
        each = inside[:1] * len(value) if len(inside) != len(value) or inside[-1] is Ellipsis else inside
        return _first(_wrong(a, v, literals_only) for a, v in zip(each, value))
    if origin in (dict, collections.abc.Mapping) and isinstance(value, Mapping):
        return _first(_wrong(a, v, literals_only) for pair in value.items() for a, v in zip(inside, pair))
    return None


def _wrong_number_or_name(kind, constraints, value):
    names = [each for each in constraints if isinstance(each, OneOf)]
    if names:
        known = names[0].known
        return None if isinstance(value, str) and value in known else errors.unknown(names[0].kind, value, known)
    if isinstance(kind, type) and issubclass(kind, int | float):
        wanted = numbers.Integral if issubclass(kind, int) else numbers.Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            return "an integer" if wanted is numbers.Integral else "a number", value
        if not math.isfinite(value):
            return "a finite number", value
    ranges = [each for each in constraints if isinstance(each, Range)]
    fits = all(each.fits(value) for each in ranges)
    return None if fits else (" and ".join(each.words for each in ranges), value)


def _wrong_for_all(kinds, value, literals_only):
    """What the first kind with a constraint says of a value that is none of a union's."""
    says = []
    for kind in kinds:
        if constrained(kind) and typing.get_origin(kind) is not Literal:
            found = _wrong(kind, value, literals_only)
            if found is None:
                return None
            says.append(found)
        elif _is(value, kind):
            return None
    others = [repr(each) for kind in kinds if typing.get_origin(kind) is Literal for each in typing.get_args(kind)]
    of_its_type = [found for found in says if isinstance(found, errors.UserError) or found[0] not in _TYPES]
    if types.NoneType in kinds and not of_its_type:
        others.append("None")
    if not says:
        return " or ".join(others), value
    found = (of_its_type or says)[0]
    return found if isinstance(found, errors.UserError) else (" or ".join([*others, found[0]]), found[1])


def _is(value, kind):
    if kind is Any:
        return True
    if typing.get_origin(kind) is Literal:
        return any(type(value) is type(each) and value == each for each in typing.get_args(kind))
    kind = typing.get_origin(kind) or kind
    if kind is int or kind is float:
        wanted = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, wanted) and not isinstance(value, bool)
    return (kind is collections.abc.Callable and callable(value)) or (isinstance(kind, type) and isinstance(value, kind))


def _literal(value):
    return value is None or isinstance(value, bool | int | float | str | bytes | tuple | list | dict)


def _first(found):
    return next((each for each in found if each is not None), None)
