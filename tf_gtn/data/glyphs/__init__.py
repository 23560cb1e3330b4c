"""`glyphs`: a TensorFlow Datasets builder that draws its images from the fonts inside matplotlib, offline.

`tfds build` in this folder prepares it; `data.load("glyphs")` does so itself. Imports in this folder are relative and none is
of `tf_gtn`, except in `source.py`: `tfds build` imports the folder as a package of its own, called `glyphs`.
"""

from .characters import alphabets

__all__ = ["alphabets"]
