"""What every program shares: flags, gin, the run's folder, and how a mistake ends.

A program calls `app.run(main)`; `main(run)` gets a `Run`. A `UserError` ends in one line and exit code 2, a signal
in a saved run and exit code 128 + signal; with --debug the traceback comes first.
"""

import contextlib
import dataclasses
import importlib
import inspect
import os
import pathlib
import signal
import sys
import sysconfig
import textwrap
import time
import traceback
import warnings
import zlib

import keras
import tensorflow as tf
from absl import app as absl_app
from absl import flags, logging

from tf_gtn import errors
from tf_gtn.config import gin_config, gin_table
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, holding, progress, quiet, replicas, stopping, surroundings

_PACKAGE = pathlib.Path(__file__).parents[1]
MAX_SEED = 2_000_000_000  # with what is added to it, such as a seed of tests, it stays an int32
# What config.gin has of absl's own flags if an earlier version wrote it.
_ABSL = ("?", "help", "helpfull", "helpshort", "helpxml")
_HELP = {f"{dashes}{name}" for dashes in ("-", "--") for name in ("h", "?", "help", "helpshort")}


@dataclasses.dataclass
class Run:
    """One execution of a program.

    Attributes:
      base_dir: the run's folder; None in a dry run.
      seed: everything random follows from it.
      dry_run: check everything, write nothing, take no step.
      tfds_data_dir: where TFDS data sets lie, or None for TFDS' default.
      flags: absl's flag values, for those that a program adds.
      identity: comment lines with what makes a run beside its configuration: program, seed, the program's own flags.
      started: time.monotonic() at the start.
      among: the processes and devices that take part.
      joined: whether the folder is another process' run, which this one helps with.
      built: whether everything is built; until then an error of a constructor is the user's.
      data: `{name: fingerprint}` of what it learns from or is tested on.
    """

    base_dir: str | None
    seed: int
    dry_run: bool
    tfds_data_dir: str | None
    flags: flags.FlagValues
    identity: str
    started: float
    among: replicas.Replicas = replicas.ALONE
    joined: bool = False
    built: bool = False
    data: dict = dataclasses.field(default_factory=dict)

    def uses(self, name, fingerprint):
        """The run depends on data of that content; config.gin holds it, and a run on other data does not resume.

        Raises:
          UserError: the content was another earlier in this run.
        """
        if self.data.setdefault(name, fingerprint) != fingerprint:
            raise errors.UserError(f"data {name!r} changed while the run was reading it; give the same command again")

    def ready(self, allowed=()):
        """Everything is built and the first step comes next: nothing configured may be without effect.

        `allowed` parameters may differ from those that the run was started with.

        Writes config.gin and operative_config.gin, or compares the first with that of the run that was joined; returns False
        in a dry run, which ends here once it has compared.
        """
        self.built = True
        gin_config.check_used()
        data = "".join(f"# data {name!r} = {fingerprint}\n" for name, fingerprint in self.data.items())
        config = self.identity + data + gin_config.config_str()
        if self.dry_run:
            if self.base_dir:
                base_dirs.check_same_config(os.path.expanduser(self.base_dir), config, (*allowed, *_ABSL), write=False)
            print("dry run: the configuration is complete; nothing was written")
            return False
        if self.among.chief:
            base_dirs.check_same_config(self.base_dir, config, (*allowed, *_ABSL), not self.joined)
        if self.among.share(zlib.crc32(config.encode())) != zlib.crc32(config.encode()):
            raise errors.UserError(
                f"worker {self.among.index} has another configuration than worker 0: give all the same flags"
            )
        if self.joined or not self.among.chief:
            return True
        files.write(os.path.join(self.base_dir, "operative_config.gin"), gin_config.operative_config_str())
        return True

    def seconds(self):
        """Wall-clock seconds of all runs of this command in the folder, this one since its start."""
        return holding.seconds(self.base_dir, self.started)


def define_flags(joinable=False, distributed=False):
    """The flags of every program; called once, by `run`."""
    flags.DEFINE_string("base_dir", None, "The run's folder; the same command on the same folder resumes.")
    flags.DEFINE_multi_string("gin_file", [], "A gin file: a path, or the name of a shipped one. Repeatable.")
    flags.DEFINE_multi_string("gin_bindings", [], "A gin binding such as 'OUTER_STEPS = 100'. Repeatable.")
    flags.DEFINE_integer("seed", 0, "Everything random follows from it.", 0, MAX_SEED)
    flags.DEFINE_bool("dry_run", False, "Check everything, write nothing, take no step.")
    flags.DEFINE_string("tfds_data_dir", None, "Where TFDS data sets lie.")
    flags.DEFINE_bool("debug", False, "Show where in the code an error comes from, also that of a setting.")
    flags.DEFINE_integer(
        "threads_per_operation", None, "Threads of one TensorFlow operation; 1 is faster where images are small.", lower_bound=1
    )
    if distributed:
        flags.DEFINE_enum(
            "strategy", "default", replicas.STRATEGIES, "One device, all of this machine, or TF_CONFIG's workers."
        )
    if joinable:
        flags.DEFINE_bool("join", False, "Help with the run that the same command without --join began in --base_dir.")


def run(main, add_flags=None, needs_gin=True, joinable=False, distributed=False, system=None, where=()):
    """Parses flags and gin, opens `--base_dir`, calls `main(run)`, and turns its end into an exit code.

    `distributed`: with the flag --strategy it runs on several devices or processes; those beside the chief leave the folder
    alone.
    `system`: a module whose gin names the program needs, imported before gin is read; if it lacks a package, that is a user's
    mistake.
    `where`: flags of its own that say where it runs, not what, and may differ when it resumes.
    `joinable`: with the flag --join further processes work in the folder of a run, whose lock they leave alone.
    """
    started = time.monotonic()
    warnings.formatwarning = _format_warning
    surroundings.keep_writing()
    before = set(flags.FLAGS)
    define_flags(joinable, distributed)
    shared = set(flags.FLAGS)
    if add_flags is not None:
        add_flags()
    own_flags = set(flags.FLAGS) - shared

    def parse_flags(argv):
        with _mistakes_in_one_line():
            if _HELP & set(argv[1:]):
                print(_help(inspect.getmodule(main).__doc__, own_flags, shared - before))
                sys.exit()
            return _parse_flags(argv)

    def body(_):
        with _mistakes_in_one_line(), progress.listening():
            values = flags.FLAGS
            _take_paths_as_local(values)
            if not values.base_dir and not values.dry_run:
                raise errors.UserError("--base_dir=DIR is needed: the folder that the run writes to")
            if needs_gin and not values.gin_file:
                raise errors.UserError(f"--gin_file=FILE is needed; shipped: {', '.join(gin_config.shipped())}")
            if quiet.chosen():
                logging.set_verbosity(logging.WARNING)
                tf.get_logger().setLevel("WARNING")
            if values.threads_per_operation:
                tf.config.threading.set_intra_op_parallelism_threads(values.threads_per_operation)
            among = replicas.make(values.strategy) if distributed else replicas.ALONE
            if system is not None:
                importlib.import_module(system)
            if os.getcwd() not in sys.path:  # as `python -m` does: modules of the user's own, named in gin or by a flag
                sys.path.append(os.getcwd())
            stopping.watch()  # after that, since importing Ray sets a handler
            gin_config.parse(values.gin_file, values.gin_bindings)
            keras.utils.set_random_seed(values.seed)
            tf.config.experimental.enable_op_determinism()
            own = {name: values[name].value for name in sorted(own_flags - {*where})}
            own = {"program": pathlib.Path(inspect.getfile(main)).stem, "seed": values.seed, **own}
            identity = "".join(f"# {name} = {value}\n" for name, value in own.items())
            joined = joinable and values.join
            opened = base_dirs.join_base_dir(values.base_dir) if joined else base_dirs.open_base_dir(values.base_dir, started)
            if values.dry_run or not among.chief:
                opened = contextlib.nullcontext(values.base_dir)
            with opened as folder, files.space(folder):
                given = values.seed, values.dry_run, values.tfds_data_dir, values, identity, started, among, joined
                _build_and_go(main, Run(folder, *given))
                among.share(0)  # workers wait for the chief, who serves the cluster

    absl_app.run(body, flags_parser=parse_flags)


def _build_and_go(main, run):
    try:
        main(run)
    except errors.UserError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
        if run.built or _passes_through_user_code(error):
            raise
        if (name := gin_table.missing_parameter(str(error))) is not None:
            raise errors.UserError(f"{name} must be given a value") from error
        first, *more = str(error).splitlines() or ["?"]
        where = next((f" ({line.strip()})" for line in more if "In call to configurable" in line), "")
        raise errors.UserError(f"{first}{where}; --debug shows where it comes from") from error


def _passes_through_user_code(error):
    """Whether code of the user's was running: what a gin file imports, or a file of neither this package nor a library."""
    libraries = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    known = tuple(os.path.join(os.path.realpath(path), "") for path in (*libraries, _PACKAGE, _PACKAGE.parent / "binaries"))
    imported = gin_table.imported()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if frame.f_globals.get("__name__", "").partition(".")[0] in imported:
            return True
        if os.path.isfile(file) and not os.path.realpath(file).startswith(known):
            return True
    return False


def _take_paths_as_local(values):
    """Flags may name local paths as `file:///...`."""
    for name in values:
        value = values[name].value
        if isinstance(value, str):
            values[name].value = files.local(value)
        elif isinstance(value, list):
            values[name].value = [files.local(item) if isinstance(item, str) else item for item in value]


def required(values, name):
    """The value of a flag that a program can't do without."""
    if not getattr(values, name):
        raise errors.UserError(f"--{name} is needed: {values[name].help}")
    return getattr(values, name)


def _format_warning(message, category, *place, _usual=warnings.formatwarning):
    """Of ours one line, as of a mistake; the place in a program's code tells a user nothing."""
    ours = issubclass(category, errors.Notice)
    return f"{os.path.basename(sys.argv[0])}: {message}\n" if ours else _usual(message, category, *place)


def _parse_flags(argv):
    _check_encoding(argv)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        raise errors.UserError(" ".join(str(error).split())) from None
    if rest[1:]:
        raise errors.UserError(f"{rest[1]!r} is not a flag: settings are given as --flag=value")
    return rest


def _check_encoding(argv):
    """TensorFlow takes names of files as UTF-8: Python must, too, or the two would write to different folders."""
    encoding = sys.getfilesystemencoding()
    for word in argv:
        if encoding != "utf-8" and not word.isascii():
            raise errors.UserError(f"{word!a} is read as {encoding} here, and TensorFlow needs UTF-8: set PYTHONUTF8=1")
        if any(0xD800 <= ord(character) < 0xE000 for character in word):
            raise errors.UserError(f"{word!a} is not UTF-8, which TensorFlow needs: give the file another name")


def _help(docstring, own, shared):
    """What a program is for and its flags, its own ones first."""
    lines = [docstring.strip(), "", "Flags:"]
    for name in [*sorted(own), *sorted(shared)]:
        flag = flags.FLAGS[name]
        words = flag.help.partition(";\n")[0]  # absl says of a repeatable flag how to repeat it
        words += "" if flag.boolean or flag.default in (None, []) else f" (default: {flag.default})"
        lines.append(f"  --{'[no]' if flag.boolean else ''}{name}")
        lines += textwrap.wrap(words, 110, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _print_whole_traceback(error):
    """Also of the errors that led to this one and that a message of one line leaves out."""
    link = error
    while link is not None:
        link.__suppress_context__ = False
        link = link.__cause__ or link.__context__
    traceback.print_exception(error)


@contextlib.contextmanager
def _mistakes_in_one_line():
    try:
        yield
    except errors.UserError as error:
        if "--debug" in sys.argv or (flags.FLAGS.is_parsed() and flags.FLAGS.debug):
            _print_whole_traceback(error)
        print(f"{os.path.basename(sys.argv[0])}: {(str(error).splitlines() or ['?'])[0]}", file=sys.stderr)
        sys.exit(2)
    except files.NoSpace as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        sys.exit(os.EX_IOERR)
    except KeyboardInterrupt as error:
        number = getattr(error, "signal", signal.SIGINT)
        print(f"stopped by {number.name}; the same command goes on from what was saved last", file=sys.stderr)
        sys.exit(128 + number)
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if "strategy" not in flags.FLAGS or flags.FLAGS.strategy != "multi_worker":
            raise
        lines = str(error).splitlines()
        reason = next((line for line in lines if "task" in line), lines[0]).strip()[:200]
        print(f"another worker was lost: the same commands go on from the last checkpoint ({reason})", file=sys.stderr)
        os._exit(1)  # the other threads of a broken cluster would wait for it
    except stopping.Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signal)
