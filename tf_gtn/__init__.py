"""Generative Teaching Networks: learn training data that teaches fresh networks in a few steps.

`tf_gtn.load(export_dir)` gives a trained one; `tf_gtn.core` is the engine; `tf_gtn.register` makes things of a user's own known
by name. They are imported when first used, TensorFlow with them.
"""

import importlib
from typing import Any

from tf_gtn import keras_settings
from tf_gtn.version import __version__

__all__ = ["__version__", "core", "load", "register"]


def __getattr__(name: str) -> Any:
    if name in ("core", "register"):
        return importlib.import_module(f"tf_gtn.{name}")
    if name == "load":
        keras_settings.check()  # before anything imports Keras
        return importlib.import_module("tf_gtn.teaching.loading").load
    raise AttributeError(f"module 'tf_gtn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
