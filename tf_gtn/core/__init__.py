"""The engine: unrolled inner processes, Keras models as pure functions, inner optimisers."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"tf_gtn runs on Keras' TensorFlow backend, here Keras uses {keras.backend.backend()!r}: set KERAS_BACKEND=tensorflow"
    )


from tf_gtn.core.functional import Functional
from tf_gtn.core.hyperparameters import Hyperparameters
from tf_gtn.core.optimizers import SGD, Adam, RMSProp
from tf_gtn.core.unrolling import unroll

__all__ = ["SGD", "Adam", "Functional", "Hyperparameters", "RMSProp", "unroll"]
