"""Proposers, halving, the Pareto front, rankings."""

import numpy as np
import pytest
import scipy.stats

from tf_gtn.nas import cells, plain, ranking, search

SPACE = plain.Plain()


def rows(count):
    """Architectures whose accuracy is the number of convolutions."""
    architectures = [SPACE.sample(np.random.default_rng([1, i])) for i in range(count)]
    return [{"architecture": str(a), "accuracy": a.depth / 4} for a in architectures]


@pytest.mark.parametrize("proposer", [search.Random(), search.Evolution(5, 3), search.TPE(4)], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("space", [SPACE, cells.Cells(1, 4, 2, 2)], ids=["plain", "cells"])
def test_proposals_are_of_the_space_and_follow_from_rows_and_seed(proposer, space):
    known = [{"architecture": str(space.sample(np.random.default_rng(i))), "accuracy": i / 10} for i in range(8)]
    known[3] = {"architecture": known[3]["architecture"], "failed": "out of memory"}
    for evaluations in ([], known):
        text = proposer.propose(space, evaluations, 7, 0)
        assert str(space.parse(text)) == text and text == proposer.propose(space, evaluations, 7, 0)
    assert len({proposer.propose(space, known, i, 0) for i in range(6)}) > 3


def test_evolution_mutates_the_best_of_the_newest():
    evaluations = rows(12)
    best = max(evaluations[-5:], key=lambda row: row["accuracy"])["architecture"]
    proposer = search.Evolution(population=5, sample=5)
    ties = [row["architecture"] for row in evaluations[-5:] if row["accuracy"] == max(r["accuracy"] for r in evaluations[-5:])]
    for index in range(5):
        child = list(search._values(SPACE.parse(proposer.propose(SPACE, evaluations, index, 0))))
        nearest = [sum(c != p for c, p in zip(child, search._values(SPACE.parse(parent)))) for parent in ties]
        assert 1 in nearest, best


def test_tpe_goes_where_accuracy_is():
    evaluations = rows(40)
    depths = [SPACE.parse(search.TPE().propose(SPACE, evaluations, i, 0)).depth for i in range(12)]
    assert np.mean(depths) > 2.6, "depths are 2 on average if drawn uniformly"


def test_halving_keeps_the_best_and_no_failed_one():
    evaluations = [{"accuracy": 0.1}, {"failed": "x"}, {"accuracy": 0.9}, {"accuracy": 0.5}, {"accuracy": 0.7}]
    assert [row["accuracy"] for row in search.halved(evaluations, 0.5)] == [0.9, 0.7]
    assert [row["accuracy"] for row in search.halved(evaluations, 0.0)] == [0.9]


def test_the_front_by_hand():
    evaluations = [
        {"accuracy": 0.9, "parameters": 100, "flops": 5},
        {"accuracy": 0.8, "parameters": 50, "flops": 9},
        {"accuracy": 0.8, "parameters": 60, "flops": 9},  # beaten
        {"accuracy": 0.7, "parameters": 60, "flops": 1},
        {"accuracy": 0.9, "parameters": 100, "flops": 5},  # as good as the first
        {"failed": "x", "parameters": 1, "flops": 1},
    ]
    assert search.pareto(evaluations, ("parameters", "flops")) == [
        evaluations[0],
        evaluations[1],
        evaluations[3],
        evaluations[4],
    ]


def test_correlation_is_spearmans_and_within_the_top_half_by_the_proxy():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=40)
    proxy = reference + rng.normal(size=40)
    correlation = ranking.correlation(proxy, reference)
    assert correlation["value"] == pytest.approx(scipy.stats.spearmanr(proxy, reference).statistic) and correlation["n"] == 40
    assert correlation["ci95"][0] < correlation["value"] < correlation["ci95"][1]
    kept = proxy >= np.sort(proxy)[20]
    half = ranking.correlation(proxy, reference, 0.5)
    assert half["n"] == 20 and half["value"] == pytest.approx(scipy.stats.spearmanr(proxy[kept], reference[kept]).statistic)
    assert np.isnan(ranking.correlation([1, 1, 1], [1, 2, 3])["value"])


def test_a_better_proxy_is_told_from_a_worse_one():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=60)
    good, bad = reference + 0.3 * rng.normal(size=60), rng.normal(size=60)
    assert ranking.difference(good, bad, reference)["ci95"][0] > 0
    assert ranking.difference(good, good, reference)["ci95"] == [0.0, 0.0]
