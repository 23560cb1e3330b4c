"""One run at a time in a folder, with one configuration, and files that are whole or absent."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import base_dir, files, holding


def opened(path):
    with base_dir.open_base_dir(str(path)) as folder:
        return folder


def refused(path):
    with pytest.raises(errors.UserError) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_creates_the_folder_and_can_be_opened_again(tmp_path):
    for _ in range(2):
        assert opened(tmp_path / "a" / "b") == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened("~/runs") == str(tmp_path / "runs")


def test_lets_go_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), base_dir.open_base_dir(str(tmp_path)):
        raise ZeroDivisionError
    opened(tmp_path)


def test_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file") == f"base_dir {tmp_path}/file is a file"
    assert refused(tmp_path / "file" / "run") == f"base_dir {tmp_path}/file/run can't be written to: Not a directory"


def test_not_writable(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert refused(tmp_path) == f"base_dir {tmp_path} can't be written to: Permission denied"


def test_an_unknown_file_system():
    assert refused("nowhere://run").startswith("base_dir nowhere://run can't be written to: ")


def test_a_local_path_as_a_url_is_locked_too(tmp_path):
    with base_dir.open_base_dir(f"file://{tmp_path}/run") as folder:
        assert folder == f"{tmp_path}/run" and refused(tmp_path / "run").startswith("another run is using")
        assert refused(f"file://localhost{tmp_path}/run").startswith("another run is using")
    assert "host 'runs'" in refused("file://runs/1")


def test_remote_folders_are_not_locked():
    path = "ram://run"
    with base_dir.open_base_dir(path), base_dir.open_base_dir(path):
        base_dir.check_same_config(path, CONFIG)
        base_dir.check_same_config(path, CONFIG)
    assert tf.io.gfile.listdir(path) == ["config.gin"]


@pytest.mark.parametrize("how", ["deleted", "replaced", "lock"])
def test_a_folder_that_is_not_the_one_that_was_locked_is_not_written_to(how, tmp_path):
    path = tmp_path / "run"
    with base_dir.open_base_dir(str(path)):
        files.write(f"{path}/a", "1")
        if how == "lock":
            (path / ".lock").unlink()
        else:
            shutil.move(path, tmp_path / "elsewhere")
        if how == "replaced":
            path.mkdir()
            (path / ".lock").touch()
        with pytest.raises(errors.UserError, match=f"^{path} was deleted, moved or replaced while this run used it .*stops"):
            files.write(f"{path}/b", "2")
    assert not (path / "b").exists()
    opened(path)


def test_seconds_are_those_of_all_runs(tmp_path, capsys):
    now = time.monotonic()
    with base_dir.open_base_dir(str(tmp_path), now - 20):
        base_dir.check_same_config(str(tmp_path), CONFIG)  # notes them, as every write does
        shutil.copy(tmp_path / ".lock", tmp_path / "killed")
    with base_dir.open_base_dir(str(tmp_path), now - 5):
        assert holding.seconds(str(tmp_path), now - 5) == pytest.approx(25, abs=3)
        assert holding.seconds(str(tmp_path / "other"), now - 5) == pytest.approx(5, abs=3)
    shutil.copy(tmp_path / "killed", tmp_path / ".lock")
    with base_dir.open_base_dir(str(tmp_path), now):
        assert holding.seconds(str(tmp_path), now) == pytest.approx(20, abs=3)
    assert not capsys.readouterr().out
    (tmp_path / ".lock").write_bytes(b"\xff")
    opened(tmp_path)
    assert "does not say how long earlier runs took" in capsys.readouterr().out


HOLD = """
import os, signal, sys
from tf_gtn.runtime import base_dir
with base_dir.open_base_dir(sys.argv[1]):
    child = os.fork()
    if child:
        print(child, flush=True)
    signal.pause()
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    run = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(run.stdout.readline())
    try:
        host = os.uname().nodename
        assert refused(tmp_path) == f"another run is using {tmp_path} (process {run.pid} on {host})"
        run.send_signal(signal.SIGKILL)
        run.wait()
        opened(tmp_path)  # although a process that it forked is still there
        os.kill(child, 0)
    finally:
        run.kill()
        os.kill(child, signal.SIGKILL)


CONFIG = "# seed = 0\nimport json\nDATASET = 'digits'\nOUTER_STEPS = 700\nTrainer.steps = %OUTER_STEPS\n"


def changed(tmp_path, config, **kwargs):
    base_dir.check_same_config(str(tmp_path), CONFIG)
    with pytest.raises(errors.UserError) as caught:
        base_dir.check_same_config(str(tmp_path), config, **kwargs)
    assert (tmp_path / "config.gin").read_text() == CONFIG
    return str(caught.value)


def test_the_first_start_writes_the_config(tmp_path):
    for _ in range(2):
        base_dir.check_same_config(str(tmp_path), CONFIG)
        assert (tmp_path / "config.gin").read_text() == CONFIG


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("700", "800", "with OUTER_STEPS = 700, now 800"),
        ("DATASET = 'digits'\n", "", "with DATASET = 'digits', now without it"),
        ("DATASET", "INNER_STEPS = 3\nDATASET", "without INNER_STEPS, now INNER_STEPS = 3"),
        ("seed = 0", "seed = 1", "with seed = 0, now 1"),
    ],
)
def test_another_config_is_refused(tmp_path, old, new, expected):
    assert changed(tmp_path, CONFIG.replace(old, new)) == f"{tmp_path} was started {expected}; use another --base_dir"


def test_other_data_are_refused_and_those_of_an_earlier_version_unknown(tmp_path):
    noted = CONFIG.replace("import", "# data 'image_folder:/a' = 0a1b\nimport")
    base_dir.check_same_config(str(tmp_path), CONFIG)
    base_dir.check_same_config(str(tmp_path), noted)
    with pytest.raises(errors.UserError) as caught:
        base_dir.check_same_config(str(tmp_path), noted.replace("0a1b", "ffff"))
    assert str(caught.value) == (
        f"{tmp_path} was started on other data 'image_folder:/a': its images, labels or split have changed since "
        "(fingerprint 0a1b, now ffff); use another --base_dir"
    )


def test_many_differences_stay_one_short_line(tmp_path):
    text = changed(tmp_path, "A = 1\nB = 2\n")
    assert text.endswith("(and 4 more); use another --base_dir") and "\n" not in text


def test_what_may_change(tmp_path):
    more = CONFIG.replace("700", "800")
    assert "DATASET" in changed(tmp_path, more.replace("digits", "glyphs"), allowed=["OUTER_STEPS"])
    base_dir.check_same_config(str(tmp_path), more, allowed=["OUTER_STEPS"])
    assert (tmp_path / "config.gin").read_text() == more


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\0" * 50, "blanks or zeros"),
        (b"\xff" + CONFIG.encode(), "byte 0 is not UTF-8"),
        (CONFIG[:40].encode(), "the middle of a line"),
        (None, "a folder"),
    ],
)
def test_a_damaged_config_is_one_line(content, words, tmp_path):
    path = tmp_path / "config.gin"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(errors.UserError, match=f"^{path} .*{words}.*: put it back, or begin again in another --base_dir$"):
        base_dir.check_same_config(str(tmp_path), CONFIG)


def test_a_run_without_its_config_is_not_taken_for_a_new_one(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(errors.UserError, match=r"config\.gin is not there, but checkpoints of a run is: nothing says"):
        base_dir.check_same_config(str(tmp_path), CONFIG)


LENGTH = base_dir.Growing("STEPS")


def test_a_longer_run_extends_a_shorter_one(tmp_path, capsys):
    folder, later = str(tmp_path), tmp_path / "repeats/1"
    base_dir.check_same_config(folder, "# seed = 0\nSTEPS = 4\na = 1\n", [LENGTH])
    for each in (tmp_path, later):
        (each / "analyses").mkdir(parents=True)
        (each / "checkpoints").mkdir()
        (each / "outcome.json").touch()
    with pytest.raises(errors.UserError, match=f"^{folder} can't be extended: it has no checkpoint to go on from"):
        base_dir.check_same_config(folder, "# seed = 0\nSTEPS = 6\na = 1\n", [LENGTH])
    for each in (tmp_path, later):
        (each / "checkpoints/ckpt-4.index").touch()
    base_dir.check_same_config(folder, "# seed = 0\nSTEPS = 6\na = 1\n", [LENGTH], write=False)
    assert (later / "outcome.json").exists() and base_dir.extended(folder) == {}
    capsys.readouterr()
    for steps in (6, 6, 10):
        base_dir.check_same_config(folder, f"# seed = 0\nSTEPS = {steps}\na = 1\n", [LENGTH])
    assert (tmp_path / "config.gin").read_text() == "# seed = 0\nSTEPS = 10\na = 1\n# extended from STEPS = 4, 6\n"
    assert base_dir.extended(folder) == {"STEPS": [4, 6]}
    assert not [*tmp_path.rglob("outcome.json"), *tmp_path.rglob("analyses")]
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [
        f"{folder} is extended from STEPS = 4 to 6",
        f"{folder} is extended from STEPS = 6 to 10",
    ]


@pytest.mark.parametrize(
    "config, allowed, words",
    [
        ("STEPS = 3\na = 1\n", [LENGTH], "with STEPS = 4, now 3: it can be extended, not shortened; use another --base_dir"),
        ("STEPS = 5\na = 1\n", [], "with STEPS = 4, now 5; use another --base_dir"),
        ("STEPS = 5\na = 2\n", [LENGTH], "with a = 1, now 2; use another --base_dir"),
        ("STEPS = 5.0\na = 1\n", [LENGTH], "with STEPS = 4, now 5.0; use another --base_dir"),
        ("STEPS = -5\na = 1\n", [LENGTH], "with STEPS = 4, now -5; use another --base_dir"),
    ],
)
def test_everything_else_than_more_of_it_is_refused(config, allowed, words, tmp_path):
    base_dir.check_same_config(str(tmp_path), "STEPS = 4\na = 1\n")
    (tmp_path / "outcome.json").touch()
    with pytest.raises(errors.UserError) as caught:
        base_dir.check_same_config(str(tmp_path), config, allowed)
    assert str(caught.value) == f"{tmp_path} was started {words}"
    assert (tmp_path / "outcome.json").exists() and (tmp_path / "config.gin").read_text() == "STEPS = 4\na = 1\n"
