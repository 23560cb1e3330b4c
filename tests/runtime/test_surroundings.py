"""Programs where their surroundings are not as they should be: one line, or a run that goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests import programs
from tf_gtn import errors, keras_settings


def start(*command, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*command], cwd=programs.ROOT, text=True, **{**pipes, **options})


def closed():
    """A descriptor whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    return write


KERAS = {
    "variable": ({}, "jax", ["KERAS_BACKEND is 'jax'", "set KERAS_BACKEND=tensorflow"]),
    "backend": ({"backend": "torch"}, None, ["keras.json", "'torch'", "KERAS_BACKEND"]),
    "channels": ({"image_data_format": "channels_first"}, "tensorflow", ["keras.json", "image_data_format", "channels_first"]),
    "floatx": ({"floatx": "float16"}, None, ["keras.json", "floatx", "float16"]),
    "no object": ([], None, ["keras.json"]),
}


@pytest.mark.parametrize("what", KERAS)
def test_keras_as_it_must_not_be(what, tmp_path, monkeypatch):
    settings, variable, words = KERAS[what]
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if variable:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    with pytest.raises(errors.UserError) as caught:
        keras_settings.check()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", '{"backend": "tensorflow", "image_data_format": "channels_last"}'])
def test_keras_as_it_may_be(text, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if text is not None:
        (tmp_path / "keras.json").write_text(text)
    keras_settings.check()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')  # the variable goes first
    keras_settings.check()


def test_a_program_says_it_before_it_imports_anything():
    done = start(sys.executable, "-m", "binaries.train_gtn", env={**os.environ, "KERAS_BACKEND": "jax"})
    _, stderr = done.communicate()
    assert done.returncode == 2 and len(stderr.splitlines()) == 1 and "KERAS_BACKEND" in stderr


def test_ctrl_c_while_tensorflow_is_imported_is_one_line():
    program = start(sys.executable, "-m", "binaries.train_gtn")
    while "tensorflow" not in open(f"/proc/{program.pid}/maps").read():  # noqa: SIM115
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate()
    assert program.returncode == 128 + signal.SIGINT and stderr == "interrupted before the run began\n"


STREAMS = """
import sys
from tf_gtn.runtime import surroundings
surroundings.open_descriptors()
surroundings.keep_writing()
for _ in range(10_000):
    print("a line")
    print("another", file=sys.stderr)
sys.stdout.flush()
with open(sys.argv[1], "w") as file:
    file.write(f"{file.fileno()}")
"""


@pytest.mark.parametrize("closing", ["", "2>&-", "1>&- 2>&-", "0>&- 1>&-"])
def test_words_that_nobody_reads_do_no_harm(closing, tmp_path):
    """Nor do they end in a file of the run's."""
    command = [sys.executable, "-c", STREAMS, tmp_path / "file"]
    done = start("sh", "-c", f'exec "$@" {closing}', "sh", *command, stdout=closed(), stderr=closed())
    assert done.wait() == 0 and int((tmp_path / "file").read_text()) > 2


def test_words_in_another_encoding_do_no_harm():
    code = "import sys\nfrom tf_gtn.runtime import surroundings\nsurroundings.keep_writing()\nprint('\\u00e9\\udcff')"
    done = start(sys.executable, "-c", code, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.communicate() == ("\\xe9\\udcff\n", "") and done.returncode == 0


def test_a_program_ends_well_without_stderr_and_without_a_reader():
    program = [sys.executable, "-m", "binaries.train_gtn", "--gin_file=gin/teaching/digits.gin", "--dry_run"]
    done = start("sh", "-c", 'exec "$@" 2>&-', "sh", *program, stdout=closed(), stderr=None)
    assert done.wait() == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_line_is_written_even_if_the_process_ends_at_once(unbuffered):
    code = "import os, sys; from tf_gtn.runtime import surroundings; surroundings.keep_writing()"
    code += "; print('lost', file=sys.stderr); os._exit(1)"
    done = start(sys.executable, "-c", code, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.communicate()[1] == "lost\n" and done.returncode == 1
