"""Arguments are checked by their annotations, in one way of wording."""

import dataclasses
import inspect
import math
from typing import Annotated, Literal

import numpy as np
import pytest

from tf_gtn import arguments, errors

KINDS = {"soup": 1, "stew": 2}
Kind = Annotated[str, arguments.OneOf(KINDS, "dish")]


@pytest.mark.parametrize(
    "annotation, value",
    [
        (arguments.Count, 1),
        (arguments.Count, np.int64(3)),
        (arguments.Whole, 0),
        (arguments.Positive, 1),
        (arguments.Positive, np.float32(0.1)),
        (arguments.NotNegative, 0.0),
        (arguments.Share, 1),
        (arguments.Fraction, 0.999),
        (arguments.Count | None, None),
        (tuple[arguments.Count, ...], [1, 2]),
        (tuple[arguments.Count, ...], ()),
        (tuple[arguments.Count, arguments.Share], (5, 0.5)),
        (dict[str, arguments.Count], {"a": 1}),
        (arguments.Count | tuple[arguments.Count, ...], (1, 2)),
        (arguments.Positive | Literal["auto"], "auto"),
        (Literal[True, False] | None, False),
        (Literal["end", "random"], "end"),
        (Kind, "soup"),
        (Kind | None, None),
        (int, "no constraint, no complaint"),
    ],
)
def test_a_right_value_passes(annotation, value):
    arguments.check("a.b", annotation, value)


@pytest.mark.parametrize(
    "annotation, value, words",
    [
        (arguments.Count, 0, "a.b must be at least 1; got 0"),
        (arguments.Count, 1.5, "a.b must be an integer; got 1.5"),
        (arguments.Count, True, "a.b must be an integer; got True"),
        (arguments.Count, None, "a.b must be an integer; got None"),
        (arguments.Positive, 0, "a.b must be above 0; got 0"),
        (arguments.Positive, "0.1", "a.b must be a number; got '0.1'"),
        (arguments.Positive, math.nan, "a.b must be a finite number; got nan"),
        (arguments.Positive, math.inf, "a.b must be a finite number; got inf"),
        (arguments.NotNegative, -1, "a.b must be at least 0; got -1"),
        (arguments.Share, 1.5, "a.b must be from 0 to 1; got 1.5"),
        (arguments.Fraction, 1, "a.b must be at least 0 and below 1; got 1"),
        (arguments.Count | None, 0, "a.b must be at least 1; got 0"),
        (arguments.Count | None, "3", "a.b must be None or an integer; got '3'"),
        (tuple[arguments.Count, ...], [1, 0], "a.b must be at least 1; got 0"),
        (tuple[arguments.Count, ...], 1, "a.b must be several values; got 1"),
        (dict[str, arguments.Count], {"a": 0}, "a.b must be at least 1; got 0"),
        (arguments.Count | tuple[arguments.Count, ...], [1, -2], "a.b must be at least 1; got -2"),
        (arguments.Positive | Literal["auto"], "atuo", "a.b must be 'auto' or a number; got 'atuo'"),
        (arguments.Positive | Literal["auto"], 0, "a.b must be 'auto' or above 0; got 0"),
        (Literal["end", "random"], "start", "a.b must be 'end' or 'random'; got 'start'"),
        (Literal[True, False] | None, 1, "a.b must be True or False or None; got 1"),
        (Kind, "soap", "unknown dish 'soap'; did you mean 'soup'?"),
        (Kind | None, "soap", "unknown dish 'soap'; did you mean 'soup'?"),
        (Kind, 3, "unknown dish 3; known: soup, stew"),
    ],
)
def test_a_wrong_one_is_named(annotation, value, words):
    with pytest.raises(errors.UserError) as caught:
        arguments.check("a.b", annotation, value)
    assert str(caught.value) == words


def test_what_is_registered_later_counts():
    known = {"soup": 1}
    annotation = Annotated[str, arguments.OneOf(known, "dish")]
    known["stew"] = 2
    arguments.check("a.b", annotation, "stew")


@arguments.checked("made.f")
def f(count: arguments.Count, *, share: arguments.Share = 2.0, name="x"):
    """Doc."""
    return count, share, name


def test_a_function_is_looked_at_when_it_is_called():
    assert f(2) == (2, 2.0, "x"), "a default is the author's own"
    for wrong in (lambda: f(0), lambda: f(count=0)):
        with pytest.raises(errors.UserError, match=r"^made\.f\.count must be at least 1; got 0$"):
            wrong()
    with pytest.raises(errors.UserError, match=r"^made\.f\.share must be from 0 to 1; got 2$"):
        f(1, share=2)
    with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'count'"):
        f()
    assert inspect.getfullargspec(f).args == ["count"] and f.__doc__ == "Doc." and f.__name__ == "f"


def test_a_class_is_looked_at_by_its_init():
    class Made:
        @arguments.checked("made.Made")
        def __init__(self, units: tuple[arguments.Count, ...]):
            self.units = units

    assert Made([1, 2]).units == [1, 2]
    with pytest.raises(errors.UserError, match=r"made\.Made\.units must be at least 1; got 0"):
        Made([0])


def test_all_fields_of_a_dataclass_are_looked_at_before_its_own_checks():
    @dataclasses.dataclass(frozen=True)
    @arguments.checked("made.Dish")
    class Dish:
        plates: arguments.Count = 1
        kind: Kind = "soup"
        left: int = 0

        def __post_init__(self):
            if self.plates > 3:
                raise errors.UserError("too many")

    @dataclasses.dataclass(frozen=True)
    class Large(Dish):
        plates: arguments.Count = 3

    assert Large().plates == 3
    for make, words in (
        (lambda: Dish(0), "made.Dish.plates"),
        (lambda: Large(0), "plates must be"),
        (lambda: Dish(4), "too many"),
    ):
        with pytest.raises(errors.UserError, match=words):
            make()
    with pytest.raises(TypeError, match="stands under"):
        arguments.checked("made.Dish")(Dish)


def test_what_does_nothing_is_named():
    @dataclasses.dataclass
    class Settings:
        a: int = 1
        b: tuple = ()

    arguments.no_effect("made.Settings", Settings(), ("a", "b"), "here")
    arguments.no_effect("made.Settings", Settings(b=(2,)), ("a",), "here")
    with pytest.raises(errors.UserError, match=r"^made\.Settings\.b has no effect with a = 1; got \(2,\)$"):
        arguments.no_effect("made.Settings", Settings(b=(2,)), ("b",), "with a = 1")
    arguments.no_effect("made.f", {"a": None, "b": False, "c": ()}, "abc", "here")
    with pytest.raises(errors.UserError, match=r"^made\.f\.b has no effect here; got True$"):
        arguments.no_effect("made.f", {"a": None, "b": True}, ("a", "b"), "here")


def test_the_types_alone():
    assert arguments.plain(tuple[arguments.Count, ...] | None) == (tuple[int, ...] | None)
    assert arguments.plain(dict[str, arguments.Share]) == dict[str, float]
    assert arguments.plain(Kind) is str
    assert arguments.plain(list[int]) == list[int]
    assert arguments.plain(arguments.Count | Literal["auto"]) == int | Literal["auto"]
