"""Keras models from files."""

import re
import zipfile

import keras
import tensorflow as tf

from tf_gtn import errors


def load(path: str) -> keras.Model:
    """A saved .keras model; nothing in the file is run. `UserError` if it is not there or not whole."""
    if not tf.io.gfile.exists(path):
        raise errors.UserError(f"there is no model at {path}")
    if not zipfile.is_zipfile(path):
        raise errors.UserError(f"{path} is not a whole .keras file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a broken file can raise anything
        inner = str(error).rsplit("Exception encountered: ", 1)[-1].strip()  # Keras wraps it in the whole configuration
        reason = (inner or type(error).__name__).splitlines()[0][:200]
        unknown = re.match("Could not locate (class|function) '.*?'", reason)
        if unknown:
            reason = f"{unknown[0]}: name the module that registers it by --custom_objects=MODULE, or by `import MODULE` in gin"
        raise errors.UserError(f"{path} can't be read as a Keras model: {reason}") from None
