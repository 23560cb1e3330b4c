"""Labelled images with a split that never changes: `load("digits")` by name, `of({"train": (images, labels)})` from arrays."""

from tf_gtn.data import digits, image_folder, table  # noqa: F401 (importing them registers them)
from tf_gtn.data.dataset import Dataset, Split
from tf_gtn.data.given import of
from tf_gtn.data.glyphs import source as _glyphs  # noqa: F401 (and so does this)
from tf_gtn.data.registry import load, register
from tf_gtn.data.splitting import Source

__all__ = ["Dataset", "Source", "Split", "load", "of", "register"]
