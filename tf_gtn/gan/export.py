"""A generator as a SavedModel: `serving_default`, `noise` [n, latent] -> `sample` [n, ...], no `tf_gtn` needed."""

import tensorflow as tf

from tf_gtn.gan import training as trainings
from tf_gtn.teaching import saved_models


def save(training: trainings.UnrolledGAN, directory: str, version: int, network: int = 0) -> str:
    """Exports one of the networks side by side to `<directory>/<version>/`, whole or not at all; returns that path."""
    module = _Module(training, network)
    signatures = {"serving_default": module.generate}
    return saved_models.publish(directory, int(version), lambda path: tf.saved_model.save(module, path, signatures=signatures))


class _Module(tf.Module):
    def __init__(self, training, network):
        generator, params, state = training.frozen(network)
        self._params = {k: tf.Variable(v, trainable=False) for k, v in params.items()}
        self._state = {k: tf.Variable(v, trainable=False) for k, v in state.items()}
        width = generator.model.input_shape[-1]

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, width], tf.float32, "noise")])
        def generate(noise):
            def samples(noise):
                return generator(dict(self._params), dict(self._state), noise)[0]

            return {"sample": saved_models.never_empty(samples, noise)}

        self.generate = generate
