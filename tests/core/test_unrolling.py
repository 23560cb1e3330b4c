"""`unroll`: gradients against closed forms and finite differences, memory modes against one another."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import optimizers, unrolling

GENERATOR = keras.random.SeedGenerator(0)
MODES = [0, 1, 3, 7]  # T = 7: 3 is uneven, 7 is all of it
T = 7


def quadratic(dtype=tf.float64):
    """SGD-momentum on 0.5 (theta - target)' A (theta - target), all through one matrix recursion."""
    a = tf.constant([[2.0, 0.3], [0.3, 1.0]], dtype)
    xs = {
        "learning_rate": tf.constant(np.linspace(0.05, 0.2, T), dtype),
        "momentum": tf.constant(np.linspace(0.9, 0.3, T), dtype),
    }
    params = {"target": tf.constant([1.0, -2.0], dtype)}
    theta = tf.constant([0.5, 0.25], dtype)
    optimizer = optimizers.SGD()
    state = {"theta": theta, "slots": optimizer.init(theta)}

    def step(params, state, x):
        with tf.GradientTape() as tape:
            tape.watch(state["theta"])
            d = state["theta"] - params["target"]
            loss = 0.5 * tf.tensordot(d, tf.linalg.matvec(a, d), 1)
        gradient = tape.gradient(loss, state["theta"])
        theta, slots = optimizer.update(gradient, state["slots"], state["theta"], x)
        return {"theta": theta, "slots": slots}, loss

    return step, params, state, xs, a


def meta_gradient(step, params, state, xs, checkpoint_every, compiled):
    def run():
        watched = (params, state, xs)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(watched))
            final, ys = unrolling.unroll(step, params, state, xs, checkpoint_every=checkpoint_every)
            loss = tf.reduce_sum(tf.square(final["theta"])) + 0.1 * tf.reduce_sum(ys)
        return loss, tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return tf.function(run, autograph=False)() if compiled else run()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("checkpoint_every", MODES)
def test_meta_gradient_of_a_quadratic_is_the_closed_form(checkpoint_every, compiled):
    """theta and v follow a linear recursion [d, v] <- M_t [d, v]: every derivative is a product of matrices."""
    step, params, state, xs, a = quadratic()
    _, gradient = meta_gradient(step, params, state, xs, checkpoint_every, compiled)

    a = a.numpy()
    lr, beta = xs["learning_rate"].numpy(), xs["momentum"].numpy()
    target, s = params["target"].numpy(), np.concatenate([state["theta"].numpy() - params["target"].numpy(), np.zeros(2)])
    eye, zero = np.eye(2), np.zeros((2, 2))
    states, matrices = [s], []
    for t in range(T):
        matrices.append(np.block([[eye - lr[t] * a, -lr[t] * beta[t] * eye], [a, beta[t] * eye]]))
        states.append(matrices[t] @ states[t])
    loss_hessian = np.block([[a, zero], [zero, zero]])
    adjoint = np.concatenate([2 * (states[T][:2] + target), np.zeros(2)])
    d_target_direct = adjoint[:2].copy()
    d_lr, d_beta = np.zeros(T), np.zeros(T)
    for t in reversed(range(T)):
        d, v = states[t][:2], states[t][2:]
        d_lr[t] = adjoint @ np.concatenate([-(a @ d + beta[t] * v), np.zeros(2)])
        d_beta[t] = adjoint @ np.concatenate([-lr[t] * v, v])
        adjoint = matrices[t].T @ adjoint + 0.1 * loss_hessian @ states[t]
    d_params, d_state, d_xs = gradient
    np.testing.assert_allclose(d_state["theta"], adjoint[:2], rtol=1e-12)
    np.testing.assert_allclose(d_state["slots"]["velocity"], adjoint[2:], rtol=1e-12)
    np.testing.assert_allclose(d_params["target"], d_target_direct - adjoint[:2], rtol=1e-12)
    np.testing.assert_allclose(d_xs["learning_rate"], d_lr, rtol=1e-12)
    np.testing.assert_allclose(d_xs["momentum"], d_beta, rtol=1e-12)


def rich_step(params, state, x):
    """Integers everywhere, a nested tape, a second state of another rank."""
    with tf.GradientTape() as tape:
        tape.watch(state["theta"])
        pull = tf.gather(params["table"], x["index"]) + params["offset"][params["choice"]]
        loss = tf.reduce_sum(tf.cos(state["theta"] - pull) * x["weight"])
    theta = state["theta"] - 0.1 * tape.gradient(loss, state["theta"])
    return (
        {"theta": theta, "count": state["count"] + 1, "seen": state["seen"] + tf.tensordot(theta, theta, 1)},
        {"loss": loss, "index": x["index"], "count": state["count"]},
    )


def rich_problem(length):
    rng = np.random.default_rng(0)
    params = {
        "table": tf.constant(rng.normal(size=(5, 3))),
        "offset": tf.constant(rng.normal(size=4)),
        "choice": tf.constant(2),
    }
    state = {"theta": tf.constant(rng.normal(size=3)), "count": tf.constant(0), "seen": tf.constant(0.0, tf.float64)}
    xs = {"index": tf.constant(rng.integers(0, 5, length)), "weight": tf.constant(rng.normal(size=(length, 3)))}
    return params, state, xs


def rich_gradient(length, checkpoint_every, dynamic=False):
    params, state, xs = rich_problem(length)

    def run(xs):
        leaves = [params["table"], params["offset"], state["theta"], xs["weight"]]
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            final, ys = unrolling.unroll(rich_step, params, state, xs, checkpoint_every=checkpoint_every)
            loss = tf.reduce_sum(final["theta"]) + final["seen"] + tf.reduce_sum(ys["loss"])
        return tape.gradient(loss, leaves), final, ys

    if dynamic:
        spec = tf.nest.map_structure(lambda x: tf.TensorSpec([None] + x.shape[1:], x.dtype), xs)
        return tf.function(run, autograph=False, input_signature=[spec])(xs)
    return tf.function(run, autograph=False)(xs)


@pytest.fixture(scope="module")
def stored():
    return rich_gradient(T, 0)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("checkpoint_every", [1, 2, 3, 7, 20])
def test_memory_modes_and_unknown_lengths_agree_with_integers_in_every_place(checkpoint_every, dynamic, stored):
    expected, _, ys = stored
    got, got_final, got_ys = rich_gradient(T, checkpoint_every, dynamic)
    for e, g in zip(expected, got):
        np.testing.assert_allclose(g, e, rtol=1e-10)
    assert int(got_final["count"]) == T
    np.testing.assert_array_equal(got_ys["index"], ys["index"])
    np.testing.assert_array_equal(got_ys["count"], np.arange(T))
    np.testing.assert_allclose(got_ys["loss"], ys["loss"], rtol=1e-12)


def test_finite_differences():
    params, state, xs = rich_problem(T)

    def loss(table):
        final, ys = unrolling.unroll(rich_step, dict(params, table=table), state, xs, checkpoint_every=3)
        return tf.reduce_sum(final["theta"]) + final["seen"] + tf.reduce_sum(ys["loss"])

    theoretical, numerical = tf.test.compute_gradient(tf.function(loss), [params["table"]], delta=1e-5)
    np.testing.assert_allclose(theoretical[0], numerical[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("checkpoint_every", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_unrolls(length, checkpoint_every):
    params, state, xs = rich_problem(length)
    for run in (unrolling.unroll, tf.function(unrolling.unroll, autograph=False)):
        final, ys = run(rich_step, params, state, xs, checkpoint_every=checkpoint_every)
        assert int(final["count"]) == length
        assert ys["loss"].shape == [length]


@pytest.mark.parametrize("checkpoint_every", [0, 1, 3])
def test_variables_and_eager_calls(checkpoint_every):
    params, state, xs = rich_problem(T)
    table = tf.Variable(params["table"])

    def gradient():
        with tf.GradientTape() as tape:
            final, _ = unrolling.unroll(rich_step, dict(params, table=table), state, xs, checkpoint_every=checkpoint_every)
            loss = tf.reduce_sum(final["theta"])
        return tf.convert_to_tensor(tape.gradient(loss, table))

    np.testing.assert_allclose(tf.function(gradient, autograph=False)(), gradient(), rtol=1e-12)


FLAT = """
import gc, resource, sys
import tensorflow as tf
from tensorflow.python.framework import ops
from tf_gtn import core

def step(rate, theta, target):
    with tf.GradientTape() as tape:
        tape.watch(theta)
        loss = 0.5 * (theta - target) ** 2
    return theta - rate * tape.gradient(loss, theta), loss

rate, traced = tf.Variable(0.1), 0

def gradient():
    global traced
    traced += 1
    with tf.GradientTape() as tape:
        theta, losses = core.unroll(step, rate, tf.constant(5.0), tf.zeros([5]))
    return tape.gradient(theta, rate)

function = tf.function(gradient, autograph=False)
call = {"eager": gradient, "function": function, "functions": lambda: tf.function(gradient, autograph=False)()}
for how, calls, megabytes in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    traced, seen = 0, []
    for index in range(int(calls)):
        assert abs(call[how]().numpy() + 16.40) < 0.01
        if (index + 1) % (int(calls) // 6) == 0:
            gc.collect()
            with open("/proc/self/statm") as file:
                seen.append((len(ops.gradient_registry._registry), int(file.read().split()[1]) * resource.getpagesize()))
    assert {count for count, _ in seen[2:]} == {seen[2][0]}, (how, seen)
    assert seen[-1][1] - seen[2][1] < float(megabytes) * 1e6, (how, seen)
    assert traced == (1 if how == "function" else int(calls)), (how, traced)
"""


@pytest.mark.parametrize(
    "how_calls_megabytes",
    [
        pytest.param(["eager", 300, 8, "function", 300, 8, "functions", 20, 12], id="quick"),
        pytest.param(["functions", 300, 40], id="functions", marks=pytest.mark.slow),
    ],
)
def test_many_calls_leave_nothing_behind(how_calls_megabytes):
    """Memory and TensorFlow's registry of gradients stay as they are (own process)."""
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", FLAT, *map(str, how_calls_megabytes)], check=True, cwd=root)


def test_nothing_is_traced_for_an_eager_call():
    seen = []

    def step(p, s, x):
        seen.append(tf.executing_eagerly())
        return p * s, x

    unrolling.unroll(step, tf.constant(2.0), tf.constant(1.0), tf.zeros([3]))
    assert seen == [True] * 3


def test_inside_a_loop_and_a_function():
    """A training loop in the graph around an unroll: nothing of the inner loop may leak."""
    params, state, xs = rich_problem(T)

    @tf.function(autograph=False)
    def train(table):
        def body(i, table):
            with tf.GradientTape() as tape:
                tape.watch(table)
                final, _ = unrolling.unroll(rich_step, dict(params, table=table), state, xs)
                loss = tf.reduce_sum(final["theta"])
            return i + 1, table - 0.1 * tape.gradient(loss, table)

        return tf.while_loop(lambda i, _: i < 3, body, (0, table))[1]

    expected = params["table"]
    for _ in range(3):
        with tf.GradientTape() as tape:
            tape.watch(expected)
            final, _ = unrolling.unroll(rich_step, dict(params, table=expected), state, xs, checkpoint_every=0)
            loss = tf.reduce_sum(final["theta"])
        expected = expected - 0.1 * tf.convert_to_tensor(tape.gradient(loss, expected))
    np.testing.assert_allclose(train(params["table"]), expected, rtol=1e-12)


def test_no_sum_of_gradients_stands_in_the_frame_of_the_loop():
    """Grappler turns an AddN of three or more in a loop into temporary variables that collide (DESIGN: 28x28)."""
    step, params, state, xs, _ = quadratic()

    @tf.function(autograph=False)
    def run(target):
        with tf.GradientTape() as tape:
            tape.watch(target)
            final, ys = unrolling.unroll(step, {"target": target}, state, xs)
            loss = tf.reduce_sum(final["theta"]) + tf.reduce_sum(ys)
        return tape.gradient(loss, target)

    graph = run.get_concrete_function(params["target"]).graph.as_graph_def()
    functions = {f.signature.name: f for f in graph.library.function}
    bodies = [functions[n.attr["body"].func.name] for n in graph.node if n.op in ("While", "StatelessWhile")]
    assert len(bodies) == 2  # forward and backward
    for body in bodies:
        assert not [n.name for n in body.node_def if n.op == "AddN" and n.attr["N"].i > 2]


@pytest.mark.parametrize(
    "length, state, step, memory, expected",
    [
        (10, 4, 10, 100, 0),  # everything fits
        (10, 4, 10, 99, 1),  # ten states and a step do
        (100, 4, 10, 300, 2),  # fifty states and two steps
        (100, 4, 10, 30, 6),  # nothing does: the square root of 100 * 4 / 10
        (100, 1, 1000, 30, 1),  # a step is the most of it
        (5, 1000, 1, 4, 5),  # one segment
        (1, 0, 0, 10, 0),
    ],
)
def test_spacing_by_a_memory(length, state, step, memory, expected):
    assert unrolling.spacing(length, state, step, memory) == expected


@pytest.mark.parametrize("memory", [1e6, 700.0, 1.0])
def test_auto_gives_the_same_gradient(memory, monkeypatch, stored):
    chosen = []

    def spacing(*arguments, choose=unrolling.spacing):
        chosen.append(choose(*arguments))
        return chosen[-1]

    monkeypatch.setattr(unrolling, "spacing", spacing)
    monkeypatch.setattr(unrolling.unroll, "__kwdefaults__", {"checkpoint_every": 1, "memory": memory})
    expected, _, _ = stored
    got, _, _ = rich_gradient(T, "auto")
    for e, g in zip(expected, got):
        np.testing.assert_allclose(g, e, rtol=1e-10)
    assert (chosen == [0]) == (memory == 1e6)


@pytest.mark.parametrize("value", [-1, 1.5, True, None, "1"])
def test_checkpoint_every_must_be_a_count(value):
    params, state, xs = rich_problem(2)
    with pytest.raises(ValueError, match="checkpoint_every"):
        unrolling.unroll(rich_step, params, state, xs, checkpoint_every=value)


@pytest.mark.parametrize(
    "xs, message",
    [({}, "at least one"), ({"a": tf.zeros([2]), "b": tf.zeros([3])}, r"differ: \[2, 3\]"), (tf.constant(1.0), "scalar")],
)
def test_bad_xs_are_named(xs, message):
    with pytest.raises(ValueError, match=message):
        unrolling.unroll(lambda p, s, x: (s, x), (), tf.zeros([]), xs)


@pytest.mark.parametrize("checkpoint_every", [0, 1])
@pytest.mark.parametrize(
    "step, message",
    [
        (lambda p, s, x: (tf.stack([s, s]), x), r"float32\(\) came back as float32\(2,\)"),
        (lambda p, s, x: (tf.cast(s, tf.float64), x), "came back as float64"),
        (lambda p, s, x: ((s, s), x), "structure"),
    ],
)
def test_a_state_that_changes_is_named(step, message, checkpoint_every):
    def run():
        return unrolling.unroll(step, (), tf.zeros([]), tf.zeros([3]), checkpoint_every=checkpoint_every)

    for call in (run, tf.function(run, autograph=False)):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_captured_tensor_has_its_gradient():
    """Captured by the step in a loop it would get none, or break the loop's: `unroll` lifts it into an argument."""
    step, params, state, xs, a = quadratic()
    gradients = []
    for checkpoint_every in (0, 1, 3):

        @tf.function(autograph=False)
        def run(checkpoint_every=checkpoint_every):
            scaled = 2.0 * params["target"]  # a tensor of the calling graph

            def shifted(p, s, x):
                s, loss = step(p, s, x)
                return s, loss + tf.reduce_sum(scaled * s["theta"])

            with tf.GradientTape() as tape:
                tape.watch([scaled, a])
                _, ys = unrolling.unroll(shifted, params, state, xs, checkpoint_every=checkpoint_every)
                loss = tf.reduce_sum(ys)
            return tape.gradient(loss, [scaled, a])

        gradients.append(run())
    # d loss / d scaled is the sum of the thetas.
    _, ys = unrolling.unroll(
        lambda p, s, x: (lambda new: (new[0], new[0]["theta"]))(step(p, s, x)), params, state, xs, checkpoint_every=0
    )
    thetas = tf.reduce_sum(ys, 0)
    for got in gradients:
        np.testing.assert_allclose(got[0], thetas, rtol=1e-12)
        assert np.abs(got[1]).min() > 0
        np.testing.assert_allclose(got[1], gradients[0][1], rtol=1e-10)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_variable_that_is_not_passed_is_named(trainable):
    variable = tf.Variable(1.0, name="forgotten", trainable=trainable)
    run = tf.function(lambda: unrolling.unroll(lambda p, s, x: (s * variable, x), (), tf.constant(1.0), tf.zeros([3])))
    with pytest.raises(ValueError, match="reads the variable 'forgotten"):
        run()


def test_the_graph_does_not_grow_with_the_number_of_steps():
    sizes = []
    for length in (4, 64):
        params, state, xs = rich_problem(length)

        @tf.function(autograph=False)
        def run(table, params=params, state=state, xs=xs):
            with tf.GradientTape() as tape:
                tape.watch(table)
                final, _ = unrolling.unroll(rich_step, dict(params, table=table), state, xs)
                loss = tf.reduce_sum(final["theta"])
            return tape.gradient(loss, table)

        definition = run.get_concrete_function(params["table"]).graph.as_graph_def()
        sizes.append(len(definition.node) + sum(len(f.node_def) for f in definition.library.function))
    assert sizes[0] == sizes[1]


def test_under_a_mirrored_strategy():
    """Two replicas on two logical devices, each with its own inner process: the mean of the meta-gradients (own process)."""
    script = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tf_gtn.core import unroll

def step(rate, theta, target):
    with tf.GradientTape() as tape:
        tape.watch(theta)
        loss = tf.reduce_sum(tf.cos(theta - target))
    return theta - rate * tape.gradient(loss, theta), loss

def meta_gradient(rate, start):
    with tf.GradientTape() as tape:
        tape.watch(rate)
        theta, _ = unroll(step, rate, start, tf.linspace(0.0, 1.0, 6))
        loss = tf.reduce_sum(theta ** 2)
    return tape.gradient(loss, rate)

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
starts = strategy.experimental_distribute_values_from_function(lambda c: tf.fill([3], 0.3 + c.replica_id_in_sync_group))

@tf.function(autograph=False)
def distributed(starts):
    def replica(start):
        return tf.distribute.get_replica_context().all_reduce("mean", meta_gradient(tf.constant(0.1), start))
    return strategy.experimental_local_results(strategy.run(replica, (starts,)))

alone = [float(meta_gradient(tf.constant(0.1), tf.fill([3], 0.3 + i))) for i in range(2)]
assert abs(alone[0] - alone[1]) > 1e-3
np.testing.assert_allclose([float(v) for v in distributed(starts)], [np.mean(alone)] * 2, rtol=1e-5)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=pathlib.Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("checkpoint_every", [0, 1, 3])
def test_integers_alone(checkpoint_every, compiled):
    def run():
        return unrolling.unroll(
            lambda p, s, x: (s + x, s > 2), (), tf.constant(0), tf.range(5), checkpoint_every=checkpoint_every
        )

    final, ys = tf.function(run, autograph=False)() if compiled else run()
    assert int(final) == 10 and ys.numpy().tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("draw", [lambda: tf.random.normal(()), lambda: keras.random.normal((), seed=GENERATOR)])
@pytest.mark.parametrize("checkpoint_every", [1, 3])
def test_a_step_that_recomputing_would_change_is_refused(draw, checkpoint_every):
    """Its gradient would be that of other random numbers."""

    def run():
        return unrolling.unroll(
            lambda p, s, x: (s * draw(), x), (), tf.constant(1.0), tf.zeros([5]), checkpoint_every=checkpoint_every
        )

    with pytest.raises(ValueError, match="would run it again when it is recomputed"):
        tf.function(run, autograph=False)()


def test_stateless_random_numbers_are_the_same_when_recomputed():
    gradients = []
    for checkpoint_every in (0, 1, 3):

        @tf.function(autograph=False)
        def relative_gradient(p, checkpoint_every=checkpoint_every):
            with tf.GradientTape() as tape:
                tape.watch(p)
                final, _ = unrolling.unroll(
                    lambda p, s, x: (s * p * tf.random.stateless_normal((), [x, 0]), ()),
                    p,
                    tf.constant(1.0),
                    tf.range(4),
                    checkpoint_every=checkpoint_every,
                )
            return tape.gradient(final, p) * p / final

        gradients.append(float(relative_gradient(tf.constant(1.5))))
    assert gradients == pytest.approx([4.0] * 3, rel=1e-5)  # final = p^4 times the draws


def test_second_derivatives_store_everything_or_say_so():
    """d2/dp2 of p^5 is 20 p^3; an unroll within another's step likewise needs 0 for the inner one."""

    def second(checkpoint_every):
        p = tf.constant(1.3, tf.float64)
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as inner:
                inner.watch(p)
                final, _ = unrolling.unroll(
                    lambda p, s, x: (s * p, x), p, tf.constant(1.0, tf.float64), tf.range(5), checkpoint_every=checkpoint_every
                )
            gradient = inner.gradient(final, p)
        return outer.gradient(gradient, p)

    np.testing.assert_allclose(second(0), 20 * 1.3**3, rtol=1e-12)
    np.testing.assert_allclose(tf.function(lambda: second(0))(), 20 * 1.3**3, rtol=1e-12)
    with pytest.raises(NotImplementedError, match="a second derivative needs checkpoint_every=0"):
        tf.function(lambda: second(1))()


@pytest.mark.parametrize("outer_every", [0, 1, 2])
def test_an_unroll_inside_an_unroll(outer_every):
    """A meta-meta-gradient: the rate of an inner SGD is itself moved by a meta-gradient at every outer step."""

    def descend(rate, theta, x):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            loss = tf.cos(theta - x)
        return theta - rate * tape.gradient(loss, theta), ()

    def tune(start, rate, x):
        with tf.GradientTape() as tape:
            tape.watch(rate)
            theta, _ = unrolling.unroll(descend, rate, start, tf.fill([3], x), checkpoint_every=0)
            loss = theta**2
        return rate - 0.1 * tape.gradient(loss, rate), loss

    def run(start):
        rate, _ = unrolling.unroll(
            tune, start, tf.constant(0.3, tf.float64), tf.constant([0.1, 0.4, 0.2], tf.float64), checkpoint_every=outer_every
        )
        return rate

    theoretical, numerical = tf.test.compute_gradient(tf.function(run), [tf.constant(0.7, tf.float64)], delta=1e-5)
    np.testing.assert_allclose(theoretical[0], numerical[0], rtol=1e-6)
