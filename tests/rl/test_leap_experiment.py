"""`train_leap` on games, small."""

import json

import pytest

from tests.programs import run
from tf_gtn.reporting import drawing, results

TINY = (
    "--gin_file=gin/leap/atari_small.gin",
    "--gin_bindings=OUTER_STEPS = 2",
    "--gin_bindings=rl.Leap.games = ('assault', 'carnival')",
    "--gin_bindings=rl.Leap.held_out = ('breakout',)",
    "--gin_bindings=rl.Leap.claims = (('learning/breakout_leap', 'above', 'learning/breakout_no_pretraining'),)",
    "--gin_bindings=rl.Leap.updates = 2",
    "--gin_bindings=rl.Leap.learning = 4",
    "--gin_bindings=rl.make_a2c.environments = 2",
    "--gin_bindings=rl.make_a2c.unroll_length = 3",
    "--gin_bindings=rl.atari.size = 42",
    "--gin_bindings=rl.atari.max_frames = 40",
    "--gin_bindings=rl.Evaluation.test = 2",
    "--gin_bindings=run.Schedule.log_every = 1",
    "--gin_bindings=CHECKPOINT_EVERY = 2",
)


def test_games_held_out_are_learned_from_the_encoder_and_a_stopped_run_resumes(tmp_path):
    done = run("train_leap", f"--base_dir={tmp_path}", *TINY)
    assert done.returncode == 0, done.stderr
    written = results.read(tmp_path)
    assert written["system"] == "transfer" and written["metrics"]["environment_steps"] == 2 * 2 * 3 * 3 * 2
    scores = written["metrics"]["return/breakout_leap"]
    assert len(scores["values"]) == 2 and scores["over"] == "episodes" and len(written["claims"]) == 1
    assert drawing.caption(str(tmp_path / "figures/learning_breakout.png"))
    lines = {}
    for arm in ("leap", "no_pretraining"):
        lines[arm] = (tmp_path / f"held_out/breakout_{arm}/metrics.jsonl").read_text().splitlines()
        assert len(lines[arm]) == 4
    assert lines["leap"][0] != lines["no_pretraining"][0]
    first = json.loads((tmp_path / "outcome.json").read_text())
    (tmp_path / "outcome.json").unlink()  # as if stopped before the end
    done = run("train_leap", f"--base_dir={tmp_path}", *TINY)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "outcome.json").read_text()) == first


def test_mistakes_are_one_line():
    for binding, words in (
        ("rl.Leap.games = ('asault',)", "did you mean 'assault'"),
        ("rl.Leap.games = ('breakout',)", "one or the other"),
        ("rl.Leap.claims = (('return/pong_leap', 'above', 1.0),)", "unknown quantity"),
        ("rl.make_a2c.shared = False", "have to share"),
    ):
        done = run("train_leap", *TINY, f"--gin_bindings={binding}", "--dry_run")
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.slow
def test_the_paper_s_configuration_is_complete():
    done = run("train_leap", "--gin_file=gin/leap/atari_paper.gin", "--gin_bindings=rl.make_a2c.environments = 2", "--dry_run")
    assert done.returncode == 0 and not done.stderr, done.stderr
