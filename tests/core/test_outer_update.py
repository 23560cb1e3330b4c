"""The outer step is Keras's Adam with its cosine decay, and leaves nothing behind."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.core import outer_update


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
def test_it_is_adam_of_keras(dtype, tolerance):
    # Keras rounds other values of these to float32.
    start, rng = [np.array([[1.0, -2.0], [0.5, 3.0]]), np.array(0.7)], np.random.default_rng(0)
    ours, theirs = ([keras.Variable(value, dtype=dtype) for value in start] for _ in range(2))
    update = outer_update.OuterUpdate(
        ours, 6, learning_rate=0.1, final_learning_rate=0.2, beta_1=0.75, beta_2=0.9375, epsilon=2**-10
    )
    decay = keras.optimizers.schedules.CosineDecay(0.1, 6, alpha=0.2)
    adam = keras.optimizers.Adam(decay, beta_1=0.75, beta_2=0.9375, epsilon=2**-10)
    adam.build(theirs)
    step = tf.function(lambda gradients: update.apply(tf.constant(1.0, dtype), gradients), autograph=False)
    for _ in range(6):
        gradients = [tf.constant(rng.normal(size=value.shape), dtype) for value in start]
        assert float(step(gradients)) == pytest.approx(float(tf.linalg.global_norm(gradients)))
        adam.apply(gradients, theirs)
    for our, their in zip([*ours, *update.variables], [*theirs, *adam.variables]):
        np.testing.assert_allclose(our, their, rtol=tolerance)


def test_normalized_gradients_count_alike_whatever_their_size():
    """Adam sees each gradient at norm 1: the second step is as for gradients of one size."""
    start, gradient, other = np.array([1.0, -2.0]), np.array([3.0, 4.0]), np.array([-4.0, 3.0])
    steps = []
    for size in (1.0, 1e6):
        parameter = keras.Variable(start, dtype="float64")
        update = outer_update.OuterUpdate([parameter], 6, normalize=True)
        assert float(update.apply(tf.constant(1.0), [tf.constant(gradient)])) == 5
        assert float(update.apply(tf.constant(1.0), [tf.constant(size * other)])) == 5 * size
        steps.append(parameter.numpy())
        expected = 0.9 * 0.1 * gradient / 5 + 0.1 * other / 5  # Adam's first moment
        (moment,) = [v for v in update.variables if v.path.endswith("momentum")]
        np.testing.assert_allclose(moment, expected)
    np.testing.assert_allclose(*steps)
    update.apply(tf.constant(1.0), [tf.zeros(2, tf.float64)])
    assert np.isfinite(parameter).all()


def test_no_graph_is_left():
    """TensorFlow's registry of gradients would hold one; Keras's own step does."""
    parameter, graphs = keras.Variable([1.0, 2.0]), []
    update = outer_update.OuterUpdate([parameter], 10)

    def step():
        graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
        return update.apply(tf.constant(1.0), [tf.constant([1.0, 1.0])])

    tf.function(step, autograph=False)()
    gc.collect()
    assert graphs[0]() is None
