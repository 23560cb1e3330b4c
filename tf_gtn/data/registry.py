"""`load`: a data set by name, from the registered sources, or else from TensorFlow Datasets."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors, registries
from tf_gtn.data import dataset, splitting, tfds_source

_Loader = TypeVar("_Loader", bound=Callable[..., splitting.Source])
_LOADERS = registries.Registry("data set")


def register(name: str) -> Callable[[_Loader], _Loader]:
    """Decorator: makes `load(name)`, `load(name + "/" + config)` and `load(name + ":" + config)` call the function.

    The function takes keywords, and names those that it needs, with `**_` for the rest: `config` (the text that follows
    the name, or ""), `tfds_data_dir` (or None) and `image_size` (height, width, or None; `load` resizes what the
    function did not). It returns a `splitting.Source`.

    Raises:
      UserError: the name is taken, or holds a "/" or ":".
    """
    return _LOADERS.register(name)


def is_built_in(name: str) -> bool:
    """Whether `load` takes a name from a registered source."""
    return re.split("[/:]", name)[0] in _LOADERS


@arguments.checked("data.load")
def load(
    name: str,
    *,
    tfds_data_dir: str | None = None,
    image_size: Sequence[int] | None = None,
    validation: arguments.Count | None = None,
    train: arguments.Count | None = None,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    zca: arguments.Positive | None = None,
    seed: int = 0,
) -> dataset.Dataset:
    """Loads a data set into memory.

    Args:
      name: `digits`, `image_folder:PATH`, `table:PATH`, another registered source, or a TensorFlow Datasets name such as
        `mnist` or `cifar10_corrupted/fog_1`. Nothing is ever downloaded.
      tfds_data_dir: the folder of prepared TensorFlow Datasets; its own default without.
      image_size: (height, width) in pixels to resize to.
      validation: the number of validation images; without, the source's own, or 10% of train (MNIST: a sixth, 10,000).
      train: the number of training images that are left, of every class its share; without, all.
      augment: of training images where they are read in a graph, such as `augmentation.random_crop_flip`.
      zca: ZCA whitening of what learners see, with a tenth (0.1) of the mean variance added in every direction, or another
        fraction; without, none.
      seed: of the choice of validation images. It is not the run's: runs that are compared share it. The test images
        don't depend on it.

    Returns:
      `dataset.Dataset`.

    Raises:
      errors.UserError: no such data set, it is not there, or it cannot be used as asked; the message says which.
    """
    if not isinstance(name, str) or not name:
        raise errors.UserError(f"a data set is given by its name; got {name!r}")
    size = check_size(image_size)
    options: dict[str, Any] = {"tfds_data_dir": tfds_data_dir, "image_size": size}
    head = re.split("[/:]", name)[0]
    config = name[len(head) + 1 :]
    if head in _LOADERS:
        source = _LOADERS[head](config=config, **options)
        if not isinstance(source, splitting.Source):
            raise errors.UserError(
                f"the data set {head!r} is a function that gives a data.Source; it gave {type(source).__name__}"
            )
    else:
        source = tfds_source.load(name, known=_LOADERS, **options)
    if size:
        source = source.resize(size)
    learned, held_out, test = splitting.divide(source, validation, seed, train)
    loaded = dataset.Dataset(
        name, learned, held_out, test, tuple(source.classes), augment=augment, pixel_range=source.pixel_range, zca=zca
    )
    check_classes(loaded)
    return loaded


def check_classes(loaded: dataset.Dataset) -> None:
    """Refuses images of one class, and says which classes no network can learn or none is tested on."""
    counts = [np.bincount(part.labels, minlength=loaded.num_classes) for part in (loaded.train, loaded.validation, loaded.test)]
    learned, tested = counts[0] > 0, counts[2] > 0
    if learned.sum() < 2:
        only = loaded.classes[int(np.argmax(learned))]
        raise errors.UserError(
            f"data set {loaded.name!r}: its training images are all of one class, {only!r}; at least two classes are needed"
        )
    total = np.sum(counts, 0)
    for missing, where, lost in ((~learned, "train", "learned"), (~tested, "test", "tested")):
        labels = np.flatnonzero(missing)
        if len(labels):
            named = ", ".join(f"{str(loaded.classes[label])!r} ({total[label]} in all)" for label in labels[:3])
            more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
            errors.warn(
                f"data set {loaded.name!r} has no image in {where} of {len(labels)} of its {loaded.num_classes} classes, which "
                f"will not be {lost}: {named}{more}; at least 3 different images of each class are needed"
            )


def check_size(image_size: Any) -> tuple[int, int] | None:
    """(height, width) as two integers, or None; raises `UserError` for anything else."""
    if image_size is None:
        return None
    try:
        height, width = (int(pixels) for pixels in image_size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise errors.UserError(f"image_size is (height, width) in pixels; got {image_size!r}")
    return height, width
