"""Inner optimisers as pure functions, differentiable in everything, hyperparameters included.

Each has `hyperparameters`, the names with (initial value, range), `init(params) -> slots` and
`update(gradients, slots, params, hyper) -> (params, slots)`, where `hyper` maps those names to scalars of the present
step. Twice differentiable also where a gradient is exactly zero.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from tf_gtn import errors

POSITIVE = "positive"
UNIT = "unit"  # [0, 1)
_MINIMUM_NORM = 0.3  # m of LARS


class Optimizer(Protocol):
    """What has these three; `params` are nested tensors, `gradients` and results like them."""

    @property
    def hyperparameters(self) -> dict[str, tuple[float, str]]:
        """`{name: (initial value, range)}`."""
        ...

    def init(self, params: Any) -> dict[str, Any]:
        """The slots before the first step."""
        ...

    def update(self, gradients: Any, slots: dict, params: Any, hyper: Mapping[str, Any]) -> tuple[Any, dict]:
        """One step: `(params, slots)`; `hyper` has each hyperparameter's value of the step."""
        ...


@dataclasses.dataclass(frozen=True)
class SGD:
    """SGD with momentum: v <- beta v + grad, theta <- theta - alpha v (GTN paper, equation 1).

    Initial values: GTN paper, Tables 2 and 3.
    """

    learning_rate: float = 0.02
    momentum: float = 0.5

    @property
    def hyperparameters(self) -> dict[str, tuple[float, str]]:
        return {"learning_rate": (self.learning_rate, POSITIVE), "momentum": (self.momentum, UNIT)}

    def init(self, params: Any) -> dict[str, Any]:
        return {"velocity": _zeros(params)}

    def update(self, gradients: Any, slots: dict, params: Any, hyper: Mapping[str, Any]) -> tuple[Any, dict]:
        velocity = _map(lambda v, g: _cast(hyper["momentum"], v) * v + g, slots["velocity"], gradients)
        params = _map(lambda p, v: p - _cast(hyper["learning_rate"], p) * v, params, velocity)
        return params, {"velocity": velocity}


@dataclasses.dataclass(frozen=True)
class LARS(SGD):
    """SGD with momentum on gradients as long as their tensor of weights: v <- beta v + grad max(||theta||, m) / ||grad||.

    Layer-wise adaptive rate scaling (You et al. 2017, arXiv:1708.03888), without weight decay. Networks of different kinds,
    which take SGD's learning rates from 0.03 to 1, take the same ones here. m = 0.3 lets biases move, which start at zero.
    """

    def update(self, gradients: Any, slots: dict, params: Any, hyper: Mapping[str, Any]) -> tuple[Any, dict]:
        def scaled(gradient, param):
            return gradient * tf.maximum(_norm(param), _cast(_MINIMUM_NORM, param)) / _norm(gradient)

        return super().update(_map(scaled, gradients, params), slots, params, hyper)


@dataclasses.dataclass(frozen=True)
class RMSProp:
    """RMSProp: n <- rho n + (1 - rho) grad^2, theta <- theta - alpha grad / (sqrt(n) + epsilon)."""

    learning_rate: float = 1e-3
    decay: float = 0.9
    epsilon: float = 1e-7

    @property
    def hyperparameters(self) -> dict[str, tuple[float, str]]:
        return {"learning_rate": (self.learning_rate, POSITIVE), "decay": (self.decay, UNIT)}

    def init(self, params: Any) -> dict[str, Any]:
        return {"mean_square": _zeros(params)}

    def update(self, gradients: Any, slots: dict, params: Any, hyper: Mapping[str, Any]) -> tuple[Any, dict]:
        square = _map(
            lambda n, g: _cast(hyper["decay"], n) * n + (1 - _cast(hyper["decay"], n)) * g * g, slots["mean_square"], gradients
        )
        params = _map(
            lambda p, g, n: p - _cast(hyper["learning_rate"], p) * g / (_sqrt(n) + self.epsilon), params, gradients, square
        )
        return params, {"mean_square": square}


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1), betas free to change from step to step.

    The correction divides by 1 - the product of the betas so far, which is 1 - beta^t for constant ones.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def hyperparameters(self) -> dict[str, tuple[float, str]]:
        return {"learning_rate": (self.learning_rate, POSITIVE), "beta_1": (self.beta_1, UNIT), "beta_2": (self.beta_2, UNIT)}

    def init(self, params: Any) -> dict[str, Any]:
        dtype = tf.nest.flatten(params)[0].dtype
        return {
            "mean": _zeros(params),
            "mean_square": _zeros(params),
            "beta_1_product": tf.ones([], dtype),
            "beta_2_product": tf.ones([], dtype),
        }

    def update(self, gradients: Any, slots: dict, params: Any, hyper: Mapping[str, Any]) -> tuple[Any, dict]:
        b1 = _cast(hyper["beta_1"], slots["beta_1_product"])
        b2 = _cast(hyper["beta_2"], slots["beta_2_product"])
        mean = _map(lambda m, g: b1 * m + (1 - b1) * g, slots["mean"], gradients)
        square = _map(lambda n, g: b2 * n + (1 - b2) * g * g, slots["mean_square"], gradients)
        product_1, product_2 = slots["beta_1_product"] * b1, slots["beta_2_product"] * b2
        rate = _cast(hyper["learning_rate"], b1)
        params = _map(
            lambda p, m, n: p - rate * (m / (1 - product_1)) / (_sqrt(n / (1 - product_2)) + self.epsilon), params, mean, square
        )
        return params, {"mean": mean, "mean_square": square, "beta_1_product": product_1, "beta_2_product": product_2}


WITH_MOMENTUM: dict[str, type[SGD]] = {"sgd": SGD, "lars": LARS}
"""Those of a learning rate and a momentum, by the name that an export says."""


def check_side_by_side(optimizer: Optimizer) -> None:
    """Raises `UserError` unless an optimiser may step several networks in tensors with a leading axis."""
    if isinstance(optimizer, LARS):
        raise errors.UserError(
            "optimizers.LARS goes by the length of one network's tensors, and here several networks learn side by side: take "
            "optimizers.SGD, RMSProp or Adam"
        )


def _map(fn, *structures):
    return tf.nest.map_structure(fn, *structures)


def _zeros(params):
    return _map(tf.zeros_like, params)


def _cast(value, like):
    return tf.cast(tf.convert_to_tensor(value, dtype_hint=like.dtype), like.dtype)


def _norm(x):
    """Length of a tensor, not below 1e-4, where a gradient is as good as zero; differentiable there too."""
    return tf.sqrt(tf.reduce_sum(tf.square(x)) + _cast(1e-8, x))


def _sqrt(x):
    """Square root with derivative 0 at 0, where a dead unit's gradient would otherwise turn into NaN."""
    positive = x > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, x, tf.ones_like(x))), tf.zeros_like(x))
