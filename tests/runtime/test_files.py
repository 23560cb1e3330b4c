"""A run's files are read whole, or one line says which is not; what is written is there whole or not at all."""

import errno
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.runtime import files

VALUE = {"accuracy": [0.25, 1e-7, None], "name": "\xe4"}


def damaged(read, path, *given):
    with pytest.raises(files.Damaged) as caught:
        read(str(path), *given)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{path} ")
    return str(caught.value)


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "text"
    files.write(str(path), "before \xe4")

    def killed(*_):
        assert path.read_text(encoding="utf-8") == "before \xe4"
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        files.write(str(path), "after")
    assert [p.name for p in path.parent.iterdir()] == ["text"] and path.read_text(encoding="utf-8") == "before \xe4"


def test_json(tmp_path):
    path = str(tmp_path / "a.json")
    files.write_json(path, VALUE)
    assert files.read_json(path, VALUE) == VALUE
    assert list(json.loads((tmp_path / "a.json").read_text())) == [*VALUE, "crc32"]
    (tmp_path / "a.json").write_text(json.dumps(VALUE, indent=3))  # of an earlier version
    assert files.read_json(path) == VALUE
    with pytest.raises(ValueError):
        files.write_json(path, {"nan": float("nan")})


def json_cases():
    whole = json.dumps(files.sealed(VALUE)).encode()
    yield b"", "is empty"
    yield b"\0" * len(whole), "blanks or zeros"
    yield whole[:-5], "is not valid JSON, perhaps truncated"
    yield whole.replace(b"0.25", b"0.75"), "was changed after it was written"
    yield whole.replace(b"name", b"nam\xff"), "is not UTF-8"
    yield b"[" * 100_000, "is not valid JSON"
    yield b"[1]", "it holds no JSON object"
    yield b"{}", "it lacks 'accuracy'"


@pytest.mark.parametrize(("content", "words"), json_cases())
def test_damaged_json(content, words, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert words in damaged(files.read_json, path, VALUE)
    assert files.made(str(path), lambda: VALUE, VALUE) == VALUE  # what can be made again is
    assert words in (said := capsys.readouterr().out) and said.endswith(": it is made again\n")
    assert files.made(str(path), pytest.fail, VALUE) == VALUE


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert damaged(files.read, tmp_path / "gone", "look again").endswith("is not there: look again")
    assert "is a folder" in damaged(files.read, tmp_path)
    assert "no regular file" in damaged(files.read, tmp_path / "fifo")
    for write in (files.write, files.append):
        with pytest.raises(errors.UserError, match=f"^{tmp_path} can't be written: .*irectory"):
            write(str(tmp_path), "text")
    (tmp_path / "file").touch()
    with pytest.raises(errors.UserError, match="file is a file, and a folder is needed there: move it away"):
        files.write(str(tmp_path / "file" / "a"), "text")


def test_arrays(tmp_path):
    path, array = tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(2, 3)
    files.write_array(str(path), array)
    whole = path.read_bytes()
    for read in (files.read_array, np.load):
        np.testing.assert_array_equal(read(str(path)), array)
    for content in (b"", whole[:-7], whole[:100], b"\0" * len(whole), bytes([whole[0] ^ 1]) + whole[1:]):
        path.write_bytes(content)
        assert damaged(files.read_array, path).split(": ")[0].endswith("is not a whole .npy file")
    for place in (70, len(whole) - 10, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        damaged(files.read_array, path)
    np.save(path, array)  # of an earlier version
    np.testing.assert_array_equal(files.read_array(str(path)), array)


def test_a_full_disk_is_one_line_with_the_file_and_the_space(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = str(tmp_path / "a")
    files.write(path, "before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.NoSpace, match=rf"^no space is left to write {path} \(needed: 1.5 MB, free: .*B\): make room"):
        files.write(path, b"x" * 1_500_000)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "before"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded", "/tmp/there"),
        tf.errors.ResourceExhaustedError(None, None, "{{node SaveV2}} /tmp/there; No space left on device [Op:SaveV2]"),
    ],
)
def test_an_error_that_names_its_file(error):
    with pytest.raises(files.NoSpace, match=r"^no space is left to write /tmp/there \(free: .*B\)"), files.space("/tmp/run"):
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("of SQLAlchemy, h5py, ...") from cause


def test_other_errors_stay_as_they_are():
    memory = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    for error in (memory, OSError(errno.EACCES, "Permission denied")):
        with pytest.raises(type(error)) as caught, files.space("/tmp/run"):
            raise error
        assert caught.value is error


def test_what_a_check_refuses_is_made_again(tmp_path, capsys):
    path, log = str(tmp_path / "a.json"), ["one"]

    def check(value):
        if value["log"] != log[0]:
            raise files.Damaged(path, "was made with another log")

    for log[0], said in (("one", ""), ("two", f"{path} was made with another log: it is made again\n"), ("two", "")):
        assert files.made(path, lambda: {"log": log[0]}, check=check) == {"log": log[0]}
        assert capsys.readouterr().out == said
