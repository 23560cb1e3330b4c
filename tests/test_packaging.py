"""The wheel, the lock and the import: what a user gets who never sees this repository."""

import ast
import configparser
import email
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tf_gtn import version

ROOT = pathlib.Path(__file__).parents[1]
BINARIES = sorted(path.stem for path in (ROOT / "binaries").glob("*.py") if path.stem != "__init__")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def call(*command, **kwargs):
    """The output of a command; its error output is in the message if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment():
    """This process's variables without those that lead Python to the repository, and those of a `make` around it."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, since a build writes beside its sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("tf_gtn", "binaries", "gin"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin folder of an environment with the wheel in it, which borrows the dependencies of this one."""
    env = tmp_path_factory.mktemp("env")
    call(sys.executable, "-m", "venv", "--without-pip", env)
    python = env / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    paths = json.loads(call(python, "-c", "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))"))
    borrowed = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    pathlib.Path(paths["purelib"], "borrowed.pth").write_text("\n".join(borrowed))
    return python.parent


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def requirements(metadata, extra=""):
    """Requirements of an extra, or without one those of every installation."""
    found = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    return [r for r in found if (f'extra == "{extra}"' in str(r.marker) if extra else "extra" not in str(r.marker))]


def locked():
    """(name, marker or None, version) of every entry of the lock."""
    lines = [line.rstrip(" \\") for line in LOCK.splitlines() if re.match(r"\w", line)]
    return [(canonicalize_name(r.name), r.marker, str(r.specifier).removeprefix("==")) for r in map(Requirement, lines)]


def test_the_wheel_holds_the_package_the_binaries_and_every_gin_file(wheel):
    expected = set()
    for top, inside in (("tf_gtn", ""), ("binaries", "tf_gtn/"), ("gin", "tf_gtn/")):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected.add(inside + path.relative_to(ROOT).as_posix())
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read(next(n for n in archive.namelist() if n.endswith("entry_points.txt"))).decode())
    assert names == expected
    assert dict(scripts["console_scripts"]) == {
        f"gtn-{name.replace('_', '-')}": f"tf_gtn.binaries.{name}:run" for name in BINARIES
    }


def test_the_metadata_says_what_is_needed(metadata):
    assert metadata["Name"] == "tf_gtn"
    assert metadata["Version"] == version.__version__
    assert set(metadata["Requires-Python"].split(",")) == {">=3.10", "<3.12"}
    assert set(metadata.get_all("Provides-Extra")) == {"dev", "rl", "gan", "nas", "tune", "all"}
    core = {r.name for r in requirements(metadata)}
    assert {"tensorflow", "keras", "gin-config"} <= core
    assert not core & {"tf-agents", "tf_keras", "ray", "optuna"}
    names = {extra: {r.name for r in requirements(metadata, extra)} for extra in ("rl", "gan", "nas", "tune", "all")}
    assert names["all"] == names["rl"] | names["nas"] | names["gan"]  # PyTorch and tf-agents want different typing-extensions


def test_whatever_is_imported_is_required(metadata):
    """By a run or by an extra; what another requirement happens to bring may go any day."""
    files = [path for folder in ("tf_gtn", "binaries") for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    modules = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"tf_gtn"}
    distributions = {"cv2": ["opencv-python-headless"], **importlib.metadata.packages_distributions()}
    required = {canonicalize_name(Requirement(line).name) for line in metadata.get_all("Requires-Dist")}
    unmet = {name for name in modules if not required & {*map(canonicalize_name, distributions.get(name, [name]))}}
    assert not unmet, "not in setup.py"


@pytest.mark.parametrize("name", BINARIES)
def test_a_binary_has_the_function_that_its_console_script_calls(name):
    tree = ast.parse((ROOT / "binaries" / f"{name}.py").read_text(encoding="utf-8"))
    run = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    assert len(run) == 1, "a console script calls run()"
    assert len(run[0].args.args) == len(run[0].args.defaults)


def test_the_installed_wheel_shadows_nothing(installed, tmp_path):
    code = "import gin, tf_gtn, tf_gtn.binaries; print(gin.__file__, gin.configurable.__name__, tf_gtn.__file__, sep='\\n')"
    gin_file, configurable, tf_gtn_file = call(
        installed / "python", "-c", code, cwd=tmp_path, env=clean_environment()
    ).splitlines()
    assert pathlib.Path(gin_file).parts[-2:] == ("gin", "__init__.py") and configurable == "configurable"
    assert installed.parent in pathlib.Path(tf_gtn_file).parents


def test_an_installed_program_runs_from_any_folder(installed, tmp_path):
    """Its shipped gin file is found by name; a dry run writes nothing."""
    output = call(
        installed / "gtn-train-gtn",
        "--dry_run",
        "--base_dir=run",
        "--gin_file=gin/teaching/digits.gin",
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert "dry run" in output
    assert not list(tmp_path.iterdir())


def test_a_system_of_a_user_s_own_runs_on_the_installed_wheel(installed, tmp_path):
    """It has arms, claims, a report, and goes on where it was; in at most 80 lines."""
    for name in ("schedules.py", "schedules.gin"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    assert len((tmp_path / "schedules.py").read_text().splitlines()) <= 80
    command = [installed / "python", "schedules.py", "--base_dir=run", "--gin_file=schedules.gin"]
    call(*command, "--gin_bindings=schedules.Schedules.seeds = 1", cwd=tmp_path, env=clean_environment())
    first = (tmp_path / "run/metrics.jsonl").read_bytes()
    said = call(*command, cwd=tmp_path, env=clean_environment())
    assert "all 200 outer steps were taken already with seed 0" in said and not (tmp_path / "run/repeats/2").exists()
    found = json.loads((tmp_path / "run/results.json").read_text())
    (claim,) = found["claims"]
    assert found["system"] == "schedules" and claim["holds"] and len(found["metrics"]["loss/constant"]["values"]) == 2
    assert (tmp_path / "run/report.html").exists() and (tmp_path / "run/metrics.jsonl").read_bytes() == first
    wrong = "--gin_bindings=schedules.Schedules.claims = (('loss/constan', 'above', 'loss/per_step'),)"
    done = subprocess.run([*command, wrong, "--dry_run"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean 'loss/constant'?" in done.stderr and "Traceback" not in done.stderr


def test_after_make_setup_a_script_in_any_folder_finds_the_package(tmp_path):
    """That of the checkout by which it names its Python, also if .venv is a link there."""
    first, second = tmp_path / "first", tmp_path / "second"
    for checkout in (first, second):
        (checkout / "tf_gtn").mkdir(parents=True)
        (checkout / "tf_gtn" / "__init__.py").touch()
        for name in ("Makefile", "requirements.lock"):
            shutil.copy(ROOT / name, checkout)
    call(sys.executable, "-m", "venv", "--without-pip", first / ".venv")
    shutil.copy(ROOT / "requirements.lock", first / ".venv")  # so it counts as installed
    (second / ".venv").symlink_to(first / ".venv")
    (tmp_path / "my_script.py").write_text("import tf_gtn; print(tf_gtn.__file__)")
    for checkout in (first, second):
        assert call("make", "setup", cwd=checkout, env=clean_environment()) == ""
        found = call(checkout / ".venv/bin/python", "my_script.py", cwd=tmp_path, env=clean_environment())
        assert found.strip() == str(checkout / "tf_gtn" / "__init__.py")


def test_the_gin_folder_is_no_package():
    """A regular package on the path wins over a folder without __init__.py: `import gin` is gin-config, also from here."""
    assert not list((ROOT / "gin").rglob("*.py"))
    where = call(sys.executable, "-c", "import gin; print(gin.__file__)", cwd=ROOT).strip()
    assert ROOT / "gin" not in pathlib.Path(where).parents


def test_the_lock_names_no_registry_and_no_machine():
    assert not re.search(r"://|\bindex\b|find-links|@|(?<![\w.])[/~][\w.]|[A-Za-z]:\\", LOCK)
    assert LOCK.splitlines()[1].strip("# ") == "make lock"


def test_every_entry_of_the_lock_is_pinned_and_hashed():
    entries = [entry for entry in re.split(r"\n(?=[\w#])", LOCK) if not entry.startswith("#")]
    assert len(entries) == len(locked()) > 50
    for entry in entries:
        assert re.match(r"[\w-]+==[\w.]+( ; [^\\]+)? \\\n", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("python", ["3.10", "3.11"])
def test_the_lock_satisfies_setup_py(metadata, python):
    """Every requirement of a run and of a developer is locked once for each Python, at an allowed version."""
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    pins = {}
    for name, marker, pin in locked():
        if marker is None or marker.evaluate(environment):
            assert pins.setdefault(name, pin) == pin, f"{name} twice"
    for requirement in requirements(metadata) + requirements(metadata, "dev"):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


IMPORT = """
import os, sys, time
import keras, tensorflow
from absl import flags

before = set(sys.modules), dict(os.environ), set(flags.FLAGS)
started = time.process_time()  # what else the machine does is no matter
import tf_gtn
tf_gtn.core, tf_gtn.load, tf_gtn.train, tf_gtn.evaluate, tf_gtn.data
seconds = time.process_time() - started
added = sorted({name.partition(".")[0] for name in set(sys.modules) - before[0]})
import json
print(json.dumps({"added": added, "seconds": seconds, "environment": dict(os.environ) == before[1],
                  "flags": set(flags.FLAGS) == before[2]}))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What the import of tf_gtn and its public names adds to that of TensorFlow and Keras."""
    env = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    return json.loads(call(sys.executable, "-c", IMPORT, cwd=tmp_path_factory.mktemp("elsewhere"), env=env).splitlines()[-1])


def test_the_import_leaves_the_process_as_it_was(imported):
    assert imported["environment"] and imported["flags"]
    assert not set(imported["added"]) & {
        "gin",
        "tf_keras",
        "tf_agents",
        "tensorflow_probability",
        "tensorflow_datasets",
        "matplotlib",
        "sklearn",
        "ray",
        "optuna",
    }


def test_the_import_is_quick(imported):
    assert imported["seconds"] < 1


def test_the_bare_import_is_light():
    """Until a name is used, not even TensorFlow is imported."""
    env = {**clean_environment(), "PYTHONPATH": str(ROOT)}
    assert call(sys.executable, "-c", "import sys, tf_gtn; print('tensorflow' in sys.modules)", env=env).strip() == "False"
