"""One tiny export for all tests of exports."""

import pytest

import tf_gtn
from tests.teaching import helpers
from tf_gtn.teaching import export


@pytest.fixture(scope="session")
def trained(tiny_dataset):
    made = helpers.make(tiny_dataset, steps=4, families=helpers.MLP)
    for i in range(5):
        made.step(i)
    return made


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "export"
    meta = export.metadata(trained, "a.b = 1\n", {"mean": 0.5, "ci95": [0.4, 0.6], "learners": 3})
    return export.save(trained, str(folder), 10, meta)


@pytest.fixture(scope="session")
def gtn(exported):
    return tf_gtn.load(exported)
