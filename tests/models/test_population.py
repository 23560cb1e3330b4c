"""Sampled architectures: a padded network is the narrow one, exactly; draws follow their distribution."""

import collections
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.core import functional, optimizers
from tf_gtn.models import learners, population

FAMILIES = {
    "conv2": {"filters": ((2, 5), (3, 6)), "units": (4, 7)},
    "mlp": {"units": ((3, 6), (3, 6))},
    "conv5": {"filters": ((2, 5), (2, 5), (2, 3), (2, 3), (2, 3))},
}


def narrow_weights(template, weights, widths, narrow):
    """Cuts the live part of each padded weight out."""
    order = [layer for layer in template.functional.model.layers if layer.weights]
    cut, inputs, i = {}, None, 0
    for layer, thin in zip(order, [layer for layer in narrow.layers if layer.weights]):
        for wide_variable, thin_variable in zip(layer.weights, thin.weights):
            value = weights.get(wide_variable.path)
            if value is None:
                continue
            value = value.numpy()
            if wide_variable.name == "kernel":
                if "logits" in wide_variable.path or "dense" in wide_variable.path:  # flattened: channels vary fastest
                    wide_in = value.shape[0] if inputs is None else inputs[1]
                    value = value.reshape(-1, wide_in, value.shape[1])[:, : (inputs or (wide_in,))[0]].reshape(
                        -1, value.shape[1]
                    )
                elif inputs is not None:
                    value = value[:, :, : inputs[0]]
            value = value[..., : thin_variable.shape[-1]]
            cut[thin_variable.path] = value
            if wide_variable.name == "kernel" and i < len(widths):
                inputs = (widths[i], template.widths[i])
                i += 1
    return cut


@pytest.mark.parametrize(
    "name, widths", [("conv2", (3, 4, 5)), ("conv2", (2, 3, 4)), ("mlp", (3, 4)), ("conv5", (2, 3, 2, 2, 3))]
)
@pytest.mark.parametrize("normalization", ["mean_only", "batch", "none"])
@pytest.mark.parametrize("weight_norm", [True, False])
def test_a_padded_network_trains_as_the_narrow_one(name, widths, normalization, weight_norm):
    family = learners.family(name, (8, 8, 1), 3, normalization=normalization, dtype="float64", **FAMILIES[name])
    template = population.Template(family, [high for _, high in family.ranges], weight_norm)
    params, state = template.init(tf.constant([1, 2]), widths)
    narrow = functional.Functional(family.build(widths), weight_norm)
    cut = narrow_weights(template, template.functional.weights(params), widths, narrow.model)
    for variable in narrow.model.trainable_variables:
        variable.assign(cut[variable.path])
    thin_params, thin_state = narrow.values()
    rng = np.random.default_rng(0)
    results = []
    for pure, values, model in ((template.functional, params, state), (narrow, thin_params, thin_state)):
        rng = np.random.default_rng(0)
        optimizer = optimizers.SGD()
        slots = optimizer.init(values)
        logits = []
        for _ in range(3):
            images, labels = tf.constant(rng.normal(size=(6, 8, 8, 1))), tf.one_hot(rng.integers(0, 3, 6), 3, dtype=tf.float64)
            with tf.GradientTape() as tape:
                tape.watch(tf.nest.flatten(values))
                out, model = pure(values, model, images, training=True)
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, out))
            gradient = tape.gradient(loss, values)
            values, slots = optimizer.update(gradient, slots, values, {"learning_rate": 0.3, "momentum": 0.9})
            logits.append(out.numpy())
            logits.append(pure(values, model, images)[0].numpy())
        results.append(logits)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-7, atol=1e-9)


def test_draws_follow_the_distribution_and_fit_their_template():
    people = population.Population(FAMILIES, (8, 8, 1), 3)
    draws = [people.draw([0, i]) for i in range(3000)]
    families = collections.Counter(people.templates[d.template].family.name for d in draws)
    assert set(families) == set(FAMILIES)
    assert all(900 < n < 1100 for n in families.values())
    for d in draws:
        template = people.templates[d.template]
        for width, top, (low, high) in zip(d.widths, template.widths, template.family.ranges):
            assert low <= width <= min(top, high)
    first = collections.Counter(d.widths[0] for d in draws if people.templates[d.template].family.name == "conv2")
    assert set(first) == {2, 3, 4, 5}
    assert all(abs(n - families["conv2"] / 4) < 70 for n in first.values())
    assert people.draw([0, 7]) == people.draw([0, 7])
    assert len(people.templates) == 4 + 4 + 4


def test_kaiming_variance_goes_with_live_inputs():
    family = learners.family("mlp", (16, 16, 1), 3, units=((8, 256), (8, 256)))
    template = population.Template(family, (256, 256), False)
    params, _ = template.init(tf.constant([0, 0]), (64, 100))
    kernels = [v.numpy() for k, v in params.items() if k.endswith("kernel")]
    second = next(k for k in kernels if k.shape == (256, 256) and (k[200] == 0).all())
    live = second[:64, :100]
    assert (second[64:] == 0).all() and (second[:, 100:] == 0).all()
    assert live.std() == pytest.approx(np.sqrt(2 / 64), rel=0.03)


def residual(image_shape, classes, free=True):
    """Its second layer's width is the first one's again: one free width, two layers of it."""

    def build(widths):
        images = keras.Input(image_shape)
        x = keras.layers.Dense(widths[0])(keras.layers.Flatten()(images))
        x = keras.layers.Add()([x, keras.layers.Dense(widths[0], activation="relu")(x)])
        return keras.Model(images, keras.layers.Dense(classes)(x))

    return learners.Family("residual", ((4, 9 if free else 4),), build)


def chain(*layers, activation="relu", head=None):
    def family(image_shape, classes):
        def build(widths):
            between = [make() for make in layers]
            kernel = {"activation": activation, "kernel_initializer": "he_normal"}
            stack = [keras.layers.Conv2D(widths[0], 3, **kernel), *between, keras.layers.Flatten()]
            stack += [keras.layers.Dense(widths[1], **kernel), keras.layers.Dense(classes, activation=head)]
            return keras.Sequential([keras.Input(image_shape), *stack])

        return learners.Family("chain", ((3, 6), (4, 7)), build)

    return family


def registered(monkeypatch, made_by, **options):
    monkeypatch.setitem(learners.REGISTRY, "mine", made_by)
    return population.Population({"mine": options}, (8, 8, 1), 3, weight_norm=False)


WRONG_PADDED = {
    "residual": residual,
    "sigmoid": chain(activation="sigmoid"),
    "layer normalization": chain(keras.layers.LayerNormalization),
    "noise": chain(lambda: keras.layers.GaussianNoise(0.3)),
    "kernels of another kind": chain(lambda: keras.layers.SeparableConv2D(4, 3)),
}


@pytest.mark.parametrize("name", WRONG_PADDED)
def test_a_family_that_is_not_the_same_network_when_padded_is_refused(monkeypatch, name):
    with pytest.raises(errors.UserError, match=r"takes fixed widths \(lowest = highest\)") as caught:
        registered(monkeypatch, WRONG_PADDED[name])
    assert "\n" not in str(caught.value)


def test_families_that_are_the_same_when_padded_and_fixed_ones_pass(monkeypatch):
    registered(monkeypatch, residual, free=False)
    registered(
        monkeypatch, chain(keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.4), keras.layers.MaxPooling2D)
    )
    for name, options in FAMILIES.items():  # those of the package are not looked at in every run: here
        for normalization in ("mean_only", "batch", "none"):
            family = functools.partial(learners.REGISTRY[name], **options, normalization=normalization)
            family.__module__ = __name__
            registered(monkeypatch, family)


def test_learners_that_give_probabilities_are_refused(monkeypatch, tmp_path):
    with pytest.raises(errors.UserError, match="chain gives probabilities, learners give logits"):
        registered(monkeypatch, chain(head="softmax"))
    path = str(tmp_path / "mine.keras")
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]).save(path)
    with pytest.raises(errors.UserError, match=r"mine\.keras gives probabilities, learners give logits"):
        population.Given(path, (8, 8, 1), 3)
    model = keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(path)
    with pytest.raises(errors.UserError, match="takes uint8"):
        population.Given(path, (8, 8, 1), 3)


def test_mistakes_are_named():
    with pytest.raises(errors.UserError, match="unknown learner 'conv3'; did you mean 'conv"):
        population.Population(["conv3"], (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="takes fixed widths"):
        population.Population({"conv2": {"normalization": "layer"}}, (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="unknown option of conv2 'filter'; did you mean 'filters'"):
        population.Population({"conv2": {"filter": ((2, 3), (3, 4))}}, (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="2 ranges of widths are needed"):
        population.Population({"conv2": {"filters": ((2, 3), (3, 4), (4, 5))}}, (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="at least one family"):
        population.Population({}, (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="lowest <= highest"):
        population.Population({"conv2": {"filters": ((5, 2), (3, 6))}}, (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="unknown normalization 'bach'; did you mean 'batch'"):
        population.Population({"conv2": {"normalization": "bach"}}, (8, 8, 1), 3)


def test_a_named_network_is_given_the_same_weights_each_time():
    one, again, other = (population.Given("conv2", (8, 8, 1), 3, seed=seed) for seed in (5, 5, 6))
    states = [p.templates[0].init(tf.constant([i, 0]), p.draw([i]).widths) for i, p in enumerate((one, again, other))]
    first, second, third = (tf.nest.flatten(params) for params, _ in states)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(first, third))


@pytest.mark.parametrize("weight_norm", [True, False])
def test_a_saved_network_starts_as_it_was_saved(tmp_path, weight_norm):
    path = str(tmp_path / "mine.keras")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(path)
    network = population.Given(path, (8, 8, 1), 3, weight_norm=weight_norm)
    params, state = network.templates[0].init(tf.constant([1, 2]), ())
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    outputs, _ = network.templates[0].functional(params, state, images)
    np.testing.assert_allclose(outputs, model(images), rtol=1e-5, atol=1e-6)


def test_a_network_for_other_data_is_refused(tmp_path):
    path = str(tmp_path / "mine.keras")
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(path)
    with pytest.raises(errors.UserError, match=r"images \[8, 8, 1\] to \[3\]; the data set has images \[28, 28, 1\] in 10"):
        population.Given(path, (28, 28, 1), 10)
    with pytest.raises(errors.UserError, match="there is no model at"):
        population.Given(str(tmp_path / "none.keras"), (8, 8, 1), 3)
    with pytest.raises(errors.UserError, match="unknown learner 'conv'"):
        population.Given("conv", (8, 8, 1), 3)


def test_a_learner_may_come_with_several_options():
    families = ["mlp", {"mlp": {"units": ((3, 3), (3, 3)), "activation": "tanh"}}, {"mlp": {"normalization": "none"}}]
    people = population.Population(families, (8, 8, 1), 10, splits=1)
    assert {people.draw([0, i]).template for i in range(40)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("families", "words"),
    [
        (["mlp", {"mlp": {}}], "learners name 'mlp' twice, with the same options"),
        ("mlp", r"families are .* or a list of such and of learners; got 'mlp'"),
        (5, "got 5"),
        ({"mlp": None}, "the options of the learner 'mlp' are a dict; got None"),
    ],
)
def test_families_of_another_form_are_one_line(families, words):
    with pytest.raises(errors.UserError, match=words):
        population.Population(families, (8, 8, 1), 10)
