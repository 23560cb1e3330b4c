"""What a finished seed left is made again where it was lost, and nothing else is."""

import shutil
import types

import pytest

from tests.toy import Toy
from tf_gtn import errors
from tf_gtn.runtime import files, loop, metrics, repeats, replicas

LEFT = ("figures/loss.png", "export/1/saved_model.pb", "policies/a2c/saved_model.pb", "initializations/arm.keras")


def outcomes(base_dir, diverging=()):
    """Two seeds of a toy, 3 and 4; the outcomes, and which seeds were looked at."""
    ran = []

    def one(folder, seed, trainings):
        ran.append(seed)
        loop.train(trainings, folder, log_every=2, checkpoint_every=2, only=False)
        for path in LEFT:
            files.write(f"{folder}/{path}", f"{path} of seed {seed}")
        return {"loss": seed + 0.5, "count": len(ran)}

    run = types.SimpleNamespace(base_dir=str(base_dir), seed=3, among=replicas.ALONE)
    make = lambda seed: {"a": Toy(50, range(50)) if seed in diverging else Toy(6)}  # noqa: E731
    return repeats.outcomes(run, 2, make(3), make, one, ("loss",)), ran


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeats") / "run"
    found, ran = outcomes(folder)
    assert [each["loss"] for each in found] == [3.5, 4.5] and ran == [3, 4]
    return folder, found


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


def test_what_is_whole_is_not_made_again(copy, finished, capsys):
    before = (copy / "outcome.json").read_bytes()
    assert outcomes(copy) == (finished[1], [])
    assert (copy / "outcome.json").read_bytes() == before and "made again" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{}", b'{"loss": 3.5', b"\xff", None])
def test_a_damaged_outcome_is_made_again(content, copy, finished, capsys):
    path = copy / "repeats/1/outcome.json"
    path.unlink() if content is None else path.write_bytes(content)
    found, ran = outcomes(copy)
    assert [each["loss"] for each in found] == [3.5, 4.5] and ran == [4]
    said = capsys.readouterr().out
    assert "all 6 outer steps were taken already" in said and (f"{path} " in said and "made again" in said) == (
        content is not None
    )


def test_metrics_of_a_finished_seed_are_made_again_or_it_is_an_error(copy, finished, capsys):
    path = copy / "repeats/1/metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert outcomes(copy)[1] == [4] and path.read_bytes() == whole
    said = capsys.readouterr()
    assert f"was made with another {path}: it is made again" in said.out and "resumed after outer step 4" in said.out
    path.write_bytes(b"")
    with pytest.raises(errors.UserError, match="is not as it was at step 2"):
        outcomes(copy)


def test_the_results_of_a_seed_outlive_that_all_diverged_in_another(tmp_path, capsys):
    found, ran = outcomes(tmp_path / "run", diverging=(3,))
    assert ran == [3, 4] and [each["loss"] for each in found] == [3.5, 4.5]
    assert "a diverged and ended early: 20 of its outer steps" in capsys.readouterr().out
    assert outcomes(tmp_path / "run", diverging=(3,)) == (found, [])
    for _ in range(2):  # and again when it is asked to go on
        with pytest.raises(loop.Diverged, match="no training of any of the 2 seeds went to its end"):
            outcomes(tmp_path / "other", diverging=(3, 4))


@pytest.mark.parametrize("lost", LEFT)
def test_lost_files_are_made_again_and_the_numbers_stay(lost, copy, finished, capsys):
    path = copy / "repeats/1" / lost
    content = path.read_bytes()
    path.write_bytes(b"?" + content[1:])
    found, ran = outcomes(copy)
    assert ran == [4] and path.read_bytes() == content and [each["count"] for each in found] == [1, 2]
    assert f"{path} is not as it was written: it is made again" in capsys.readouterr().out
    assert outcomes(copy)[1] == []
    path.unlink()
    shutil.rmtree(copy / "repeats/1/checkpoints")
    assert outcomes(copy) == (found, [])
    assert f"{path} is not there, and no checkpoint is left to make it again" in capsys.readouterr().out
    assert metrics.read(str(copy / "repeats/1"))[-1]["step"] == 6
