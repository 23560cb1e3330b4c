"""A module of a user's own, and its run file, as docs/extending.md has them."""

import json
import re

import pytest

import tf_gtn
from tests import programs
from tests.programs import run
from tf_gtn.reporting import results

PAGE = (programs.ROOT / "docs" / "extending.md").read_text()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for name, language in (("my_things.py", "python"), ("mine.gin", "gin")):
        (folder / name).write_text("\n\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)))
    return folder


def test_a_run_with_everything_of_a_user_s_own(own):
    done = run("compare_treatments", f"--base_dir={own}/run", "--gin_file=mine.gin", cwd=own)
    assert done.returncode == 0, done.stderr
    found = results.read(own / "run")
    near, above = found["claims"]
    assert near["id"] == "gtn_near_means" and near["holds"]
    assert found["metrics"]["parameters"]["gtn/count"]["mean"] > found["metrics"]["parameters"]["means/count"]["mean"]
    assert above["measured"] > 0
    again = run("compare_treatments", f"--base_dir={own}/run", "--gin_file=mine.gin", cwd=own)
    assert again.returncode == 0 and "all 2 outer steps were taken already" in again.stdout, again.stderr
    assert [line.split()[0] for line in (own / "run/logged.txt").read_text().splitlines()] == ["2"]
    metadata = json.loads((own / "run/export/2/assets/metadata.json").read_text())
    assert metadata["curriculum"] == "second_half_first" and metadata["classes"] == ["across", "down"]


@pytest.mark.parametrize(
    "binding, words",
    [
        ("models.Population.families = {'branchd': {}}", "unknown learner 'branchd'; did you mean 'branched'"),
        ("data.load.name = 'strips'", "did you mean 'stripes'"),
        ("teaching.gtn.generator = @generators.shalow", "did you mean 'generators.shallow'"),
        ("means/teaching.treatment.name = 'mean'", "unknown treatment 'mean'; did you mean 'means'"),
        ("teaching.curriculum.order = 'second_half'", "'second_half'; did you mean 'second_half_first'"),
        ("teaching.Comparison.callbacks = ('loged',)", "unknown callback 'loged'; did you mean 'logged'"),
        ("teaching.Comparison.analyses = ('parameter',)", "unknown analysis 'parameter'; did you mean 'parameters'"),
        ("teaching.Comparison.claims = (('gtn', 'nearr', ('means', 1.0)),)", "unknown relation 'nearr'; did you mean 'near'"),
        ("teaching.Comparison.claims = (('gtn', 'near', 'means'),)", "takes a quantity and a number"),
        ("models.Population.families = {'branched': {'unit': 3}}", "unknown option of branched 'unit'; did you mean 'units'"),
    ],
)
def test_their_names_are_known_to_errors(own, binding, words):
    done = run("compare_treatments", "--gin_file=mine.gin", f"--gin_bindings={binding}", "--dry_run", cwd=own)
    programs.assert_one_line(done, words)


def test_they_are_listed(own):
    done = run("compare_treatments", "--gin_file=mine.gin", "--list", cwd=own)
    assert done.returncode == 0, done.stderr
    names = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    expected = {"learner": "branched", "data set": "stripes", "generator": "shallow", "treatment": "means"}
    expected |= {"analysis": "parameters", "curriculum order": "second_half_first", "relation": "near"}
    for kind, name in expected.items():
        assert name in names[kind].split(", "), names


def test_each_kind_has_a_decorator_and_an_example():
    assert {*re.findall(r"@tf_gtn\.register\.(\w+)", PAGE)} == {*tf_gtn.register.__all__}
    assert set(tf_gtn.register.__all__) == {
        *("learner", "dataset", "generator", "treatment", "curriculum", "analysis", "claim_relation", "callback")
    }
    assert all(getattr(tf_gtn.register, name).__doc__ for name in tf_gtn.register.__all__)
