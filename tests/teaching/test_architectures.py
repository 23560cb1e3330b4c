"""Teachers on other networks: one trace whatever the rates, the choice of limits and rates, options of the networks."""

import numpy as np
import pytest

from tests.teaching import arms
from tf_gtn import errors
from tf_gtn.core import optimizers
from tf_gtn.models import learners, population
from tf_gtn.teaching import architectures, evaluation


def examiner(training, optimizer=None, families=arms.MLP):
    dataset = training.dataset
    people = population.Population(families, dataset.image_shape, dataset.num_classes)
    return architectures.Examiner(dataset, people, training.treatment, optimizer or training.inner_optimizer)


@pytest.mark.parametrize("kind", ["full", "real"])
def test_unlimited_it_is_the_evaluators_number(tiny_dataset, kind):
    training = arms.make(tiny_dataset, kind)
    tested = examiner(training)
    schedule = training.hyperparameters.values()
    accuracies, losses = tested.examine(schedule, tiny_dataset.test, 4, range(3))
    np.testing.assert_allclose(accuracies, evaluation.Evaluator.of(training).accuracies(tiny_dataset.test, 3, 4))
    assert losses.shape == (3,) and (losses > 0).all()
    for split in (None, tiny_dataset.validation.take(np.arange(7))):
        again, same = tested.examine(schedule, split, 4, range(3))
        np.testing.assert_allclose(same, losses, rtol=1e-6)
        assert np.isnan(again).all() == (split is None)
    assert all(f.experimental_get_tracing_count() == 1 for f in tested._functions.values())


def test_the_limit_is_the_one_with_the_lowest_synthetic_loss(tiny_dataset):
    training = arms.make(tiny_dataset, "full", steps=6)
    schedule = {"learning_rate": np.float32([50, 50, 0.1, 0.1, 0.1, 0.1]), "momentum": np.float32([0.0] * 6)}
    tested = examiner(training)
    _, limit = architectures.by_learned_schedule(tested, schedule, 2, 0, limits=(1.0, 0.002))
    assert limit == 0.002
    infinite = tested.examine({**schedule, "learning_rate": np.full(6, np.nan)}, None, 0, [0])[1]
    assert infinite == [np.inf]


def test_the_rate_is_the_best_on_validation(tiny_dataset):
    training = arms.make(tiny_dataset, "real", steps=20)
    for optimizer in (optimizers.SGD(), optimizers.RMSProp(), optimizers.Adam()):
        accuracies, rate = architectures.by_constant_rate(examiner(training, optimizer), (1e-6, 0.03), 3, 0)
        assert rate == 0.03 and accuracies.shape == (3,) and accuracies.mean() > 0.5


def test_initialisers_and_depth():
    def kernels(name, **options):
        family = learners.family(name, (8, 8, 1), 3, **options)
        template = population.Template(family, [high for _, high in family.ranges], False)
        params, _ = template.init([0, 1], template.widths)
        return [v.numpy() for path, v in params.items() if path.endswith("kernel")]

    units = ((64, 64), (64, 64))
    std = {
        name: kernels("mlp", units=units, initializer=name)[1].std() for name in ("he_normal", "glorot_uniform", "orthogonal")
    }
    assert std["he_normal"] == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert std["glorot_uniform"] == pytest.approx((1 / 64) ** 0.5, rel=0.1)
    square = kernels("mlp", units=units, initializer="orthogonal")[1]
    np.testing.assert_allclose(square @ square.T, np.eye(64), atol=1e-4)
    assert len(kernels("conv_deep", filters=7 * ((4, 4),))) == 8
    with pytest.raises(errors.UserError, match="unknown initializer 'glorot'; did you mean 'glorot_"):
        learners.family("conv2", (8, 8, 1), 3, initializer="glorot")
    with pytest.raises(errors.UserError, match="takes fixed widths"):
        learners.family("mlp", (8, 8, 1), 3, initializer="orthogonal")
