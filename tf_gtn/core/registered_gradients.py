"""TensorFlow keeps the gradients of a trace as long as its graphs, no longer.

`tf.custom_gradient`, and so `tf.recompute_grad`, registers each gradient that it traces under a name of its own and never takes
it back. The gradient holds its graph, and that graph whatever it was traced in: some 10 MB per trace of a small step. Here the
registry is given a reference that does not hold the graph, and the graph holds its gradient itself.
"""

import contextlib
import weakref
from collections.abc import Callable, Generator
from typing import Any, cast

from tensorflow.python.framework import ops

_graphs: Any = weakref.WeakSet()


def watch(graph: Any) -> None:
    """Has the next `release` look at a graph in which a gradient is being registered: only its trace's end has it there."""
    _graphs.add(graph)


def release() -> None:
    """Ties the gradients that were registered in watched graphs to these graphs."""
    registered = getattr(ops.gradient_registry, "_registry", {})
    while _graphs:
        graph = _graphs.pop()
        for operation in graph.get_operations():
            if (
                operation.type == "IdentityN"
                and (name := operation.node_def.attr["_gradient_op_type"].s.decode()) in registered
            ):
                _tie(registered, name, graph)


@contextlib.contextmanager
def forgotten() -> Generator[None, None, None]:
    """What is registered in here is taken back at the end, whoever registered it; no graph of it may be used any more."""
    registered = getattr(ops.gradient_registry, "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        _graphs.clear()
        for name in set(registered) - before:
            if name.startswith("CustomGradient-"):
                del registered[name]


def _tie(registered, name, graph):
    entry, reference = registered[name], cast(Callable, weakref.ref(graph))  # alive when its gradient is asked for
    (key,) = (key for key, value in entry.items() if callable(value))
    graph.add_to_collection(name, entry[key])

    def gradient(*arguments):
        return reference().get_collection_ref(name)[0](*arguments)

    entry[key] = gradient
    weakref.finalize(graph, registered.pop, name, None)
