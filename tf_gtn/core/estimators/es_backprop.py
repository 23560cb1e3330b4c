"""Evolution strategies and backpropagation, each parameter by whichever varies less."""

import dataclasses
from typing import Annotated, Any

import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core.estimators import perturbation
from tf_gtn.core.estimators import problem as problems


@dataclasses.dataclass(frozen=True)
@arguments.checked("estimators.ESBackprop")
class ESBackprop(problems.Memoryless):
    """Two estimates of the smoothed objective's gradient at the same perturbed points, weighted by their inverse variances.

    g = (g_es / var_es + g_bp / var_bp) / (1 / var_es + 1 / var_bp), element by element, with the variances over the pairs of
    this step (Metz et al. 2019, "Understanding and correcting pathologies in the training of learned optimizers"). g_es is
    that of `ES`, g_bp the mean of the backpropagated gradients at both members of the pairs.

    Each alone is unbiased. The weights come from the samples that they weigh, so together they are so only where those are
    symmetric, or as `pairs` grows. Where a backpropagated gradient or its variance overflows, the ES estimate stands alone;
    where neither varies, backpropagation's.

    Attributes:
      pairs: N; 2 N unrolls and backward passes an outer step, one at a time.
      sigma: standard deviation of the perturbations.

    Raises:
      UserError: `pairs` is below 2, which has no variance, or `sigma` is not above 0.
    """

    pairs: Annotated[int, arguments.at_least(2)] = 4
    sigma: arguments.Positive = 0.01

    name = "es_backprop"
    backpropagates = False

    def estimate(
        self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any
    ) -> problems.Estimate:
        values = [tf.convert_to_tensor(v) for v in values]
        noise, seeds = perturbation.draw(seed, values, self.pairs, self.sigma)

        def unroll(x):
            noise, seed = x
            return problems.gradient(lambda v: problems.objective(problem, v, seed, loss), perturbation.points(values, noise))

        losses, gradients, inner_losses = perturbation.each(unroll, perturbation.both(noise, seeds))
        evolved = perturbation.slopes(losses, noise, self.sigma)
        propagated = [sum(tf.split(g, 2)) / 2 for g in gradients]
        gradients = [_combine(es, bp) for es, bp in zip(evolved, propagated)]
        return problems.Estimate(tf.reduce_mean(losses), gradients, tf.reduce_mean(inner_losses), state)


def _combine(evolved, propagated):
    """Samples `[pairs, ...]` of both to one gradient."""
    es, es_variance = tf.nn.moments(evolved, 0)
    bp, bp_variance = tf.nn.moments(propagated, 0)
    weight = tf.math.divide_no_nan(bp_variance, es_variance + bp_variance)  # of ES: (1 / var_es) / (1 / var_es + 1 / var_bp)
    return tf.where(tf.math.is_finite(bp) & tf.math.is_finite(bp_variance), weight * es + (1 - weight) * bp, es)
