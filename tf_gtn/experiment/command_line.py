"""The flags of every program, what --help says, and words that can't be read."""

import os
import sys
import textwrap
from collections.abc import Iterable, Sequence

from absl import flags

from tf_gtn import arguments, errors
from tf_gtn.runtime import files, replicas

# What config.gin has of absl's own flags if an earlier version wrote it.
ABSL = ("?", "help", "helpfull", "helpshort", "helpxml")
_HELP = {f"{dashes}{name}" for dashes in ("-", "--") for name in ("h", "?", "help", "helpshort")}


def define(joinable: bool = False, distributed: bool = False) -> None:
    """The flags of every program; called once."""
    flags.DEFINE_string("base_dir", None, "The run's folder; the same command on the same folder resumes.")
    flags.DEFINE_multi_string("gin_file", [], "A gin file: a path, or the name of a shipped one. Repeatable.")
    flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'OUTER_STEPS = 100'. Repeatable.")
    flags.DEFINE_integer("seed", 0, "Everything random follows from it.", 0, arguments.MAX_SEED)
    flags.DEFINE_bool("dry_run", False, "Check everything, write nothing, take no step.")
    flags.DEFINE_string("tfds_data_dir", None, "Where TFDS data sets lie.")
    flags.DEFINE_bool("list", False, "Print what can be named, that of modules which a gin file imports among it, and end.")
    flags.DEFINE_bool("debug", False, "Show where in the code an error comes from, also that of a setting.")
    threads = "Threads of one TensorFlow operation; 1 is faster where images are small."
    flags.DEFINE_integer("threads_per_operation", None, threads, lower_bound=1)
    limit = (
        "Seconds after which the present outer step is saved and the run ends with exit code 75, to go on by the same command."
    )
    flags.DEFINE_float("time_limit", None, limit, lower_bound=1.0)
    if distributed:
        devices = "One device, all of this machine, or TF_CONFIG's workers."
        flags.DEFINE_enum("strategy", "default", replicas.STRATEGIES, devices)
    if joinable:
        flags.DEFINE_bool("join", False, "Help with the run that the same command without --join began in --base_dir.")


def parse(argv: Sequence[str], docstring: str, particular: Iterable[str], shared: Iterable[str]) -> list[str]:
    """Sets the flags of the command line `argv`; prints what --help says, and ends, if asked to.

    `docstring` is the program's; `particular` and `shared` are names of its flags, and of those of all programs. Raises
    `UserError` if a word is no flag, or no value of it, or in an encoding that TensorFlow can't read.
    """
    if _HELP & set(argv[1:]):
        print(_help(docstring, particular, shared))
        sys.exit()
    _check_encoding(argv)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        raise errors.UserError(" ".join(str(error).split())) from None
    if rest[1:]:
        raise errors.UserError(f"{rest[1]!r} is not a flag: settings are given as --flag=value")
    return rest


def take_paths_as_local(values: flags.FlagValues) -> None:
    """Flags may name local paths as `file:///...`."""
    for name in values:
        value = values[name].value
        if isinstance(value, str):
            values[name].value = files.local(value)
        elif isinstance(value, list):
            values[name].value = [files.local(item) if isinstance(item, str) else item for item in value]


def required(values: flags.FlagValues, name: str) -> str:
    """The value of a flag that a program can't do without."""
    if not getattr(values, name):
        raise errors.UserError(f"--{name} is needed: {values[name].help}")
    return getattr(values, name)


def program_name() -> str:
    """As it stands in front of what the program says."""
    return os.path.basename(sys.argv[0])


def _check_encoding(argv):
    """TensorFlow takes names of files as UTF-8: Python must, too, or the two would write to different folders."""
    encoding = sys.getfilesystemencoding()
    for word in argv:
        if encoding != "utf-8" and not word.isascii():
            raise errors.UserError(f"{word!a} is read as {encoding} here, and TensorFlow needs UTF-8: set PYTHONUTF8=1")
        if any(0xD800 <= ord(character) < 0xE000 for character in word):
            raise errors.UserError(f"{word!a} is not UTF-8, which TensorFlow needs: give the file another name")


def _help(docstring, particular, shared):
    """What a program is for and its flags, those that it alone has first."""
    lines = [docstring.strip(), "", "Flags:"]
    for name in [*sorted(particular), *sorted(shared)]:
        flag = flags.FLAGS[name]
        words = flag.help.partition(";\n")[0]  # absl says of a repeatable flag how to repeat it
        words += "" if flag.boolean or flag.default in (None, []) else f" (default: {flag.default})"
        lines.append(f"  --{'[no]' if flag.boolean else ''}{name}")
        lines += textwrap.wrap(words, 110, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
