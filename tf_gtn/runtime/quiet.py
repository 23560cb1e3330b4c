"""TensorFlow without its start-up noise."""

import os
import sys
import tempfile

_USERS_LEVEL = os.environ.get("TF_CPP_MIN_LOG_LEVEL")

stderr = 2  # where words for the user go, also while those of libraries are held back


def chosen() -> bool:
    """Whether to be quiet: yes, unless the user's TF_CPP_MIN_LOG_LEVEL asks for more than fatal errors."""
    return _USERS_LEVEL not in ("0", "1", "2")


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for devices, with what they print while doing so held back.

    The libraries write to file descriptor 2 before any of their log levels apply. Nothing is held back where the user
    has set TF_CPP_MIN_LOG_LEVEL, and all of it is shown if the import fails.
    """
    if "tensorflow" in sys.modules or not chosen():
        return
    global stderr
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # what is worth knowing also comes as an exception
    saved = stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            stderr = 2
            os.close(saved)
