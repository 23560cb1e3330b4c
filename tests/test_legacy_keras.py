"""`tf.keras` is the legacy one for tf-agents, and what is in the way of that is said in a line."""

import importlib.util
import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from tf_gtn import errors, legacy_keras


def test_both_kerases_side_by_side():
    legacy_keras.use("rl")
    assert tf.keras.Model.__module__.startswith("tf_keras") and keras.__version__.startswith("3.")
    assert issubclass(__import__("tf_agents").networks.network.Network, tf.keras.layers.Layer)


def test_a_missing_package_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf_agents" else find(name))
    with pytest.raises(errors.UserError, match=r"tf_agents.*pip install 'tf_gtn\[rl\]'"):
        legacy_keras.use("rl")


def test_probability_alone():
    code = "import keras, tf_gtn.gan.inversion as i, tensorflow as tf; i.reconstruct(tf.tanh, tf.ones([1, 1]) / 2, 1, [0, 1])"
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_too_late():
    code = "import tensorflow as tf\ntf.keras.Model\nimport tf_gtn.rl"
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "import tf_gtn.rl first" in done.stderr
