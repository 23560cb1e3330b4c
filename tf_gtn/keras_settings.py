"""Keras must be as this package needs it: on TensorFlow, channels last, float32."""

import json
import os

from tf_gtn import errors

_NEEDED = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}


def check() -> None:
    """Before Keras is imported, which without another backend's package would fail in words of its own.

    Raises:
      UserError: `KERAS_BACKEND` or keras.json sets something else; names which.
    """
    path = os.path.join(_folder(), "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
    except (OSError, ValueError):  # Keras takes its defaults, too
        settings = {}
    if not isinstance(settings, dict):
        raise errors.UserError(f"{path} is not an object of JSON: mend or remove it")
    variable = os.environ.get("KERAS_BACKEND")
    for name, needed in _NEEDED.items():
        if name == "backend" and variable:
            if variable != needed:
                raise errors.UserError(
                    f"tf_gtn runs on Keras' TensorFlow backend, here KERAS_BACKEND is {variable!r}: set KERAS_BACKEND={needed}"
                )
        elif settings.get(name, needed) != needed:
            remedy = f', or set KERAS_BACKEND="{needed}"' if name == "backend" else ""
            raise errors.UserError(f'tf_gtn needs "{name}": "{needed}" in {path}; it has {settings[name]!r}: change it{remedy}')


def _folder():
    """Where Keras looks for keras.json."""
    home = os.path.expanduser("~")
    return os.environ.get("KERAS_HOME") or os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
