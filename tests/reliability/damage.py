"""A folder of a run in which one file is damaged, and what the same command and a report make of it.

Outcomes, in the words of docs/reliability.md:

    made again   the command ends well with the same numbers, and the file is whole again
    said         it ends well and names the file: what was lost with it is told
    not read     it ends well with the same numbers, and the file stays as it was
    refused      one line that names the file or its folder; exit code 2
    WRONG        everything else: a traceback, a hang, other numbers without a word
"""

import fnmatch
import json
import re
import shutil
import sys

from tests.reliability import configurations, kills, zygote

DAMAGES = ("emptied", "truncated", "zeroed", "flipped", "deleted", "a folder")
FOLDER_DAMAGES = ("deleted", "a file")
_COLUMNS = DAMAGES[:4], ("deleted",), ("a folder", "a file")  # of the table
STATES = ("finished", "unfinished")
WRONG = "WRONG"

_BATCH = 12  # runs whose numbers are read together
# What only a user looks at, or TensorBoard.
_UNREAD = (".lock", "operative_config.gin", "report.html", "summaries/events", "figures/*.png")

# Before an operation on which file a run is unfinished: it has checkpoints, and a step to go. Else after two thirds of all.
_UNFINISHED = {
    "train_gtn": "/checkpoints/ckpt-3",
    "compare_treatments": "/repeats/1/checkpoints/ckpt-2",
    "train_unrolled_gan": "/checkpoints/ckpt-2",
    "train_cartpole_gtn": "/checkpoints/ckpt-3",
    "train_a2c": "/checkpoints/ckpt-3",
    "run_dynamics": "/parts/meta_learner/checkpoints/ckpt-4",
    "train_leap": "/checkpoints/ckpt-2",
}


def kind(path):
    """A file's kind: its path inside the run's folder, without what differs from run to run and from step to step."""
    path = re.sub(r"^repeats/\d+(/|$)", "", path) or "repeats"
    for pattern, name in (
        (r"ckpt-\d+", "ckpt-N"),
        (r"events\.out.*", "events"),
        (r"[^/]+\.png", "*.png"),
        (r"[\w-]+-\d+\.npy", "*.npy"),
        (r"\.\d+\.tmp$|\.tmp\w*$|\.tempstate\d+", ".tmp"),
        (r"^export(_best)?/\w*[a-z]\w*/", r"export\1/"),
        (r"^export(_best)?/\d+", r"export\1/N"),
        (r"^export/export/", "export/"),
        (r"^policies/\w+", "policies/ARM"),
        (r"^initializations/\w+", "initializations/ARM"),
        (r"^\.workers/.+", ".workers/ID"),
        (r"^parts/(\w+)/", "parts/PART/"),
        (r"^parts/\w+(\.json)?$", r"parts/PART\1"),
        (r"^analyses/\w+", "analyses/NAME"),
        (r"^networks/[^/]+", "networks/NAME"),
    ):
        path = re.sub(pattern, name, path)
    return path


def kinds(folder):
    """`{kind: path}` of the files and folders that hold some in a run's folder; of several of a kind the last, the newest."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() or any(path.iterdir())]
    return {kind(str(path.relative_to(folder))): path for path in paths}


def damage(path, how):
    """Damages a file or folder; returns what is there then."""
    content = path.read_bytes() if path.is_file() else None
    if content is None:
        shutil.rmtree(path)
    else:
        path.unlink()
    half = len(content or b"") // 2
    if how == "a folder":
        path.mkdir()
    elif how == "a file":
        path.write_bytes(b"?")
    elif how != "deleted":
        made = {
            "emptied": b"",
            "truncated": content[:half],
            "zeroed": bytes(len(content)),
            "flipped": content[:half] + bytes(byte ^ 1 for byte in content[half : half + 1]) + content[half + 1 :],
        }
        path.write_bytes(made[how])
    return _there(path)


def _there(path):
    if path.is_dir():
        return sorted(str(p.relative_to(path)) for p in path.rglob("*"))
    return path.read_bytes() if path.exists() else None


def states(program, given, folder, preload):
    """Makes `folder/finished` and `folder/unfinished`; returns the numbers of the first."""
    finished, unfinished, log = folder / "finished", folder / "unfinished", folder / "operations"
    with zygote.Zygote(program, preload) as runs:
        watched = {"KILL_UNDER": str(finished), "KILL_LOG": str(log)}
        done = runs.run(*configurations.arguments(program, given, finished), environment=watched)
        assert not done["code"], done["stderr"]
        operations = log.read_text().splitlines()
        pattern = _UNFINISHED.get(program)
        at = next(k for k, line in enumerate(operations, 1) if pattern in line) if pattern else len(operations) * 2 // 3
        watched = {"KILL_UNDER": str(unfinished), "KILL_AT": str(at)}
        done = runs.run(*configurations.arguments(program, given, unfinished), environment=watched)
        assert done["code"] == -9, done
        return _numbers(runs, folder, [finished])[0]


def _numbers(runs, folder, base_dirs):
    """What `numbers.of` finds in each; where it fails, why."""
    out = folder / "numbers.json"
    done = runs.run("numbers", "all", out, *base_dirs)
    assert not done["code"], done["stderr"]
    return list(json.loads(out.read_text()).values())


def sweep(program, given, folder, preload, state, only=(), damages=DAMAGES):
    """Damages the files of a run in that state; yields `(kind, damage, outcome, report's outcome, words)`.

    What no program reads (`_UNREAD`) is damaged in one go; each other kind of file alone. `only`: those kinds; none: all.
    """
    wanted = states(program, given, folder, preload)
    files = kinds(folder / state)
    cases, unread = [], [name for name in files if name in _UNREAD or name.endswith(".tmp")]
    for name, path in files.items():
        alone = DAMAGES[-1:] if name in unread else DAMAGES  # of several folders the first would hide the others
        hows = [how for how in alone if how in damages] if path.is_file() else FOLDER_DAMAGES
        cases += [([name], how) for how in hows if not only or name in only]
    if unread and not only:
        cases += [(unread, how) for how in damages if how not in DAMAGES[-1:]]
    with zygote.Zygote(program) as runs, zygote.Zygote("make_report") as reports:
        for start in range(0, len(cases), _BATCH):
            made = [
                _damaged(runs, reports, program, given, folder, state, files, folder / f"damaged-{k}", *cases[k])
                for k in range(start, min(start + _BATCH, len(cases)))
            ]
            found = _numbers(runs, folder, [base_dir for base_dir, *_ in made])
            for (base_dir, how, there, reported, done), numbers in zip(made, found):
                report, more = _reported(reported)
                for name, (file, content) in there.items():
                    outcome, words = _outcome(done, file, content, wanted, numbers)
                    yield name, how, outcome, report, " / ".join(filter(None, (words, more)))
                shutil.rmtree(base_dir)


def _damaged(runs, reports, program, given, folder, state, files, base_dir, names, how):
    """Copies, damages, reports and runs: `(base_dir, how, {kind: (file, content)}, report's end, the run's end)`."""
    shutil.rmtree(base_dir, ignore_errors=True)
    shutil.copytree(folder / state, base_dir, symlinks=True)
    there = {}
    for name in names:
        file = base_dir / files[name].relative_to(folder / state)
        there[name] = file, damage(file, how)
    reported = reports.run(f"--base_dir={folder / 'report'}", f"--run={base_dir}")
    return base_dir, how, there, reported, runs.run(*configurations.arguments(program, given, base_dir))


def _outcome(done, file, there, wanted, found):
    words = kills.last_words(done)
    if not kills.ends_well(done):
        return WRONG, f"code {done['code']}{' after a hang' * done['hangs']}: {words}"
    if done["code"] == 2:
        named = any(name in done["stderr"] for name in (file.name, file.parent.name))
        return ("refused", words) if named else (WRONG, f"the file is not named: {words}")
    said = [line for line in (done["stdout"] + done["stderr"]).splitlines() if str(file.with_suffix("")) in line]
    said = [line for line in said if not re.match(r"report: |taught .* saved to |\S+report\.html$", line)]  # in any case
    if said:
        return "said", said[0]
    if found != wanted:
        return WRONG, f"in silence: {kills.difference(wanted, found)}"
    return ("not read" if _there(file) == there else "made again"), ""


def _reported(done):
    if not kills.ends_well(done):
        return WRONG, f"make_report: code {done['code']}: {kills.last_words(done)}"
    return ("fine", "") if not done["code"] else ("refused", "")


_TABLE = configurations.ROOT / "docs" / "reliability.md"


def allowed(kind, how, state):
    """The outcomes that docs/reliability.md names for a kind of file: of the first line whose patterns have it."""
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and any(fnmatch.fnmatchcase(kind, name) for name in re.findall("`([^`]+)`", cells[0])):
            cell = next(cell for hows, cell in zip(_COLUMNS, cells[1:]) if how in hows)
            finished, _, unfinished = cell.partition("; unfinished: ")
            return set((unfinished if unfinished and state == "unfinished" else finished).split(" or "))
    return set()


def table(rows):
    """Lines of such a table for what was observed, `[program, state, kind, how, outcome, ...]`: for writing the page."""
    seen = {}
    for _, state, name, how, outcome, *_ in rows:
        column = next(k for k, hows in enumerate(_COLUMNS) if how in hows)
        seen.setdefault(name, [{state: set() for state in STATES} for _ in _COLUMNS])[column][state].add(outcome)
    lines = {}
    for name, columns in sorted(seen.items()):
        cells = [[" or ".join(sorted(column[state])) for state in STATES] for column in columns]
        cells = [one if other in ("", one) else f"{one}; unfinished: {other}" for one, other in cells]
        lines.setdefault(tuple(cells), []).append(f"`{name}`")
    return [f"| {', '.join(names)} | {' | '.join(cells)} |" for cells, names in lines.items()]


if __name__ == "__main__":
    print("\n".join(table([json.loads(line) for line in sys.stdin])))
