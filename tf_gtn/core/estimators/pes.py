"""Evolution strategies whose inner processes live on: an outer step per window, and no truncation bias."""

import dataclasses
from typing import Any

import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core.estimators import perturbation
from tf_gtn.core.estimators import problem as problems


@dataclasses.dataclass(frozen=True)
@arguments.checked("estimators.PES")
class PES:
    """2 N inner processes that live on between outer steps; each call takes them `window` steps further, under fresh noise.

    A pair remembers x_i, the sum of its perturbations since its process began, and its estimate is (L_i+ - L_i-) x_i /
    (2 sigma^2): the loss of a window is owed to all perturbations so far (Vicol, Metz & Sohl-Dickstein 2021, "Unbiased Gradient
    Estimation in Unrolled Computation Graphs with Persistent Evolution Strategies"). After step T a pair's processes
    begin anew, with a new seed. The pairs are staggered: they stand at steps that are spread evenly over the T, so that a call
    sees all stages of an unroll. The first call takes each pair to its place, window by window as always.

    Scaled such that the mean of the estimates over the T / window calls of an episode is an unbiased estimate of the whole
    objective's gradient, smoothed by independent noise in each window, if `values` stay as they are meanwhile. So for "every"
    L is the mean of the meta-losses in the window, and for "last" T / window times the meta-loss after step T in the last
    window and 0 in the others, to which a pair there adds nothing; the loss reported is the one after the window's last step.

    Its state is `{"inner": [2 N, ...] of each tensor of the inner state, "accumulated": [N, ...] of each value,
    "seeds": [N, 2], "step": [N], t of each pair}`, with t = -1 before the first call.

    Attributes:
      pairs: N.
      sigma: standard deviation of a window's perturbation.
      window: inner steps a call; divides T.

    Raises:
      UserError: `pairs` or `window` is below 1, or `sigma` is not above 0; when it is used, `window` does not divide T.
    """

    pairs: arguments.Count = 4
    sigma: arguments.Positive = 0.01
    window: arguments.Count = 8

    name = "pes"
    backpropagates = False

    def init(self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor) -> Any:
        """The state before step 0; what it holds besides its shapes and t is drawn by the first call."""
        self._windows(problem)
        inner = problem.begin(values, seed)
        return {
            "inner": tf.nest.map_structure(lambda x: tf.stack([x] * (2 * self.pairs)), inner),
            "accumulated": [tf.zeros([self.pairs, *v.shape], v.dtype) for v in values],
            "seeds": tf.zeros([self.pairs, 2], tf.int32),
            "step": tf.fill([self.pairs], -1),
        }

    def estimate(
        self, problem: problems.Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any
    ) -> problems.Estimate:
        judge, windows = problems.judge(loss), self._windows(problem)
        values, state = tf.nest.map_structure(tf.convert_to_tensor, (list(values), state))
        places = tf.range(self.pairs) * windows // self.pairs  # in windows
        new = state["step"][0] < 0
        earlier = tf.where(new, tf.reduce_max(places), 0)  # windows before the one that counts

        def body(k, state, _):
            left = earlier - k
            window_seed = tf.where(left > 0, tf.random.experimental.stateless_fold_in(seed, left), seed)
            begun = {**state, "step": tf.maximum(state["step"], 0)}
            after, of_window = self._advanced(problem, values, window_seed, judge, begun)
            return k + 1, self._where(~new | (places >= left), after, state), of_window

        zeros = tf.zeros([2 * self.pairs], values[0].dtype), tf.zeros([2 * self.pairs], values[0].dtype)
        _, state, (losses, inner_losses) = tf.while_loop(
            lambda k, *_: k <= earlier, body, (0, state, zeros), parallel_iterations=1
        )
        gradients = perturbation.slopes(losses, state["accumulated"], self.sigma)
        if loss == "last":
            ended = state["step"] == 0
            gradients = [tf.where(_like(ended, g), windows * g, tf.zeros_like(g)) for g in gradients]
        gradients = [tf.reduce_mean(g, 0) for g in gradients]
        return problems.Estimate(tf.reduce_mean(losses), gradients, tf.reduce_mean(inner_losses), state)

    def _advanced(self, problem, values, seed, judge, state):
        """All pairs a window further: `(state, (losses, inner losses))`, `[2 N]` each."""
        first = state["step"] == 0
        noise, seeds = perturbation.draw(seed, values, self.pairs, self.sigma)
        seeds = tf.where(first[:, tf.newaxis], seeds, state["seeds"])
        before = [tf.where(_like(first, a), tf.zeros_like(a), a) for a in state["accumulated"]]
        noise, accumulated = self._noise(noise, before, first)

        def advance(x):
            noise, seed, start, inner = x
            point = perturbation.points(values, noise)
            inner = tf.cond(start == 0, lambda: problem.begin(point, seed), lambda: inner)
            inner, losses, inner_losses = problem.advance(point, inner, seed, start, self.window, judge)
            return inner, tf.reduce_mean(losses), inner_losses[-1]

        start = tf.tile(state["step"], [2])
        inner, *losses = perturbation.each(advance, (*perturbation.both(noise, seeds), start, state["inner"]))
        step = (state["step"] + self.window) % problem.length
        return {"inner": inner, "accumulated": accumulated, "seeds": seeds, "step": step}, tuple(losses)

    def _noise(self, fresh, before, first):
        """`(noise, accumulated)` of a window: what the values are moved by, and what the loss is owed to."""
        del first
        return fresh, [f + b for f, b in zip(fresh, before)]

    def _where(self, going, after, before):
        """The new state of the pairs that go, the old one of the others."""

        def chosen(new, old):
            mask = going if new.shape[0] == self.pairs else tf.tile(going, [2])
            return tf.where(_like(mask, new), new, old)

        return tf.nest.map_structure(chosen, after, before)

    def _windows(self, problem):
        """How many make an episode."""
        if problem.length % self.window:
            raise errors.UserError(f"estimators.PES.window must divide the {problem.length} inner steps; got {self.window}")
        return problem.length // self.window


@dataclasses.dataclass(frozen=True)
@arguments.checked("estimators.NRES")
class NRES(PES):
    """`PES` with one perturbation per episode: each pair keeps the noise that its processes began with.

    The estimate of a window is (L_i+ - L_i-) n_i / (2 sigma^2) (Li, Harrison, Sohl-Dickstein, Smith & Metz 2023,
    "Variance-Reduced Gradient Estimation via Noise-Reuse in Online Evolution Strategies"). Its mean over an episode is what
    `ES` makes of the whole unroll by the same noise, so that its variance does not grow with the number of windows.

    Attributes:
      pairs, sigma, window: as for `PES`; `sigma` is that of the whole episode.
    """

    name = "nres"

    def _noise(self, fresh, before, first):
        kept = [tf.where(_like(first, f), f, b) for f, b in zip(fresh, before)]
        return kept, kept


def _like(mask, x):
    """`mask` [n] with as many axes as `x` [n, ...]."""
    return tf.reshape(mask, [-1] + [1] * (x.shape.rank - 1))
