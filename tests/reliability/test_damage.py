"""A damaged file in a run's folder: no traceback, no hang, nothing wrong in silence; docs/reliability.md says what happens."""

import pytest

from tests.reliability import configurations, damage


@pytest.mark.slow
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("state", damage.STATES)
@pytest.mark.parametrize("program", configurations.PROGRAMS)
def test_every_kind_of_file_is_damaged(program, state, given, library, tmp_path):
    wrong = []
    for name, how, outcome, report, words in damage.sweep(program, given, tmp_path, library, state):
        if outcome not in damage.allowed(name, how, state) or report == damage.WRONG:
            wrong.append(f"{name}, {how}: {outcome}; its report: {report}; {words}")
    assert not wrong, "\n".join(wrong)
