"""Estimators of the gradient of an unrolled inner process by its outer parameters, all with one interface.

    Full         backpropagation through all T steps                                    exact; memory grows with T
    Truncated    backpropagation through a window of them                               biased; memory grows with the window
    ES           antithetic evolution strategies over whole unrolls                     smoothed, unbiased; no backward pass
    PES          persistent evolution strategies: a window an outer step, remembered    smoothed, unbiased; no backward pass
    NRES         PES with one perturbation per episode                                  smoothed, unbiased; no backward pass
    ESBackprop   ES and backpropagation at the same perturbed points, by their variance smoothed; 2 * pairs unrolls

The inner process is a `problem.Problem`: a fresh state and `advance`, which takes some steps. An estimator is a frozen
dataclass of settings with a `name` and two pure functions, fit for `tf.function`:

    estimator.init(problem, values, seed) -> state
    estimator.estimate(problem, values, seed, loss, state) -> Estimate(loss, gradients, inner_loss, state)

`values` are the outer parameters, a list of tensors; `seed` is an int32 tensor [2], from which everything random
follows; `loss` is "every" (the objective is the mean of the meta-losses after each of the T steps) or "last" (the meta-loss
after step T); `state` is a nested structure of tensors of fixed shapes to hand to the next call, `()` for an estimator
without memory. Whoever calls puts it into variables if it is to last; tensors of integers are among it.
"""

from tf_gtn.core.estimators.es import ES
from tf_gtn.core.estimators.es_backprop import ESBackprop
from tf_gtn.core.estimators.full import Full
from tf_gtn.core.estimators.pes import NRES, PES
from tf_gtn.core.estimators.problem import LOSSES, Estimate, Estimator, Loss, Problem, dense_gradients
from tf_gtn.core.estimators.truncated import Truncated

REGISTRY = {estimator.name: estimator for estimator in (Full, Truncated, ES, PES, NRES, ESBackprop)}

__all__ = [
    "ES",
    "LOSSES",
    "NRES",
    "PES",
    "REGISTRY",
    "ESBackprop",
    "Estimate",
    "Estimator",
    "Full",
    "Loss",
    "Problem",
    "Truncated",
    "dense_gradients",
]
