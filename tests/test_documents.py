"""Every command and every piece of Python in README and docs runs, in the order of the page; macros shorten long ones."""

import contextlib
import itertools
import pathlib
import re
import runpy
import shlex
import subprocess
import sys
import unittest.mock

import pytest

from tests import programs
from tf_gtn.models import convolutional

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Where a command takes a run file, these make it short; the widths also keep a lesson of T steps short.
SHORT = [
    f"--gin_bindings={b}"
    for b in (
        "OUTER_STEPS = 2",
        "teaching.Evaluation.test_learners = 2",
        "teaching.Evaluation.validation_learners = 2",
        "models.Population.families = {'mlp': {'units': ((8, 8), (8, 8))}}",
    )
]
UNSEEN = "--gin_bindings=teaching.Evaluation.held_out = ['mlp_plain']"


DIGITS = "compare_treatments", "--gin_file=gin/teaching/digits.gin"


def commands():
    """`{page: [(place, tool, arguments)]}`: indented lines that call a program; benchmarks take minutes and are `make bench`'s.

    A command stands on the first page that has it, whatever its --base_dir, --strategy and OUTER_STEPS, which change here; the
    fixture `runs` runs one.
    """
    found, seen = {}, {("python", "-m", f"binaries.{DIGITS[0]}", *DIGITS[1:])}
    for page in PAGES:
        found[page] = []
        for place, line in enumerate(page.read_text().splitlines(), 1):
            if re.match(r" {4}(\.venv/bin/)?(python -m binaries|saved_model_cli)[. ]", line):
                tool, *arguments = shlex.split(line.split("  #")[0])
                tool = tool.removeprefix(".venv/bin/")
                what = tool, *(a for a in arguments if not re.match("--(base_dir|strategy|gin_bindings=OUTER_STEPS)", a))
                found[page] += [] if what in seen else [(place, tool, arguments)]
                seen.add(what)
    return found


COMMANDS = commands()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A short run in the place of runs/digits, and its export under the version that the page names."""
    folder = tmp_path_factory.mktemp("documents") / "runs"
    done = programs.run(*DIGITS, f"--base_dir={folder}/digits", *SHORT, UNSEEN, optimized_graphs=True)
    assert done.returncode == 0, done.stderr
    (folder / "digits" / "export" / "2").rename(folder / "digits" / "export" / "400")
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if COMMANDS[page]], ids=lambda p: p.name)
def test_commands_run_as_written(page, runs, mock_data, tmp_path):
    for number, tool, arguments in COMMANDS[page]:
        arguments = [
            a.replace("runs/digits", f"{runs}/digits") for a in arguments if a != "--strategy=multi_worker"
        ]  # no hosts
        if tool == "saved_model_cli":
            module = ["-m", "tensorflow.python.tools.saved_model_cli"]
            subprocess.run([sys.executable, *module, *arguments], check=True, capture_output=True, cwd=ROOT)
            continue
        name = arguments[1].removeprefix("binaries.")
        arguments = [a.replace("runs/evaluation", f"{runs}/evaluation") for a in arguments[2:]]
        if name in ("train_gtn", "compare_treatments"):  # a folder of its own: the settings differ
            arguments = [f"--base_dir={tmp_path}/{number}" if a.startswith("--base_dir") else a for a in arguments]
        if name == "evaluate_gtn":
            arguments = [f"--base_dir={runs}/evaluation" if a.startswith("--base_dir") else a for a in arguments]
        if name == "train_cartpole_gtn":  # in earnest: the page reads its export
            arguments += [*programs.SMALL_CARTPOLE, "--gin_bindings=rl.Experiment.seeds = 1"]
        elif name in ("train_a2c", "search_architectures", "train_unrolled_gan", "run_dynamics"):
            arguments += ["--dry_run"]
        elif name == "train_leap":
            arguments += ["--dry_run", f"--tfds_data_dir={mock_data}"]
        elif any(re.match(r"--gin_file=.*_small\.gin|--gin_file=.*glyphs\.gin", a) for a in arguments):
            arguments = [a for a in arguments if a != "--join" and "--tfds_data_dir" not in a]
            arguments += ["--dry_run", f"--tfds_data_dir={mock_data}", programs.MOCKED]
            arguments += ["--gin_bindings=teaching.Tuning.sampler = 'tpe'"] if name == "tune_gtn" else []
            if any("combined_small" in a for a in arguments):  # after a run of train_leap
                convolutional.four_modules((16, 16, 1), 10, 16).save(tmp_path / "leap.keras")
                arguments += [f"--gin_bindings=NETWORK = '{tmp_path}/leap.keras'"]
        elif any(a.startswith("--gin_file") for a in arguments):
            arguments += SHORT[1:] if name == "evaluate_gtn" else SHORT
            arguments += [UNSEEN] if name in ("compare_treatments", "evaluate_gtn") else []
        arguments = [re.sub(r"^--base_dir=runs", f"--base_dir={runs}", a) for a in arguments]
        done = programs.run(name, *arguments)
        assert done.returncode == 0, f"{page.name}:{number}: {name} {shlex.join(arguments)}\n{done.stderr}"
        complaints = re.sub(r"^rendering .* \(once\) into .*\n", "", done.stderr, flags=re.MULTILINE)  # on a new machine
        assert not complaints or "--dry_run" not in arguments, f"{page.name}:{number}: {complaints}"


# tests/test_register.py runs that of extending.md.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "extending.md"], ids=lambda p: p.name)
def test_python_runs_as_written(page, runs, monkeypatch):
    monkeypatch.chdir(runs.parent)
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(code.replace("outer_steps=400", "outer_steps=2"), page.name, "exec"), {})


def test_every_link_between_pages_leads_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


LISTS = {
    "README.md": r"architecture by name \((.*?)\):",
    "docs/teaching.md": r"Families: (.*?)\n\n",
    "docs/experiments.md": r"\| analysis \| gives \|\n\|---\|---\|\n(.*?)\n\n",
    "docs/experiments.md#claims": r"\| relation \| argument \| holds if \|\n\|---\|---\|---\|\n(.*?)\n\n",
    "docs/leap.md": r"`transfer.arm.method`: (.*?);",
}


def test_lists_of_names_are_whole():
    """Each list of a page against what is registered."""
    from tf_gtn.models import learners
    from tf_gtn.reporting import claims
    from tf_gtn.teaching import analyses, training
    from tf_gtn.transfer import continual, methods

    kinds = [*vars(methods).values(), *vars(continual).values()]
    kinds = {k.__name__ for k in kinds if isinstance(k, type) and issubclass(k, methods.Method) and k.__name__[0] != "_"}
    known = {
        "README.md": {*learners.REGISTRY},
        "docs/teaching.md": {*learners.REGISTRY},
        "docs/experiments.md": {name for name, analysis in analyses.REGISTRY.items() if analysis.of is training.Training},
        "docs/experiments.md#claims": {*claims.RELATIONS},
        "docs/leap.md": kinds - {"Method", "MetaLearned"},
    }
    for page, names in known.items():
        (text,) = re.findall(LISTS[page], (ROOT / page.partition("#")[0]).read_text(), re.DOTALL)
        text = "\n".join(line.split(" | ")[0] for line in text.splitlines())
        shown = {name.split(".")[-1] for name in re.findall(r"`@?([\w.]+)`", text)} - {
            "normalization",
            "initializer",
            "activation",
        }
        assert shown == names, page


def test_every_figure_is_shown_on_a_page():
    shown = {name for page in PAGES for name in re.findall(r"figures/(\w+\.png)", page.read_text())}
    assert shown == {path.name for path in (ROOT / "docs/figures").iterdir()}


def test_labels_of_growth_lie_beside_one_another(monkeypatch):
    from matplotlib.backends import backend_agg
    from matplotlib.figure import Figure

    from benchmarks import growth
    from tf_gtn.reporting import drawing

    figure = Figure(figsize=(7, 7.8), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    monkeypatch.setattr(drawing, "to_png", lambda *_: contextlib.nullcontext(figure))
    ranges = {"inner steps": (16, 32, 64, 128, 256, 512), "parameters": (8970, 85002, 1116170, 4280330, 10536970)}
    found = {name: {"points": {str(n): {"seconds": n**0.9, "peak_gb": 1.0 + n} for n in ns}} for name, ns in ranges.items()}
    growth.draw("", found)
    figure.canvas.draw()
    for axes in figure.axes:
        for axis, ends in ((axes.xaxis, ("x0", "x1")), (axes.yaxis, ("y0", "y1"))):
            boxes = [label.get_window_extent() for label in axis.get_ticklabels(which="both") if label.get_text()]
            places = sorted(tuple(getattr(box, end) for end in ends) for box in boxes)
            assert len(places) > 1 and all(before[1] < after[0] for before, after in itertools.pairwise(places))


def test_the_extra_of_all_is_what_the_changelog_says():
    with unittest.mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    extras = setup.call_args.kwargs["extras_require"]
    (said,) = re.findall(r"The extra `\[all\]` is (.*?):", (ROOT / "CHANGELOG.md").read_text())
    assert {*extras["all"]} == {name for extra in re.findall(r"\[(\w+)\]", said) for name in extras[extra]}


def test_the_settings_table_is_true():
    """Every name in docs/teaching.md exists, and the defaults are those of the code."""
    import inspect

    from tf_gtn.core import optimizers
    from tf_gtn.models import generators, population
    from tf_gtn.runtime import loop
    from tf_gtn.teaching import experiment as comparison
    from tf_gtn.teaching import gin_names as rim
    from tf_gtn.teaching import pixels, training

    owners = {
        "models.Population": population.Population,
        "teaching.gtn": inspect.unwrap(rim.gtn),
        "teaching.Evaluation": comparison.Evaluation,
        "run.Schedule": loop.Schedule,
        "generators.conditional": generators.conditional,
        "generators.residual": generators.residual,
        "teaching.distilled": pixels.distilled,
        "teaching.bases": pixels.bases,
        "teaching.inner_loop": inspect.unwrap(rim.inner_loop),
        "teaching.Training": training.Training,
        "optimizers.SGD": optimizers.SGD,
        "teaching.treatment": inspect.unwrap(rim.treatment),
        "teaching.curriculum": inspect.unwrap(rim.curriculum),
        "teaching.learners": inspect.unwrap(rim.learners),
        "teaching.Comparison": comparison.Comparison,
        "teaching.outer_steps": inspect.unwrap(rim.outer_steps),
        "models.Given": population.Given,
    }
    rows = re.findall(r"^\| (`[a-z_]+\.\w+\..*?) \| .*? \| (.*?) ?\|$", (ROOT / "docs/teaching.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    for names, defaults in rows:
        names = re.findall(r"`([^`]+)`", names)
        owner = names[0].rpartition(".")[0]
        if owner == "data.load":
            continue
        parameters = inspect.signature(owners[owner]).parameters
        for name, default in zip(names, defaults.split(", ")):
            found = parameters[name.rpartition(".")[2]].default
            if isinstance(found, bool | int | float | str) and default:
                assert eval(default) == found, f"{name}: {default} in the table, {found!r} in the code"
