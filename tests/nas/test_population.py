"""A search space's networks as learners of a GTN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.nas import cells, population

SPACE = cells.Cells(repeats=1, filters=2, nodes=2, stages=1)


def test_a_few_architectures_with_fresh_weights():
    networks = population.Population(SPACE, (4, 4, 1), 3, architectures=2)
    again = population.Population(SPACE, (4, 4, 1), 3, architectures=2)
    assert [t.family.name for t in networks.templates] == [t.family.name for t in again.templates]
    assert len({t.family.name for t in networks.templates}) == 2
    assert {networks.draw([0, n]).template for n in range(20)} == {0, 1} and networks.draw([0, 3]) == networks.draw([0, 3])
    template = networks.templates[0]
    (first, _), (second, state) = (template.init(tf.constant([0, n]), ()) for n in range(2))
    assert any(np.abs(first[path]["v"] - second[path]["v"]).max() > 0 for path in first if isinstance(first[path], dict))
    norms = [layer for layer in template.functional.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and all(layer.momentum == 0 for layer in norms)
    logits, after = template.functional(second, state, tf.random.stateless_normal((5, 4, 4, 1), [1, 2]), training=True)
    assert logits.shape == (5, 3) and any(np.abs(after[path] - state[path]).max() > 0 for path in state)


def test_none_is_a_mistake():
    with pytest.raises(errors.UserError, match="architectures"):
        population.Population(SPACE, (4, 4, 1), 3, architectures=0)
