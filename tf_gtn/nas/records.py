"""Finished evaluations of a run: `<base_dir>/evaluations.jsonl`, one row per line with a checksum, appended as they end."""

import json
import os
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tf_gtn.nas import farm
from tf_gtn.runtime import files, json_values

_KEYS = ("architecture", "seed", "budget")


class Records:
    """Rows by (architecture, seed, budget). A last line that a kill tore is dropped; other damaged lines give a warning."""

    def __init__(self, base_dir: str) -> None:
        """Reads the file, if it exists. Raises `files.Damaged` if it can't be read at all."""
        self._path = os.path.join(base_dir, "evaluations.jsonl")
        self.rows = []
        content = files.read(self._path) if tf.io.gfile.exists(self._path) else b""
        *lines, torn = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                self.rows.append(files.unsealed(line, _KEYS))
            except ValueError as error:
                files.again(files.Damaged(self._path, f"{error} in line {number}"))
        if torn or len(self.rows) < len(lines):
            files.write(self._path, "".join(map(_line, self.rows)))
        self.rows = [row for row in self.rows if farm.blames_network(row)]
        self._known = {_key(row): row for row in self.rows}

    def find(self, architecture: str, seed: int, budget: str) -> dict[str, Any] | None:
        """The row of an evaluation; None if it is not finished."""
        return self._known.get((architecture, seed, budget))

    def finished(self, job: tuple) -> bool:
        """Whether all rows of a job `(architecture, seed, evaluation)` exist."""
        architecture, seed, budget = job
        return all(self.find(architecture, seed, name) for name in budget.names)

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Appends rows."""
        new = {_key(row): row for row in rows if _key(row) not in self._known}
        files.append(self._path, [_line(json_values.plain(row, "an evaluation")) for row in new.values()])
        self._known |= new
        self.rows += new.values()

    def of(self, budget: str, seed: int) -> list[dict[str, Any]]:
        """The rows of one budget and seed, in the order in which they ended."""
        return [row for row in self.rows if row["budget"] == budget and row["seed"] == seed]


def _line(row):
    return json.dumps(files.sealed(row)) + "\n"


def _key(row):
    return tuple(row[name] for name in _KEYS)
