"""What a configuration as a whole must be: nothing in it is unknown, misspelt, of the wrong kind, or without effect."""

import dataclasses
from collections.abc import Collection, Iterable

import gin

from tf_gtn import errors
from tf_gtn.config import gin_table, signatures
from tf_gtn.config.gin_table import MACRO
from tf_gtn.config.statements import at, unknown

# The programs that know a name, or all of a module, where the one that runs does not.
PROGRAMS = {
    "teaching.Comparison": "compare_treatments or train_gtn",
    "teaching.Tuning": "tune_gtn",
    **dict.fromkeys(("gan", "gans"), "train_unrolled_gan"),
    "rl.Leap": "train_leap",
    **dict.fromkeys(("rl", "networks"), "train_cartpole_gtn or train_a2c"),
    **{f"nas.{name}": "search_architectures" for name in ("Search", "GTN", "Real", "Random", "Evolution", "TPE")},
    "dynamics": "run_dynamics",
    "transfer": "train_leap",
}


@dataclasses.dataclass
class Bound:
    """What was bound, by the keys of `gin_table`.

    Attributes:
      places: where each was bound last: "file:line", or the binding itself.
      command_line: those bound last on the command line.
      ever: every value that was bound, also those that a later binding replaced.
      left: scopes that files set something for, and that only replaced bindings refer to.
    """

    places: dict = dataclasses.field(default_factory=dict)
    command_line: set = dataclasses.field(default_factory=set)
    ever: dict = dataclasses.field(default_factory=dict)
    left: set = dataclasses.field(default_factory=set)


def check(bound: Bound, known_scopes: Iterable[str], known_experiments: Collection[str] | None) -> None:
    """Raises `UserError` for what is wrong with gin's config; see `gin_config.parse`."""
    _check_experiments(gin_table.bindings(), bound, known_experiments)
    _check_scopes(gin_table.bindings(), bound, known_scopes)
    _check_macros(gin_table.bindings(), bound)
    _check_values(gin_table.bindings(), bound)


def _check_macros(table, bound):
    """A macro referred to is defined, not in terms of itself; a macro defined is, in the end, referred to by a parameter.

    A file's macro that only replaced bindings refer to goes: whoever sets the parameter itself need not know of it.
    """
    defined = {scope for scope, selector, _ in table if selector == MACRO}
    for key, value in table.items():
        reached = gin_table.reachable_macros(table, [value])
        with at(bound.places[key]):
            for name in sorted(reached - defined):
                raise unknown("macro", name, defined)
            if key[1] == MACRO and key[0] in reached:
                raise errors.UserError(f"the macro {key[0]} refers to itself")
    referred = gin_table.reachable_macros(table, [value for key, value in table.items() if key[1] != MACRO])
    for name in sorted(defined - referred):
        macro = name, MACRO, "value"
        users = [k for k in bound.ever if k[1] != MACRO and name in gin_table.reachable_macros(bound.ever, bound.ever[k])]
        with at(bound.places[macro]):
            if not users:
                raise unknown("macro", name, referred)
            if macro in bound.command_line:
                raise errors.UserError(
                    f"the macro {name} does nothing here: {gin_table.short_name(users[0])}, which referred to it, is set to "
                    "another value"
                )
        gin_table.unbind(macro)


def _check_experiments(table, bound, known):
    """Nothing is set of an experiment that another program does."""
    for key in table:
        name = key[1]
        if known is not None and name not in known and gin_table.experiment_scopes(name) is not None:
            with at(bound.places[key]):
                program = PROGRAMS.get(name) or PROGRAMS.get(name.split(".")[0])
                raise errors.UserError(f"{name} belongs to another program" + (f": {program}" if program else ""))


def _check_scopes(table, bound, known_scopes):
    """The scope of a parameter is entered by some reference, by an experiment's arms, or by the program.

    What a file sets in a scope that only replaced bindings refer to goes: whoever takes other arms need not know of it.
    """
    now, ever = (_entered(entries) | {"", *known_scopes} for entries in ({k: [v] for k, v in table.items()}, bound.ever))
    for key in table:
        if key[1] != MACRO and key[0] not in now:
            with at(bound.places[key]):
                if key[0] not in ever or key in bound.command_line:
                    raise unknown("scope", key[0], now - {""})
            gin_table.unbind(key)
            bound.left.add(key[0])


def _entered(entries):
    """The scopes that `{key: [value, ...]}` enters, and those around them."""
    arms = [
        value
        for (_, selector, name), values in entries.items()
        if name in (gin_table.experiment_scopes(selector) or ())
        for value in values
        if isinstance(value, list | tuple)
    ]
    scopes = gin_table.entered_scopes(entries.values()) | {name for names in arms for name in names if isinstance(name, str)}
    return {outer for scope in scopes for outer in gin_table.outer_scopes(scope)}


def _check_values(table, bound):
    """Every literal fits its parameter, also by way of macros."""
    for key in table:
        parameter = gin_table.parameters(key[1])[0].get(key[2])
        source = key
        while (name := gin_table.macro_name(table[source])) is not None:
            source = (name, MACRO, "value")
        with at(bound.places[source]):
            value = gin_table.resolve(table, table[source])
            if value is gin.REQUIRED:
                raise errors.UserError(f"{gin_table.short_name(source)} must be given a value")
            if parameter and not signatures.fits(value, parameter):
                kind = "" if value is None else f" ({type(value).__name__})"
                got = f"got {value!r}{kind}" + (f" from the macro {source[0]}" if source != key else "")
                raise errors.UserError(f"{gin_table.short_name(key)} takes {signatures.describe(parameter)}; {got}")
            if parameter and (wrong := signatures.complaint(gin_table.short_name(key), value, parameter)):
                raise errors.UserError(wrong + (f" from the macro {source[0]}" if source != key else ""))
