"""No gradient that TensorFlow registered outlives the graphs of its trace."""

import gc
import weakref

import keras
import tensorflow as tf

from tf_gtn.core import outer_update, registered_gradients


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


def test_an_outer_update_keeps_no_graph():
    """Keras' optimisers register a custom gradient with each trace."""
    parameter = keras.Variable([1.0, 2.0])
    update = outer_update.OuterUpdate([parameter], 10)
    graph = traced(lambda: update.apply(tf.constant(1.0), [tf.constant([1.0, 1.0])]))
    assert not is_gone(graph)  # TensorFlow's registry holds it
    registered_gradients.release()
    assert is_gone(graph)


def test_what_others_registered_is_forgotten():
    @tf.custom_gradient
    def double(x):
        return 2 * x, lambda upstream: 2 * upstream

    with registered_gradients.forgotten():
        graph = traced(lambda: double(tf.constant(3.0)))
        assert not is_gone(graph)
    assert is_gone(graph)
