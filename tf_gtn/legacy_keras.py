"""tf-agents and TensorFlow Probability are for Keras 2: `tf.keras` has to be that one, from its first use in a process."""

import contextlib
import importlib
import importlib.util
import io
import os
import sys

import tensorflow as tf

from tf_gtn import errors

# What each extra is for, and what it needs.
EXTRAS = {
    "rl": ("reinforcement learning", ("tf_agents", "tf_keras", "gymnasium")),
    "gan": ("optimisation by L-BFGS", ("tensorflow_probability", "tf_keras")),
}


def use(extra: str) -> None:
    """Makes `tf.keras` the legacy Keras that an extra's packages need; `import keras` stays Keras 3.

    Raises:
      UserError: a package is not installed, or `tf.keras` was used as Keras 3 before.
    """
    purpose, packages = EXTRAS[extra]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.UserError(f"{purpose} needs {missing[0]}, which is not installed: pip install 'tf_gtn[{extra}]'")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    legacy = importlib.import_module("tf_keras.api._v2.keras")
    # Where `import tensorflow.keras` leads was settled when TensorFlow was imported, and it would rebind `tf.keras`.
    if sys.modules.setdefault("tensorflow.keras", legacy) is not legacy or tf.keras.Model is not legacy.Model:
        raise errors.UserError(
            f"{packages[0]} needs legacy Keras, but tf.keras was used as Keras 3 before: "
            f"{'import tf_gtn.rl first, or ' if extra == 'rl' else ''}set TF_USE_LEGACY_KERAS=1 in the environment"
        )
    with contextlib.redirect_stderr(io.StringIO()):  # tf-agents imports Gym, which complains of its age
        importlib.import_module("tf_agents.environments" if extra == "rl" else packages[0])
