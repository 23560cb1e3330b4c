"""What a seed found is not looked for again, unless what it left is damaged."""

import shutil
import types

import pytest

from tf_gtn.run import repeats, replicas

TRAININGS = {"arm": types.SimpleNamespace(outer_steps=1)}


@pytest.fixture
def again(tmp_path):
    """Gives the outcomes of a run of two seeds, and counts in `made` how often one was made."""
    made = []

    def one(folder, seed, trainings):
        made.append(seed)
        for path in ("export/1/saved_model.pb", "policies/a2c/saved_model.pb", "initializations/arm.keras"):
            file = tmp_path / folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"seed {seed}")
        return {"found": seed}

    def outcomes():
        run = types.SimpleNamespace(base_dir=str(tmp_path), seed=3, among=replicas.ALONE)
        found = repeats.outcomes(run, 2, dict(TRAININGS), lambda seed: dict(TRAININGS), one, ("found",))
        assert [each["found"] for each in found] == [3, 4]

    outcomes.made = made
    outcomes()
    assert made == [3, 4]
    return outcomes


def test_a_finished_seed_is_not_run_again(again):
    again()
    assert again.made == [3, 4]


@pytest.mark.parametrize("path", ["export/1/saved_model.pb", "policies/a2c/saved_model.pb", "initializations/arm.keras"])
def test_a_damaged_export_is_made_again_and_it_is_said(path, again, tmp_path, capsys):
    file = tmp_path / "repeats/1" / path
    file.write_text("seed 5")
    again()
    assert again.made == [3, 4, 4] and file.read_text() == "seed 4"
    assert f"{file} is not as it was written: it is made again" in capsys.readouterr().out
    shutil.rmtree(file.parent)
    again()
    assert again.made == [3, 4, 4, 4] and file.read_text() == "seed 4"
    again()
    assert again.made == [3, 4, 4, 4]
