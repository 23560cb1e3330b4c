"""No gradient that TensorFlow registered outlives the graphs of its trace."""

import gc
import weakref

import tensorflow as tf

from tf_gtn.core import registered_gradients


def traced(function):
    """A reference to the graph that `function` is called in, which is traced, run and let go."""
    graphs = []

    def call():
        graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
        return function()

    tf.function(call, autograph=False)()
    return graphs[0]


def is_gone(reference):
    gc.collect()
    return reference() is None


def test_what_others_registered_is_forgotten():
    @tf.custom_gradient
    def double(x):
        return 2 * x, lambda upstream: 2 * upstream

    with registered_gradients.forgotten():
        graph = traced(lambda: double(tf.constant(3.0)))
        assert not is_gone(graph)
    assert is_gone(graph)
