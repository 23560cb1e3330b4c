"""Figures: PNGs with something on them, the same bytes for the same arrays, and odd inputs that a short run gives."""

import os
import pathlib

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tf_gtn.reporting import drawing, figures, statistics
from tf_gtn.teaching import plots

RNG = np.random.default_rng(0)
CURVES = {name: np.clip(RNG.normal(0.5, 0.1, (6, 9)), 0, 1) for name in ("gtn", "distilled", "real")}
STEPS = np.arange(0, 500, 5)
IMAGES = RNG.uniform(-2, 2, (20, 3, 8, 8, 1))

DRAWN = {
    "accuracy_by_inner_step": lambda path: plots.accuracy_by_inner_step(path, CURVES, 32),
    "accuracy_by_outer_step": lambda path: plots.accuracy_by_outer_step(path, {"gtn": (np.arange(9), CURVES["gtn"].T)}),
    "outer_step_with_means": lambda path: plots.accuracy_by_outer_step(path, {"real": (np.arange(6), CURVES["real"][:, 0])}),
    "outer_step_with_intervals": lambda path: plots.accuracy_by_outer_step(
        path, {n: (np.arange(9), c.mean(0), (c.min(0), c.max(0))) for n, c in CURVES.items()}
    ),
    "loss_curve": lambda path: figures.loss_curve(path, {"gtn": (STEPS, np.exp(RNG.normal(0, 0.1, 100)))}),
    "schedule": lambda path: plots.schedule(path, CURVES["gtn"][0], CURVES["gtn"][1]),
    "schedules": lambda path: plots.schedule(path, {name: (c[0], c[1]) for name, c in CURVES.items()}),
    "bars": lambda path: figures.bars(path, {"mlp": {"gtn": CURVES["gtn"][:, 0], "real": (0.8, np.array([0.7, 0.9]))}}),
    "sample_grid": lambda path: plots.sample_grid(path, IMAGES, ["a", "b", "c"]),
}


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"), np.float64)


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"loss_curve"}))
def test_equal_arrays_give_equal_bytes(tmp_path, name):
    first, second = str(tmp_path / "a/figures/x.png"), str(tmp_path / "b/figures/x.png")
    assert DRAWN[name](first) == first
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 10}):  # a user's settings
        DRAWN[name](second)
    content = pathlib.Path(first).read_bytes()
    assert content == pathlib.Path(second).read_bytes()
    assert b"Software" not in content and b"matplotlib" not in content.lower()
    assert drawing.caption(first).endswith(".")


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_something_is_drawn(tmp_path, name):
    image = pixels(DRAWN[name](str(tmp_path / "x.png")))
    assert image.std() > 10 and min(image.shape[:2]) > 250


def test_a_treatment_has_one_colour_in_every_figure(tmp_path):
    def has(path, color):
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        return (pixels(path) == rgb).all(-1).any()

    colors = {name: style[0] for name, style in drawing.STYLES.items()}
    assert len({tuple(style) for style in drawing.STYLES.values()}) == 3
    treatments_of = {
        "accuracy_by_inner_step": {"gtn", "distilled", "real"},
        "accuracy_by_outer_step": {"gtn"},
        "bars": {"gtn", "real"},
        "loss_curve": {"gtn"},
        "schedules": {"gtn", "distilled", "real"},
        "outer_step_with_means": {"real"},
    }
    for name, treatments in treatments_of.items():
        path = DRAWN[name](str(tmp_path / f"{name}.png"))
        assert {t for t, color in colors.items() if has(path, color)} == treatments, name


def test_other_names_are_told_apart():
    names = ["gtn", *"abcdefghij"]
    assert len({drawing.style(name, names) for name in names}) == len(names)


def test_matplotlib_is_left_as_it_was(tmp_path):
    before = dict(matplotlib.rcParams)
    DRAWN["bars"](str(tmp_path / "x.png"))
    assert dict(matplotlib.rcParams) == before


def test_sample_grid_shows_the_images(tmp_path):
    """Black, white, coloured and missing cells stand where they should, rows spread over all steps."""
    images = np.full((31, 2, 4, 4, 3), -2.0)
    images[:, 1] = 2
    images[30, 0] = (2, -2, -2)
    images[0, 1] = np.nan
    path = str(tmp_path / "grid.png")
    plots.sample_grid(path, images, ["0", "1"], rows=3)
    image = pixels(path)
    red, black = (image == (255, 0, 0)).all(-1), (image == 0).all(-1)
    grey = (np.abs(image - 240) < 2).all(-1)
    ys = [np.median(np.nonzero(mask)[0]) for mask in (grey, red)]
    assert min(red.sum(), grey.sum()) > 500 and black.sum() > 1.8 * red.sum() and ys[0] < ys[1]
    plots.sample_grid(path, np.full((1, 2, 8, 8, 1), 0.5), ["0", "1"], low=0, high=1)
    assert ((np.abs(pixels(path) - 127.5) < 1).all(-1)).sum() > 1000


@pytest.mark.parametrize("shape", [(8, 8, 1), (2, 3, 8, 8, 2), (0, 3, 8, 8, 1)])
def test_sample_grid_refuses_other_shapes(tmp_path, shape):
    with pytest.raises(ValueError, match=r"\[steps, classes, H, W, 1 or 3\]; got \["):
        plots.sample_grid(str(tmp_path / "x.png"), np.zeros(shape), ["a"])
    assert not os.listdir(tmp_path)


def test_short_runs(tmp_path):
    path = str(tmp_path / "x.png")
    nothing = np.array([])
    figures.loss_curve(path, {"gtn": (nothing, nothing), "real": ([5], [0.3])})
    figures.loss_curve(path, {"gtn": (np.arange(90), np.r_[np.nan, np.logspace(-3, 3, 89)])}, caption="Größe 5 µm → 0")
    assert drawing.caption(path) == "Größe 5 µm → 0"
    plots.accuracy_by_outer_step(path, {"gtn": (nothing, nothing, (nothing, nothing)), "real": ([7], [0.5], ([0.4], [0.6]))})
    plots.accuracy_by_inner_step(path, {"gtn": np.ones((1, 1)), "real": np.ones((3, 2))})
    figures.bars(path, {f"group {i}": {"gtn": (0.1 * i, None)} for i in range(8)} | {"last": {"real": [0.5]}})
    figures.bars(path, {})


@pytest.mark.parametrize("values", [RNG.uniform(size=20), np.full(5, 0.3), np.array([0.4])])
def test_bootstrap_agrees_with_the_numbers_of_the_results(values):
    columns = np.stack([values, values[::-1] / 2, np.full_like(values, 0.1)], 1)
    low, high = statistics.bootstrap(columns)
    expected = pytest.approx(tuple(statistics.mean_and_interval(values)[1]), rel=1e-12)
    assert (low[0], high[0]) == expected and statistics.bootstrap(values) == expected
    assert low[2] == high[2] == pytest.approx(0.1)
    assert (low <= columns.mean(0) + 1e-12).all() and (columns.mean(0) <= high + 1e-12).all()


def test_moving_mean():
    values = np.array([1.0, 3, np.nan, 5, 7])
    np.testing.assert_allclose(figures.moving_mean(values, 3), [2, 2, np.nan, 6, 6])
    np.testing.assert_allclose(figures.moving_mean(values, 1), values)
