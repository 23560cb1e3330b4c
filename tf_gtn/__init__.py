"""Generative Teaching Networks: learn training data that teaches fresh networks in a few steps.

`tf_gtn.train(data)` trains one, `tf_gtn.load(export_dir)` loads it, `tf_gtn.evaluate` tests it. `tf_gtn.data.of` makes a data
set of arrays; `tf_gtn.core` is the engine; `tf_gtn.register` makes things of a user's own known by name. They are imported
when first used, TensorFlow with them.
"""

import importlib
from typing import Any

from tf_gtn import keras_settings
from tf_gtn.version import __version__

__all__ = ["__version__", "core", "data", "evaluate", "load", "register", "train"]

_FUNCTIONS = {"evaluate": "api", "load": "loading", "train": "api"}  # of tf_gtn.teaching


def __getattr__(name: str) -> Any:
    if name in ("core", "data", "register"):
        return importlib.import_module(f"tf_gtn.{name}")
    if name in _FUNCTIONS:
        keras_settings.check()  # before anything imports Keras
        return getattr(importlib.import_module(f"tf_gtn.teaching.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'tf_gtn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
