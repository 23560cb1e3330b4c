"""The GTN for policies: its outer gradient by finite differences, its lesson against an export's, learning at all."""

import numpy as np
import pytest
import tensorflow as tf

from tf_gtn.models import generators, perceptrons
from tf_gtn.rl import environments, policy_gtn
from tf_gtn.teaching import curricula, export, loading, treatments


def make(dtype="float32", inner_steps=1, policies=2, batch=6, outer_steps=5, hidden=5, units=(6,), **settings):
    curriculum = curricula.Curriculum(inner_steps, batch, 3, 2, tf.constant([1, 1]), dtype=dtype)
    treatment = treatments.GTN(
        generators.pairs((4,), 2, 3, units=units, dtype=dtype), curriculum, tf.constant([1, 2]), weight_norm=False
    )

    def environment(count, seed):
        return environments.make(count, seed, max_episode_steps=60, scale=(1.5, 1.5, 0.15, 1.5))

    policy = perceptrons.perceptron(4, 2, units=(hidden,), dtype=dtype)
    return policy_gtn.PolicyGTN(treatment, policy, environment, 3, outer_steps, policies, 2, **settings)


@pytest.mark.parametrize("inner_steps", [1, 3])
def test_the_outer_gradient_is_that_of_finite_differences(inner_steps):
    gtn, rng = make("float64", inner_steps), np.random.default_rng(0)
    data = (
        tf.constant(rng.normal(size=(2, 7, 4))),
        tf.constant(rng.integers(0, 2, (2, 7)), tf.int32),
        tf.constant(rng.normal(size=(2, 7))),
        tf.constant(rng.integers(0, 2, (2, 7)).astype(float)),
    )
    loss = tf.function(lambda: gtn._loss(tf.constant([3, 0]), *data)[0], autograph=False)
    with tf.GradientTape() as tape:
        value = loss()
    variables = gtn.trainable_variables
    gradients = tape.gradient(value, [v.value for v in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    seen = 0
    for variable, gradient in zip(variables, gradients):
        before, place = variable.numpy(), tuple(rng.integers(0, n) for n in variable.shape)
        ends = []
        for sign in (1, -1):
            nudged = before.copy()
            nudged[place] += sign * 1e-6
            variable.assign(nudged)
            ends.append(float(loss()))
        variable.assign(before)
        expected = (ends[0] - ends[1]) / 2e-6
        seen += abs(expected) > 1e-6
        assert gradient.numpy()[place] == pytest.approx(expected, rel=1e-4, abs=1e-8), variable.path
    assert seen >= 5, "most derivatives are zero: nothing was tested"


def test_an_outer_step_changes_the_generator_and_counts():
    gtn = make()
    before = [v.numpy() for v in gtn.treatment.trainable_variables]
    metrics = gtn.step(0)
    assert all(np.isfinite(float(metrics[key])) for key in ("loss", "gradient_norm", "entropy", "return"))
    assert any(not np.array_equal(b, v.numpy()) for b, v in zip(before, gtn.treatment.trainable_variables))
    assert int(gtn.environment_steps.numpy()) == metrics["environment_steps"] == 4 * metrics["return"]


def test_what_is_not_finite_poisons_nothing():
    """Neither generator nor value network; so too where the value network's loss alone overflows."""
    gtn = make()
    gtn.step(0)
    before, play = [v.numpy() for v in gtn.variables], gtn.arena.play
    for count, reward in enumerate((np.nan, 1e25), 1):
        gtn.arena.play = lambda *a, r=reward: (p := play(*a))._replace(rewards=p.rewards * r)
        gtn.step(1)
        assert int(gtn.skipped.numpy()) == int(gtn.consecutively_skipped.numpy()) == count
        for old, variable in zip(before, gtn.variables, strict=True):
            assert variable.dtype != "float32" or np.array_equal(old, variable.numpy())
    gtn.arena.play = play
    assert np.isfinite(float(gtn.step(1)["loss"])) and int(gtn.consecutively_skipped.numpy()) == 0


def test_the_same_seed_and_step_give_the_same_numbers():
    first, second = make(), make()
    for index in range(2):
        one, two = first.step(index), second.step(index)
        assert {k: float(v) for k, v in one.items()} == {k: float(v) for k, v in two.items()}


@pytest.mark.slow
def test_it_learns():
    gtn = make(policies=8, batch=64, outer_steps=30, hidden=32, units=(32,), learning_rate=0.01)
    before = gtn.returns(20, 1, 9).mean()
    for index in range(30):
        gtn.step(index)
    assert gtn.returns(20, 1, 9).mean() > max(45, before + 20)


def test_the_export_teaches_what_training_taught(tmp_path):
    trained = make(inner_steps=2)
    trained.step(0)
    path = export.save(trained, str(tmp_path), 1, export.metadata(trained, score={"mean": 1.0}))
    gtn = loading.load(path)
    assert gtn.metadata["loss"] == "squared_error" and gtn.metadata["return"] == {"mean": 1.0}
    model = perceptrons.perceptron(4, 2, units=(5,))
    learner = trained._learner.functional
    start = learner.initial_values(tf.constant([8, 8]))
    wanted = {}
    for path_, value in start[0].items():
        wanted[path_.split("/", 1)[1]] = value
    for variable in model.trainable_variables:
        variable.assign(wanted[variable.path.split("/", 1)[1]])
    history = gtn.train(model, learning_rate_scale=1)
    assert len(history["loss"]) == 2
    xs, rates = trained.treatment.xs(tf.constant([0, 0])), trained.hyperparameters.values()["learning_rate"]
    params, state = start
    for t in range(2):
        images, labels = trained.treatment.batch(trained.treatment.params(), tf.nest.map_structure(lambda x: x[t], xs))  # noqa: B023
        with tf.GradientTape() as tape:
            tape.watch(list(params.values()))
            outputs, _ = learner(params, state, images, training=True)
            loss = tf.reduce_mean(tf.square(outputs - labels))
        assert history["loss"][t] == pytest.approx(float(loss), rel=1e-5)
        gradients = tape.gradient(loss, params)
        params = {k: v - rates[t] * gradients[k] for k, v in params.items()}
    for variable in model.trainable_variables:
        expected = next(v for k, v in params.items() if k.split("/", 1)[1] == variable.path.split("/", 1)[1])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-6)
    observations = np.ones((3, 4))
    np.testing.assert_allclose(gtn.normalize(observations), observations / (1.5, 1.5, 0.15, 1.5), rtol=1e-6)


def test_other_architectures_and_more_steps():
    gtn = make()
    assert gtn.returns(3, 2, 5).shape == (3, 2)
    other = perceptrons.perceptron(4, 2, units=(7, 3), activation="relu")
    assert gtn.returns(3, 1, 5, policy=other).shape == (3, 1)
    assert gtn.returns(3, 1, 5, steps=4).shape == (3, 1)
