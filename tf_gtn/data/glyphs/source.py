"""`glyphs`, `glyphs/digits`, `glyphs/alphabets` and `glyphs/alphabets:greek_small` by name, rendered where they are not yet."""

import contextlib
import dataclasses
import fractions
import io
import os
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, registry, splitting, tfds_source
from tf_gtn.data.glyphs import characters


@registry.register("glyphs")
def load(
    config: str = "", tfds_data_dir: str | None = None, image_size: tuple[int, int] | None = None, **_: Any
) -> splitting.Source:
    """The images, rendered first (a minute at most) if the folder of prepared TensorFlow Datasets doesn't hold them.

    `digits`, the default, has 60,000 training images, of which 10,000 are to validate, and 10,000 test images. `alphabets` has
    20 images of each character: 14 to train, 2 to validate, 4 to test; with `:NAME` only those of one alphabet, with labels
    from 0 (`glyphs.alphabets()` has the names).

    Raises:
      errors.UserError: no such config or alphabet, or the folder can't be written.
    """
    config, alphabet = (config or "digits").partition(":")[::2]
    if config not in ("digits", "alphabets"):
        raise errors.unknown("config of data set 'glyphs'", config, ("digits", "alphabets"))
    groups = characters.alphabets()
    if alphabet and config != "alphabets":
        raise errors.UserError(f"data set 'glyphs/{config}' has no alphabets; got {alphabet!r}")
    if alphabet and alphabet not in groups:
        raise errors.unknown("alphabet of data set 'glyphs/alphabets'", alphabet, groups)
    prepare(config, tfds_data_dir)
    source = tfds_source.load(f"glyphs/{config}", tfds_data_dir=tfds_data_dir, image_size=image_size)
    if config == "digits":
        return dataclasses.replace(source, validation_share=fractions.Fraction(1, 6), stratified=True)
    if alphabet:
        source = _only(source, groups, alphabet)
    return dataclasses.replace(source, stratified=True)


def _only(source, groups, alphabet):
    names = list(groups)
    first = sum(len(groups[name]) for name in names[: names.index(alphabet)])
    labels = source.train.labels - first
    members = np.flatnonzero((labels >= 0) & (labels < len(groups[alphabet])))
    return splitting.Source(
        classes=source.classes[first : first + len(groups[alphabet])],
        train=dataset.Split(source.train.images[members], labels[members]),
    )


def prepare(config: str, data_dir: str | None) -> None:
    """Renders a config unless its folder exists; the folder gets its name when it is complete: several processes may render."""
    # Slow to import, and needed here alone.
    from tf_gtn.data.glyphs import glyphs_dataset_builder

    name = f"glyphs/{config}"
    try:
        builder = glyphs_dataset_builder.Builder(config=config, data_dir=os.path.expanduser(data_dir) if data_dir else None)
        if builder.data_path.exists():
            return
    except Exception:  # of a folder that is damaged: reading it says so
        return
    folder = os.fspath(builder.data_dir_root)
    try:
        os.makedirs(folder, exist_ok=True)
        print(f"rendering {name} (once) into {folder} ...", file=sys.stderr, flush=True)
        with _quiet():
            builder.download_and_prepare()
    except (OSError, tf.errors.OpError) as error:
        if builder.data_path.exists():  # another process was quicker
            return
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise errors.UserError(
            f"data set {name!r} cannot be rendered into {folder}: {reason}; tfds_data_dir is the folder to write to"
        ) from error


@contextlib.contextmanager
def _quiet():
    """TFDS without progress bars, and without its words on stdout; both as before afterwards."""
    from tensorflow_datasets.core.utils import tqdm_utils

    active = tqdm_utils._active  # there is no public way to ask
    tqdm_utils.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm_utils.display_progress_bar(active)
