"""Versions in a folder: whole or not at all, at every moment; what is none is passed over."""

import os
import pathlib
import shutil

import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.teaching import saved_models


class Killed(BaseException):
    pass


def version(text):
    def write(path):
        os.makedirs(f"{path}/variables")
        for name in ("variables/index", saved_models.GRAPH):
            with open(f"{path}/{name}", "w") as file:
                file.write(text)

    return write


def content(path):
    """What stands in a version's two files, if it is whole."""
    texts = [pathlib.Path(path, name).read_text() for name in ("variables/index", saved_models.GRAPH)]
    assert texts[0] == texts[1]
    return texts[0]


def published_until(directory, moment, half, monkeypatch):
    """Whether publishing ended before the file operation number `moment`, where it is killed, in the middle if `half`."""
    left, rename, rmtree = [moment], tf.io.gfile.rename, tf.io.gfile.rmtree

    def operation(real, path, *args):
        if left[0] == 0:
            if real is rmtree and half:
                os.remove(f"{path}/variables/index")
            raise Killed
        left[0] -= 1
        real(path, *args)

    def write(path):
        version("new")(path)
        operation(lambda _: None, path)

    with monkeypatch.context() as patched:
        patched.setattr(tf.io.gfile, "rename", lambda *paths: operation(rename, *paths))
        patched.setattr(tf.io.gfile, "rmtree", lambda path: operation(rmtree, path))
        try:
            saved_models.publish(directory, 3, write)
        except Killed:
            return False
    return True


@pytest.mark.parametrize("half", [False, True])
def test_killed_at_any_moment_a_version_is_the_old_or_the_new_one(tmp_path, monkeypatch, half):
    seen = []
    for moment in range(100):
        directory = str(tmp_path / str(moment))
        saved_models.publish(directory, 3, version("old"))
        ended = published_until(directory, moment, half, monkeypatch)
        seen.append(content(saved_models.find(directory)))
        assert content(saved_models.find(f"{directory}/3")) == seen[-1]
        saved_models.publish(directory, 4, version("next"))
        assert sorted(os.listdir(directory)) == ["3", "4"] and content(f"{directory}/3") == seen[-1]
        assert saved_models.find(directory) == f"{directory}/4"
        if ended:
            break
    assert len(seen) > 5 and seen == sorted(seen, reverse=True) and {*seen} == {"old", "new"}  # the new one never goes back


def test_what_is_no_version_is_passed_over(tmp_path):
    assert saved_models.find(str(tmp_path)) is None
    saved_models.publish(tmp_path / "export", 7, version("7"))
    saved_models.publish(tmp_path / "export", 10, version("10"))
    for name in ("99", "²", "٣", "11.bak"):
        (tmp_path / "export" / name).mkdir()
    (tmp_path / "export" / "98").write_text("a file")
    for name in ("²", "٣", "11.bak"):
        shutil.copy(tmp_path / "export" / "7" / saved_models.GRAPH, tmp_path / "export" / name)
    for path in (f"{tmp_path}", f"{tmp_path}/export", f"{tmp_path}/export/", f"{tmp_path}/export/10/"):
        assert saved_models.find(path) == f"{tmp_path}/export/10"
    assert saved_models.find(f"{tmp_path}/export/99") is None


def test_a_file_in_place_of_the_folder_or_of_a_version(tmp_path):
    (tmp_path / "export").write_text("a file")
    for directory in ("export", "export/arm"):
        with pytest.raises(errors.UserError, match="export is a file, and a folder of exports belongs there"):
            saved_models.publish(tmp_path / directory, 1, version("1"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1").write_text("a file")
    assert content(saved_models.publish(tmp_path / "other", 1, version("1"))) == "1"
    assert os.listdir(tmp_path / "other") == ["1"]


def test_a_folder_by_its_uri(tmp_path):
    path = saved_models.publish(f"file://{tmp_path}/export", 1, lambda path: version("1")(path.removeprefix("file://")))
    saved_models.publish(f"file://{tmp_path}/export", 1, lambda path: version("2")(path.removeprefix("file://")))
    assert path == saved_models.find(f"file://{tmp_path}") == f"file://{tmp_path}/export/1"
    assert content(tmp_path / "export" / "1") == "2"


def test_no_row_makes_none():
    double = tf.function(lambda a, b: saved_models.never_empty(lambda a, b: tf.reshape(a, [-1, 2, 1]) + b[..., None], a, b))
    for count in (0, 1, 3):
        rows = tf.ones([count, 2])
        assert double(rows, rows).shape == (count, 2, 1)
        assert tf.reduce_all(double(rows, rows) == 2)


def test_a_digest_is_of_every_file(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a").write_text("1")
    first = saved_models.digest(str(tmp_path))
    assert saved_models.digest(str(tmp_path)) == first
    (tmp_path / "assets" / "a").write_text("2")
    assert saved_models.digest(str(tmp_path)) != first
