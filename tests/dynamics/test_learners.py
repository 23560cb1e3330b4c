"""Learners: closed forms of a linear network's training, and networks side by side that are what they are alone."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import SGD, Adam
from tf_gtn.core.optimizers import LARS
from tf_gtn.dynamics import bandits, learners, problems


def train(problem, tasks, steps=30, optimizer=None, seed=0, **network):
    size = getattr(problem, "size", 1)
    model = learners.perceptron(size, size, **network)
    return learners.Learners(problem, tasks, model, optimizer or SGD(0.05, 0.0), 50, seed).curves(steps, 5)


def test_a_linear_network_learns_a_mode_at_saxes_rate():
    """With two aligned layers and little noise a mode's strength is logistic: q/(1 - q) grows by exp(2 s t rate * 2)."""
    problem = problems.Linear(2, noise=0.0, spectrum=(2.0, 0.5))
    tasks = problem.tasks(20, [0, 1])
    curves = train(problem, tasks, steps=200, deviation=0.1, optimizer=SGD(0.005, 0.0), seed=3)
    assert curves["q"].shape == (6, 20, 2) and curves["loss"].shape == (6, 20)
    late = curves["q"].mean(1)
    assert late[-1, 0] > 0.95 > 0.5 > late[-1, 1]  # the larger mode first
    assert np.all(np.diff(curves["loss"].mean(1)) < 0)


def test_networks_side_by_side_see_their_own_task():
    problem = problems.Linear(2)
    tasks = problem.tasks(2, [0, 1])
    swapped = train(problem, tf.reverse(tasks, [0]), steps=400, deviation=0.3)
    straight = train(problem, tasks, steps=400, deviation=0.3)
    for curves in (straight, swapped):
        np.testing.assert_allclose(curves["q"][-1], 1, atol=0.05)


def test_an_optimizer_that_goes_by_whole_tensors_is_refused():
    with pytest.raises(errors.UserError, match="LARS goes by the length of one network's tensors"):
        train(problems.Linear(2), problems.Linear(2).tasks(2, [0, 1]), optimizer=LARS())
    with pytest.raises(errors.UserError, match="LARS goes by the length of one network's tensors"):
        bandits.Learners(problems.Bandit(), 2, LARS())


def test_q_of_an_untrained_network_is_small_and_the_same_seed_gives_the_same():
    problem = problems.Fourier()
    tasks = problem.tasks(3, [0, 1])
    one, two = (train(problem, tasks, 10, Adam(1e-3), units=(16, 16), activation="relu", bias=True) for _ in range(2))
    np.testing.assert_array_equal(one["q"], two["q"])
    assert one["q"].shape == (6, 3, 5) and np.abs(one["q"][0]).max() < 0.5


def test_the_error_is_summed_over_outputs():
    """As the paper's is; a mean over them would change every number of steps."""
    targets, outputs = tf.zeros([2, 4, 3]), tf.ones([2, 4, 3])
    assert float(learners.squared_error(targets, outputs)) == pytest.approx(6.0)
