"""Finished evaluations of a run: `<base_dir>/evaluations.jsonl`, a row a line, appended as they end."""

import json
import os

import tensorflow as tf

from tf_gtn.run.findings import results


class Records:
    """Rows by (architecture, seed, budget); what a kill left of a line is dropped."""

    def __init__(self, base_dir):
        """Reads what is there."""
        self._path = os.path.join(base_dir, "evaluations.jsonl")
        self.rows = []
        if tf.io.gfile.exists(self._path):
            with tf.io.gfile.GFile(self._path) as file:
                text = file.read()
            for line in text.splitlines():
                try:
                    self.rows.append(json.loads(line))
                except ValueError:
                    continue
            if text and not text.endswith("\n"):
                with tf.io.gfile.GFile(self._path, "a") as file:
                    file.write("\n")
        self._known = {_key(row): row for row in self.rows}

    def find(self, architecture, seed, budget):
        """The row of an evaluation; None if it is not finished."""
        return self._known.get((architecture, seed, budget))

    def finished(self, job):
        """Whether all rows of a job `(architecture, seed, evaluation)` are there."""
        architecture, seed, budget = job
        return all(self.find(architecture, seed, name) for name in budget.names)

    def add(self, rows):
        """Appends rows."""
        with tf.io.gfile.GFile(self._path, "a") as file:
            for row in rows:
                if _key(row) not in self._known:
                    file.write(json.dumps(results.plain(row, "an evaluation")) + "\n")
                    self._known[_key(row)] = row
                    self.rows.append(row)

    def of(self, budget, seed):
        """The rows of one budget and seed, in the order in which they ended."""
        return [row for row in self.rows if row["budget"] == budget and row["seed"] == seed]


def _key(row):
    return row["architecture"], row["seed"], row["budget"]
