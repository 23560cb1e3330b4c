"""`table:PATH`: a CSV or Parquet file of pixels, one image per row, read by pyarrow.

    table:train.csv                           a column `label`; all others are the pixels of a square grey image, row after row
    table:train.csv?test=test.csv             with files of their own for test and validation, with the same columns
    table:a.parquet?label=digit&shape=32x32x3&drop=id,usage
    table:a.csv?header=no                     no names in the first row; the label is column number 0, unless label=N

A relative path is looked for where the program runs. What has no file of its own is carved out of the first file's rows.
"""

import math
import os
import re
import urllib.parse
from typing import Any

import numpy as np

from tf_gtn import errors
from tf_gtn.data import dataset, levels, parts, registry, splitting

_OPTIONS = ("label", "shape", "drop", "header", "test", "validation")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")


@registry.register("table")
def load(config: str = "", **_: Any) -> splitting.Source:
    """Reads a table of pixels; `config` is its path, and after a `?` options such as `label=digit&shape=28x28`.

    Integers from 0 to 255 stay exact, others get 256 levels between the lowest and the highest of the first file. Labels are
    integers or text; their sorted values are the classes. What an image holds decides where it goes (`splitting.Source.keys`).

    Raises:
      errors.UserError: a file is missing or no table; an unknown option; no label column; a cell that is empty or no
        number; pixels that are no square, or not of the shape; a label that the first file lacks.
    """
    path, options = _options(config)
    files = {"train": path} | {name: options[name] for name in ("validation", "test") if name in options}
    names, read, labels_of = None, {}, {}
    for part, file in files.items():
        columns, pixels, labels = _read(os.path.expanduser(file), options)
        if columns != (names or columns):
            raise errors.UserError(f"table {file!r} has other columns of pixels than {path!r}")
        names, labels_of[part] = columns, labels
        images = pixels.reshape(len(pixels), *_shape(options.get("shape"), pixels.shape[1], file))
        read[part] = parts.read((images, np.zeros(len(images), np.int32)), f"table {file!r}")
    classes, first = np.unique(labels_of["train"]), labels_of["train"]
    for part, labels in labels_of.items():
        unknown = np.setdiff1d(labels.astype(str), first.astype(str))
        if len(unknown):
            raise errors.UserError(f"table {files[part]!r}: label {str(unknown[0])!r} is of no row in {path!r}")
    scale, pixel_range = levels.of(read, f"table {path!r}")
    splits: dict[str, Any] = {
        part: dataset.Split(levels.to_uint8(checked.images, scale), _class_numbers(labels_of[part], classes), scale)
        for part, checked in read.items()
    }
    class_names = tuple(map(str, classes))
    return splitting.Source(class_names, stratified=True, pixel_range=pixel_range, keys=read["train"].keys, **splits)


def _class_numbers(labels, classes):
    """int32 `[N]`, the place of each label among the classes; labels are the same if their texts are."""
    place = {str(label): number for number, label in enumerate(classes)}
    return np.array([place[str(label)] for label in labels], np.int32)


def _options(config):
    path, _, text = config.partition("?")
    if not path:
        raise errors.UserError("data set 'table' needs a path, as in table:PATH or table:PATH?label=digit")
    options = {}
    for name, value in (part.partition("=")[::2] for part in text.split("&") if part):
        if name not in _OPTIONS:
            raise errors.unknown("option of data set 'table'", name, _OPTIONS)
        options[name] = urllib.parse.unquote(value)
    if options.get("header", "yes") not in ("yes", "no"):
        raise errors.UserError(f"data set 'table': header is yes or no; got {options['header']!r}")
    return path, options


def _read(path, options):
    """`(names of the pixels' columns, pixels [N, columns], labels [N])`."""
    table = _table(path, options.get("header") == "no")
    if not table.num_rows:
        raise errors.UserError(f"table {path!r} has no rows")
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise errors.UserError(f"table {path!r}: two columns have the name {twice!r}; a table without names needs header=no")
    label = options.get("label", "0" if options.get("header") == "no" else "label")
    dropped = [name for name in options.get("drop", "").split(",") if name]
    for name in (label, *dropped):
        if name not in names:
            raise _no_column(path, name, names)
    labels = _label_values(table.column(label), path, label)
    columns = [name for name in names if name != label and name not in dropped]
    if not columns:
        raise errors.UserError(f"table {path!r} has no columns of pixels beside {label!r}")
    pixels = np.empty((table.num_rows, len(columns)), np.float32)
    for place, name in enumerate(columns):
        pixels[:, place] = _numbers(table.column(name), path, name)
    return columns, pixels, labels


def _table(path, headless):
    try:
        import pyarrow  # slow to import, and needed here alone
        from pyarrow import csv, parquet
    except ImportError as error:
        raise errors.UserError(f"data set 'table' reads with pyarrow, which cannot be imported: {error}") from error
    if not os.path.isfile(path):
        raise errors.UserError(f"table {path!r} {'is no file' if os.path.exists(path) else 'does not exist'}")
    ending = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    if ending not in (*_SEPARATORS, *_PARQUET):
        raise errors.UserError(f"table {path!r} must end in {', '.join((*_SEPARATORS, *_PARQUET))}, or .gz after the first two")
    try:
        if ending in _PARQUET:
            return parquet.read_table(path)
        reading = csv.ReadOptions(autogenerate_column_names=headless)
        table = csv.read_csv(path, reading, csv.ParseOptions(delimiter=_SEPARATORS[ending]))
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise errors.UserError(f"table {path!r} cannot be read: {reason[:300]}") from error
    return table.rename_columns([str(place) for place in range(table.num_columns)]) if headless else table


def _no_column(path, name, names):
    unknown = errors.unknown(f"column of table {path!r}:", name, names[:20])
    return errors.UserError(f"{unknown}; name the column of labels by ?label=, or say ?header=no if there are no names")


def _label_values(column, path, name):
    if column.null_count:
        raise errors.UserError(f"table {path!r}: column {name!r} has {column.null_count} empty cells")
    labels = column.to_numpy()
    labels = labels.astype(str) if labels.dtype == object and all(isinstance(label, str) for label in labels) else labels
    whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all()
    labels = labels.astype(np.int64) if whole else labels
    if labels.dtype.kind not in "biuU":
        raise errors.UserError(f"table {path!r}: labels are integers or text; column {name!r} has {column.type}")
    return labels


def _numbers(column, path, name):
    where = f"table {path!r}: column {name!r}"
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise errors.UserError(f"{where} has {column.null_count} empty cells, the first in row {row}, counted from 0")
    values = column.to_numpy()
    if values.dtype.kind not in "biuf":
        wrong = next((value for value in values if not _is_number(value)), values[0])
        raise errors.UserError(f"{where} holds {str(wrong)[:40]!r}, which is no number; leave it out by ?drop={name}")
    return values


def _is_number(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _shape(text, count, path):
    """`(H, W, C)` of the option, or of a square grey image."""
    if text is None:
        side = math.isqrt(count)
        if side * side != count:
            raise errors.UserError(
                f"table {path!r} has {count} pixels per row, which make no square; say ?shape=HEIGHTxWIDTHxCHANNELS, or leave "
                "columns out by ?drop="
            )
        return side, side, 1
    if not re.fullmatch(r"\d+x\d+(x\d+)?", text):
        raise errors.UserError(f"data set 'table': shape is HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS; got {text!r}")
    shape = (*map(int, text.split("x")), 1)[:3]
    if math.prod(shape) != count:
        raise errors.UserError(f"table {path!r} has {count} pixels per row; shape={text} takes {math.prod(shape)}")
    return shape
