"""Cells as pictures: by graphviz where its program is installed, else by matplotlib."""

import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from tf_gtn.nas import cells


def edges(cell: Sequence[cells.Node]) -> list[tuple[str, str, str]]:
    """`[(from, to, operation)]` of a cell; inputs are "input -2", "input -1", nodes their numbers, and "output"."""
    name = lambda source: f"input {source}" if source < 0 else str(source)  # noqa: E731
    inner = [(name(s), str(i), o) for i, node in enumerate(cell) for s, o in zip(node.inputs, node.operations)]
    used = {s for s, _, _ in inner}
    return inner + [(str(i), "output", "") for i in range(len(cell)) if str(i) not in used]


def dot(architecture: cells.Architecture) -> str:
    """Graphviz source of both cells."""
    lines = ["digraph {", "rankdir=TB; node [shape=box, fontsize=11]; edge [fontsize=9];"]
    for kind in cells.KINDS:
        lines.append(f'subgraph cluster_{kind} {{ label="{kind} cell";')
        lines += [
            f'"{kind}_{a}" [label="{a}"]; "{kind}_{b}" [label="{b}"]; "{kind}_{a}" -> "{kind}_{b}" [label="{operation}"];'
            for a, b, operation in edges(getattr(architecture, kind))
        ]
        lines.append("}")
    return "\n".join([*lines, "}"])


def picture(architecture: cells.Architecture, axes_of: Callable[[int], Sequence[Any]]) -> None:
    """Draws with graphviz if its `dot` is installed, else node by node; `axes_of(n)` gives n matplotlib axes."""
    if shutil.which("dot"):
        from PIL import Image

        png = subprocess.run(["dot", "-Tpng"], input=dot(architecture).encode(), capture_output=True, check=True).stdout
        (axes,) = axes_of(1)
        axes.imshow(Image.open(io.BytesIO(png)))
        axes.axis("off")
        return
    for axes, kind in zip(axes_of(2), cells.KINDS):
        _by_hand(axes, getattr(architecture, kind), f"{kind} cell")


def _by_hand(axes, cell, title):
    cell_edges = edges(cell)
    depth = {"input -2": 0, "input -1": 0}
    for a, b, _ in cell_edges:
        depth[b] = max(depth.get(b, 0), depth[a] + 1)
    rows = {}
    for name, d in depth.items():
        rows.setdefault(d, []).append(name)
    place = {name: ((k + 1) / (len(row) + 1), -d) for d, row in rows.items() for k, name in enumerate(row)}
    for k, (a, b, operation) in enumerate(cell_edges):
        bend = f"arc3,rad={0.12 * (k % 3 - 1)}"
        axes.annotate("", place[b], place[a], arrowprops={"arrowstyle": "->", "color": "#888888", "connectionstyle": bend})
        x, y = (0.35 * place[a][0] + 0.65 * place[b][0], 0.35 * place[a][1] + 0.65 * place[b][1])
        axes.text(x + 0.03 * (k % 2), y, operation, fontsize=6, ha="center")
    for name, (x, y) in place.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=8, bbox={"boxstyle": "round", "facecolor": "white"})
    axes.set(title=title, xlim=(0, 1), ylim=(-max(depth.values()) - 0.4, 0.4))
    axes.axis("off")
