"""Characters by alphabet, for tasks that are an alphabet each: `glyphs` here, `omniglot` for those who have it."""

import numpy as np

from tf_gtn import errors
from tf_gtn.data import registry, tfds_source
from tf_gtn.data.glyphs import source


def load(
    name: str = "glyphs", *, tfds_data_dir: str | None = None, image_size: tuple[int, int] | None = None
) -> dict[str, np.ndarray]:
    """Every alphabet's images.

    Args:
      name: `glyphs`, which are rendered if their folder is missing; or a prepared TensorFlow Datasets name whose examples
        say their `alphabet` and `alphabet_char_id`, such as `omniglot`.
      tfds_data_dir: the folder of prepared data sets; its own default without.
      image_size: (height, width) in pixels to resize to.

    Returns:
      `{alphabet: uint8 [characters, samples, H, W, 1]}`, ink white on black.

    Raises:
      errors.UserError: the data set is not prepared, or its classes are not in alphabets.
    """
    if name == "glyphs":
        source.prepare("alphabets", tfds_data_dir)
        name = "glyphs/alphabets"
    elif registry.is_built_in(name):
        raise errors.UserError(f"data set {name!r} has no alphabets: it is 'glyphs', or one such as 'omniglot'")
    images = tfds_source.alphabets(name, tfds_data_dir, image_size)
    return {alphabet: _white_on_black(characters) for alphabet, characters in images.items()}


def _white_on_black(images):
    grey = images[..., :1]  # omniglot's three channels are the same
    return 255 - grey if np.median(grey) > 127 else grey
