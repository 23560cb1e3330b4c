"""The report: one file that needs no other, tells what doesn't hold, and shows names as text."""

import html.parser
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tf_gtn import errors
from tf_gtn.reporting import figures, report, results

ABOVE = results.claim(
    "above", "Better than real data", "p < 0.01", 0.93, (0.92, 0.94), "ci95[0] > real_ci95[1]", real=0.9, real_ci95=(0.88, 0.91)
)
BELOW = results.claim("published", "As good as published", 0.98, 0.93, (0.92, 0.94), "measured >= 0.98")
MISSING = results.claim("missing", "Could not be measured", None, float("nan"), None, "measured > 0")


def make_run(path, claims=(ABOVE, BELOW, MISSING), name="compare_treatments", metrics=None):
    metrics = metrics or {"gtn": {"accuracy": 0.93, "all": np.arange(10) / 10}}
    results.write(str(path), "teaching", name, 3, metrics, list(claims), 170.0)
    return str(path)


class Page(html.parser.HTMLParser):
    """The elements of a page, and its visible text; checks that what opens also closes."""

    VOID = {"meta", "link", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        assert not self._open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def read(path):
    return Page(pathlib.Path(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "loss.png"
    return figures.loss_curve(str(path), {"gtn": ([1, 2], [0.3, 0.2])}, caption="Loss, 5 < 6.")


def test_one_run(tmp_path, drawn):
    run = make_run(tmp_path / "run")
    (tmp_path / "run/config.gin").write_text("DATASET = 'digits'  # <3")
    (tmp_path / "run/operative_config.gin").write_text("OUTER_STEPS = 7")
    os.mkdir(tmp_path / "run/figures")
    shutil.copy(drawn, tmp_path / "run/figures/loss.png")
    (tmp_path / "run/figures/broken.png").write_bytes(pathlib.Path(drawn).read_bytes()[:2000])
    path = str(tmp_path / "new/report.html")
    assert report.write(path, [run]) == path
    page = read(path)
    assert page.text.count("✓ yes") == 1 and page.text.count("✗ no") == 2 and "1 of 3 claims hold" in page.text
    assert "Better than real data above p < 0.01 0.93 0.92 to 0.94 ci95[0] > real_ci95[1] real_ci95 0.88 to 0.91" in page.text
    assert "Could not be measured missing not given n/a n/a measured > 0" in page.text
    assert page.text.index("Claims") < page.text.index("Figures") < page.text.index("Metrics") < page.text.index("config.gin")
    assert [image["alt"] for image in page.all("img")] == ["Loss, 5 < 6."]
    assert "broken.png can't be read" in page.text
    assert "gtn.accuracy 0.93" in page.text and "10 values from 0 to 0.9, mean 0.45" in page.text
    assert "DATASET = 'digits' # <3" in page.text and "OUTER_STEPS = 7" in page.text and len(page.all("details")) == 2
    assert all(f"{name} {text}" in page.text for name, text in results.versions().items())
    assert "Seed 3 Wall-clock time 170.0 s" in page.text
    before = pathlib.Path(path).read_bytes()
    assert pathlib.Path(report.write(path, [run])).read_bytes() == before


def test_two_seeds_are_no_interval(tmp_path):
    metrics = {"gtn": {"mean": 0.5, "ci95": [0.25, 0.75], "values": [0.2, 0.8]}}
    page = read(report.write(str(tmp_path / "report.html"), [make_run(tmp_path / "run", metrics=metrics)]))
    assert "gtn.ci95 0.25 to 0.75" in page.text and "gtn.values 0.2, 0.8" in page.text


def test_nothing_is_fetched(tmp_path, drawn):
    os.makedirs(tmp_path / "run/figures")
    shutil.copy(drawn, tmp_path / "run/figures/loss.png")
    path = report.write(str(tmp_path / "report.html"), [make_run(tmp_path / "run"), make_run(tmp_path / "other")])
    page = read(path)
    for tag, attrs in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        for key, value in attrs.items():
            if key in {"src", "href", "srcset", "action", "data", "poster"}:
                assert re.match(r"data:image/png;base64,|data:,$|#run-\d+$", value), (tag, key)
            assert not key.startswith("on")
    text = pathlib.Path(path).read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_several_runs(tmp_path):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", [ABOVE], "second"), make_run(tmp_path / "c", [], "third")]
    page = read(report.write(str(tmp_path / "report.html"), runs))
    links = [a["href"] for a in page.all("a")]
    assert links == ["#run-1", "#run-2", "#run-3"] == [f"#{section['id']}" for section in page.all("section")]
    assert page.text.index("1 of 3 claims hold") < page.text.index("1 claim, which holds") < page.text.index("no claims")
    marks = [span["class"] for span in page.all("span")][:2]
    assert marks == ["mark no", "mark yes"]


def test_names_are_text(tmp_path, drawn):
    evil = "<script>alert('&')</script>"
    claim = results.claim(f"id {evil}", f"says {evil}", f"seed {evil}", 1, None, "measured < 2")
    run = make_run(tmp_path / "<b>run", [claim], f"name {evil}", {f"metric {evil}": evil, "list": [evil, {"a": evil}]})
    (tmp_path / "<b>run/config.gin").write_text(f"# {evil}")
    os.mkdir(tmp_path / "<b>run/figures")
    shutil.copy(drawn, tmp_path / '<b>run/figures/"><b>.png')
    page = read(report.write(str(tmp_path / "report.html"), [run], {'"><b>': f'" onload="x {evil}'}))
    assert not page.all("script") and not page.all("b")
    assert page.all("img")[0]["alt"] == f'" onload="x {evil}' and "onload" not in page.all("img")[0]
    for word in ("id", "says", "seed", "name", "metric", "#"):
        assert f"{word} {evil}" in page.text


def test_captions_and_file_names(tmp_path, drawn):
    run = make_run(tmp_path / "run")
    os.mkdir(tmp_path / "run/figures")
    Image.new("RGB", (4, 4)).save(tmp_path / "run/figures/two_words.png")
    shutil.copy(drawn, tmp_path / "run/figures/loss.png")
    (tmp_path / "run/figures/notes.txt").write_text("no figure")
    alts = [image["alt"] for image in read(report.write(str(tmp_path / "r.html"), [run], {"loss": "Given."})).all("img")]
    assert alts == ["Given.", "Two words"]


def test_a_run_without_results(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(errors.UserError, match="typo is not the folder of a run"):
        report.write(str(tmp_path / "report.html"), [run, str(tmp_path / "typo")])
    with pytest.raises(errors.UserError, match="at least one run"):
        report.check([])
    assert not os.path.exists(tmp_path / "report.html")


def test_summary(tmp_path):
    assert (
        report.summary(results.read(make_run(tmp_path / "run")))
        == """\
teaching/compare_treatments, seed 3, 2 min 50 s: 1 of 3 claims hold
  holds          above      0.93  [0.92, 0.94]  ci95[0] > real_ci95[1]  (real_ci95 0.88 to 0.91)
  does not hold  published  0.93  [0.92, 0.94]  measured >= 0.98
  does not hold  missing    n/a                 measured > 0"""
    )
    many = {f"m{i}": [0.5, 0.25] for i in range(20)}
    lines = report.summary(results.read(make_run(tmp_path / "other", [], metrics=many))).splitlines()
    assert lines[0] == "teaching/compare_treatments, seed 3, 2 min 50 s" and lines[-1] == "  ... and 8 more in results.json"
    assert lines[1].split() == ["m0", "0.5", "to", "0.25"] and len(lines) == 14


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.123456, "0.1235 s"),
        (42, "42 s"),
        (59.99999, "60 s"),
        (60, "1 min 0 s"),
        (170.4, "2 min 50 s"),
        (3599.9, "1 h 0 min"),
        (11100, "3 h 5 min"),
    ],
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text
