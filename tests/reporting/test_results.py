"""results.json: the schema, and claims whose `holds` anyone can compute again from the file."""

import copy
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.reporting import results, rules


def example(**changes):
    claim = results.claim(
        "above_real", "Better than real data", "p < 0.01", 0.93, (0.92, 0.94), "ci95[0] > real_ci95[1]", real_ci95=[0.88, 0.91]
    )
    return {**claim, **changes}


def write(path, claims=None, metrics=None):
    return results.write(
        str(path), "teaching", "compare_treatments", 3, metrics or {"gtn": 0.93}, [example()] if claims is None else claims, 1.5
    )


@pytest.mark.parametrize(
    "rule, holds",
    [
        ("measured >= 0.93", True),
        ("measured > 0.93", False),
        ("ci95[0] > other_ci95[1]", True),
        ("ci95[1] < other", False),
        ("0.9 < measured < 0.95 and not measured == 1", True),
        ("0.9 < measured > 0.95", False),
        ("measured < 0 or other > 0.8", True),
        ("abs(measured - other) / 2 <= +0.1", True),
        ("min(ci95) > max(other, -1, 0.5)", True),
        ("max(other_ci95) + 0.03 * 2 != measured", True),
        (" min(other) == other", True),
        ("same and measured > 0", True),
        ("(measured > other) + (ci95[0] > other) >= 2", True),
    ],
)
def test_holds_follows_from_the_numbers(rule, holds):
    claim = results.claim(
        "id",
        "Words",
        None,
        np.float32(0.93),
        np.array([0.92, 0.94]),
        rule,
        other=tf.constant(0.85),
        other_ci95=(0.8, np.float64(0.9)),
        same=np.True_,
    ) | {"measured": 0.93}
    assert results.recompute(claim) is holds
    assert results.recompute(json.loads(json.dumps(claim))) is holds


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, float("inf"), -np.inf, np.float32("nan")])
@pytest.mark.parametrize(
    "rule",
    [
        "measured > 0",
        "not measured > 0",
        "measured != 1",
        "0 < 1 or measured > 1",
        "min(0, measured) <= 1",
        "max(measured, 1) > 0",
        "-measured < 9",
        "measured == measured",
    ],
)
def test_a_missing_number_does_not_hold(rule, missing):
    claim = results.claim("id", "Words", 0.9, missing, None, rule)
    assert claim["measured"] is None and claim["holds"] is False
    assert results.recompute(json.loads(json.dumps(claim, allow_nan=False))) is False


@pytest.mark.parametrize(
    "rule",
    [
        "ci95[0] > 0",
        "ci95[1] > 0",
        "ci95[2] > 0",
        "1 / (measured - measured) > 0",
        "min(ci95) <= 9",
        "none[0] > 0",
        "1e999 > 0",
        "1e300 * 1e300 > 0",
        "9" * 400 + " > 0",
        "max(empty) > 0",
    ],
)
def test_other_ways_of_missing(rule):
    interval = (float("nan"), 1.0) if rule != "ci95[1] > 0" else (1.0, None)
    assert results.claim("id", "Words", None, 1.0, interval, rule, none=None, empty=[])["holds"] is False


@pytest.mark.parametrize(
    "rule, message",
    [
        ("__import__('os').system('true')", "is not allowed"),
        ("measured.real > 0", "is not allowed"),
        ("other > 0", "unknown number 'other'"),
        ("print(measured) > 0", "is not allowed"),
        ("abs > 0", "unknown number 'abs'"),
        ("abs(measured, 1) > 0", "abs takes one number"),
        ("abs() > 0", "is not allowed"),
        ("min(measured, key=abs) > 0", "is not allowed"),
        ("min(*ci95) > 0", "is not allowed"),
        ("measured ** 9 > 0", "is not allowed"),
        ("measured // 1 > 0", "is not allowed"),
        ("measured is 1", "is not allowed"),
        ("measured in ci95", "is not allowed"),
        ("'a' < 'b'", "is not allowed"),
        ("1j != measured", "is not allowed"),
        ("True", "is not allowed"),
        ("[measured][0] > 0", "is not allowed"),
        ("(lambda: 1)() > 0", "is not allowed"),
        ("(measured := 1) > 0", "is not allowed"),
        ("measured if measured > 0 else 1", "is not allowed"),
        ("ci95 > measured", "is a list"),
        ("ci95[-1] > 0", "not an item"),
        ("ci95[0:1] > 0", "not an item"),
        ("ci95[measured] > 0", "not an item"),
        ("measured[0] > 0", "not an item"),
        ("measured", "not a comparison"),
        ("measured and measured > 0", "not a comparison"),
        ("not measured", "not a comparison"),
        ("measured >", "can't be read"),
        ("measured > 0; 1", "can't be read"),
        ("", "can't be read"),
        ("\0", "can't be read"),
        ("(" * 450 + "1", "can't be read"),
        ("-" * 480 + "1 < 2", "recursion"),
        ("1 < 2" + " " * 500, "at most 500"),
        (None, "is a text"),
    ],
)
def test_the_evaluator_refuses(rule, message):
    with pytest.raises(ValueError, match=message):
        results.claim("id", "Words", None, 1.0, (0.9, 1.1), rule)


def test_names_of_a_rule():
    assert rules.names("ci95[0] > abs(b) and not min(a, ci95[1]) < 1") == ["ci95", "b", "a"]


def test_write_and_read(tmp_path):
    metrics = {
        "gtn": {"accuracies": np.array([0.5, np.nan], np.float32), "n": np.int64(3), "shape": (1, 2)},
        "name": "digits",
        "loss": float("inf"),
        "t": tf.constant([1, 2]),
        "bf16": tf.constant(1.5, tf.bfloat16),
        "yes": np.True_,
        7: None,
    }
    written = write(tmp_path / "new" / "run", metrics=metrics)
    contents = results.read(str(tmp_path / "new" / "run"))
    assert contents == written
    assert contents["metrics"] == {
        "gtn": {"accuracies": [0.5, None], "n": 3, "shape": [1, 2]},
        "name": "digits",
        "loss": None,
        "t": [1, 2],
        "bf16": 1.5,
        "yes": True,
        "7": None,
    }
    assert (contents["system"], contents["name"], contents["seed"], contents["wall_seconds"]) == (
        "teaching",
        "compare_treatments",
        3,
        1.5,
    )
    assert set(contents["versions"]) == {"cores", "python", "tf_gtn", "tensorflow", "keras", "numpy"}
    claim = contents["claims"][0]
    assert claim == {
        "id": "above_real",
        "statement": "Better than real data",
        "seed_value": "p < 0.01",
        "measured": 0.93,
        "ci95": [0.92, 0.94],
        "rule": "ci95[0] > real_ci95[1]",
        "holds": True,
        "numbers": {"real_ci95": [0.88, 0.91]},
    }
    text = (tmp_path / "new" / "run" / "results.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)


def test_what_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"results.metrics.a\[1\] must be numbers and texts; got object"):
        write(tmp_path, metrics={"a": [1, object()]})
    assert not os.listdir(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write(tmp_path)
    before = (tmp_path / "results.json").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(errors.UserError, match="disk full"):
        write(tmp_path, metrics={"gtn": 0.1})
    assert os.listdir(tmp_path) == ["results.json"] and (tmp_path / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.pop("seed"), "seed must be an integer"),
        (lambda r: r.update(system=3), "system must be a text; got 3"),
        (lambda r: r.update(seed=True), "seed must be an integer; got True"),
        (lambda r: r.update(wall_seconds=-1), "wall_seconds must be a number of seconds"),
        (lambda r: r["versions"].update(keras=3), "versions.keras must be a text"),
        (lambda r: r.update(metrics=[]), "metrics must be an object"),
        (lambda r: r.update(claims={}), "claims must be a list"),
        (lambda r: r["claims"][0].pop("holds"), r"claims\[0\].holds must be there"),
        (
            lambda r: r["claims"][0].update(holds=False),
            r"claims\[0\].holds must be true, as 'ci95\[0\] > real_ci95\[1\]' gives",
        ),
        (lambda r: r["claims"][0].update(ci95=[1]), r"claims\[0\].ci95 must be \[low, high\] or null"),
        (lambda r: r["claims"][0].update(measured="0.93"), r"claims\[0\].measured must be a number or null"),
        (lambda r: r["claims"][0].update(statement=" "), r"claims\[0\].statement must be a text"),
        (lambda r: r["claims"][0].update(rule="exit()"), r"claims\[0\].rule: rule 'exit\(\)': 'exit\(\)' is not allowed"),
        (lambda r: r["claims"][0].update(numbers={"measured": 1}), r"claims\[0\].numbers.measured must be named otherwise"),
        (lambda r: r["claims"][0].update(numbers={"real_ci95": "x"}), r"claims\[0\].numbers.real_ci95 must be a number"),
        (lambda r: r["claims"].append(r["claims"][0]), r"claims\[1\].id must be unique"),
        (lambda r: r["claims"].append(3), r"claims\[1\] must be an object"),
    ],
)
def test_the_first_wrong_field_is_named(tmp_path, change, message):
    contents = copy.deepcopy(write(tmp_path))
    change(contents)
    with pytest.raises(ValueError, match=message):
        results.validate(contents)
    (tmp_path / "results.json").write_text(json.dumps(contents))
    with pytest.raises(errors.UserError, match=message) as raised:
        results.read(str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"system": "teaching", "na', b"\xff\xfe", b"[]", b"null", b"[" * 100_000])
def test_a_damaged_file_is_one_line(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(errors.UserError, match=r"results\.json (is not valid JSON|doesn't fit|is empty|is not text)") as raised:
        results.read(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_no_file(tmp_path):
    with pytest.raises(errors.UserError, match=r"has no results\.json: its run isn't finished"):
        results.read(str(tmp_path))
    with pytest.raises(errors.UserError, match="is not the folder of a run"):
        results.read(str(tmp_path / "typo"))
    (tmp_path / "results.json").mkdir()
    with pytest.raises(errors.UserError, match=r"results\.json"):
        results.read(str(tmp_path))
