"""The results of a run so far, piece by piece: `<base_dir>/finished.jsonl`, `{"key": ..., "value": ..., "of": ...}` a line."""

import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_gtn.runtime import files, json_values


class Memory:
    """`memory(key, make)`: the value that an earlier run got for a key, or else `make()`, which is written down at once."""

    def __init__(self, base_dir: str, of: str = "") -> None:
        """Reads the file; `of` says what the values are of: those of something else, and damaged lines, are made again."""
        self._path, self._of, self._values = os.path.join(base_dir, "finished.jsonl"), of, {}
        if tf.io.gfile.exists(self._path):
            lines = files.read(self._path, "remove it: what it held is found again").decode(errors="replace").split("\n")
            self._values = dict(filter(None, map(self._parse, filter(None, lines))))
            print(f"resumed: {len(self._values)} pieces are finished", flush=True)
        files.write(self._path, "".join(self._line(*piece) for piece in self._values.items()))

    def __call__(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._values:
            value = json_values.plain(make(), key)
            files.append(self._path, [self._line(key, value)])
            self._values[key] = value
        return self._values[key]

    def _line(self, key, value):
        return json.dumps(files.sealed({"key": key, "value": value, "of": self._of})) + "\n"

    def _parse(self, line):
        """`(key, value)`; None for a line that a kill cut short, that is damaged, or that is of something else."""
        try:
            piece = files.unsealed(line, ("key", "value", "of"))
        except ValueError:
            return None
        return (piece["key"], piece["value"]) if piece["of"] == self._of else None
