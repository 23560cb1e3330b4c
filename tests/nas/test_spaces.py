"""Spaces of architectures: text and back, drawing of new ones, the networks they stand for."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.nas import bench201, cells, costs, drawing, macro, plain, search

SMALL = cells.Cells(repeats=1, filters=4, nodes=3, stages=2)
SPACES = {
    "cells": SMALL,
    "plain": plain.Plain(),
    "macro": macro.Macro(filters=4, head=16),
    "bench201": bench201.Bench201(filters=4, repeats=1),
}


def samples(space, count):
    return [space.sample(np.random.default_rng([5, i])) for i in range(count)]


@pytest.fixture(params=SPACES, ids=str)
def space(request):
    return SPACES[request.param]


def test_text_and_back(space):
    for architecture in samples(space, 50):
        assert space.parse(str(architecture)) == architecture


def test_samples_differ_and_follow_from_the_seed(space):
    assert len({str(a) for a in samples(space, 50)}) > 40
    assert samples(space, 5) == samples(space, 5)


def test_a_mutation_changes_one_choice(space):
    rng = np.random.default_rng(0)
    for architecture in samples(space, 30):
        before, after = list(search._values(architecture)), list(search._values(space.mutate(architecture, rng)))
        assert sum(b != a for b, a in zip(before, after, strict=True)) == 1


def test_suggestions_make_what_was_recorded(space):
    for architecture in samples(space, 10):
        recorded = search._Recorder(architecture, space)
        assert not recorded._wanted
        again = search._Recorder(architecture, space)
        assert recorded.params == again.params and len(recorded.params) == len(list(search._values(architecture)))


def test_the_network_takes_images_and_gives_logits(space):
    for architecture in samples(space, 6):
        model = space.build(architecture, (8, 8, 1), 10)
        assert model(tf.zeros([2, 8, 8, 1])).shape == (2, 10)
        assert costs.parameters(model) == model.count_params() - sum(np.prod(v.shape) for v in model.non_trainable_variables)
        twin = space.build(architecture, (8, 8, 1), 10)
        assert [v.shape for v in twin.variables] == [v.shape for v in model.variables]


def test_all_operations_are_drawn_and_built():
    counts = collections.Counter(
        o for a in samples(SMALL, 60) for cell in (a.conv, a.reduce) for node in cell for o in node.operations
    )
    assert set(counts) == set(cells.OPERATIONS) and len(cells.OPERATIONS) == 11
    assert max(counts.values()) < 2 * min(counts.values())
    for operation in cells.OPERATIONS:
        node = cells.Node((-1, -2), (operation, operation))
        model = SMALL.build(cells.Architecture(3 * (node,), 3 * (node,)), (8, 8, 3), 10)
        assert model.output_shape == (None, 10)


def test_unused_nodes_are_concatenated_and_sizes_are_halved():
    chain = cells.Architecture(
        tuple(cells.Node((i - 1, -1), ("identity", "identity")) for i in range(3)),
        tuple(cells.Node((-2, -1), ("max_2x2", "conv_3x3")) for _ in range(3)),
    )
    model = SMALL.build(chain, (8, 8, 1), 10)
    assert not [layer.name for layer in model.layers if layer.name == "conv_0_0_out"], "one output needs no concatenation"
    assert model.get_layer("reduce_1_out").output.shape == (None, 4, 4, 3 * 8)  # three unused nodes of twice the filters


def test_flops_by_hand():
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(3, 3, padding="same"), keras.layers.Flatten()])
    model.add(keras.layers.Dense(5))
    assert costs.flops(model) == 2 * (4 * 4 * 3 * 3 * 2 * 3 + 48 * 5)
    assert costs.latency(model, rounds=3) > 0


@pytest.mark.parametrize(
    "space, text, words",
    [
        (SMALL, "nonsense", "no architecture"),
        (SMALL, "conv:-1.identity+-1.identity/reduce:-1.identity+-1.identity", "3 nodes"),
        (SMALL, "conv:3.identity+-1.identity/reduce:-1.identity+-1.identity", "inputs -2 to -1"),
        (SMALL, "conv:-1.identty+-1.identity/reduce:-1.identity+-1.identity", "identity"),
        (macro.Macro(), "0120", "no architecture of NAS-Bench-Macro"),
        (bench201.Bench201(), "(0, 1, 2, 3, 4, 5)", "no architecture of NAS-Bench-201"),
        (plain.Plain(), "depth=9", "no plain architecture"),
        (plain.Plain(), str(plain.Plain().sample(np.random.default_rng(0))).replace("depth=", "depth=9"), "value of depth"),
    ],
)
def test_mistakes(space, text, words):
    with pytest.raises(errors.UserError, match=words):
        space.parse(text)


def test_a_cell_as_a_graph():
    architecture = samples(SMALL, 1)[0]
    source = drawing.dot(architecture)
    assert source.count("->") == sum(len(drawing.edges(cell)) for cell in (architecture.conv, architecture.reduce))
    for cell in (architecture.conv, architecture.reduce):
        assert len([edge for edge in drawing.edges(cell) if edge[2]]) == 6


def test_a_cell_by_hand_where_there_is_no_graphviz(monkeypatch, tmp_path):
    from tf_gtn.nas import figures

    monkeypatch.setattr(drawing.shutil, "which", lambda name: None)
    figures.best(str(tmp_path), SMALL, {"random": str(samples(SMALL, 1)[0]), "gtn": str(samples(SMALL, 2)[1])})
    assert (tmp_path / "figures/best_cells.png").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.parametrize("filters, least, most", [(36, 1e6, 3e7), (128, 2e7, 4e8)])
def test_the_papers_networks_have_plausible_numbers_of_parameters(filters, least, most):
    """Table 1: 8.2 million with F = 36, 97.9 million with F = 128, of the cell that it found."""
    space = cells.Cells(repeats=6, filters=filters)
    model = space.build(space.sample(np.random.default_rng(1)), (32, 32, 3), 10)
    assert least < costs.parameters(model) < most


def test_numbers_of_the_benchmarks_networks():
    """By hand: the smallest network of NAS-Bench-Macro and one block; a cell of NAS-Bench-201, and one with a dead end."""
    space = macro.Macro()
    model = space.build(space.parse("00000000"), (32, 32, 3), 10)
    stem, head = 3 * 3 * 3 * 32 + 2 * 32, 256 * 1280 + 2 * 1280 + 1280 * 10 + 10
    halvings = sum(a * b + 2 * b for a, b in ((32, 64), (64, 128), (128, 256)))
    assert costs.parameters(model) == stem + head + halvings
    block = space.build(space.parse("00010000"), (32, 32, 3), 10)  # 128 channels, expansion 3, kernel 3
    assert costs.parameters(block) - costs.parameters(model) == 2 * 128 * 384 + 9 * 384 + 2 * (384 + 384 + 128)
    assert costs.flops(block) - costs.flops(model) == 2 * 8 * 8 * (2 * 128 * 384 + 9 * 384)
    space = bench201.Bench201()
    identity = space.build(space.parse("(1, 1, 0, 1, 1, 1)"), (32, 32, 3), 10)
    stem, head = 9 * 3 * 16 + 2 * 16, 2 * 64 + 64 * 10 + 10
    reductions = sum(9 * a * b + 9 * b * b + a * b + 4 * b for a, b in ((16, 32), (32, 64)))
    assert costs.parameters(identity) == stem + reductions + head
    dead = space.build(space.parse("(2, 1, 0, 1, 1, 1)"), (32, 32, 3), 10)  # a convolution that leads nowhere, and counts
    assert costs.parameters(dead) == costs.parameters(identity) + 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
