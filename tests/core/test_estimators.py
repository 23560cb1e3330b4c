"""Estimators of meta-gradients: closed forms and identities first, then means over many seeds within their standard errors."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import estimators, unrolling
from tf_gtn.core.estimators import perturbation

T = 6
A = np.array([[2.0, 0.3], [0.3, 1.0]])
THETA, GOAL, TARGET = np.array([0.5, 0.25]), np.array([-0.3, 0.8]), np.array([1.0, -2.0])
RATE, MOMENTUM = 0.2, 0.6
SEED = tf.constant([3, 5])
EVERY = np.full(T, 1 / T)
LAST = np.eye(T)[-1]
WEIGHTS = {"every": EVERY, "last": LAST}  # of the meta-losses after steps 1, ..., T
ALL = [
    estimators.Full(),
    estimators.Truncated(window=2),
    estimators.Truncated(window=2, place="random"),
    estimators.ES(pairs=3),
    estimators.PES(pairs=3, window=2),
    estimators.NRES(pairs=3, window=2),
    estimators.ESBackprop(pairs=3),
]


@dataclasses.dataclass(frozen=True)
class Descent:
    """SGD-momentum on 0.5 (theta - target)' A (theta - target); the meta-loss after step m is 0.5 |theta - GOAL - 0.1 m|^2.

    `values` are `[target]` or `[target, rate, ...]`. The objective is quadratic in the target, and in the targets of all steps.
    `noise` scales what `seed` adds to the first theta and to every gradient; it does not change the mean meta-gradient.
    """

    noise: float = 0.0
    length: int = T

    def begin(self, values, seed):
        theta = THETA + self.noise * tf.random.stateless_normal([2], seed, dtype=tf.float64)
        return {"theta": theta, "velocity": tf.zeros([2], tf.float64), "count": tf.constant(0)}

    def advance(self, values, state, seed, start, steps, judge):
        rate = values[1] if len(values) > 1 else tf.constant(RATE, tf.float64)

        def meta_loss(state):
            goal = GOAL + 0.1 * tf.cast(state["count"], tf.float64)
            return 0.5 * tf.reduce_sum(tf.square(state["theta"] - goal))

        def step(params, state, t):
            target, rate = params
            draw = tf.random.stateless_normal([2], tf.random.experimental.stateless_fold_in(seed, t), dtype=tf.float64)
            distance = state["theta"] - target
            gradient = tf.linalg.matvec(A, distance) + self.noise * draw
            velocity = MOMENTUM * state["velocity"] + gradient
            state = {"theta": state["theta"] - rate * velocity, "velocity": velocity, "count": state["count"] + 1}
            judged = meta_loss(state) if judge == "every" else tf.zeros([], tf.float64)
            return state, (judged, 0.5 * tf.tensordot(distance, tf.linalg.matvec(A, distance), 1))

        params = (values[0], rate)
        state, (losses, inner) = unrolling.unroll(step, params, state, start + tf.range(steps), checkpoint_every=0)
        if judge != "every":
            losses = meta_loss(state)[None] if judge == "end" else losses[:0]
        return state, losses, inner


def closed_form(weights, start=0, target=TARGET, rate=RATE):
    """Objective sum_m weights[m - 1] (meta-loss after step m), and its gradients by the target and rate of steps >= `start`."""
    theta, v = THETA, np.zeros(2)
    thetas, velocities = [theta], [v]
    for _ in range(T):
        v = MOMENTUM * v + A @ (theta - target)
        theta = theta - rate * v
        thetas.append(theta)
        velocities.append(v)
    errors_ = [thetas[m] - GOAL - 0.1 * m for m in range(T + 1)]
    d_theta, d_v, d_target, d_rate = np.zeros(2), np.zeros(2), np.zeros(2), 0.0
    for m in range(T, start, -1):
        d_theta = d_theta + weights[m - 1] * errors_[m]
        d_rate -= d_theta @ velocities[m]
        d_v = d_v - rate * d_theta
        d_target -= A @ d_v
        d_theta, d_v = d_theta + A @ d_v, MOMENTUM * d_v
    return sum(weights[m - 1] * 0.5 * errors_[m] @ errors_[m] for m in range(1, T + 1)), d_target, d_rate


@dataclasses.dataclass(frozen=True)
class Function:
    """A process of which nothing but `fn(values)` is seen, after every step."""

    fn: object
    length: int = 2

    def begin(self, values, seed):
        return ()

    def advance(self, values, state, seed, start, steps, judge):
        loss = self.fn(values)
        losses = tf.fill([{"every": steps, "end": 1, "none": 0}[judge]], loss)
        return state, losses, tf.fill([steps], tf.stop_gradient(loss))


def constants(*values):
    return [tf.constant(v, tf.float64) for v in values]


def caller(estimator, problem, values, loss="every"):
    """`call(seed, state)`, one traced function, and the first state."""

    @tf.function(autograph=False)
    def call(seed, state):
        return estimator.estimate(problem, values, seed, loss, state)

    return call, estimator.init(problem, values, SEED)


def estimate(estimator, problem, values, loss="every", seed=SEED):
    """One estimate, eagerly, which `test_conformance` compares with a traced one."""
    return estimator.estimate(problem, values, seed, loss, estimator.init(problem, values, SEED))


def sample(estimator, problem, values, loss, count, calls=1, fresh=False):
    """`[count, ...]` of the first gradient, each the mean over `calls` of them in a row, from a fresh state if told so."""
    call, state = caller(estimator, problem, values, loss)
    first, gradients = state, []
    for i in range(count * calls):
        state = first if fresh and i % calls == 0 else state
        result = call(tf.constant([7, i]), state)
        state = result.state
        gradients.append(result.gradients[0].numpy())
    return np.stack(gradients).reshape(count, calls, *values[0].shape).mean(1)


def assert_mean(samples, expected, rival):
    """Within 4 standard errors, element by element, which are small enough to tell `expected` from `rival`."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(0) - expected) < 4 * error)
    assert np.max(np.abs(expected - rival) / error) > 10


@pytest.mark.parametrize("estimator", ALL, ids=repr)
@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_conformance(estimator, loss):
    """One structure for all, the same for the same seed, one trace for all calls, zeros for what is not connected."""
    problem, values = Descent(0.1), constants(TARGET, RATE, np.ones([2, 1, 3]))
    assert estimators.REGISTRY[estimator.name] is type(estimator)
    traces = []

    @tf.function(autograph=False)
    def call(seed, state):
        traces.append(seed)
        return estimator.estimate(problem, values, seed, loss, state)

    first = state = estimator.init(problem, values, SEED)
    results = []
    for i in range(4):
        results.append(call(tf.constant([0, i]), state))
        state = results[-1].state
        tf.nest.map_structure(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(f"{a} {b}"), first, state)
        assert isinstance(results[-1], estimators.Estimate)
        for scalar in (results[-1].loss, results[-1].inner_loss):
            assert scalar.shape == () and scalar.dtype == tf.float64 and np.isfinite(scalar)
        assert [(g.shape, g.dtype) for g in results[-1].gradients] == [(v.shape, v.dtype) for v in values]
        assert np.all(results[-1].gradients[0] != 0)
    assert len(traces) == 1
    if not isinstance(estimator, (estimators.ES, estimators.PES)):  # their noise is all that they know of it
        np.testing.assert_array_equal(results[0].gradients[2], np.zeros([2, 1, 3]))
    tf.nest.map_structure(np.testing.assert_array_equal, call(tf.constant([0, 0]), first), results[0])
    assert float(call(tf.constant([1, 0]), first).loss) != float(results[0].loss)
    eager = estimator.estimate(problem, values, tf.constant([0, 0]), loss, first)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10), eager, results[0])


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_full_is_the_closed_form(loss):
    result = estimate(estimators.Full(), Descent(), constants(TARGET, RATE), loss)
    for got, expected in zip((result.loss, *result.gradients), closed_form(WEIGHTS[loss])):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    *_, inner = Descent().advance(constants(TARGET), Descent().begin([], SEED), SEED, 0, T, "none")
    np.testing.assert_allclose(result.inner_loss, inner[-1], rtol=1e-12)


@pytest.mark.parametrize("place", ["end", "random"])
@pytest.mark.parametrize("window", [T, T + 3])
@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_a_window_over_everything_is_full(loss, window, place):
    problem, values = Descent(0.1), constants(TARGET, RATE)
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        estimate(estimators.Truncated(window, place), problem, values, loss),
        estimate(estimators.Full(), problem, values, loss),
    )


def window_weights(loss, window, end):
    """Of the meta-losses after steps 1, ..., T, for a window that ends after step `end`."""
    steps = np.arange(1, T + 1)
    return (steps == end) * 1.0 if loss == "last" else ((steps > end - window) & (steps <= end)) / window


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_the_steps_before_the_window_are_constants(loss, window):
    result = estimate(estimators.Truncated(window), Descent(), constants(TARGET, RATE), loss)
    expected = closed_form(window_weights(loss, window, T), T - window)
    for got, value in zip((result.loss, *result.gradients), expected):
        np.testing.assert_allclose(got, value, rtol=1e-12)


def test_the_state_before_the_window_is_that_of_the_same_process():
    """Its randomness goes by the steps' absolute numbers: the meta-loss is `Full`'s, in one part or in two."""
    results = [estimate(e, Descent(0.3), constants(TARGET), "last") for e in (estimators.Full(), estimators.Truncated(2))]
    np.testing.assert_allclose(results[1].loss, results[0].loss, rtol=1e-12)
    np.testing.assert_allclose(results[1].inner_loss, results[0].inner_loss, rtol=1e-12)


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_random_windows_are_uniform_over_those_allowed(loss):
    """Every estimate is the closed form of one placement, and their mean weighs the steps as the docstring says."""
    window, draws = 2, 200
    call, _ = caller(estimators.Truncated(window, "random"), Descent(), constants(TARGET, RATE), loss)
    ends = range(window, T + 1)
    expected = [np.hstack(closed_form(window_weights(loss, window, e), e - window)) for e in ends]
    counts = np.zeros(len(ends))
    for i in range(draws):
        result = call(tf.constant([0, i]), ())
        got = np.hstack([result.loss, *result.gradients])
        near = [k for k, value in enumerate(expected) if np.allclose(got, value, rtol=1e-10)]
        assert len(near) == 1
        counts[near[0]] += 1
    share = 1 / len(ends)
    assert np.all(np.abs(counts - draws * share) < 4 * np.sqrt(draws * share * (1 - share)))

    t = np.arange(1, T + 1)
    seen = np.minimum(np.minimum(t, T + 1 - t), min(window, T + 1 - window)) / window if loss == "every" else t >= window
    np.testing.assert_allclose(np.mean(expected, 0)[0], closed_form(seen / len(ends))[0], rtol=1e-12)


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_es_of_a_linear_objective_is_the_projection_on_the_noise(loss):
    """One pair: eps eps' g, whatever sigma."""
    rng = np.random.default_rng(0)
    slopes = [rng.normal(size=shape) for shape in ([2, 3], [4], [])]
    problem = Function(lambda values: sum(tf.reduce_sum(s * v) for s, v in zip(slopes, values)))
    values = constants(*[np.ones(s.shape) for s in slopes])
    result = estimate(estimators.ES(1, 0.5), problem, values, loss)
    noise, _ = perturbation.draw(SEED, values, 1, 0.5)
    eps = [n[0].numpy() / 0.5 for n in noise]
    along = sum(np.sum(e * s) for e, s in zip(eps, slopes))
    for got, e in zip(result.gradients, eps):
        np.testing.assert_allclose(got, along * e, rtol=1e-12)
    np.testing.assert_allclose(result.loss, sum(s.sum() for s in slopes), rtol=1e-12)


def test_the_noise_is_gaussian_and_each_value_has_its_own():
    noise, seeds = perturbation.draw(SEED, constants(np.zeros(50), np.zeros(50)), 400, 0.3)
    flat = np.stack([n.numpy().ravel() for n in noise])
    np.testing.assert_allclose(flat.std(1), 0.3, rtol=0.03)
    np.testing.assert_allclose(np.cov(flat)[0, 1], 0, atol=4 * 0.3**2 / np.sqrt(flat.shape[1]))
    assert len(np.unique(seeds, axis=0)) == 400


@pytest.mark.parametrize("loss", estimators.LOSSES)
@pytest.mark.parametrize("estimator, count", [(estimators.ES(4, 0.3), 250), (estimators.ESBackprop(4, 0.3), 50)], ids=repr)
def test_the_mean_over_seeds_is_the_exact_gradient(estimator, count, loss):
    """The objective is quadratic, so that smoothing adds a constant to it."""
    samples = sample(estimator, Descent(0.1), constants(TARGET), loss, count)
    assert_mean(samples, closed_form(WEIGHTS[loss])[1], rival=0)


@pytest.mark.parametrize("kind, fresh", [(estimators.PES, False), (estimators.PES, True), (estimators.NRES, False)])
@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_the_mean_over_episodes_of_pes_is_the_exact_gradient(loss, kind, fresh):
    """And not that of the windows one by one, which is what evolution strategies without a memory would give.

    From the first call on, `fresh`: though it finds the pairs at places of their own.
    """
    window = 2
    samples = sample(kind(4, 0.3, window), Descent(0.1), constants(TARGET), loss, 200, T // window, fresh)
    weights = WEIGHTS[loss]
    ends = np.arange(window, T + 1, window)
    steps = np.arange(1, T + 1)
    alone = sum(closed_form(weights * (steps > e - window) * (steps <= e), e - window)[1] for e in ends)
    assert_mean(samples, closed_form(weights)[1], rival=alone)


@pytest.mark.parametrize("kind", [estimators.PES, estimators.NRES])
def test_pes_over_one_window_is_es(kind):
    problem, values = Descent(0.1), constants(TARGET, RATE)
    call, state = caller(kind(3, 0.1, window=T), problem, values)
    for seed in ([0, 1], [0, 2]):
        result = call(tf.constant(seed), state)
        state = result.state
        expected = estimate(estimators.ES(3, 0.1), problem, values, seed=tf.constant(seed))
        tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), result[:3], expected[:3])


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_pes_owes_a_loss_to_all_perturbations_so_far(loss):
    """Of a quadratic objective a pair's estimate is x_w sum_v J_v n_v / sigma^2, with the derivative J_v by window v's target.

    Without the sum x_w = n_1 + ... + n_w it would be the truncated one's, n_w for x_w; these differ.
    """
    window, sigma, pairs = 2, 0.2, 1  # further pairs are at other steps
    call, state = caller(estimators.PES(pairs, sigma, window), Descent(), constants(TARGET), loss)
    noise, before = [], 0.0
    for w, end in enumerate(range(window, T + 1, window)):
        result = call(tf.constant([0, w]), state)
        state = result.state
        x = state["accumulated"][0].numpy()
        noise.append(x - before)
        before = x
        if loss == "last" and end < T:
            np.testing.assert_array_equal(result.gradients[0], [0, 0])
            continue
        weights = window_weights(loss, window, end) * (T / window if loss == "last" else 1)
        since = [closed_form(weights, start)[1] for start in range(0, end, window)] + [np.zeros(2)]
        along = sum(n @ (since[v] - since[v + 1]) for v, n in enumerate(noise))
        np.testing.assert_allclose(result.gradients[0], (along[:, None] * x / sigma**2).mean(0), rtol=1e-9)
        if w:
            assert np.abs(result.gradients[0] - (along[:, None] * noise[-1] / sigma**2).mean(0)).min() > 1e-3


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_an_episode_of_nres_is_es_with_the_same_noise(loss):
    """Its windows' estimates, of one pair's kept noise, have for their mean what ES makes of the whole unroll."""
    sigma, values = 0.2, constants(TARGET, RATE)
    call, state = caller(estimators.NRES(1, sigma, window=2), Descent(), values, loss)
    gradients, kept = [], []
    for w in range(T // 2):
        result = call(tf.constant([0, w]), state)
        state = result.state
        gradients.append([g.numpy() for g in result.gradients])
        kept.append(state["accumulated"][0].numpy())
    np.testing.assert_array_equal(kept, [kept[0]] * len(kept))
    noise, seeds = perturbation.draw(tf.constant([0, 0]), values, 1, sigma)

    def objective(sign):
        point = [v + sign * n[0] for v, n in zip(values, noise)]
        _, losses, _ = Descent().advance(
            point, Descent().begin(point, seeds[0]), seeds[0], 0, T, "end" if loss == "last" else loss
        )
        return tf.reduce_mean(losses)

    slope = (objective(1.0) - objective(-1.0)) / (2 * sigma**2)
    for gradient, n in zip(zip(*gradients), noise, strict=True):
        np.testing.assert_allclose(np.mean(gradient, 0), slope * n[0], rtol=1e-9)


def test_pes_keeps_its_processes_for_an_episode_and_then_begins_anew():
    """Not all of them at once: each pair at its own place."""
    problem, values = Descent(0.3), constants(TARGET)
    call, state = caller(estimators.PES(2, 1e-9, window=2), problem, values)
    episodes, steps = [], []
    for i in range(7):
        state = call(tf.constant([0, i]), state).state
        steps.append(state["step"].numpy().tolist())
        episodes += [(state, pair) for pair in (0, 1) if steps[-1][pair] == 0]
    assert steps == [[2, 4], [4, 0], [0, 2], [2, 4], [4, 0], [0, 2], [2, 4]] and len(episodes) == 4
    for state, pair in episodes:
        assert np.abs(state["accumulated"][0]).max() < 1e-8
        for i in (pair, pair + 2):  # both members of a pair have the pair's seed
            assert int(state["inner"]["count"][i]) == T
            seed = state["seeds"][pair]
            expected, _, _ = problem.advance(values, problem.begin(values, seed), seed, 0, T, "none")
            np.testing.assert_allclose(state["inner"]["theta"][i], expected["theta"], rtol=1e-6)
    assert len({tuple(state["seeds"].numpy()[pair]) for state, pair in episodes}) == 4


@pytest.mark.parametrize("pairs, steps", [(6, [0, 0, 2, 2, 4, 4]), (3, [0, 2, 4]), (1, [0])])
def test_pes_staggers_its_pairs_evenly(pairs, steps):
    call, state = caller(estimators.PES(pairs, 0.1, window=2), Descent(), constants(TARGET))
    after = call(SEED, state).state
    assert [(s + 2) % T for s in steps] == after["step"].numpy().tolist()
    assert after["inner"]["count"].numpy().tolist() == [s + 2 for s in steps] * 2


def test_pes_forgets_a_process_that_diverged():
    """NaN does not outlive the episode."""
    values = constants(TARGET)
    call, state = caller(estimators.PES(2, 0.1, window=2), Descent(), values)
    expected = call(SEED, state)
    broken = tf.nest.map_structure(lambda x: x * np.nan if x.dtype.is_floating else x, state)
    tf.nest.map_structure(np.testing.assert_array_equal, call(SEED, broken), expected)


RIPPLE, FREQUENCY = 0.05, 50.0


def rippled(values):
    """A slope of 1 with ripples: two elements' sum of v + RIPPLE sin(FREQUENCY v); sigma = 0.5 smooths them away."""
    return tf.reduce_sum(values[0] + RIPPLE * tf.sin(FREQUENCY * values[0]))


def samples_of(seed, value, pairs, sigma):
    """Every pair's estimates `[pairs, 2]` of `rippled` by ES and by backpropagation, in numpy."""
    noise = perturbation.draw(seed, constants(value), pairs, sigma)[0][0].numpy()
    points = value + np.stack([noise, -noise])
    losses = np.sum(points + RIPPLE * np.sin(FREQUENCY * points), -1)
    es = ((losses[0] - losses[1]) / (2 * sigma**2))[:, None] * noise
    return es, (1 + RIPPLE * FREQUENCY * np.cos(FREQUENCY * points)).mean(0)


def test_the_combination_weighs_by_inverse_variance_and_varies_least():
    value, pairs, sigma = np.array([0.31, -0.17]), 16, 0.5
    call, _ = caller(estimators.ESBackprop(pairs, sigma), Function(rippled), constants(value))
    singles, combined = [], []
    for i in range(300):
        seed = tf.constant([0, i])
        es, bp = samples_of(seed, value, pairs, sigma)
        g = call(seed, ()).gradients[0].numpy()
        by_es, by_bp = 1 / es.var(0, ddof=1), 1 / bp.var(0, ddof=1)
        np.testing.assert_allclose(g, (es.mean(0) * by_es + bp.mean(0) * by_bp) / (by_es + by_bp), rtol=1e-9)
        singles.append([es.mean(0), bp.mean(0)])
        combined.append(g)
    variances = np.var(singles, axis=0)
    assert 1 / 4 < variances[0].mean() / variances[1].mean() < 4  # neither is beneath notice
    assert np.all(np.var(combined, axis=0) < variances.min(0))


@pytest.mark.parametrize("loss", estimators.LOSSES)
def test_the_combination_is_backpropagation_where_that_does_not_vary(loss):
    """Of a quadratic objective without noise the mean of a pair's two gradients is the exact one."""
    result = estimate(estimators.ESBackprop(3, 0.3), Descent(), constants(TARGET), loss)
    np.testing.assert_allclose(result.gradients[0], closed_form(WEIGHTS[loss])[1], rtol=1e-9)


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e200])
def test_the_combination_is_es_where_backpropagation_overflows(bad):
    @tf.custom_gradient
    def exploding(v):
        return v, lambda upstream: upstream * tf.constant([1.0, bad], tf.float64) * (1 + v)

    problem, values = Function(lambda values: tf.reduce_sum(exploding(values[0]))), constants([0.5, 0.5])
    combined = estimate(estimators.ESBackprop(4, 0.1), problem, values)
    alone = estimate(estimators.ES(4, 0.1), problem, values)
    np.testing.assert_allclose(combined.gradients[0][1], alone.gradients[0][1], rtol=1e-12)
    assert np.all(np.isfinite(combined.gradients[0]))


@pytest.mark.parametrize("kind", [estimators.ES, estimators.PES, estimators.ESBackprop])
def test_the_graph_does_not_grow_with_the_pairs(kind):
    """And no sum of many gradients stands in the frame of a loop; `unrolling` says why."""
    sizes = []
    for pairs in (2, 16):
        estimator = kind(pairs=pairs) if kind is not estimators.PES else kind(pairs=pairs, window=2)
        call, state = caller(estimator, Descent(), constants(TARGET, RATE))
        graph = call.get_concrete_function(SEED, state).graph.as_graph_def()
        functions = {f.signature.name: f.node_def for f in graph.library.function}
        sizes.append(len(graph.node) + sum(map(len, functions.values())))
        nodes = [node for part in (graph.node, *functions.values()) for node in part]
        bodies = [functions[n.attr["body"].func.name] for n in nodes if n.op in ("While", "StatelessWhile")]
        assert not [n.name for body in bodies for n in body if n.op == "AddN" and n.attr["N"].i > 2]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    "kind, settings, message",
    [
        (estimators.Truncated, {"window": 0}, "estimators.Truncated.window must be at least 1; got 0"),
        (estimators.Truncated, {"window": 2.5}, "estimators.Truncated.window must be an integer; got 2.5"),
        (estimators.Truncated, {"place": "start"}, "unknown estimators.Truncated.place 'start'; known: end, random"),
        (estimators.ES, {"pairs": 0}, "estimators.ES.pairs must be at least 1; got 0"),
        (estimators.ES, {"sigma": 0.0}, "estimators.ES.sigma must be above 0; got 0.0"),
        (estimators.ES, {"sigma": float("nan")}, "estimators.ES.sigma must be a finite number; got nan"),
        (estimators.PES, {"pairs": True}, "estimators.PES.pairs must be an integer; got True"),
        (estimators.PES, {"sigma": -1}, "estimators.PES.sigma must be above 0; got -1"),
        (estimators.PES, {"window": -1}, "estimators.PES.window must be at least 1; got -1"),
        (estimators.ESBackprop, {"pairs": 1}, "estimators.ESBackprop.pairs must be at least 2; got 1"),
        (estimators.ESBackprop, {"sigma": "0.1"}, "estimators.ESBackprop.sigma must be a number; got '0.1'"),
    ],
)
def test_wrong_settings_are_named(kind, settings, message):
    with pytest.raises(errors.UserError) as error:
        kind(**settings)
    assert str(error.value) == message


def test_a_window_that_does_not_divide_is_named():
    for use in (lambda e, *a: e.init(*a), lambda e, *a: e.estimate(*a, "every", ())):
        with pytest.raises(errors.UserError, match=r"^estimators\.PES\.window must divide the 6 inner steps; got 4$"):
            use(estimators.PES(window=4), Descent(), constants(TARGET), SEED)


@pytest.mark.parametrize("estimator", ALL, ids=repr)
def test_an_unknown_loss_is_named(estimator):
    values = constants(TARGET)
    with pytest.raises(errors.UserError, match="unknown loss 'lats'; did you mean 'last'"):
        estimator.estimate(Descent(), values, SEED, "lats", estimator.init(Descent(), values, SEED))
