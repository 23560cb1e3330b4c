"""`image_folder:PATH`: images in class folders.

    PATH/<class>/*.png                                    divided 70/10/20, the same in every class
    PATH/train/<class>/*.png  PATH/validation/<class>/*.png  PATH/test/<class>/*.png
                                                          as they are; a missing one is carved out of train

png, jpg, jpeg, bmp and gif (its first frame). Other files, and names that start with a dot, are left alone.
"""

import os
import re

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, images, registry, splitting

_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_PARTS = ("train", "validation", "test")


@registry.register("image_folder")
def load(config="", image_size=None, **_):
    """Reads the images of a folder; `config` is its path, local or any that `tf.io.gfile` opens.

    The result depends on names and contents alone, not on the order in which the file system lists them. Transparency
    is dropped; if any image has colours, all become RGB.

    Raises:
      errors.UserError: the path is missing or no folder; no class folders or an empty one; a class that train lacks;
        an image that can't be read; images of several sizes without an `image_size`.
    """
    if not config:
        raise errors.UserError("data set 'image_folder' needs a path, as in image_folder:PATH")
    root = os.path.expanduser(config)
    try:
        classes, files = _find(root)
    except tf.errors.OpError as error:
        raise errors.UserError(f"image folder {root!r} cannot be listed: {_reason(error)}") from error
    arrays = _read([path for _, _, path in files], root, image_size)
    splits = {}
    # In a random order, because files lie sorted by class, and the first n images should be a fair sample.
    order = np.random.RandomState(0).permutation(len(files))
    for part in _PARTS:
        chosen = [index for index in order if files[index][0] == part]
        if chosen:
            labels = np.array([files[index][1] for index in chosen], np.int32)
            splits[part] = dataset.Split(np.stack([arrays[index] for index in chosen]), labels)
    return splitting.Source(classes, stratified=True, **splits)


def _find(root):
    """The classes' names, and `(part, label, path)` of every image, sorted."""
    if not tf.io.gfile.exists(root):
        raise errors.UserError(f"image folder {root!r} does not exist")
    if not tf.io.gfile.isdir(root):
        raise errors.UserError(f"image folder {root!r} is not a folder")
    folders = _folders(root)
    if "train" in folders and _folders(os.path.join(root, "train")):
        for folder in folders:
            if folder not in _PARTS:
                raise errors.unknown(f"folder beside {os.path.join(root, 'train')!r}:", folder, _PARTS)
        found = {part: _class_files(os.path.join(root, part)) for part in folders}
    else:
        found = {"train": _class_files(root)}
    classes = tuple(sorted(found["train"]))
    for part in found:
        for name in sorted(set(found[part]) - set(classes)):
            folder = os.path.join(root, part, name)
            raise errors.UserError(f"class folder {folder!r} is of no class in {os.path.join(root, 'train')!r}")
    labelled = enumerate(classes)
    return classes, [(part, label, path) for label, name in labelled for part in found for path in found[part].get(name, ())]


def _names(folder):
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(folder))  # buckets list folders as "name/"
    return sorted(name for name in names if not name.startswith("."))


def _folders(folder):
    return [name for name in _names(folder) if tf.io.gfile.isdir(os.path.join(folder, name))]


def _class_files(folder):
    """`{class: [path, ...]}` of the class folders in a folder."""
    classes = _folders(folder)
    if not classes:
        raise errors.UserError(f"no class folders in {folder!r}; images lie in {os.path.join(folder, '<class>', '*.png')}")
    files = {}
    for name in classes:
        path = os.path.join(folder, name)
        files[name] = [os.path.join(path, file) for file in _names(path) if file.lower().endswith(_EXTENSIONS)]
        if not files[name]:
            raise errors.UserError(f"class folder {path!r} holds no images ({', '.join(_EXTENSIONS)})")
    return files


def _read(paths, root, image_size):
    """Decodes the files to a list of uint8 `[H, W, C]` of one shape; C is 1, or 3 if any of them has colours."""
    arrays = []
    for path in paths:
        array = _decode(path)
        if image_size:
            array = images.resize(array[np.newaxis], image_size)[0]
        if arrays and array.shape[:2] != arrays[0].shape[:2]:
            raise images.mixed_sizes(f"image folder {root!r}", _dimensions(paths[0], arrays[0]), _dimensions(path, array))
        arrays.append(array)
    channels = max(array.shape[-1] for array in arrays)
    return [np.broadcast_to(array, (*array.shape[:2], channels)) for array in arrays]


def _decode(path):
    """One file -> uint8 `[H, W, C]`, C of 1 or 3."""
    try:
        content = tf.io.read_file(path)
        array = tf.io.decode_image(content, expand_animations=False).numpy()
    except tf.errors.OpError as error:
        raise errors.UserError(f"image {path!r} cannot be read: {_reason(error)}") from error
    if _has_colour_table(content.numpy()):
        raise errors.UserError(f"image {path!r} cannot be read: a BMP with a colour table; save it as PNG")
    return array[..., : 3 if array.shape[-1] >= 3 else 1]  # the second or fourth channel is transparency


def _has_colour_table(content):
    """Whether a BMP's bytes stand for colours in a table, which `tf.io` would take for the greys themselves."""
    if content[:2] != b"BM" or int.from_bytes(content[28:30], "little") != 8:
        return False
    start, stop = 14 + int.from_bytes(content[14:18], "little"), int.from_bytes(content[10:14], "little")
    table = np.frombuffer(content[start:stop], np.uint8).reshape(-1, 4)[:, :3]  # blue, green, red, 0
    return bool((table != np.arange(len(table))[:, np.newaxis]).any())


def _reason(error):
    """TensorFlow's message without the names of its nodes, on one line."""
    return " ".join(re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", error.message).split())


def _dimensions(path, array):
    return f"{path!r} is {array.shape[0]}x{array.shape[1]}"
