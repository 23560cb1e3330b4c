"""Any prepared data set of TensorFlow Datasets that has an `image` and a `label`. Nothing is downloaded."""

import difflib
import fractions
import os
import re
import shlex
from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, images, splitting

# The paper divides MNIST's training images into 50,000 and 10,000, CIFAR10's into 45,000 and 5,000 (the default tenth).
_VALIDATION_SHARE = {"mnist": fractions.Fraction(1, 6)}
# Their train and test hold different classes: taken together, then divided within each class.
_POOLED = {"omniglot"}


def load(
    name: str,
    known: Collection[str] = (),
    tfds_data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> splitting.Source:
    """Reads a prepared data set.

    Splits: `train`; `validation` and `test` where the data set has them with labels (label -1 means none), carved
    out of train elsewhere. Other splits are left alone.

    Args:
      name: `name`, `name/config` or `name:version`, as in `tfds.builder`.
      known: names of other sources, for the message about an unknown name.
      tfds_data_dir: the folder of prepared data sets, or None for the default.
      image_size: (height, width) in pixels to resize to, or None.

    Returns:
      `splitting.Source`.

    Raises:
      errors.UserError: unknown name or config; not prepared in the folder, or unreadable; no train split, no image or
        label; images of several sizes or of a dtype or range that can't be uint8.
    """
    tfds = _tfds(name)
    builder = _builder(tfds, name, known, tfds_data_dir)
    classes = _classes(tfds, name, builder.info.features)
    # Only a builder that is not prepared, or mocked by tfds.testing, doesn't know its splits; as_dataset tells which.
    splits = set(builder.info.splits) or {"train", "test"}
    if "train" not in splits:
        raise errors.UserError(f"data set {name!r} has no split 'train'; it has {', '.join(sorted(splits))}")

    def read(part):
        try:
            examples = builder.as_dataset(split=part, read_config=tfds.ReadConfig(try_autocache=False))
        except (AssertionError, KeyError, ValueError) as error:
            raise _not_prepared(name, builder) from error
        try:
            return _read(examples, f"data set {name!r}", image_size)
        except tf.errors.OpError as error:
            raise errors.UserError(
                f"data set {name!r} in {builder.data_dir} is unreadable: {_first_line(error.message)}"
            ) from error

    train = read("train")
    if not len(train) or train.labels.min() < 0:
        raise errors.UserError(
            f"data set {name!r}: its train split has {'images without labels' if len(train) else 'no images'}"
        )
    others = {part: read(part) for part in ("validation", "test") if part in splits}
    labelled: dict[str, Any] = {part: split for part, split in others.items() if len(split) and split.labels.min() >= 0}
    if builder.name in _POOLED and "test" in labelled:
        test = labelled.pop("test")
        train = dataset.Split(np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]))
    share = _VALIDATION_SHARE.get(builder.name, splitting.Source.validation_share)
    return splitting.Source(classes, train, validation_share=share, stratified=builder.name in _POOLED, **labelled)


def alphabets(name: str, tfds_data_dir: str | None = None, image_size: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
    """All images of a prepared data set whose examples say their `alphabet` and `alphabet_char_id`, such as omniglot.

    Returns:
      `{alphabet: uint8 [characters, samples, H, W, C]}`, characters in their order, as many samples as the rarest one has.

    Raises:
      errors.UserError: as `load`, or an example has no alphabet.
    """
    tfds = _tfds(name)
    builder = _builder(tfds, name, (), tfds_data_dir)
    features, owner = builder.info.features, f"data set {name!r}"
    keys = ("image", "alphabet", "alphabet_char_id")
    if not isinstance(features, tfds.features.FeaturesDict) or not {*keys} <= {*features.keys()}:
        raise errors.UserError(f"{owner} has no features {', '.join(keys)}: its classes are not in alphabets")
    samples = {}  # {alphabet: {character: images}}
    for part in sorted({*builder.info.splits} & {"train", "test"} or {"train", "test"}):
        try:
            examples = builder.as_dataset(split=part, read_config=tfds.ReadConfig(try_autocache=False))
        except (AssertionError, KeyError, ValueError) as error:
            raise _not_prepared(name, builder) from error
        for example in examples.batch(256).as_numpy_iterator():
            pictures = images.to_uint8(example["image"], owner)
            pictures = images.resize(pictures, image_size) if image_size else pictures
            for picture, alphabet, character in zip(pictures, example["alphabet"], example["alphabet_char_id"]):
                samples.setdefault(int(alphabet), {}).setdefault(int(character), []).append(picture)
    name_of = features["alphabet"].int2str
    return {name_of(k): _stacked([samples[k][c] for c in sorted(samples[k])]) for k in sorted(samples)}


def _stacked(characters):
    samples = min(map(len, characters))
    return np.array([pictures[:samples] for pictures in characters], np.uint8)


def _tfds(name):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise errors.UserError(
            f"data set {name!r} is not built in, and TensorFlow Datasets cannot be imported: {error}"
        ) from error
    return tfds


def _builder(tfds, name, known, data_dir):
    head, config = re.findall(r"^([^/:]*)(?:/([^:/]*))?", name)[0]
    try:
        if re.match(r"[^/:]*:[^\d*]", name):  # `namespace:name` would look on the network
            raise tfds.core.registered.DatasetNotFoundError(name)
        return tfds.builder(name, data_dir=os.path.expanduser(data_dir) if data_dir else None)
    except tfds.core.registered.DatasetNotFoundError:
        all_names = {*known, *tfds.list_builders(with_community_datasets=False)}
        if difflib.get_close_matches(head, all_names, n=1, cutoff=0.5):
            raise errors.unknown("data set", head, all_names) from None
        listed = ", ".join(sorted(known))
        raise errors.UserError(f"unknown data set {name!r}; known: {listed} and the names of TensorFlow Datasets") from None
    except Exception as error:  # whatever the data set's own code, or a damaged folder, raises
        configs = _configs(tfds, head)
        if config and configs and config not in configs:
            raise errors.unknown(f"config of data set {head!r}", config, configs) from error
        raise errors.UserError(f"cannot open data set {name!r}: {_first_line(error)}") from error


def _configs(tfds, head):
    try:
        return set(tfds.builder_cls(head).builder_configs)
    except Exception:  # not a data set with code
        return set()


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()


def _not_prepared(name, builder):
    folder = os.fspath(builder.data_dir_root)
    code = f"import tensorflow_datasets as tfds; tfds.builder({name!r}, data_dir={folder!r}).download_and_prepare()"
    # The second command, because `tfds build` imports apache_beam, which TFDS doesn't install (tensorflow/datasets#5463).
    return errors.UserError(
        f"data set {name!r} is not prepared in {folder}; get it with: "
        f"tfds build {shlex.quote(name)} --data_dir={shlex.quote(folder)} "
        f"(if apache-beam is installed), or with: python -c {shlex.quote(code)}"
    )


def _classes(tfds, name, features):
    """The labels' names; a `UserError` if the features are not those of labelled images."""
    keys = set(features.keys()) if isinstance(features, tfds.features.FeaturesDict) else set()
    if not {"image", "label"} <= keys:
        listed = ", ".join(sorted(keys)) or type(features).__name__
        raise errors.UserError(f"data set {name!r} has no features 'image' and 'label'; it has {listed}")
    label = features["label"]
    if not isinstance(label, tfds.features.ClassLabel) or label.num_classes is None:
        raise errors.UserError(f"data set {name!r}: its label is {type(label).__name__}, not a ClassLabel with known classes")
    return tuple(label.names)


def _read(examples, owner, image_size):
    """A `tf.data.Dataset` of examples -> `dataset.Split`, batch by batch, so that the images are in memory as uint8 only."""
    examples = examples.map(lambda example: (example["image"], example["label"]))
    same_size = examples.element_spec[0].shape.is_fully_defined()
    arrays, labels = [], []
    for image, label in examples.batch(256 if same_size else 1).prefetch(1).as_numpy_iterator():
        image = images.to_uint8(image, owner)
        if image_size:
            image = images.resize(image, image_size)
        if arrays and image.shape[1:] != arrays[0].shape[1:]:
            raise images.mixed_sizes(owner, _dimensions(arrays[0]), _dimensions(image))
        arrays.append(image)
        labels.append(label)
    if not arrays:
        return dataset.Split(np.zeros([0, 1, 1, 1], np.uint8), np.zeros([0], np.int32))
    return dataset.Split(np.concatenate(arrays), np.concatenate(labels).astype(np.int32))


def _dimensions(array):
    return "x".join(str(pixels) for pixels in array.shape[1:])
