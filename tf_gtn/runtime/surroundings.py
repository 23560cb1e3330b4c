"""What a program was started in: streams whose reader may be gone, Ctrl-C while it loads, Keras' settings."""

import contextlib
import io
import os
import signal
import sys

from tf_gtn import errors, keras_settings
from tf_gtn.runtime import quiet


def enter() -> None:
    """For a program's first import: what goes wrong before `app.run` ends in one line, too. Imports TensorFlow."""
    open_descriptors()
    if sys.argv[0] == "-m" or os.path.basename(sys.argv[0]).startswith("gtn-"):  # not where a program is only imported
        signal.signal(signal.SIGINT, _interrupted)
    try:
        keras_settings.check()
    except errors.UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    quiet.import_tensorflow()


def keep_writing() -> None:
    """stdout and stderr drop what can't be written, or not in their encoding: a run is worth more than its words."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        former = getattr(sys, name)
        if former is None:  # it was closed when Python started
            former = io.TextIOWrapper(io.BytesIO(), line_buffering=True)
        with contextlib.suppress(OSError):
            former.flush()
        stream = io.TextIOWrapper(
            io.BufferedWriter(_Lenient(number, "w", closefd=False)),
            encoding=former.encoding,
            errors="backslashreplace",
            line_buffering=former.line_buffering or former.write_through,  # under PYTHONUNBUFFERED only the second is set
        )
        setattr(sys, name, stream)


class _Lenient(io.FileIO):
    def write(self, data):
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def open_descriptors() -> None:
    """0 to 2 lead nowhere if they were closed: a file of the run's that got such a number would be written to by others."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _interrupted(*_):
    os.write(quiet.stderr, b"interrupted before the run began\n")
    os._exit(128 + signal.SIGINT)
