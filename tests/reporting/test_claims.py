"""One language of claims: what each relation measures and takes, and that a claim can be tried before there are numbers."""

import numpy as np
import pytest

from tf_gtn import errors
from tf_gtn.reporting import claims, results, statistics


def compare(specs, quantities, bounds=statistics.ANY, **options):
    """The claims, each checked against its own rule."""
    claims.check("x.claims", specs)
    compared = claims.compare(specs, {name: claims.Quantity(values, bounds) for name, values in quantities.items()}, **options)
    assert all(claim["holds"] == results.recompute(claim) for claim in compared)
    return compared


def test_over_seeds_they_are_about_paired_differences():
    """Two arms that differ little, but in every seed."""
    quantities = {"a": [[0.11, 0.13], [0.5], [0.81]], "b": [[0.1], [0.49], [0.78]]}
    claim, least, most = compare([("a", "above", "b"), ("b", "at_least", "a", "paper"), ("b", "at_most", "a")], quantities)
    assert claim["measured"] == pytest.approx((0.02 + 0.01 + 0.03) / 3)
    assert not claim["holds"]  # 0.02 +- 0.025
    assert not least["holds"] and least["seed_value"] == "paper"
    assert most["holds"] and most["measured"] == pytest.approx(-0.02) and most["id"] == "b_at_most_a"
    (clear,) = compare([("a", "above", "b")], {"a": [0.12, 0.51, 0.802], "b": [0.1, 0.49, 0.78]})
    assert clear["holds"]


def test_of_one_seed_they_are_about_learners():
    quantities = {"a": [[0.9, 0.91, 0.92, 0.9]], "b": [[0.8, 0.81, 0.79, 0.8]]}
    specs = [("a", "above", "b"), ("a", "at_least", 0.95), ("b", "at_most", 0.8), ("b", "between", (0.79, 0.81))]
    above, *numbers = compare(specs, quantities)
    assert above["holds"] and "4 fresh learners of one outer run each" in above["statement"]
    assert [claim["holds"] for claim in numbers] == [False, True, True]
    assert numbers[1]["measured"] == pytest.approx(0.8) and numbers[2]["id"] == "b_between"


def test_a_factor_is_of_means():
    quantities = {"a": [[6.0, 8.0], [10.0]], "b": [[2.0], [6.0]]}  # means 8.5 and 4
    specs = [("a", "times_above", ("b", 2)), ("a", "times_above", ("b", 2.2))]
    two, more = (compare([spec], quantities)[0] for spec in specs)
    assert two["holds"] and not more["holds"]
    assert two["measured"] == 8.5 and two["numbers"] == {"other": 4.0, "times": 2}
    assert two["id"] == "a_times_above_b" and two["statement"] == "a is above b by a factor of 2"


def test_in_so_many_seeds():
    quantities = {"k0/modes": [1, 2, 3, None, 2], "none": [None]}
    specs = [("k0/modes", "at_most_in_seeds", (2, 3)), ("k0/modes", "at_least_in_seeds", (3, 2))]
    compared = compare([*specs, ("none", "at_most_in_seeds", (2, 0))], quantities)
    assert [claim["measured"] for claim in compared] == [3, 1, None]
    assert [claim["holds"] for claim in compared] == [True, False, False]
    assert compared[0]["statement"] == "k0: modes is at most 2 in at least 3 seeds; 4 have a value"
    assert compared[0]["id"] == "k0_modes_at_most_in_seeds"


def test_a_number_of_a_study_has_its_own_interval():
    quantities = {
        "learner/ratio": claims.Quantity([8.0], once=True, interval=[5.7, 9.5]),
        "bayes/ratio": claims.Quantity([0.94], once=True),
        "lost/ratio": claims.Quantity([None], once=True),
    }
    specs = [
        ("learner/ratio", "between", (5, 25), "9 (section 3.2.4)"),
        ("bayes/ratio", "at_most", 0.9),
        ("learner/ratio", "at_least", 8),
        ("learner/ratio", "times_above", ("bayes/ratio", 2)),
        ("lost/ratio", "at_most", 1.4),
        ("learner/ratio", "above", 5.5),
        ("learner/ratio", "above", "bayes/ratio"),
        ("learner/ratio", "times_above", ("lost/ratio", 2)),
    ]
    compared = claims.compare(specs, quantities)
    assert [claim["holds"] for claim in compared] == [True, False, True, True, False, True, False, False]
    assert compared[5]["rule"] == "ci95[0] > bound" and compared[6]["numbers"] == {"other": 0.94, "other_ci95": None}
    assert (
        compared[0]["ci95"] == [5.7, 9.5] and compared[1]["ci95"] is None and compared[0]["seed_value"] == "9 (section 3.2.4)"
    )
    assert [claim["rule"] for claim in compared[:3]] == ["low <= measured <= high", "measured <= bound", "measured >= bound"]
    assert compared[1]["id"] == "bayes_ratio_at_most" and compared[3]["id"] == "learner_ratio_times_above_bayes_ratio"


def test_most_pairs_are_below():
    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 1, 20), rng.uniform(0.5, 2, 20)
    high[:12] = np.inf
    claim, turned = compare([("low", "below", "high"), ("high", "below", "low")], {"low": [low], "high": [high]})
    assert claim["holds"] and claim["measured"] > 0.9 and claim["numbers"]["other_median"] is None
    assert not turned["holds"]
    (same,) = compare([("a", "below", "b")], {"a": [np.full(20, np.inf)], "b": [np.full(20, np.inf)]})
    assert not same["holds"] and same["measured"] == 0.5
    (lost,) = compare([("a", "below", "b")], {"a": [[0.0]], "b": [None]})
    assert not lost["holds"] and lost["measured"] is None
    (few,) = compare([("a", "below", "b")], {"a": [0.1, 0.2], "b": [0.3, 0.4]})
    assert few["measured"] == 1 and not few["holds"]  # two seeds that agree show nothing: p = 1 / 6
    with pytest.raises(errors.UserError, match="like with like"):
        compare([("a", "below", "b")], {"a": [0.1, 0.2], "b": [0.3, 0.4, 0.5]})


def test_most_pairs_are_below_over_searches():
    """A search is one observation: 0.75, 0.5 and 1 of the pairs."""
    first, second = [[0.0, 2.0], [1.0, 1.0], [0.0, 0.0]], [[1.0, 3.0], [1.0, 1.0], [1.0, np.inf]]
    (claim,) = compare([("a", "below", "b")], {"a": first, "b": second})
    assert claim["measured"] == pytest.approx(0.75) and not claim["holds"]  # 0.75 +- 0.62
    assert claim["ci95"] == pytest.approx([0.75 - 0.6210, 1.0], abs=1e-3)  # a share is at most 1
    (clear,) = compare([("a", "below", "b")], {"a": [[0.0, 1.0]] * 3, "b": [[2.0, 3.0]] * 3})
    assert clear["holds"] and clear["rule"] == "ci95[0] > 0.5"


def test_a_claim_of_what_is_missing_does_not_hold():
    quantities = {"a": [[0.5, 0.6], None], "b": [[0.1, 0.2], [0.1, 0.2]], "c": [None]}
    specs = [("a", "above", "b", "paper"), ("b", "at_least", "a"), ("c", "at_least", 0.1), ("b", "at_least", 0.1)]
    compared = compare([*specs, ("a", "between", (0, 1)), ("b", "times_above", ("a", 2))], quantities)
    missing = [(claim["measured"] is None, claim["holds"]) for claim in compared]
    assert missing == [(True, False)] * 3 + [(False, True), (True, False), (True, False)]
    assert compared[0]["seed_value"] == "paper" and compared[0]["id"] == "a_above_b"
    assert compared[0]["statement"] == "a is above b (no value in some runs: a)"


def test_claims_hold_as_without_bounds():
    rng, cut = np.random.default_rng(2), 0
    for trial in range(200):
        a, b = (np.clip(rng.normal(rng.uniform(0.5, 1), 0.2, (1, 4) if trial % 2 else 4), 0, 1) for _ in range(2))
        for relation in ("above", "at_least", "at_most"):
            spec, quantities = ("a", relation, "b" if trial % 3 else 0.9), {"a": list(a), "b": list(b)}
            (whole,), (bounded,) = compare([spec], quantities), compare([spec], quantities, statistics.SHARE)
            assert bounded["holds"] == whole["holds"] and bounded["measured"] == whole["measured"]
            cut += bounded["ci95"] != whole["ci95"]
            assert -1 <= bounded["ci95"][0] <= bounded["ci95"][1] <= 1
    assert cut > 20


def test_a_rehearsal_refuses_what_the_claims_would():
    sizes = {"gtn": 5, "real": 5, "realism/gtn/confidence": 0}
    one, two = (claims.stand_ins(sizes, seeds) for seeds in (1, 2))
    claims.rehearse([("gtn", "above", "real"), ("gtn", "at_least", 0.9)], one)
    unlike = [("gtn", "above", "realism/gtn/confidence")]
    with pytest.raises(errors.UserError, match="compares like with like: gtn has 5 learners, realism/gtn/confidence has 1"):
        claims.rehearse(unlike, one)
    claims.rehearse(unlike, two)
    with pytest.raises(errors.UserError, match="'mine/x'; known"):
        claims.rehearse([("mine/x", "above", "gtn")], {"gtn": claims.Quantity([0.0])})
    claims.rehearse([("mine/x", "above", "gtn")], one, unsaid=["mine"])
    with pytest.raises(errors.UserError, match="two claims would both be called 'gtn_between'"):
        claims.check("x.claims", [("gtn", "between", (0, 1)), ("gtn", "between", (0, 2))])
    study = {"gtn": claims.Quantity([0.0], once=True, interval=(0.0, 0.0))}
    with pytest.raises(errors.UserError, match="two claims would both be called 'gtn_at_most'"):
        claims.rehearse([("gtn", "at_most", 1), ("gtn", "at_most", 2)], study)
    with pytest.raises(errors.UserError, match="unknown quantity of a claim 'real2'; did you mean 'real'"):
        claims.rehearse([("gtn", "times_above", ("real2", 2))], one)


@pytest.mark.parametrize(
    "spec, words",
    [
        (("a", "above"), "a claim is"),
        ("a above b", "a claim is"),
        ((1, "above", "b"), "a claim is"),
        (("a", "abov", "b"), "did you mean 'above'"),
        (("a", "between", 1), "'between' takes a number and a number; got 1"),
        (("a", "times_above", (2, "b")), "takes a quantity and a number"),
        (("a", "below", 3), "takes a quantity; got 3"),
        (("a", "at_least", None), "takes a quantity or a number"),
        (("a", "above", ("b",)), "takes a quantity or a number"),
        (("a", "at_least", [0.9]), "takes a quantity or a number"),
        (("a", "below", ("b",)), "takes a quantity; got"),
        (("a", ["above"], "b"), "unknown relation"),
    ],
)
def test_a_claim_of_another_form_is_refused(spec, words):
    with pytest.raises(errors.UserError, match=words):
        claims.check("x.claims", [spec])
    claims.check("x.claims", [("a", "above", "b"), ["a", "between", [1, 2]]])
    with pytest.raises(errors.UserError, match="twice"):
        claims.check("x.claims", [("a", "above", "b"), ("a", "above", "b", "paper")])


@pytest.fixture
def forgotten():
    """A relation `near` that this test alone has."""
    yield
    claims.RELATIONS.pop("near", None)


def test_a_relation_of_a_user_s_own(forgotten):
    @claims.relation("near", claims.QUANTITY, claims.NUMBER)
    def near(claimed):
        other, distance = claimed.argument
        gap = abs(claimed.mean(claimed.name) - claimed.mean(other))
        return claimed.result(claimed.statement, gap, None, "measured <= distance", distance=distance)

    quantities = {"a": [0.5, 0.7], "b": [0.4, 0.6], "c": [0.4, None]}
    claim, far = (compare([("a", "near", ("b", distance))], quantities)[0] for distance in (0.2, 0.05))
    assert claim["holds"] and not far["holds"] and claim["id"] == "a_near_b" and claim["statement"] == "a is near b and 0.2"
    (lost,) = compare([("a", "near", ("c", 1))], quantities)
    assert lost["measured"] is None and not lost["holds"]
