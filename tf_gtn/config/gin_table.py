"""gin's config as a table `{(scope, selector, parameter): value}`; the one module that uses gin's private names.

Selectors are full (`teaching.Training`). A macro is a parameter like any other: its key is `(name, MACRO, "value")`.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gin import config

from tf_gtn.config import signatures

Key = tuple[str, str, str]
"""`(scope, selector, parameter)`."""
Table = dict[Key, Any]
MACRO, CONSTANT = "gin.macro", "gin.constant"  # what %NAME refers to, with the name for a scope


def bindings() -> Table:
    """The whole config."""
    return {
        (scope, selector, name): value for (scope, selector), values in config._CONFIG.items() for name, value in values.items()
    }


def used(table: Table) -> set[Key]:
    """Keys that some call so far took a value from, and the macros that these values refer to.

    A call's own record of macros is no help: gin evaluates them also for arguments that the caller then overrides.
    """
    keys = set()
    for (scope, selector), values in list(config._OPERATIVE_CONFIG.items()):
        for name in values if selector != MACRO else ():
            bound = [key for outer in outer_scopes(scope) if (key := (outer, selector, name)) in table]
            keys.update(bound[:1])  # the innermost scope wins
    return keys | {(name, MACRO, "value") for name in reachable_macros(table, [table[key] for key in keys])}


def unbind(key: Key) -> None:
    """Takes a binding out of the config, and out of what calls have taken from it."""
    scope, selector, name = key
    for values in (config._CONFIG, config._OPERATIVE_CONFIG):
        values.get((scope, selector), {}).pop(name, None)


def outer_scopes(scope: str) -> list[str]:
    """The scopes whose bindings hold in a scope, itself first: `a/b`, `a` and the empty one."""
    return [*(scope[: match.start()] for match in reversed(list(re.finditer("/|$", scope)))), ""]


def references(values: Iterable) -> list:
    """The references `@scope/name` and `%NAME` anywhere in values."""
    return list(config.iterate_references(list(values)))


def unknown_references(value: Any) -> list[str]:
    """Selectors of the references in a value to nothing that is registered."""
    return [v.selector for v in config._iterate_flattened_values(value) if isinstance(v, config._UnknownConfigurableReference)]


def entered_scopes(values: Iterable) -> set[str]:
    """The scopes that references in values enter."""
    return {"/".join(r.scopes) for r in references(values) if r.configurable.selector not in (MACRO, CONSTANT)}


def macro_name(value: Any) -> str | None:
    """The name in a `%NAME`, None for other values."""
    is_macro = isinstance(value, config.ConfigurableReference) and value.configurable.selector == MACRO
    return "/".join(value.scopes) if is_macro else None


def reachable_macros(table: Mapping[Key, Any], values: Iterable) -> set[str]:
    """Names of the macros that values refer to, directly or through macros; defined or not."""
    names: set[str] = set()
    rest = list(values)
    while rest:
        new = {name for reference in references([rest.pop()]) if (name := macro_name(reference)) is not None} - names
        names |= new
        rest += [table.get((name, MACRO, "value")) for name in new]
    return names


def resolve(table: Table, value: Any) -> Any:
    """A value with its macros and constants replaced by what they stand for."""
    if isinstance(value, config.ConfigurableReference) and value.configurable.selector == CONSTANT:
        return config._CONSTANTS["/".join(value.scopes)]
    if (name := macro_name(value)) is not None:
        return resolve(table, table[name, MACRO, "value"])
    if isinstance(value, dict):
        return {key: resolve(table, element) for key, element in value.items()}
    return type(value)(resolve(table, element) for element in value) if isinstance(value, list | tuple) else value


def registered() -> list[str]:
    """All selectors except gin's own."""
    return [selector for selector, _ in config._REGISTRY.items() if not selector.startswith("gin.")]


def matches(selector: str) -> list[str]:
    """The full selectors that a short one may mean."""
    return sorted(config._REGISTRY.matching_selectors(selector))


def parameters(selector: str) -> tuple[dict[str, inspect.Parameter], bool]:
    """`signatures.parameters` of what is registered under a full selector."""
    return signatures.parameters(config._REGISTRY[selector].wrapped)


def experiment_scopes(selector: str) -> tuple[str, ...] | None:
    """Names of the parameters of an experiment's settings whose values name scopes (`Experiment.SCOPES`); None of others."""
    registered = config._REGISTRY[selector].wrapped if selector in config._REGISTRY else None
    return getattr(registered, "SCOPES", None)


def missing_parameter(text: str) -> str | None:
    """The first parameter that gin's error about a call without it names, such as `models.Given.network`; None in others."""
    match = re.search(
        r"No values supplied by Gin or caller for arguments: \['(\w+)'.*In call to configurable '(.+?)'", text, re.S
    )
    if match is None:
        return None
    selectors = matches(match[2])
    return f"{selectors[0] if len(selectors) == 1 else match[2]}.{match[1]}"


def short_name(key: Key) -> str:
    """The parameter or macro of a key, in the shortest way that names it."""
    scope, selector, name = key
    return scope if selector == MACRO else f"{scope}/{config._REGISTRY.minimal_selector(selector)}.{name}".removeprefix("/")


def statement(key: Key, value: Any) -> str:
    """A binding as a line of a gin file, in full names."""
    scope, selector, name = key
    return f"{scope if selector == MACRO else f'{scope}/{selector}.{name}'.removeprefix('/')} = {_text(value)}"


def import_statements() -> list[str]:
    """The imports of the parsed files."""
    return sorted(statement.format() for statement in config._IMPORTS)


def imported() -> set[str]:
    """Names of the packages that the parsed files import, without this one."""
    return {statement.module.partition(".")[0] for statement in config._IMPORTS} - {"tf_gtn"}


def add_import(parsed: Any) -> None:
    """Records an import statement, for `import_statements`."""
    config._IMPORTS.add(parsed)


def _text(value):
    """A value as gin reads it, infinity included."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_text(element)}" for key, element in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value).replace("inf", "1e999") if isinstance(value, float) else repr(value)
