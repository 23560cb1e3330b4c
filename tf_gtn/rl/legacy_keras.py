"""tf-agents is written for Keras 2: `tf.keras` has to be that one, from its first use in a process."""

import contextlib
import importlib
import importlib.util
import io
import os
import sys

import tensorflow as tf

from tf_gtn import errors


def use():
    """Makes `tf.keras` the legacy Keras that tf-agents needs; `import keras` stays Keras 3.

    Raises:
      UserError: tf-agents is not installed, or `tf.keras` was used as Keras 3 before.
    """
    missing = [name for name in ("tf_agents", "tf_keras", "gymnasium") if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.UserError(f"reinforcement learning needs {missing[0]}, which is not installed: pip install 'tf_gtn[rl]'")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    legacy = importlib.import_module("tf_keras.api._v2.keras")
    # Where `import tensorflow.keras` leads was settled when TensorFlow was imported, and it would rebind `tf.keras`.
    if sys.modules.setdefault("tensorflow.keras", legacy) is not legacy or tf.keras.Model is not legacy.Model:
        raise errors.UserError(
            "tf-agents needs legacy Keras, but tf.keras was used as Keras 3 before: import tf_gtn.rl first, or set "
            "TF_USE_LEGACY_KERAS=1 in the environment"
        )
    with contextlib.redirect_stderr(io.StringIO()):  # tf-agents imports Gym, which complains of its age
        importlib.import_module("tf_agents.environments")
