"""Killed before an operation on its files, the same command ends with the same numbers; no half export was ever visible."""

import pytest

from tests.reliability import configurations, kills


def test_killed_before_a_checkpoint_and_after_it(library, tmp_path):
    """Of one program, two places; the others are slow."""
    wrong = kills.sweep("run_dynamics", configurations.Given(tmp_path), tmp_path, library, in_earnest=0, only=(60, 120))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("program", configurations.PROGRAMS)
def test_killed_at_thirty_places(program, given, library, tmp_path):
    wrong = kills.sweep(program, given, tmp_path, library)
    assert not wrong, "\n".join(wrong)
