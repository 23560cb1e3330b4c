"""An export is found and looked at; nothing of it is run.

`tf_gtn/teaching/ready_made/<name>/<version>/` holds exports that come with the package.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Generator
from typing import Any

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.teaching import export, saved_models, schema, trust

READY_MADE = pathlib.Path(__file__).parent / "ready_made"


def ready_made() -> list[str]:
    """Names of the exports that come with the package."""
    return sorted(folder.name for folder in READY_MADE.iterdir() if folder.is_dir())


def look(export_dir: str | os.PathLike) -> tuple[str, dict[str, Any]]:
    """The folder of an export and its metadata, looked at as `tf_gtn.load` does, and with its errors."""
    path = os.path.expanduser(os.fspath(export_dir))
    with complete(path):
        path = _find(path)
    with complete(path):
        metadata, newer = _check(path)
    if newer:
        raise errors.UserError(
            f"{path} was exported with schema {metadata['schema_version']}, this tf_gtn reads up to "
            f"{schema.VERSION}: install a newer one"
        )
    return path, metadata


@contextlib.contextmanager
def complete(path: str) -> Generator[None, None, None]:
    """In it, an error that is not the user's says that the export at `path` is not whole."""
    try:
        yield
    except errors.UserError:
        raise
    except Exception as error:  # a broken file can raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:400]
        raise errors.UserError(f"{path} is not a complete export of a GTN: {reason}") from None


def _check(path):
    """`(metadata, whether a newer version wrote it)`; looks at everything that can be looked at before anything is run.

    Raises:
      ValueError: the export is damaged, contradicts itself, or holds what no GTN needs.
    """
    local = path.removeprefix("file://")
    if "://" not in local and not pathlib.Path(local).resolve().is_relative_to(READY_MADE.resolve()):
        trust.check_files(local)
    with tf.io.gfile.GFile(os.path.join(path, "assets", export.METADATA)) as file:
        metadata = json.load(file)
    version = metadata.get("schema_version") if isinstance(metadata, dict) else None
    if isinstance(version, int) and version > schema.VERSION:
        return metadata, True
    trust.check_checksums(path)
    schema.check(metadata)
    schema.check_signatures(metadata, trust.read_graph(path))
    return metadata, False


def _find(path):
    """The folder of the export that `path` names.

    The name of one that comes with the package is that one, unless a folder of this name holds an export.
    """
    if "://" in path:
        try:
            tf.io.gfile.stat(path)
        except tf.errors.NotFoundError:
            pass  # a folder of an object store is no object
        except tf.errors.OpError as error:
            raise errors.UserError(f"{path} can't be reached: {str(error.message).splitlines()[0][:200]}") from None
    folder = saved_models.find(path)
    if folder is None and path in ready_made():
        folder = saved_models.find(str(READY_MADE / path))
    if folder is None and tf.io.gfile.isdir(path):
        raise errors.UserError(
            f"{path} is not a complete export of a GTN: neither it nor a version in it has {saved_models.GRAPH}"
        )
    if folder is None:
        raise errors.UserError(f"there is no export at {path}; with the package come: {', '.join(ready_made())}")
    return folder
