"""What must be equal of two runs that are one run to the user: all numbers but those of the clock."""

import json
import pathlib
import sys

KINDS = {"export", "export_best"}
_exported = {}  # by all files of an export
_CLOCK = ("seconds", "cost", "versions", "crc32")  # in names; the checksum is of the others as well


def of(base_dir):
    """`{name: value}` of a run's folder, JSON: results, metrics by step, exports by version and signature."""
    base_dir = pathlib.Path(base_dir)
    found = {}
    for path in sorted(base_dir.rglob("results.json")):
        found[str(path.relative_to(base_dir))] = _timeless(json.loads(path.read_text()))
    for path in sorted(base_dir.rglob("metrics.jsonl")):
        found[str(path.relative_to(base_dir))] = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
    for version in exports(base_dir):
        found[str(version.relative_to(base_dir))] = _export(version)
    for path in sorted(base_dir.rglob("*.keras")):
        found[str(path.relative_to(base_dir))] = _weights(path)
    return found


def exports(base_dir):
    """Visible versions of SavedModels: what a server would load."""
    folders = [f for f in pathlib.Path(base_dir).rglob("*") if f.is_dir() and f.name.isdecimal() and KINDS & {*f.parts}]
    return sorted(f for f in folders if KINDS & {f.parent.name, f.parent.parent.name})


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not any(word in k for word in _CLOCK)}
    if isinstance(value, list):
        return [_timeless(v) for v in value if not (isinstance(v, dict) and _of_the_clock(v))]
    return value


def _of_the_clock(claim):
    return any(word in str(claim.get("id", "")) for word in _CLOCK)


def _export(version):
    """What each signature gives for fixed inputs, or why it can't be loaded; of equal files it is found once."""
    content = tuple((str(f.relative_to(version)), f.read_bytes()) for f in sorted(version.rglob("*")) if f.is_file())
    if content not in _exported:
        _exported[content] = _signatures(version)
    return _exported[content]


def _signatures(version):
    import numpy as np
    import tensorflow as tf

    try:
        loaded, found = tf.saved_model.load(str(version)), {}
        for name, signature in loaded.signatures.items():
            inputs = {
                key: tf.cast(tf.fill([1 if size is None else size for size in spec.shape], 1), spec.dtype)
                for key, spec in signature.structured_input_signature[1].items()
            }
            found |= {f"{name}.{k}": np.asarray(v).astype(float).ravel().tolist()[:200] for k, v in signature(**inputs).items()}
        metadata = version / "assets" / "metadata.json"
        if metadata.exists():
            found["metadata"] = _timeless(json.loads(metadata.read_text()))
        found["files"] = sorted(str(f.relative_to(version)) for f in version.rglob("*") if f.is_file())
        return found
    except Exception as error:  # a half export can raise anything
        return f"can't be loaded: {type(error).__name__}: {str(error)[:200]}"


def _weights(path):
    import keras

    try:
        return [float(abs(w).sum()) for w in keras.saving.load_model(path).get_weights()]
    except Exception as error:
        return f"can't be loaded: {type(error).__name__}: {str(error)[:200]}"


def _of(base_dir):
    try:
        return of(base_dir)
    except (OSError, ValueError) as error:  # a damaged file may be left
        return f"can't be read: {error}"


def run():
    """`numbers exports|all OUT FOLDER ...`: writes `{folder: of(folder)}`, or of the exports alone."""
    what, out, *folders = sys.argv[2:]
    made = _of if what == "all" else lambda folder: {str(v.relative_to(folder)): _export(v) for v in exports(folder)}
    pathlib.Path(out).write_text(json.dumps({folder: made(folder) for folder in folders}))
