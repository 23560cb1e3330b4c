"""Architectures that were trained elsewhere: their accuracies come from a file that the user has, not from training."""

import dataclasses
import functools
import json
import math
from typing import Annotated, Any

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.nas import search
from tf_gtn.nas import space as spaces


def _macro(content, data_set):
    del data_set
    return {architecture: values["test_acc"] for architecture, values in content.items()}


def _naslib(content, data_set):
    if data_set not in content:
        raise errors.unknown("data set of the table", data_set, content)
    return {architecture: [values["val_accuracy"]] for architecture, values in content[data_set].items()}


FORMATS = {"nas_bench_macro": _macro, "naslib": _naslib}
"""How a table's JSON is read: NAS-Bench-Macro's own (three trainings), NASLib's zero-cost scores (one)."""


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Table")
class Table:
    """An evaluation that looks an architecture's accuracy up.

    Attributes:
      path: of the file.
      format: of `FORMATS`.
      data_set: which of a NASLib file's ("cifar10", "cifar100", "ImageNet16-120").
      name: of the budget, in rows.
    """

    path: str
    format: Annotated[str, arguments.OneOf(tuple(FORMATS), "format of a table")] = "nas_bench_macro"
    data_set: str = "cifar10"
    name: str = "table"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def accuracies(self) -> dict[str, list[float]]:
        """`{architecture: [accuracy of each training]}`, from 0 to 1; raises `UserError` if the file can't be read so."""
        return _read(self.path, self.format, self.data_set)

    def accuracy(self, architecture: str, seed: int) -> float:
        """Of training number `seed`, counted from 0 again after the last.

        Raises:
          UserError: the table does not have the architecture.
        """
        accuracies = self.accuracies
        if architecture not in accuracies:
            raise errors.UserError(f"{self.path} has no architecture {architecture!r}: nas.Listed proposes those that it has")
        return accuracies[architecture][seed % len(accuracies[architecture])]


@dataclasses.dataclass(frozen=True)
@arguments.checked("nas.Listed")
class Listed:
    """Proposes a table's architectures in random order, each once.

    Attributes:
      table: a `Table`.
    """

    table: Table

    concurrent = math.inf  # it goes by no result

    def propose(self, space: spaces.Space, rows: search.Rows, index: int, seed: int) -> str:
        del rows
        names = sorted(self.table.accuracies)
        return str(space.parse(names[_order(len(names), seed)[index % len(names)]]))


@functools.lru_cache(4)
def _order(count, seed):
    return np.random.default_rng([seed, 11]).permutation(count)


@functools.lru_cache(4)
def _read(path, format, data_set):
    if not tf.io.gfile.exists(path):
        raise errors.UserError(f"there is no table at {path}")
    try:
        with tf.io.gfile.GFile(path) as file:
            content: Any = json.load(file)
        accuracies = {
            architecture: [float(value) / 100 for value in values]
            for architecture, values in FORMATS[format](content, data_set).items()
        }
        if not accuracies or not all(values and all(0 <= value <= 1 for value in values) for values in accuracies.values()):
            raise ValueError("accuracies are percentages, at least one of each architecture")
    except errors.UserError:
        raise
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise errors.UserError(f"{path} is no table of the format {format!r}: {type(error).__name__}: {error}") from None
    return accuracies
