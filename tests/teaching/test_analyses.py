"""Analyses as an experiment does them: quantities, claims, figures and one-line errors."""

import functools
import json

import gin
import numpy as np
import pytest

from tests.teaching import arms, helpers
from tf_gtn import errors
from tf_gtn.config import gin_config
from tf_gtn.reporting import drawing, pictures
from tf_gtn.runtime import json_values
from tf_gtn.teaching import analyses, evaluation, experiment, gin_names, pixels
from tf_gtn.teaching.analyses import plots, speed

SMALL = (
    "analyses.ensembles.learners = 3",
    "analyses.endless.factors = (1, 2)",
    "analyses.speed.steps = (1, 6)",
    "analyses.speed.selection_learners = 1",
    "analyses.realism.steps = 15",
    "analyses.realism.networks = 2",
    "analyses.realism.judges = 2",
    "analyses.realism.learning_rates = (0.05,)",
    "analyses.architectures.arms = ('full', 'real')",
    "analyses.architectures.learners = 2",
    "analyses.architectures.selection_learners = 1",
    "analyses.architectures.limits = (1.0, 0.1)",
    "analyses.architectures.columns = {'narrow': {'mlp': {'units': ((3, 3),)}}, 'deep': {'mlp': {'units': ((4, 4), (4, 4))}}}",
    "analyses.architectures.optimizers = {'adam': (0.01, 0.03)}",
    "analyses.architectures.optimizer_families = {'mlp': {'units': ((4, 4),)}}",
)


SETTINGS = gin_names.Evaluation(2, 4)


@pytest.fixture(autouse=True)
def settings():
    gin_config.parse(bindings=SMALL)
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def trainings(tiny_dataset):
    return {kind: arms.make(tiny_dataset, kind) for kind in ("full", "none", "real")}


def context(tiny_dataset, trainings, folder, seed=0):
    evaluators = {arm: evaluation.Evaluator.of(training) for arm, training in trainings.items()}
    of_system = {"dataset": tiny_dataset, "evaluators": evaluators, "exports": {}, "settings": SETTINGS}
    return experiment.Context(trainings=trainings, seed=seed, folder=str(folder), **of_system)


def tables(outcomes):
    """As `comparison` makes them from the outcomes of several seeds."""
    outcomes = [json.loads(json.dumps(json_values.plain(outcome, "outcome"))) for outcome in outcomes]
    return {key: [outcome[key] for outcome in outcomes] for key in outcomes[0]}


EXPECTED = {
    "presentations": ({f"full/{order}" for order in ("full", "reversed", "shuffled_batch", "all_shuffled")}, 3),
    "endless": ({f"{a}/{q}" for a in ("none", "real") for q in ("batch_6", "batch_12", "steps_3", "steps_6")}, 6),
    "ensembles": ({f"{a}/{q}" for a in ("full", "none") for q in ("ensemble", "individual", "disagreement", "by_size")}, 2),
    "realism": (
        {"full/recognised_first_quarter", "full/recognised_last_quarter", "full/flips_recognised", "full/flips_others"}
        | {"full/recognised", "full/confidence", "full/learning_rate", "full/recognised_by_step", "full/confidence_by_step"},
        2,
    ),
    "speed": (
        {f"{arm}/steps_{n}" for arm in ("full", "none", "real") for n in (1, 3, 6)}
        | {f"{arm}/times_faster" for arm in ("full", "none", "real")}
        | {"best_real/steps_1", "best_real/steps_6"},
        3,
    ),
    "architectures": (
        {f"{arm}/{column}" for arm in ("full", "real") for column in ("narrow", "deep", "constant_adam")}
        | {f"{arm}/{column}/limit" for arm in ("full", "real") for column in ("narrow", "deep")}
        | {f"{arm}/constant_adam/learning_rate" for arm in ("full", "real")},
        0,
    ),
}
DRAWN = {
    "presentations": {"presentations"},
    "endless": {"endless", "endless_samples_none"},
    "ensembles": {"ensembles"},
    "realism": {"realism_by_step", *(f"realism_{name}_full" for name in ("means", "images", "ranked", "flips"))},
    "speed": {"speed"},
    "architectures": {"architectures"},
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_quantities_claims_and_figures(tiny_dataset, trainings, tmp_path, name):
    analysis, (quantities, claims) = analyses.REGISTRY[name], EXPECTED[name]
    analyses.check([name], trainings, SETTINGS)
    outcomes = [analysis.measure(context(tiny_dataset, trainings, tmp_path, seed)) for seed in (0, 1)]
    assert set(outcomes[0]) == quantities
    sizes, unsaid = analyses.sizes([name], trainings, SETTINGS)
    assert not unsaid and sizes == {f"{name}/{k}": np.size(v) * np.ndim(v) for k, v in outcomes[0].items() if np.ndim(v) < 2}
    for table in (tables(outcomes[:1]), tables(outcomes)):
        compared = analysis.claims(table)
        assert len({claim["id"] for claim in compared}) == len(compared) == claims
        assert all(claim["id"].startswith(name) for claim in compared)
        analysis.draw(str(tmp_path), table)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == DRAWN[name]
    assert all(drawing.caption(str(path)).endswith(".") for path in (tmp_path / "figures").iterdir())


def test_numbers_are_the_evaluators_own(tiny_dataset, trainings, tmp_path):
    analysed = context(tiny_dataset, trainings, tmp_path, seed=3)
    accuracies = {a: e.accuracies(tiny_dataset.test, 4, evaluation.TEST_SEED + 3) for a, e in analysed.evaluators.items()}
    endless = analyses.REGISTRY["endless"].measure(analysed)
    np.testing.assert_array_equal(analyses.REGISTRY["presentations"].measure(analysed)["full/full"], accuracies["full"])
    by_steps = analyses.REGISTRY["speed"].measure(analysed)
    for arm, expected in accuracies.items():
        np.testing.assert_array_equal(by_steps[f"{arm}/steps_3"], expected)
    np.testing.assert_array_equal(by_steps["real/steps_6"], endless["real/steps_6"])
    for arm in ("none", "real"):
        np.testing.assert_array_equal(endless[f"{arm}/batch_6"], accuracies[arm])
        np.testing.assert_array_equal(endless[f"{arm}/steps_3"], accuracies[arm])


def test_steps_that_an_accuracy_needs_lie_between_those_measured():
    needed = functools.partial(speed.steps_needed, (2, 8, 32), (0.4, 0.6, 0.9))
    assert needed(0.3) == 2 and needed(0.4) == 2  # the smallest number is enough
    assert needed(0.6) == pytest.approx(8) and needed(0.9) == pytest.approx(32)
    assert needed(0.5) == pytest.approx(4) and needed(0.75) == pytest.approx(16)  # half-way between the logarithms
    assert needed(0.95) == 32  # at least
    assert speed.steps_needed((1, 2, 4), (0.5, 0.4, 0.7), 0.6) == pytest.approx(2 * 2 ** (2 / 3))


def test_columns_differ_in_architecture(trainings):
    gin.clear_config()
    analysis = analyses.REGISTRY["architectures"]
    analysis.check(trainings, SETTINGS)
    populations = analysis._populations
    shapes = {
        name: tuple(
            (type(layer).__name__, *map(tuple, (v.shape for v in layer.weights))) for layer in template.functional.model.layers
        )
        for name, (template,) in ((name, members.templates) for name, members in populations.items())
    }
    started = {"conv2", "glorot", "orthogonal", "constant_sgd", "constant_rmsprop", "constant_adam"}  # differ otherwise
    others = [shape for name, shape in shapes.items() if name not in started]
    assert len(set(others)) == len(others) and len({shapes[name] for name in started}) == 1
    initial = {
        name: members.templates[0].functional.model.layers[0].kernel_initializer.__class__.__name__
        for name, members in populations.items()
        if name in ("conv2", "glorot", "orthogonal")
    }
    assert len(set(initial.values())) == 3


def test_a_seed_without_a_recognised_image(tiny_dataset, trainings, tmp_path):
    analysis = analyses.REGISTRY["realism"]
    outcome = analysis.measure(context(tiny_dataset, trainings, tmp_path)) | {"full/flips_recognised": np.full(2, np.nan)}
    for table in (tables([outcome]), tables([outcome, outcome])):
        claim = next(c for c in analysis.claims(table) if "flips" in c["id"])
        assert not claim["holds"]


def test_traces_are_kept_from_seed_to_seed(tiny_dataset, trainings):
    analysis, training = analyses.REGISTRY["presentations"], trainings["full"]
    first = analysis.kept(training, "x", object)
    assert analysis.kept(training, "x", object) is first and analysis.kept(trainings["none"], "x", object) is not first


@pytest.mark.parametrize(
    "name, binding, message",
    [
        ("endless", "arms = ('full', 'real')", "not fixed codes; the arm 'full' has none"),
        ("endless", "arms = ('real',)", "no generator is trained without curriculum"),
        ("endless", "factors = (2, 4)", "takes 1 and larger ones"),
        ("endless", "arms = ('gnt',)", "unknown arm of analyses.endless.arms 'gnt'"),
        ("presentations", "arms = ('real',)", "takes arms with a full curriculum; the arm 'real' has none"),
        ("presentations", "orders = ('full', 'revers')", "did you mean 'reversed'"),
        ("presentations", "orders = ('reversed', 'all_shuffled')", "takes 'full' and others"),
        ("ensembles", "learners = 0", "ensembles.learners must be at least 1; got 0"),
        ("realism", "learning_rates = ()", "analyses.realism.learning_rates is empty: it takes rates above 0"),
        ("realism", "arms = ('none',)", "the same for every learner"),
        ("architectures", "optimizers = {'adm': (0.1,)}", "unknown optimizer .* did you mean 'adam'"),
        (
            "architectures",
            "columns = {'a': {'conv2': {'filter': 3}}}",
            "unknown option of conv2 'filter'; did you mean 'filters'",
        ),
        ("architectures", "columns = {'a/b': {'conv2': {}}}", "got 'a/b'"),
    ],
)
def test_errors_are_one_line(trainings, name, binding, message):
    with pytest.raises(errors.UserError, match=message) as error:
        gin_config.parse(bindings=[f"analyses.{name}.{binding}"])
        analyses.check([name], trainings, SETTINGS)
    assert (
        message.split(".*")[-1].strip() in str(error.value).splitlines()[0]
    )  # gin adds lines of its own, which programs leave out


def test_an_experiment_without_fitting_arms(trainings):
    for name in ("presentations", "ensembles", "realism", "endless"):
        with pytest.raises(errors.UserError, match=f"analyses.{name} takes .*real"):
            analyses.check([name], {"real": trainings["real"]}, SETTINGS)


def test_sheet_and_matrix_refuse_other_shapes(tmp_path):
    with pytest.raises(ValueError, match=r"\[n, H, W, 1 or 3\]; got \[2, 3\]"):
        pictures.sheet(str(tmp_path / "x.png"), np.zeros((2, 3)))
    path = plots.matrix(str(tmp_path / "y.png"), [[0.5, np.nan]], ["a"], ["b", "c"])
    assert drawing.caption(path).endswith(".")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bindings": ("analyses.speed.steps = ()",)}, "analyses.speed.steps takes at least one number"),
        ({"arm": "best_real"}, "give the arm another name"),
        ({"arm": "larger", "batch": 9}, r"compares arms of one batch size .* name some of them in analyses.speed.arms"),
    ],
)
def test_speed_says_before_the_first_step_what_it_cannot_compare(tiny_dataset, trainings, change, words):
    gin_config.parse(bindings=change.get("bindings", ()))
    arms_of = dict(trainings)
    if "arm" in change:
        arms_of[change["arm"]] = helpers.make(tiny_dataset, "distilled", families=helpers.MLP)
        if "batch" in change:
            arms_of[change["arm"]].treatment = pixels.distilled(tiny_dataset, 3, change["batch"], [0, 3])
    with pytest.raises(errors.UserError, match=words):
        analyses.REGISTRY["speed"].check(arms_of, SETTINGS)
