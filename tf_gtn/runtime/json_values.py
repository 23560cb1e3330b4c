"""Values as JSON has them."""

import math
from typing import Any

import numpy as np


def plain(value: Any, where: str) -> Any:
    """A value as JSON has it: NumPy and TensorFlow values become numbers and lists, NaN and infinity None.

    Raises `ValueError`, which names the value by `where`, unless it is made of numbers and texts.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if type(value) is float:  # np.float64 is a subclass
        return value if math.isfinite(value) else None
    try:
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind in "biuU":
        return array.tolist()
    try:
        return plain(array.astype(np.float64).tolist(), where) if array.dtype.kind in "fV" else _refuse(value, where)
    except (TypeError, ValueError):
        return _refuse(value, where)


def _refuse(value, where):
    raise ValueError(f"{where} must be numbers and texts; got {type(value).__name__}")
