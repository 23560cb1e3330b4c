"""Evolution strategies over whole unrolls."""

import dataclasses
from typing import Any

import tensorflow as tf

from tf_gtn import arguments
from tf_gtn.core.estimators import perturbation
from tf_gtn.core.estimators import problem as problems


@dataclasses.dataclass(frozen=True)
@arguments.checked("estimators.ES")
class ES(problems.Memoryless):
    """Antithetic evolution strategies: the gradient of the objective smoothed by N(0, sigma^2), without a backward pass.

    g = 1/N sum_i (L(v + n_i) - L(v - n_i)) n_i / (2 sigma^2), n_i ~ N(0, sigma^2) (Salimans et al. 2017, "Evolution Strategies
    as a Scalable Alternative to Reinforcement Learning"; of unrolls: Metz et al. 2019, "Understanding and correcting
    pathologies in the training of learned optimizers"). Every pair has an inner process of its own, the same for both its
    members: common random numbers.

    Attributes:
      pairs: N; 2 N unrolls an outer step.
      sigma: standard deviation of the perturbations.

    Raises:
      UserError: `pairs` is below 1, or `sigma` is not above 0.
    """

    pairs: arguments.Count = 4
    sigma: arguments.Positive = 0.01

    name = "es"
    backpropagates = False

    def estimate(
        self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any
    ) -> problems.Estimate:
        values = [tf.convert_to_tensor(v) for v in values]
        noise, seeds = perturbation.draw(seed, values, self.pairs, self.sigma)

        def unroll(x):
            noise, seed = x
            return problems.objective(problem, perturbation.points(values, noise), seed, loss)

        losses, inner_losses = perturbation.each(unroll, perturbation.both(noise, seeds))
        gradients = [tf.reduce_mean(g, 0) for g in perturbation.slopes(losses, noise, self.sigma)]
        return problems.Estimate(tf.reduce_mean(losses), gradients, tf.reduce_mean(inner_losses), state)
