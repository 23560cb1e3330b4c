"""Persistent evolution strategies: an outer step a window, and no truncation bias."""

import dataclasses

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core.estimators import perturbation, settings
from tf_gtn.core.estimators import problem as problems


@dataclasses.dataclass(frozen=True)
class PES:
    """2 N inner processes that live on between outer steps; each call takes them `window` steps further, under fresh noise.

    A pair remembers x_i, the sum of its perturbations since its process began, and its estimate is (L_i+ - L_i-) x_i /
    (2 sigma^2): the loss of a window is owed to all perturbations so far (Vicol, Metz & Sohl-Dickstein 2021, "Unbiased Gradient
    Estimation in Unrolled Computation Graphs with Persistent Evolution Strategies"). After step T all processes
    begin anew together, with new seeds.

    Scaled such that the mean of the estimates over the T / window calls of an episode is an unbiased estimate of the whole
    objective's gradient, smoothed by independent noise in each window, if `values` stay as they are meanwhile. So for "every"
    L is the mean of the meta-losses in the window, and for "last" T / window times the meta-loss after step T in the last
    window and 0 in the others, whose gradients are zeros; the loss reported is the one after the window's last step.

    Its state is `{"inner": [2 N, ...] of each tensor of the inner state, "accumulated": [N, ...] of each value,
    "seeds": [N, 2], "step": scalar, t}`.

    Attributes:
      pairs: N.
      sigma: standard deviation of a window's perturbation.
      window: inner steps a call; divides T.

    Raises:
      UserError: `pairs` or `window` is below 1, or `sigma` is not above 0; when it is used, `window` does not divide T.
    """

    pairs: int = 4
    sigma: float = 0.01
    window: int = 8

    name = "pes"

    def __post_init__(self):
        settings.count(self, "pairs")
        settings.positive(self, "sigma")
        settings.count(self, "window")

    def init(self, problem, values, seed):
        """The state before step 0; what it holds besides its shapes and t = 0 is drawn by the first call."""
        self._windows(problem)
        inner = problem.begin(values, seed)
        return {
            "inner": tf.nest.map_structure(lambda x: tf.stack([x] * (2 * self.pairs)), inner),
            "accumulated": [tf.zeros([self.pairs, *v.shape], v.dtype) for v in values],
            "seeds": tf.zeros([self.pairs, 2], tf.int32),
            "step": tf.zeros([], tf.int32),
        }

    def estimate(self, problem, values, seed, loss, state):
        judge, windows = problems.judge(loss), self._windows(problem)
        values, state = tf.nest.map_structure(tf.convert_to_tensor, (list(values), state))
        start = state["step"]
        first = start == 0
        noise, seeds = perturbation.draw(seed, values, self.pairs, self.sigma)
        seeds = tf.where(first, seeds, state["seeds"])
        accumulated = [n + tf.where(first, tf.zeros_like(n), a) for n, a in zip(noise, state["accumulated"])]

        def advance(x):
            noise, seed, inner = x
            point = perturbation.points(values, noise)
            inner = tf.cond(first, lambda: problem.begin(point, seed), lambda: inner)
            inner, losses, inner_losses = problem.advance(point, inner, seed, start, self.window, judge)
            return inner, tf.reduce_mean(losses), inner_losses[-1]

        inner, losses, inner_losses = perturbation.each(advance, (*perturbation.both(noise, seeds), state["inner"]))
        step = (start + self.window) % problem.length
        gradients = [tf.reduce_mean(g, 0) for g in perturbation.slopes(losses, accumulated, self.sigma)]
        if loss == "last":
            gradients = [tf.where(step == 0, windows * g, tf.zeros_like(g)) for g in gradients]
        state = {"inner": inner, "accumulated": accumulated, "seeds": seeds, "step": step}
        return problems.Estimate(tf.reduce_mean(losses), gradients, tf.reduce_mean(inner_losses), state)

    def _windows(self, problem):
        """How many make an episode."""
        if problem.length % self.window:
            raise errors.UserError(f"PES.window must divide the {problem.length} inner steps; got {self.window}")
        return problem.length // self.window
