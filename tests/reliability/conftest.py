"""A finished run that the programs are given which read one, and the library that kills."""

import pytest

from tests.reliability import configurations, kills, zygote


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    made = configurations.Given(tmp_path_factory.mktemp("given"))
    with zygote.Zygote("train_gtn") as runs:
        done = runs.run(*configurations.arguments("train_gtn", made, made.run))
    assert not done["code"], done["stderr"]
    return made


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return kills.library(tmp_path_factory.mktemp("library"))
