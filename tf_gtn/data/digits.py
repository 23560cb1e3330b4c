"""`digits`: scikit-learn's 1,797 hand-written 8x8 digits (a part of UCI's), which come with the package: no download."""

import fractions
from typing import Any

import numpy as np

from tf_gtn import errors
from tf_gtn.data import dataset, registry, splitting


@registry.register("digits")
def load(config: str = "", **_: Any) -> splitting.Source:
    """All 1,797 images `[8, 8, 1]` with their values 0 to 16; 1,197 to train, 200 to validate and 400 to test."""
    from sklearn import datasets  # slow to import, and needed here alone

    if config:
        raise errors.UserError(f"data set 'digits' has no configs; got {config!r}")
    bunch = datasets.load_digits()
    images = bunch.images.astype(np.uint8)[..., np.newaxis]
    return splitting.Source(
        classes=tuple("0123456789"),
        train=dataset.Split(images, bunch.target.astype(np.int32)),
        validation_share=fractions.Fraction(200, len(images)),
        test_share=fractions.Fraction(400, len(images)),
        stratified=True,
        pixel_range=(0, 16),
    )
