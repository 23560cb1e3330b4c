"""The engine: unrolled inner processes, Keras models as pure functions, inner optimisers."""
# ruff: noqa: E402 - the check comes before anything imports Keras

from tf_gtn import keras_settings

keras_settings.check()

from tf_gtn.core.functional import Functional
from tf_gtn.core.hyperparameters import Hyperparameters
from tf_gtn.core.optimizers import SGD, Adam, RMSProp
from tf_gtn.core.unrolling import unroll

__all__ = ["SGD", "Adam", "Functional", "Hyperparameters", "RMSProp", "unroll"]
