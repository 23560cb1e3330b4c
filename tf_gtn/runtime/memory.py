"""What a run has found so far, piece by piece: `<base_dir>/finished.jsonl`, `{"key": ..., "value": ..., "of": ...}` a line."""

import json
import os
import zlib

import tensorflow as tf

from tf_gtn.runtime import files, json_values


class Memory:
    """`memory(key, make)`: the value that was found before, or now by `make()`; a piece is kept as soon as it is there."""

    def __init__(self, base_dir, of=""):
        """Reads what is there; `of` says what it was found of: what is damaged or of something else is found again."""
        self._path, self._of, self._known = os.path.join(base_dir, "finished.jsonl"), of, {}
        if tf.io.gfile.exists(self._path):
            lines = files.read(self._path, "remove it: what it held is found again").decode(errors="replace").split("\n")
            self._known = dict(filter(None, map(self._parsed, filter(None, lines))))
            print(f"resumed: {len(self._known)} pieces are finished", flush=True)
        files.write(self._path, "".join(self._line(*piece) for piece in self._known.items()))

    def __call__(self, key, make):
        if key not in self._known:
            value = json_values.plain(make(), key)
            files.append(self._path, [self._line(key, value)])
            self._known[key] = value
        return self._known[key]

    def _line(self, key, value):
        return json.dumps(files.sealed({"key": key, "value": value, "of": self._of})) + "\n"

    def _parsed(self, line):
        """(key, value); None of what a kill left, what is damaged, or of something else."""
        try:
            piece = files.unsealed(line, ("key", "value", "of"))
        except ValueError:
            return None
        return (piece["key"], piece["value"]) if piece["of"] == self._of else None


def digest(folder):
    """Of the names and contents of all files in a folder, as text."""
    number = 0
    for path, _, names in sorted(tf.io.gfile.walk(folder)):
        for name in sorted(names):
            number = zlib.crc32(files.read(os.path.join(path, name)), zlib.crc32(name.encode(), number))
    return f"{number:08x}"
