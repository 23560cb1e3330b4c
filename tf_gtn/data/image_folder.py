"""`image_folder:PATH`: images in class folders.

    PATH/<class>/*.png                                    70% to train, 10% to validate, 20% to test
    PATH/train/<class>/*.png  PATH/validation/<class>/*.png  PATH/test/<class>/*.png
                                                          as they are; a missing one is carved out of train

The first frame of png, jpg, jpeg, bmp, tif, tiff, webp and gif, also in folders inside class folders. What is left out or
changed is said in one line, as an `errors.Notice`. Names that start with a dot are left alone.
"""

import collections
import os
import pathlib
import stat
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import dataset, image_files, images, registry, splitting

_PARTS = ("train", "validation", "test")
_OTHER_NAMES = {"training": "train", "testing": "test", "val": "validation", "valid": "validation", "dev": "validation"}
_LEAST16 = 4096  # values of 16 bits that stay below would leave 16 greys of 256


@registry.register("image_folder")
def load(config: str = "", image_size: tuple[int, int] | None = None, **_: Any) -> splitting.Source:
    """Reads the images of a folder; `config` is its path, local or any that `tf.io.gfile` opens.

    What an image holds decides where it goes (`splitting.Source.keys`), not its name, nor the other images. 16 bits a channel
    become 8. What is transparent is laid on white; if any image has colours, all become RGB.

    Raises:
      errors.UserError: the path is missing or no folder; no class folders or an empty one; a class that train lacks;
        an image that can't be read; images of several sizes without an `image_size`.
    """
    if not config:
        raise errors.UserError("data set 'image_folder' needs a path, as in image_folder:PATH")
    root = os.path.expanduser(config.removeprefix("file://"))
    _check_name("image folder", root)
    notes, left_out = collections.Counter(), collections.Counter()
    try:
        classes, files = _find(root, notes, left_out)
    except (tf.errors.OpError, OSError) as error:
        raise errors.UserError(f"image folder {root!r} cannot be listed: {_reason(error)}") from error
    arrays, keys = _read([path for _, _, path in files], root, image_size, notes)
    splits, keys_of = {}, {}
    for part in _PARTS:
        chosen = np.array([index for index, (part_of_file, _, _) in enumerate(files) if part_of_file == part], int)
        if len(chosen):
            # Files lie sorted by class, and the first n images should be a fair sample: in the keys' order they are.
            chosen = chosen[np.argsort(keys[chosen], kind="stable")]
            labels = np.array([files[index][1] for index in chosen], np.int32)
            splits[part], keys_of[part] = dataset.Split(np.stack([arrays[index] for index in chosen]), labels), keys[chosen]
            if part != "train":
                notes[f"{part} images that are also in train"] += int(np.isin(keys_of[part], keys_of["train"]).sum())
    said = [f"{note}: {count}" for note, count in sorted(notes.items()) if count]
    if left_out := [f"{what}: {count}" for what, count in sorted(left_out.items()) if count]:
        said.append(f"left out: {', '.join(left_out)}")
    if said:
        errors.warn(f"image folder {root!r}: {'; '.join(said)}")
    return splitting.Source(classes, stratified=True, keys=keys_of["train"], **splits)


def _find(root, notes, left_out):
    """The classes' names, and `(part, label, path)` of every image, sorted."""
    if not (os.path.exists(root) if _is_local(root) else tf.io.gfile.exists(root)):
        raise errors.UserError(f"image folder {root!r} does not exist")
    if not (os.path.isdir(root) if _is_local(root) else tf.io.gfile.isdir(root)):
        raise errors.UserError(f"image folder {root!r} is not a folder")
    folders = [name for name, kind in _entries(root) if kind == "folder"]
    _check_parts(root, folders)
    if "train" in folders and any(kind == "folder" for _, kind in _entries(os.path.join(root, "train"))):
        for folder in folders:
            if folder not in _PARTS:
                raise errors.unknown(f"folder beside {os.path.join(root, 'train')!r}:", folder, _PARTS)
        files = {part: _class_files(os.path.join(root, part), notes, left_out) for part in folders}
    else:
        files = {"train": _class_files(root, notes, left_out)}
    classes = tuple(sorted(files["train"]))
    for part in files:
        for name in sorted(set(files[part]) - set(classes)):
            folder = os.path.join(root, part, name)
            raise errors.UserError(f"class folder {folder!r} is of no class in {os.path.join(root, 'train')!r}")
    labelled = enumerate(classes)
    return classes, [(part, label, path) for label, name in labelled for part in files for path in files[part].get(name, ())]


def _check_parts(root, folders):
    """Raises `UserError` if all folders are parts of a data set in names of others: they would be taken as classes."""
    parts = {name: _OTHER_NAMES.get(name.lower(), name.lower()) for name in folders}
    if not {*parts.values()} <= {*_PARTS}:
        return
    if not any(kind == "folder" for name in folders for _, kind in _entries(os.path.join(root, name))):
        return
    for name, part in parts.items():
        if name != part:
            raise errors.UserError(f"folder {os.path.join(root, name)!r} must be named {part!r}")


def _is_local(path):
    return "://" not in path


def _entries(folder):
    """`(name, "folder", "file" or why it can't be read)` of what a folder holds, sorted; links are followed."""
    if not _is_local(folder):
        names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))  # buckets list folders as "name/"
        is_folder = {name: tf.io.gfile.isdir(os.path.join(folder, name)) for name in names if not name.startswith(".")}
        return [(name, "folder" if yes else "file") for name, yes in is_folder.items()]
    return [(name, _kind(os.path.join(folder, name))) for name in sorted(os.listdir(folder)) if not name.startswith(".")]


def _kind(path):
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return "links that lead nowhere"
    # To open a pipe is to wait for its other end, and a device may never end.
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "pipes, sockets or devices"


def _class_files(folder, notes, left_out):
    """`{class: [path, ...]}` of the class folders in a folder."""
    entries = _entries(folder)
    classes = [name for name, kind in entries if kind == "folder"]
    if not classes:
        raise errors.UserError(f"no class folders in {folder!r}; images lie in {os.path.join(folder, '<class>', '*.png')}")
    beside = sum(kind == "file" and name.lower().endswith(image_files.EXTENSIONS) for name, kind in entries)
    left_out["images beside the class folders"] += beside
    files = {}
    for name in classes:
        path = os.path.join(folder, name)
        _check_name("class folder", path)
        files[name] = _images(path, left_out, {*map(str, pathlib.Path(os.path.realpath(path)).parents)})
        if not files[name]:
            raise errors.UserError(f"class folder {path!r} holds no images ({', '.join(image_files.EXTENSIONS)})")
        nested = sum(os.path.dirname(file) != path for file in files[name])
        notes["images in folders inside class folders, taken as of that class"] += nested
    return files


def _images(folder, left_out, seen):
    """Paths of the images in a folder and those inside it, but for folders in `seen`: a link may lead back up."""
    real = os.path.realpath(folder) if _is_local(folder) else folder
    if real in seen:
        return []
    seen.add(real)
    paths = []
    for name, kind in _entries(folder):
        path = os.path.join(folder, name)
        ending = os.path.splitext(name)[1].lower()
        if kind == "folder":
            paths += _images(path, left_out, seen)
        elif kind == "file" and ending in image_files.EXTENSIONS:
            paths.append(path)
        else:
            printable = ascii(ending)[1:-1]
            what = kind if kind != "file" else f"files that end in {printable}" if ending else "files without an ending"
            left_out[what] += 1
    return paths


def _check_name(what, path):
    try:
        path.encode()
    except UnicodeEncodeError:
        raise errors.UserError(f"{what} {os.fsencode(path)!r} has a name that is not UTF-8; rename it") from None


def _read(paths, root, image_size, notes):
    """Decodes the files to a list of uint8 `[H, W, C]` of one shape, C 1, or 3 if any has colours; and their content's keys."""
    arrays = []
    for path in paths:
        array, noted = _decode(path)
        notes.update(noted)
        arrays.append(array)
    _to_8_bits(arrays, paths)
    keys = splitting.content_keys(arrays)
    if image_size:
        arrays = [images.resize(array[np.newaxis], image_size)[0] for array in arrays]
    for path, array in zip(paths, arrays):
        if array.shape[:2] != arrays[0].shape[:2]:
            raise images.mixed_sizes(f"image folder {root!r}", _dimensions(paths[0], arrays[0]), _dimensions(path, array))
    channels = max(array.shape[-1] for array in arrays)
    return [np.broadcast_to(array, (*array.shape[:2], channels)) for array in arrays], keys


def _to_8_bits(arrays, paths):
    deep = [index for index, array in enumerate(arrays) if array.dtype == np.uint16]
    highest = max((arrays[index].max() for index in deep), default=_LEAST16)
    if highest < _LEAST16:
        raise errors.UserError(
            f"image {paths[deep[0]]!r} has 16 bits, and all such images stay within {highest} of 65535: nearly black. "
            "Save them with 8 bits, or scaled to the whole range"
        )
    for index in deep:
        arrays[index] = np.rint(arrays[index] / 257).astype(np.uint8)


def _decode(path):
    """As `image_files.decode`, of one file."""
    try:
        with open(path, "rb") if _is_local(path) else tf.io.gfile.GFile(path, "rb") as file:
            return image_files.decode(file.read())
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise errors.UserError(f"image {path!r} cannot be read: {_reason(error)}") from error


def _reason(error):
    """On one line."""
    return " ".join(str(getattr(error, "strerror", None) or getattr(error, "message", error)).split())


def _dimensions(path, array):
    return f"{path!r} is {array.shape[0]}x{array.shape[1]}"
