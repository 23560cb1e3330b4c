"""How every figure looks and is saved: colours, legend, PNG.

Whatever draws uses `to_png`, so that all figures of a report belong together:

    with drawing.to_png(path, "What one sees.") as figure:
        axes = figure.subplots()
        drawing.line(axes, "gtn", curves, x, mean, interval)
        drawing.finish(figure, axes)
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from tf_gtn.runtime import files

_DPI = 120
_LOOK = [
    "default",
    {
        "font.size": 10,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "figure.facecolor": "white",
        "axes.titlesize": 10,
    },
]

# Okabe and Ito's colours, which the colour-blind can tell apart; (colour, line, marker).
STYLES = {
    "gtn": ("#0072B2", "-", "o"),
    "distilled": ("#D55E00", "--", "s"),
    "real": ("#009E73", "-.", "^"),
}
# Other names, by their place in a figure; 60 different ones.
_COLORS, _LINES, _MARKERS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31"), ("-", "--", "-.", ":"), ("D", "v", "P")
LABELS = {"gtn": "GTN", "distilled": "distilled pixels", "real": "real data"}


@contextlib.contextmanager
def to_png(path: str, caption: str, size: tuple[float, float] = (7, 4.2)) -> Generator[Figure, None, None]:
    """Yields an empty figure and saves it at the end; a user's matplotlibrc has no say.

    Args:
      path: of the PNG; its folder is made if need be.
      caption: what one sees, in a sentence or two; a report shows it.
      size: (width, height) in inches of 120 pixels.
    """
    with matplotlib.style.context(_LOOK):
        figure = Figure(figsize=size, layout="constrained")
        backend_agg.FigureCanvasAgg(figure)
        yield figure
        buffer = io.BytesIO()
        figure.savefig(
            buffer,
            format="png",
            dpi=_DPI,
            bbox_inches="tight",
            pad_inches=0.08,
            metadata={"Software": None, "Description": caption},
        )
    files.write(path, buffer.getvalue())


def image(draw: Callable[[str], object]) -> np.ndarray:
    """The picture that `draw(path)` makes of a figure, and no file stays: uint8 [H, W, 4]."""
    with tempfile.TemporaryDirectory() as folder:
        draw(path := os.path.join(folder, "figure.png"))
        with Image.open(path, formats=["PNG"]) as figure:
            return np.asarray(figure.convert("RGBA"))


def caption(path_or_file: str | IO[bytes]) -> str | None:
    """The caption inside a PNG, or None.

    Raises:
      OSError, ValueError, SyntaxError: it isn't a whole PNG.
    """
    with Image.open(path_or_file, formats=["PNG"]) as image:
        image.load()
        return image.info.get("Description")


def line(
    axes: Axes,
    name: str,
    names: Iterable[str],
    x: Sequence[float] | np.ndarray,
    mean: Sequence[float] | np.ndarray,
    interval: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """A line for one of `names`, with some ten markers, and a band `(low, high)` around it."""
    color, dashes, marker = style(name, names)
    axes.plot(x, mean, dashes, color=color, marker=marker, markevery=max(1, len(x) // 10), label=label(name))
    if interval is not None:
        axes.fill_between(x, *interval, color=color, alpha=0.18, linewidth=0)


def finish(figure: Figure, *panels: Axes, integer: bool = True) -> None:
    """Whole numbers on the x axes, unless `integer` is False, and one legend under all panels."""
    if integer:
        for axes in panels:
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10]))
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), handlelength=3)


def style(name: str, names: Iterable[str]) -> tuple[str, str, str]:
    """`(colour, line, marker)` of a treatment; of another name, by its place among the others in `names`."""
    if name in STYLES:
        return STYLES[name]
    place = [other for other in names if other not in STYLES].index(name)
    return _COLORS[place % len(_COLORS)], _LINES[place % len(_LINES)], _MARKERS[place % len(_MARKERS)]


def label(name: str) -> str:
    """A treatment's name in words."""
    return LABELS.get(name, str(name).replace("_", " "))
