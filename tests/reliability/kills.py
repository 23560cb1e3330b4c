"""A run that is killed at chosen operations on its files, and what the same command makes of what is left.

A process stops itself before an operation while its folder is copied: the copy is what a kill there would leave. So one run
gives all places; some are killed in earnest beside that.
"""

import json
import random
import re
import shutil
import subprocess

import pytest

from tests.reliability import configurations, zygote

_SOURCE = configurations.ROOT / "tests" / "reliability" / "file_operations.c"


def library(folder):
    """The compiled `file_operations.c`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (cc) to build the library that counts operations on files")
    made = folder / "file_operations.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(_SOURCE), "-o", str(made), "-ldl"], check=True)
    return made


def places(count, number, seed=0):
    """That many operations of 1 to `count`, one at random in each of as many equal parts."""
    number, draw = min(number, count), random.Random(seed)
    return [draw.randrange(count * k // number, count * (k + 1) // number) + 1 for k in range(number)]


def sweep(program, given, folder, preload, number=30, in_earnest=3, only=()):
    """What went wrong, a text each.

    Args:
      program: its name.
      given: a `configurations.Given`.
      folder: for the runs; a `Path`.
      preload: the compiled library.
      number: places at which it is stopped and copied.
      in_earnest: places at which a run of its own is killed.
      only: numbers of operations in place of those, rising; no run is made to count them.
    """
    whole, stopped, log = folder / "whole", folder / "stopped", folder / "operations"
    with zygote.Zygote(program, preload) as runs:

        def run(base_dir, copies=(), **environment):
            return runs.run(*configurations.arguments(program, given, base_dir), environment=environment, copies=copies)

        def numbers(what, folders):
            out = folder / "numbers.json"
            done = runs.run("numbers", what, out, *folders)
            assert not done["code"], done["stderr"]
            return list(json.loads(out.read_text()).values())

        if not only:
            done = run(whole, KILL_UNDER=str(whole), KILL_LOG=str(log))
            assert not done["code"], done["stderr"]
            only = places(len(log.read_text().splitlines()), number)
        folders = [folder / f"at-{place}" for place in only]
        watched = {"KILL_UNDER": str(stopped), "KILL_AT": ",".join(map(str, only)), "KILL_WITH": "19"}
        done = run(stopped, [(stopped, f) for f in folders], **watched, KILL_LOG=str(log.with_suffix(".stopped")))
        assert not done["code"], done["stderr"]
        operations = log.with_suffix(".stopped").read_text().splitlines()
        places_of = dict(list(zip(folders, only))[: done["stops"]])
        assert len(places_of) >= len(only) * 0.9, f"only {len(places_of)} of {len(only)} places were come by"
        for place in random.Random(1).sample(only, min(in_earnest, len(only))):
            killed = folder / f"killed-{place}"
            if run(killed, KILL_UNDER=str(killed), KILL_AT=str(place), KILL_WITH="9")["code"] == -9:
                places_of[killed] = place
        wanted, *same = numbers("all", [stopped, *([whole] if whole.exists() else [])])
        assert same in ([], [wanted]), f"two runs differ: {difference(wanted, same[0])}"
        wrong = []
        visible = numbers("exports", places_of)
        ended = {f: run(f) for f in places_of}
        for (base_dir, place), exports, done, found in zip(
            places_of.items(), visible, ended.values(), numbers("all", places_of)
        ):
            where = f"{program}: {base_dir.name}, before {operations[place - 1]}"
            for version, values in exports.items():
                if values != wanted.get(version):
                    wrong.append(f"{where}: export {version} is visible: {difference(wanted.get(version), values)}")
            if not ends_well(done):
                wrong.append(f"{where}: code {done['code']}{' after a hang' * done['hangs']}: {last_words(done)}")
            elif not done["code"] and found != wanted:
                wrong.append(f"{where}: other numbers: {difference(wanted, found)}")
        return wrong


def ends_well(done):
    """Whether a run ended as a run should: to the end, or with a sentence about the user's folder."""
    noise = re.search("^Traceback|^WARNING:", done["stderr"], re.MULTILINE)
    return not done["hangs"] and not noise and done["code"] in (0, 2)


def last_words(done, lines=3):
    return " | ".join(done["stderr"].strip().splitlines()[-lines:])[-500:]


def difference(wanted, found, where=""):
    """The first place where two JSON values differ, as text."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in {**wanted, **found}:
            if key not in wanted or key not in found:
                return f"{where}/{key} is {'missing' if key in wanted else 'new'}"
            if wanted[key] != found[key]:
                return difference(wanted[key], found[key], f"{where}/{key}")
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for k, (one, other) in enumerate(zip(wanted, found)):
            if one != other:
                return difference(one, other, f"{where}[{k}]")
    return f"{where}: {str(found)[:150]} instead of {str(wanted)[:150]}"
