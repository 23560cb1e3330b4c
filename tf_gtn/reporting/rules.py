"""The small language of a claim's `rule`: comparisons of named numbers, such as `ci95[0] > real_ci95[1]`.

    and  or  not    <  <=  >  >=  ==  !=  (also chained)    +  -  *  /    abs(x)  min(...)  max(...)    x[0]    numbers  names

Nothing else is accepted, so a rule from any file can be evaluated.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 500  # characters

_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SIGNS: dict[type[ast.unaryop], Callable[..., Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}


class _Missing(Exception):
    """A number that the rule needs isn't there, or isn't finite."""


def evaluate(rule: str, numbers: Mapping[str, Any]) -> bool:
    """Whether a rule holds; False if any number in it is None, NaN or infinite, wherever it stands in the rule.

    Args:
      rule: text.
      numbers: `{name: number, None or list of those}`.

    Raises:
      ValueError: the rule isn't in the language, names something else than `numbers`, or isn't a comparison.
    """
    tree = _parsed(rule)
    try:
        value = _value(tree, numbers)
    except _Missing:
        return False
    except (ValueError, RecursionError) as error:
        raise ValueError(f"rule {rule!r}: {error}") from None
    if not isinstance(value, bool):
        raise ValueError(f"rule {rule!r} is not a comparison")
    return value


def names(rule: str) -> list[str]:
    """The names of the numbers in a rule, in the order in which they stand."""
    tree = _parsed(rule)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    variables = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return list(dict.fromkeys(node.id for node in sorted(variables, key=lambda node: (node.lineno, node.col_offset))))


def _parsed(rule):
    if not isinstance(rule, str):
        raise ValueError(f"a rule is a text; got {rule!r}")
    if len(rule) > _LONGEST:
        raise ValueError(f"a rule has at most {_LONGEST} characters; got {len(rule)}")
    try:
        return ast.parse(rule.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"rule {rule!r} can't be read: {getattr(error, 'msg', error)}") from None


def _value(node, numbers):
    """The value of a node: a bool, a finite number or a list of numbers. Evaluates all parts, also of `or`."""
    match node:
        case ast.BoolOp():
            parts = [_bool(part, numbers) for part in node.values]
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        case ast.UnaryOp(op=ast.Not()):
            return not _bool(node.operand, numbers)
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            return _SIGNS[type(node.op)](_number(node.operand, numbers))
        case ast.Compare() if all(type(op) in _COMPARISONS for op in node.ops):
            parts = [_number(part, numbers) for part in (node.left, *node.comparators)]
            return all(_COMPARISONS[type(op)](*pair) for op, *pair in zip(node.ops, parts, parts[1:]))
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            return _finite(_ARITHMETIC[type(node.op)], _number(node.left, numbers), _number(node.right, numbers))
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS and node.args:
            return _called(name, node.args, numbers)
        case ast.Subscript():
            return _item(node, numbers)
        case ast.Constant() if type(node.value) in (int, float):
            return _finite(float, node.value)
        case ast.Name():
            if node.id not in numbers:
                raise ValueError(f"unknown number {node.id!r}; known: {', '.join(sorted(numbers))}")
            return _checked(numbers[node.id])
    raise ValueError(f"{ast.unparse(node)!r} is not allowed")


def _bool(node, numbers):
    value = _value(node, numbers)
    if not isinstance(value, bool):
        raise ValueError(f"{ast.unparse(node)!r} is not a comparison")
    return value


def _number(node, numbers):
    value = _value(node, numbers)
    if isinstance(value, list | tuple):
        raise ValueError(f"{ast.unparse(node)!r} is a list, not a number")
    return _finite(float, value)


def _called(name, args, numbers):
    """`abs(number)`; `min` and `max` of numbers, or of one list."""
    if len(args) == 1 and name != "abs":
        values = _value(args[0], numbers)
        values = [_checked(v) for v in values] if isinstance(values, list | tuple) else [_number(args[0], numbers)]
    else:
        values = [_number(arg, numbers) for arg in args]
    if not values:
        raise _Missing
    if name == "abs":
        if len(values) > 1:
            raise ValueError("abs takes one number")
        return abs(values[0])
    return _FUNCTIONS[name](values)


def _item(node, numbers):
    values = _value(node.value, numbers)
    index = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if not isinstance(values, list | tuple) or type(index) is not int:
        raise ValueError(f"{ast.unparse(node)!r} is not an item of a list by its number")
    if index >= len(values):
        raise _Missing
    return _checked(values[index])


def _checked(value):
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise _Missing
    return value


def _finite(function, *args):
    try:
        return _checked(function(*args))
    except (ZeroDivisionError, OverflowError):
        raise _Missing from None
