"""A generator as a SavedModel: `serving_default`, `noise` [n, latent] -> `sample` [n, ...], no `tf_gtn` needed."""

import os

import tensorflow as tf


def save(training, directory, version, network=0):
    """Exports one of the networks side by side to `<directory>/<version>/`, whole or not at all; returns that path."""
    path, unfinished = (os.path.join(directory, name) for name in (str(int(version)), f".unfinished-{int(version)}"))
    module = _Module(training, network)
    tf.saved_model.save(module, unfinished, signatures={"serving_default": module.generate})
    if tf.io.gfile.exists(path):
        tf.io.gfile.rmtree(path)
    tf.io.gfile.rename(unfinished, path)
    return path


class _Module(tf.Module):
    def __init__(self, training, network):
        generator, params, state = training.frozen(network)
        self._params = {k: tf.Variable(v, trainable=False) for k, v in params.items()}
        self._state = {k: tf.Variable(v, trainable=False) for k, v in state.items()}
        width = generator.model.input_shape[-1]

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, width], tf.float32, "noise")])
        def generate(noise):
            return {"sample": generator(dict(self._params), dict(self._state), noise)[0]}

        self.generate = generate
