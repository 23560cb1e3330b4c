"""Accuracies that come from a file."""

import json
import os
import pathlib

import keras
import numpy as np
import pytest

from tests import programs
from tf_gtn import data, errors
from tf_gtn.nas import bench201, costs, evaluation, macro, table
from tf_gtn.reporting import results

SPACE = bench201.Bench201(filters=4, repeats=1)


@pytest.fixture
def path(tmp_path):
    """Of 12 architectures, the more accurate the more convolutions of 3x3 they have."""
    rng = np.random.default_rng(0)
    names = [str(SPACE.sample(rng)) for _ in range(12)]
    content = {"cifar10": {name: {"val_accuracy": 50.0 + name.count("2") + i / 100} for i, name in enumerate(names)}}
    file = tmp_path / "table.json"
    file.write_text(json.dumps(content))
    return file


def test_three_trainings_of_nas_bench_macro(tmp_path):
    (tmp_path / "macro.json").write_text(json.dumps({"01201201": {"test_acc": [90.0, 91.0, 92.5], "mean_acc": 91.2}}))
    budget = table.Table(str(tmp_path / "macro.json"))
    rows = [evaluation.evaluate(macro.Macro(), "01201201", seed, budget, data.load("digits")) for seed in range(4)]
    assert [row["accuracy"] for (row,) in rows] == pytest.approx([0.9, 0.91, 0.925, 0.9])
    assert rows[0][0]["score"] == rows[0][0]["accuracy"] and rows[0][0]["training_seconds"] == 0
    with pytest.raises(errors.UserError, match="has no architecture '00000000'"):
        budget.accuracy("00000000", 0)


def test_each_architecture_is_proposed_once(path):
    proposer = table.Listed(table.Table(str(path), "naslib"))
    proposed = [proposer.propose(SPACE, [], index, 3) for index in range(12)]
    assert sorted(proposed) == sorted(json.loads(path.read_text())["cifar10"])
    assert proposed != [proposer.propose(SPACE, [], index, 4) for index in range(12)]


def test_mistakes(tmp_path, path):
    with pytest.raises(errors.UserError, match="there is no table at"):
        _ = table.Table(str(tmp_path / "no.json")).accuracies
    with pytest.raises(errors.UserError, match="is no table of the format 'nas_bench_macro'"):
        _ = table.Table(str(path)).accuracies
    with pytest.raises(errors.UserError, match="unknown data set of the table 'cifar11'; did you mean 'cifar10'"):
        _ = table.Table(str(path), "naslib", "cifar11").accuracies
    with pytest.raises(errors.UserError, match="unknown format of a table 'nasslib'; did you mean 'naslib'"):
        table.Table(str(path), "nasslib")


def test_a_search_reads_its_tables_before_it_begins(tmp_path):
    """Whoever proposes: else every evaluation would fail."""
    lines = [
        "data.load.name = 'digits'",
        "nas.Search.space = @nas.Macro()",
        "nas.Search.proposer = @nas.Random()",
        "nas.Search.evaluations = (@nas.Proxy(),)",
        "nas.Search.final = @nas.Table()",
        "nas.Table.path = 'no.json'",
    ]
    (tmp_path / "search.gin").write_text("\n".join(lines))
    done = programs.run("search_architectures", f"--base_dir={tmp_path}/run", f"--gin_file={tmp_path}/search.gin", "--dry_run")
    programs.assert_one_line(done, "there is no table at no.json")


def test_a_search_ranks_proxies_against_a_table(tmp_path, path):
    gin = f"""
data.load.name = 'digits'
nas.Search.space = @nas.Bench201()
nas.Bench201.filters = 4
nas.Bench201.repeats = 1
nas.Search.proposer = @nas.Listed()
nas.Listed.table = @nas.Table()
nas.Table.path = '{path}'
nas.Table.format = 'naslib'
nas.Search.architectures = 6
nas.Search.evaluations = (@nas.Proxy(), @flops/nas.Proxy(), @nas.Table())
nas.Proxy.proxy = 'nwot'
nas.Proxy.batch_size = 8
flops/nas.Proxy.proxy = 'flops'
nas.Search.reference = 'table'
nas.Search.compared = ('nwot', 'flops')
nas.Search.final = @nas.Table()
nas.Search.final_seeds = 1
"""
    (tmp_path / "search.gin").write_text(gin)
    done = programs.run(
        "search_architectures", f"--base_dir={tmp_path}/run", f"--gin_file={tmp_path}/search.gin", "--workers=1"
    )
    assert done.returncode == 0, done.stderr
    metrics = results.read(str(tmp_path / "run"))["metrics"]
    assert metrics["flops"]["correlation"]["value"] > 0.5 and metrics["flops"]["correlation"]["n"] == 6
    assert "accuracy" not in metrics["flops"] and metrics["flops"]["score"]["mean"] > 1000
    assert metrics["flops"]["cost_ratio"] is None  # the reference was looked up
    assert metrics["final"]["table"]["mean"] == max(metrics["table"]["accuracy"]["values"])


# Files of accuracies that others publish; the project has none of them.
TABLES = os.environ.get("TF_GTN_NAS_TABLES")


@pytest.mark.skipif(not TABLES, reason="TF_GTN_NAS_TABLES names no folder with macro.json and nb201.json")
@pytest.mark.slow
@pytest.mark.parametrize("file, space", [("macro.json", macro.Macro()), ("nb201.json", bench201.Bench201())], ids=str)
def test_networks_cost_what_their_table_says(file, space):
    """200 networks each: parameters, and operations (a table counts multiplications; NASLib's also what has no weights)."""
    content = json.loads(pathlib.Path(TABLES, file).read_text())
    content = content.get("cifar10", content)
    for name in [*content][:: len(content) // 200]:
        model, stated = space.build(space.parse(name), (32, 32, 3), 10), content[name]
        if file == "macro.json":
            assert (costs.parameters(model), costs.flops(model)) == (stated["params"], 2 * stated["flops"])
        else:
            assert costs.parameters(model) == round(stated["params"]["score"] * 1e6)
            assert costs.flops(model) / 2 + others(model) == pytest.approx(stated["flops"]["score"] * 1e6, rel=1e-3)
        keras.backend.clear_session()


def others(model):
    """Operations of layers without kernels, as NASLib counts them: 2 a value for BatchNorm, 1 for ReLU, pooling its window."""
    total = 0
    for layer in model.layers:
        size = int(np.prod(layer.output.shape[1:]))
        if isinstance(layer, keras.layers.BatchNormalization):
            total += 2 * size
        elif isinstance(layer, keras.layers.ReLU):
            total += size
        elif isinstance(layer, keras.layers.AveragePooling2D):
            total += size * int(np.prod(layer.pool_size))
        elif isinstance(layer, keras.layers.GlobalAveragePooling2D):
            total += int(np.prod(layer.input.shape[1:]))
    return total
