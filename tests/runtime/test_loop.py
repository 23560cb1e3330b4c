"""The outer loop over trainings as small as can be: what it takes, and what a stop changes."""

import shutil
import signal

import keras
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tests.toy import Toy
from tf_gtn import errors
from tf_gtn.runtime import base_dir, files, loop, metrics, stopping

BAD = range(5, 35)  # it would recover, had it not given up


def trainings(stop=None):
    return {"a": Toy(60, stop=stop), "b": Toy(60, BAD), "c": Toy(25)}


def run(folder, made):
    loop.train(made, str(folder), log_every=10, checkpoint_every=20)
    return {name: t.state() for name, t in made.items()}


def test_a_training_that_gave_up_stays_so_after_a_resume(tmp_path):
    whole = run(tmp_path / "whole", trainings())
    assert whole["b"][1:] == (loop.MAX_SKIPPED, True) and whole["a"][1:] == whole["c"][1:] == (0, False)
    with pytest.raises(loop.Stopped, match="after step 34"):
        run(tmp_path / "stopped", trainings(stop=33))  # no multiple of log_every
    assert run(tmp_path / "stopped", trainings()) == whole
    assert metrics.read(str(tmp_path / "stopped")) == metrics.read(str(tmp_path / "whole"))


def test_a_time_limit_is_waited_for_and_saved_as_a_signal_is(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "_limited", True)
    made, taken = trainings(), []
    step = made["a"].step
    made["a"].step = lambda index: (taken.append(index), index == 6 and signal.raise_signal(stopping.LIMIT), step(index))[-1]
    with pytest.raises(loop.Stopped, match=r"^stopped by --time_limit after step 7, which is saved"):
        run(tmp_path, made)
    assert taken == list(range(7)) and (tmp_path / "checkpoints/ckpt-7.index").exists()


def test_a_run_that_is_extended_has_the_longer_one_s_schedule_from_then_on(tmp_path):
    made = [run(tmp_path / "a", {"a": Toy(30)}), run(tmp_path / "a", {"a": Toy(70)})]
    decay = {steps: keras.optimizers.schedules.CosineDecay(0.02, steps, alpha=0.1) for steps in (30, 70)}
    taken = [float(decay[30 if step < 30 else 70](step)) for step in range(70)]  # Adam's step where the gradient is always 1
    assert made[0]["a"][0] == pytest.approx(-sum(taken[:30]), rel=1e-5)
    assert made[1]["a"][0] == pytest.approx(-sum(taken), rel=1e-5)
    run(tmp_path / "b", {"a": Toy(30)})
    with pytest.raises(loop.Stopped):
        run(tmp_path / "b", {"a": Toy(70, stop=44)})
    assert run(tmp_path / "b", {"a": Toy(70)}) == made[1]
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()


def test_each_takes_its_own_steps(tmp_path):
    made = trainings()
    run(tmp_path, made)
    rows = metrics.read(str(tmp_path))
    assert [row["step"] for row in rows if "c/loss" in row] == [10, 20, 25]
    assert int(made["c"].update._optimizer.iterations.numpy()) == 25
    assert int(made["b"].update._optimizer.iterations.numpy()) == 5


def test_if_all_gave_up_the_run_ends(tmp_path):
    for _ in range(2):  # and again when it is asked to go on
        with pytest.raises(errors.UserError, match=r"^b, d: .* not finite for the last 20 steps"):
            run(tmp_path, {"b": Toy(60, BAD), "d": Toy(60, BAD)})
    assert metrics.read(str(tmp_path))[-1]["step"] == 20


def test_a_training_that_has_ended_is_not_left(tmp_path, capsys):
    """b gives up after step 25, c has its 25 steps by then: nothing is left to do, and c's are kept."""
    steps = []
    for stop in (20, None):
        made = {"b": Toy(1000, BAD), "c": Toy(25, stop=stop), "e": Toy(22, {3})}
        made["b"].step = lambda index, step=made["b"].step: steps.append(index) or step(index)
        try:
            found = run(tmp_path, made)
        except loop.Stopped:
            assert stop
    assert found["c"][1:] == (0, False) and found["b"][1:] == (20, True)
    assert steps == list(range(25))
    assert metrics.read(str(tmp_path))[-1]["step"] == 25
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "not finite" in line] == [
        "b: an outer step was not finite and changed nothing; metrics.jsonl counts further ones",
        "e: an outer step was not finite and changed nothing; metrics.jsonl counts further ones",
        "b diverged and ended early: 20 of its outer steps were not finite and changed nothing",
        "e went on to the end: 1 of its outer steps were not finite and changed nothing",
    ]


def test_all_that_gave_up_are_named_while_others_go_on(tmp_path, capsys):
    run(tmp_path, {"b": Toy(60, BAD), "d": Toy(60, BAD), "a": Toy(60)})
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if "others go on" in line] == ["b, d"]


def damage(path, how):
    content = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "deleted":
        flipped = content.replace(b'"a/loss": 1.0', b'"a/loss": 3.0', 1)
        changed = {"emptied": b"", "truncated": content[:-9], "zeroed": b"\0" * len(content), "a digit": flipped}
        path.write_bytes(changed[how])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 60 steps with checkpoints after 20, 40 and 60, and where its parameters ended."""
    folder = tmp_path_factory.mktemp("loop") / "run"
    return folder, run(folder, trainings())


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


@pytest.mark.parametrize("how", ["deleted", "emptied", "truncated", "zeroed"])
def test_checkpoints_that_nothing_names_are_found(how, copy, finished, capsys):
    damage(copy / "checkpoints/checkpoint", how)
    before = (copy / "metrics.jsonl").read_bytes()
    assert run(copy, trainings()) == finished[1]
    said = capsys.readouterr()
    assert "all 60 outer steps were taken already" in said.out and (copy / "metrics.jsonl").read_bytes() == before
    if how != "truncated":  # which names all of them, but for the times
        assert f"goes on from {copy}/checkpoints/ckpt-60, which lies there" in said.err
    assert tf.train.latest_checkpoint(str(copy / "checkpoints")) == f"{copy}/checkpoints/ckpt-60"


def test_the_newest_whole_checkpoint_is_taken_and_three_are_kept(copy, finished, capsys):
    (copy / "checkpoints/checkpoint").unlink()
    for path in copy.glob("checkpoints/ckpt-60.data*"):
        path.unlink()
    assert run(copy, trainings()) == finished[1]
    said = capsys.readouterr()
    assert "ckpt-60 can't be read and is passed over" in said.err and "resumed after outer step 40" in said.out
    assert (copy / "metrics.jsonl").read_bytes() == (finished[0] / "metrics.jsonl").read_bytes()
    kept = sorted(path.name for path in copy.glob("checkpoints/*.index"))
    assert kept == ["ckpt-20.index", "ckpt-40.index", "ckpt-60.index"]
    assert len(tf.train.get_checkpoint_state(str(copy / "checkpoints")).all_model_checkpoint_paths) == 3


def test_a_folder_in_the_place_of_the_file_that_names_them_is_one_line(copy, capsys):
    (copy / "checkpoints/checkpoint").unlink()
    (copy / "checkpoints/checkpoint").mkdir()
    with pytest.raises(
        errors.UserError, match="checkpoint is a folder, and a file that names the newest checkpoint belongs there"
    ):
        run(copy, trainings())
    assert not capsys.readouterr().err


@pytest.mark.parametrize("what", ["a file", "nothing"])
def test_what_has_no_checkpoints_is_not_begun_again_in_silence(what, copy):
    shutil.rmtree(copy / "checkpoints")
    if what == "a file":
        (copy / "checkpoints").touch()
    before = (copy / "metrics.jsonl").read_bytes()
    words = {
        "a file": "is a file, and the folder of the checkpoints belongs there",
        "nothing": "goes to step 60, but there is no",
    }
    with pytest.raises(errors.UserError, match=words[what]):
        run(copy, trainings())
    assert (copy / "metrics.jsonl").read_bytes() == before


def test_killed_before_the_first_checkpoint_it_begins_again_and_says_so(finished, tmp_path, capsys):
    lines = (finished[0] / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(lines[:2]))
    assert run(tmp_path, trainings()) == finished[1]
    assert "no checkpoint was saved before step 20: starts again from the first step" in capsys.readouterr().out
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(lines)


@pytest.mark.parametrize("lost", [-1, 3])
def test_steps_whose_metrics_are_lost_are_taken_again(lost, copy, finished, capsys):
    """The last line, and one in the middle: no checkpoint is taken that counts it as logged."""
    whole = (copy / "metrics.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[lost] = b"" if lost > 0 else lines[lost][:20]
    (copy / "metrics.jsonl").write_bytes(b"".join(lines))
    assert run(copy, trainings()) == finished[1]
    said = capsys.readouterr()
    assert "metrics.jsonl is not as it was at step 60" in said.err
    assert f"resumed after outer step {40 if lost < 0 else 20}" in said.out
    assert (copy / "metrics.jsonl").read_bytes() == whole
    assert steps_for_tensorboard(copy) == [10, 20, 25, 30, 40, 50, 60]


@pytest.mark.parametrize("how", ["deleted", "emptied", "zeroed", "a digit", "folder"])
def test_lost_metrics_that_no_checkpoint_is_from_before(how, copy):
    damage(copy / "metrics.jsonl", how)
    before = sorted(copy.rglob("*"))
    with pytest.raises(
        errors.UserError, match=r"metrics\.jsonl is (not as it was at step 20|a folder).*: put it back, or remove"
    ):
        run(copy, trainings())
    assert sorted(copy.rglob("*")) == before


def steps_for_tensorboard(folder):
    events = event_accumulator.EventAccumulator(str(folder / "summaries"), {event_accumulator.TENSORS: 0})
    events.Reload()
    return [event.step for event in events.Tensors("a/loss")]


def test_a_folder_that_is_deleted_meanwhile_ends_the_run(tmp_path):
    path = tmp_path / "run"
    made = trainings()
    taken = made["a"].step

    def step(index):
        if index == 12:
            shutil.rmtree(path)
        return taken(index)

    made["a"].step = step
    with base_dir.open_base_dir(str(path)), pytest.raises(errors.UserError, match=f"{path} was deleted, moved or replaced"):
        run(path, made)
    assert int(made["a"].update._optimizer.iterations.numpy()) == 20 and not path.exists()


def test_a_full_disk_names_the_checkpoint_and_its_size(tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    with pytest.raises(files.NoSpace, match=r"left to write .*/checkpoints/ckpt-20 \(needed: \d+ bytes, free: "):
        run(tmp_path, trainings())
    monkeypatch.undo()
    assert run(tmp_path, trainings())["a"][1:] == (0, False)


def test_the_time_left_counts_what_each_arm_has_left(tmp_path):
    made = {"a": Toy(100), "b": Toy(20), "c": Toy(100, range(100))}
    for index in range(20):
        made["c"].step(index)
    durations = {"a": [1.0] * 10, "b": [3.0] * 10, "c": [5.0] * 10}
    assert loop._steps_left(durations, made, 10) == (90 * 1 + 10 * 3) / 4  # of 4 seconds each; "c" gave up
    assert loop._steps_left(durations, made, 20) == 80 / 4
    assert loop._steps_left(durations, made, 21) == 79
    assert loop._steps_left(durations, made, 100) == 0
