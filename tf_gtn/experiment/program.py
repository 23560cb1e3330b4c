"""What every program shares: flags, gin, the run's folder, and how a mistake ends.

A program calls `program.run(main)`; `main(run)` gets a `Run`. A `UserError` ends in one line and exit code 2, a signal
in a saved run and exit code 128 + signal, --time_limit in one and exit code 75; with --debug the traceback comes first.
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
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gin
import keras
import tensorflow as tf
from absl import app as absl_app
from absl import flags, logging

from tf_gtn import errors, registries
from tf_gtn.config import gin_config, gin_table, registrations
from tf_gtn.experiment import command_line
from tf_gtn.experiment import gin_names as _gin_names  # noqa: F401 - analyses' settings
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, holding, loop, progress, quiet, replicas, stopping, surroundings

_PACKAGE = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass
class Run:
    """One execution of a program.

    Attributes:
      base_dir: the run's folder; "" in a dry run without one.
      seed: everything random follows from it.
      dry_run: check everything, write nothing, take no step.
      tfds_data_dir: where TFDS data sets lie, or None for TFDS' default.
      flags: absl's flag values, for those that a program adds.
      identity: comment lines with what makes a run beside its configuration: program, seed, the program's flags.
      started: time.monotonic() at the start.
      among: the processes and devices that take part.
      joined: whether the folder is another process' run, which this one helps with.
      built: whether everything is built; until then an error of a constructor is the user's.
      data: `{name: fingerprint}` of what it learns from or is tested on.
    """

    base_dir: str
    seed: int
    dry_run: bool
    tfds_data_dir: str | None
    flags: flags.FlagValues
    identity: str
    started: float
    among: replicas.Replicas = replicas.ALONE
    joined: bool = False
    built: bool = False
    data: dict[str, str] = dataclasses.field(default_factory=dict)

    def uses(self, name: str, fingerprint: str) -> None:
        """The run depends on data of that content; config.gin holds it, and a run on other data does not resume.

        Raises `UserError` if the content was another earlier in this run.
        """
        if self.data.setdefault(name, fingerprint) != fingerprint:
            raise errors.UserError(f"data {name!r} changed while the run was reading it; give the same command again")

    def ready(self, allowed: Sequence[str] = ()) -> bool:
        """Everything is built and the first step comes next: nothing configured may be without effect.

        Writes config.gin and operative_config.gin, or compares the first with that of the run that was joined; `allowed`
        parameters may differ from those that the run was started with. Returns False in a dry run, which ends here.
        """
        self.built = True
        gin_config.check_used()
        allowed = (*allowed, *command_line.ABSL, *gin_config.OBSOLETE)
        data = "".join(f"# data {name!r} = {fingerprint}\n" for name, fingerprint in self.data.items())
        config = self.identity + data + gin_config.config_str()
        if self.dry_run:
            if self.base_dir:
                base_dirs.check_same_config(os.path.expanduser(self.base_dir), config, allowed, False, gin_config.current_names)
            print("dry run: the configuration is complete; nothing was written")
            return False
        if self.among.chief:
            base_dirs.check_same_config(self.base_dir, config, allowed, not self.joined, gin_config.current_names)
        if self.among.share(checksum := zlib.crc32(config.encode())) != checksum:
            index = self.among.index
            raise errors.UserError(f"worker {index} has another configuration than worker 0: give all the same flags")
        if self.among.chief and not self.joined:
            files.write(os.path.join(self.base_dir, "operative_config.gin"), gin_config.operative_config_str())
        return True

    def schedule(self) -> loop.Schedule:
        """When it logs, saves and validates."""
        return registrations.Schedule()

    def scope(self, name: str | None) -> contextlib.AbstractContextManager:
        """See `runs.Run`: a gin scope."""
        return gin.config_scope(name)

    check_arms_differ = staticmethod(gin_config.check_arms_differ)
    check_parameter = staticmethod(gin_config.check_parameter)
    configuration = staticmethod(gin_config.config_str)

    def bound(self, scope: str, values: Mapping[str, Any]) -> contextlib.AbstractContextManager:
        """See `gin_config.bound`."""
        return gin_config.bound(scope, dict(values))

    def seconds(self) -> float:
        """Wall-clock seconds of all runs of this command in the folder, this one since its start."""
        return holding.seconds(self.base_dir, self.started)


def run(
    main: Callable[[Run], object],
    add_flags: Callable[[], None] | None = None,
    needs_gin: bool = True,
    joinable: bool = False,
    distributed: bool = False,
    system: str | None = None,
    rooms: Mapping[str, str] | None = None,
    experiments: Sequence[str] | None = None,
    where: Sequence[str] = (),
) -> None:
    """Parses flags and gin, opens `--base_dir`, calls `main(run)`, and turns its end into an exit code.

    Args:
      main: the program.
      add_flags: defines flags of its own.
      needs_gin: whether a gin file must be given.
      joinable: with the flag --join further processes work in the folder of a run, whose lock they leave alone.
      distributed: with the flag --strategy it runs on several devices or processes; those beside the chief leave the folder
        alone.
      system: a module whose gin names the program needs, imported before gin is read; if it lacks a package, that is a user's
        mistake.
      rooms, experiments: see `gin_config.parse`.
      where: flags of its own that say where it runs, not what, and may differ when it resumes.
    """
    started = time.monotonic()
    warnings.formatwarning = _format_warning
    surroundings.keep_writing()
    before = set(flags.FLAGS)
    command_line.define(joinable, distributed)
    shared = set(flags.FLAGS)
    if add_flags is not None:
        add_flags()
    particular = set(flags.FLAGS) - shared

    def parse_flags(argv):
        with _mistakes_in_one_line():
            return command_line.parse(argv, sys.modules[main.__module__].__doc__ or "", particular, shared - before)

    def body(_):
        with _mistakes_in_one_line(), progress.listening():
            values = flags.FLAGS
            command_line.take_paths_as_local(values)
            if not values.base_dir and not values.dry_run and not values.list:
                raise errors.UserError("--base_dir=DIR is needed: the folder that the run writes to")
            if needs_gin and not values.gin_file and not values.list:
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
            limit = values.time_limit
            stopping.watch(limit and limit - (time.monotonic() - started))  # after that, since importing Ray sets a handler
            gin_config.parse(values.gin_file, values.gin_bindings, rooms=rooms or {}, experiments=experiments)
            if values.list:
                print(registries.listing())
                return
            keras.utils.set_random_seed(values.seed)
            tf.config.experimental.enable_op_determinism()
            identifying = {"program": pathlib.Path(inspect.getfile(main)).stem, "seed": values.seed}
            identifying |= {name: values[name].value for name in sorted(particular - {*where})}
            identity = "".join(f"# {name} = {value}\n" for name, value in identifying.items())
            joined = joinable and values.join
            opened = base_dirs.join_base_dir(values.base_dir) if joined else base_dirs.open_base_dir(values.base_dir, started)
            if values.dry_run or not among.chief:
                opened = contextlib.nullcontext(values.base_dir or "")
            with opened as folder, files.space(folder):
                where_and_how = values.seed, values.dry_run, values.tfds_data_dir, values, identity, started, among, joined
                _build_and_go(main, Run(folder or "", *where_and_how))
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
        first, *others = str(error).splitlines() or ["?"]
        where = next((f" ({line.strip()})" for line in others if "In call to configurable" in line), "")
        raise errors.UserError(f"{first}{where}; --debug shows where it comes from") from error


def _passes_through_user_code(error):
    """Whether code of the user's was running: what a gin file imports, or a file of neither this package nor a library."""
    libraries = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots = tuple(os.path.join(os.path.realpath(path), "") for path in (*libraries, _PACKAGE, _PACKAGE.parent / "binaries"))
    imported = gin_table.imported()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if frame.f_globals.get("__name__", "").partition(".")[0] in imported:
            return True
        if os.path.isfile(file) and not os.path.realpath(file).startswith(roots):
            return True
    return False


def _format_warning(message, category, filename, lineno, line=None, *, _usual=warnings.formatwarning):
    """A `Notice` in one line, as a mistake; the place in a program's code tells a user nothing."""
    is_notice = issubclass(category, errors.Notice)
    return f"{command_line.program_name()}: {message}\n" if is_notice else _usual(message, category, filename, lineno, line)


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
        print(f"{command_line.program_name()}: {(str(error).splitlines() or ['?'])[0]}", file=sys.stderr)
        sys.exit(2)
    except files.NoSpace as error:
        print(f"{command_line.program_name()}: {error}", file=sys.stderr)
        sys.exit(os.EX_IOERR)
    except KeyboardInterrupt as error:
        number = getattr(error, "signal", signal.SIGINT)
        print(f"stopped by {stopping.name(number)}; the same command goes on from what was saved last", file=sys.stderr)
        sys.exit(stopping.exit_code(number))
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if "strategy" not in flags.FLAGS or flags.FLAGS.strategy != "multi_worker":
            raise
        lines = str(error).splitlines()
        reason = next((line for line in lines if "task" in line), lines[0]).strip()[:200]
        print(f"another worker was lost: the same commands go on from the last checkpoint ({reason})", file=sys.stderr)
        os._exit(1)  # the other threads of a broken cluster would wait for it
    except stopping.Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(stopping.exit_code(stopped.signal))
