"""`unroll`: run an inner process for T steps so that gradients flow through all of it.

How it works in a graph, and why:

1. `step` is traced once into a concrete function that TensorFlow may not inline. Tracing first lets `step` open
   `tf.GradientTape`s of its own: `tf.recompute_grad` runs its function with every tape stopped, and a tape
   inside a traced function is no longer live. Not inlining keeps the sums of gradients (`AddN`) of a step out of the
   loop's frame, where Grappler's memory optimiser would turn them into temporary variables that collide between
   iterations ("tmp_var already exists", seen at 28x28); it also saves a third of the memory.
2. `tf.recompute_grad` wraps a segment of `checkpoint_every` steps: the segment's inputs are kept, its inside is
   computed again on the way back. Everything floating is passed as an argument, because whatever is captured gets no
   gradient there, or breaks the loop's; that goes for the tensors that `step` captured too, which are lifted into
   arguments. Integers come by closure, because they have no gradient.
3. `tf.while_loop` runs the segments, so the graph does not grow with T.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from tf_gtn.core import registered_gradients

MEMORY = 512e6
"""Bytes that an unroll may keep for its backward pass, where it chooses itself what to keep."""


def unroll(
    step: Callable[[Any, Any, Any], tuple[Any, Any]],
    params: Any,
    state: Any,
    xs: Any,
    *,
    checkpoint_every: int | Literal["auto"] = 1,
    memory: float = MEMORY,
) -> tuple[Any, Any]:
    """Applies `step` along the leading axis of `xs`, carrying `state`; differentiable in `params`, `state` and `xs`.

    Like `jax.lax.scan` with explicit parameters: `state_{t+1}, y_t = step(params, state_t, xs[t])`.

    Args:
      step: pure function `(params, state, x) -> (state, y)`. It may open `tf.GradientTape`s of its own. The returned
        state has the structure, dtypes and shapes of the one given. It is traced without AutoGraph. Gradients flow to
        tensors that it captures; variables are passed in `params`.
      params: nested structure of tensors (or variables), the same at every step.
      state: nested structure of tensors, the inner process' state before the first step.
      xs: nested structure of tensors `[T, ...]` with one leading time axis, at least one tensor. T may be unknown while
        tracing, and may be 0.
      checkpoint_every: k >= 1 keeps the state every k steps and computes what lies between again in the backward
        pass (memory grows with T / k states + k steps' activations); 0 stores everything. The gradients are the same. It
        holds in graphs, so inside `tf.function`; called eagerly, `step` runs operation by operation, everything is stored and
        nothing is traced, which is the way to debug one. "auto" chooses by `memory`: see `spacing`.
      memory: for "auto", bytes that states and activations may take.

    Returns:
      `(state, ys)`: the state after the last step, and the structure of `y` with a leading axis `[T, ...]`.

    A second derivative, such as that of an `unroll` inside another one's `step`, needs `checkpoint_every=0` (of the inner one):
    `tf.recompute_grad` can be differentiated once.

    Raises:
      ValueError: `checkpoint_every` is neither an integer >= 0 nor "auto", `xs` is empty or its leading axes differ, `step`
        returns a state of another structure, dtype or shape; or in a graph it reads a floating variable that it was not passed,
        or draws random numbers from a state or assigns a variable, which would happen twice where it is recomputed.
    """
    if checkpoint_every != "auto" and (
        isinstance(checkpoint_every, bool) or not isinstance(checkpoint_every, int) or checkpoint_every < 0
    ):
        raise ValueError(
            f'checkpoint_every is the number of steps between kept states, an integer >= 0, or "auto"; got {checkpoint_every!r}'
        )
    params, state, xs = tf.nest.map_structure(tf.convert_to_tensor, (params, state, xs))
    length = _length(xs)
    if tf.executing_eagerly() and length > 0:
        return _eager(step, params, state, xs, length)
    traced = _Traced(step, params, state, _slice_spec(xs), inline=checkpoint_every == 1)
    if checkpoint_every == "auto":
        checkpoint_every = spacing(length, _bytes(state), traced.size, memory) if isinstance(length, int) else 1
    params = (params, traced.captures)
    if checkpoint_every == 0:
        return _loop(traced, params, state, xs, length)
    if checkpoint_every == 1:
        return _loop(_Recomputed(traced), params, state, xs, length)
    return _segments(traced, params, state, xs, length, checkpoint_every)


def spacing(length: int, state: int, step: int, memory: float) -> int:
    """The `checkpoint_every` of "auto": the quickest that fits into `memory`, or else the one that takes the least.

    0, everything is stored, takes T activations; k >= 1 takes T / k states and k steps' activations. Storing is the quickest;
    all k are as quick as one another.

    Args:
      length: T, at least 1.
      state: bytes of a state.
      step: bytes of a step's activations.
      memory: bytes that may be taken.
    """
    if length * step <= memory:
        return 0
    least = min(length, max(1, round(math.sqrt(length * state / max(step, 1)))))
    return next((k for k in range(1, least) if length / k * state + k * step <= memory), least)


# Operations that make no tensor of their own.
_NO_RESULTS = {"Const", "ExpandDims", "Identity", "Placeholder", "Reshape", "Squeeze", "StopGradient"}


def activation_bytes(graph: tf.Graph) -> int:
    """What the results of a graph's operations take: at most so much is kept for its backward pass."""
    operations = [operation for operation in graph.get_operations() if operation.type not in _NO_RESULTS]
    return _bytes([output for operation in operations for output in operation.outputs])


def _bytes(tensors):
    """Of nested floating tensors of known shapes."""
    known = [x for x in tf.nest.flatten(tensors) if x.dtype.is_floating and x.shape.is_fully_defined()]
    return sum(x.shape.num_elements() * x.dtype.size for x in known)


def _segments(traced, params, state, xs, length, k):
    """A loop over whole segments of k steps, then one shorter segment with what remains."""

    def segment(params, state, xs):
        return _loop(traced, params, state, xs, _length(xs))

    whole = length // k
    main = tf.nest.map_structure(lambda x: tf.reshape(x[: whole * k], tf.concat([[whole, k], tf.shape(x)[1:]], 0)), xs)
    main = tf.nest.map_structure(lambda m, x: tf.ensure_shape(m, [None, k] + x.shape[1:]), main, xs)
    run = _Recomputed(_Traced(segment, params, state, _slice_spec(main)))
    state, ys = _loop(run, (params, []), state, main, whole)
    ys = tf.nest.map_structure(lambda y: tf.reshape(y, tf.concat([[whole * k], tf.shape(y)[2:]], 0)), ys)
    if isinstance(length, int) and length % k == 0:
        return state, ys
    rest = tf.nest.map_structure(lambda x: x[whole * k :], xs)
    rest_spec = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), rest)
    state, last = _Recomputed(_Traced(segment, params, state, rest_spec))((params, []), state, rest)
    return state, tf.nest.map_structure(lambda a, b: tf.concat([a, b], 0), ys, last)


def _eager(step, params, state, xs, length):
    ys = []
    for t in range(length):
        new_state, y = step(params, state, tf.nest.map_structure(lambda x: x[t], xs))  # noqa: B023 - used at once
        state = _like(state, new_state)
        ys.append(tf.nest.map_structure(tf.convert_to_tensor, y))
    return state, tf.nest.map_structure(lambda *y: tf.stack(y), *ys)


def _loop(run, params, state, xs, length):
    """`tf.while_loop` over the leading axis of `xs`; `run(params, state, x) -> (state, y)`."""
    # Arrays, not slices: the gradient of x[t] is as large as x, that of a read is one element.
    arrays = tf.nest.map_structure(lambda x: _array(x.dtype, length, x.shape[1:]).unstack(x), xs)
    outputs = tf.nest.map_structure(lambda y: _array(y.dtype, length, y.shape), run.y_spec)

    def body(t, state, outputs):
        x = tf.nest.map_structure(lambda a: a.read(t), arrays)
        new_state, y = run(params, state, x)
        return t + 1, _like(state, new_state), tf.nest.map_structure(lambda a, v: a.write(t, v), outputs, y)

    _, state, outputs = tf.while_loop(lambda t, *_: t < length, body, (0, state, outputs), maximum_iterations=length)
    return state, tf.nest.map_structure(lambda a: a.stack(), outputs)


def _array(dtype, size, element_shape):
    return tf.TensorArray(dtype, size=size, element_shape=element_shape)


# Operations with an effect or a memory of their own, by how their names begin.
_NOT_REPEATABLE = ("Random", "TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial", "Stateful", "Rng", "Assign")


class _Traced:
    """`fn(params, state, x) -> (state, y)` as one concrete function that is not inlined into its callers.

    Called as `traced((params, captures), state, x)`, with `captures` the tensors that `fn` took from around it.
    """

    def __init__(self, fn, params, state, x_spec, inline=False):
        specs = tf.nest.map_structure(lambda v: tf.TensorSpec(v.shape, v.dtype), (params, state))

        def checked(params, state, x):
            new_state, y = fn(params, state, x)
            return _like(state, new_state), tf.nest.map_structure(tf.convert_to_tensor, y)

        attributes = {} if inline else {"_noinline": True}
        function = tf.function(checked, autograph=False, experimental_attributes=attributes)
        self._function = function.get_concrete_function(*specs, x_spec)
        for variable in self._function.variables:
            if _differentiable(variable):
                raise ValueError(
                    f"step reads the variable {variable.name!r}, which would get no gradient: pass it in params or state"
                )
        self.size = activation_bytes(self._function.graph)
        self.captures = [c if c.dtype in (tf.resource, tf.variant) else tf.identity(c) for c in self._function.captured_inputs]
        self.y_spec = self._function.structured_outputs[1]
        self.differentiable = any(_differentiable(v) for v in tf.nest.flatten(self._function.structured_outputs))

    def check_repeatable(self):
        """Raises `ValueError` if a second call would not give the same, or would change something."""
        definition = self._function.graph.as_graph_def()
        nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
        for node in nodes:
            if node.op.startswith(_NOT_REPEATABLE) and node.op != "StatefulPartitionedCall":
                raise ValueError(
                    f"step runs {node.op}, and would run it again when it is recomputed: draw random numbers with "
                    "tf.random.stateless_* from a seed in state or xs, carry what changes in state, or use checkpoint_every=0"
                )

    def __call__(self, params, state, x):
        params, captures = params
        self._function.set_external_captures(captures)
        return self._function(params, state, x)


class _Recomputed:
    """A traced function whose inside is computed again in the backward pass.

    Recomputation and gradient are one function, not inlined into the loop: TensorFlow optimises them together.
    """

    def __init__(self, traced):
        self._traced = traced
        self.y_spec = traced.y_spec
        traced.check_repeatable()
        registered_gradients.release()  # those of earlier traces

    def __call__(self, *arguments):
        flat = tf.nest.flatten(arguments)
        floating = [i for i, v in enumerate(flat) if _differentiable(v)]
        if not floating or not self._traced.differentiable:
            return self._traced(*arguments)
        outputs = []

        def recomputed(*flat):
            def run(*values):
                registered_gradients.watch(tf.compat.v1.get_default_graph())
                merged = list(flat)
                for i, value in zip(floating, values):
                    merged[i] = value
                result = self._traced(*tf.nest.pack_sequence_as(arguments, merged))
                if not outputs:  # the forward call; integers have no gradient and go past recompute_grad
                    outputs.append(result)
                return [v for v in tf.nest.flatten(result) if _differentiable(v)]

            run.__name__ = (
                "unroll's step: a second derivative needs checkpoint_every=0"  # what recompute_grad calls it in its error
            )
            values = iter(tf.recompute_grad(run)(*[flat[i] for i in floating]))
            return tf.nest.map_structure(lambda v: next(values) if _differentiable(v) else v, outputs[0])

        return tf.function(recomputed, autograph=False, experimental_attributes={"_noinline": True})(*flat)


def _differentiable(tensor):
    return tensor.dtype.is_floating or tensor.dtype.is_complex


def _like(state, new_state):
    """`new_state` with the static shapes of `state`; an error if it is something else."""
    try:
        tf.nest.assert_same_structure(state, new_state)
    except (TypeError, ValueError) as error:
        raise ValueError(f"step must return a state of the structure it was given: {error}") from None

    def check(old, new):
        new = tf.convert_to_tensor(new)
        if new.dtype != old.dtype or not new.shape.is_compatible_with(old.shape):
            raise ValueError(
                f"step must return a state like the one it was given: {old.dtype.name}{old.shape} "
                f"came back as {new.dtype.name}{new.shape}"
            )
        return tf.ensure_shape(new, old.shape)

    return tf.nest.map_structure(check, state, new_state)


def _length(xs):
    """T as an int where it is known, else as a scalar tensor."""
    leaves = tf.nest.flatten(xs)
    if not leaves:
        raise ValueError("xs must hold at least one tensor with a leading time axis; got an empty structure")
    if any(x.shape.rank == 0 for x in leaves):
        raise ValueError("every tensor in xs needs a leading time axis; got a scalar")
    known = {int(x.shape[0]) for x in leaves if x.shape.rank and x.shape[0] is not None}
    if len(known) > 1:
        raise ValueError(f"the leading axes of xs differ: {sorted(known)}")
    return known.pop() if known else tf.shape(leaves[0])[0]


def _slice_spec(xs):
    return tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), xs)
