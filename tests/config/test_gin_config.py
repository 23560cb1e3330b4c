"""gin files found by name, each mistake in one line that names it, and no configuration that does nothing."""

import importlib
import importlib.util
import pathlib
import shutil

import gin
import pytest

from tf_gtn import arguments, errors
from tf_gtn.config import checking, gin_config, gin_table, statements


class Trainer:
    def __init__(
        self,
        model=None,
        optimizer=None,
        steps=700,
        rate=0.02,
        dataset="digits",
        filters=(32, 64),
        augment: bool = False,
        clip: "float | None" = None,
        sizes: "list[int] | None" = None,
        scale: float | str = "auto",
    ):
        self.settings = {
            "model": model,
            "optimizer": optimizer,
            "steps": steps,
            "rate": rate,
            "dataset": dataset,
            "filters": filters,
            "augment": augment,
            "clip": clip,
            "sizes": sizes,
            "scale": scale,
        }


def model(width=8, depth=2):
    return width, depth


def evaluator(learners, batch=32):
    return learners, batch


configurable_trainer = gin.external_configurable(Trainer, module="toy.training")
configurable_model = gin.external_configurable(model, "toy_model", module="toy.models")
configurable_evaluator = gin.external_configurable(evaluator, "toy_evaluator", module="toy.evaluation", denylist=["learners"])
gin.external_configurable(lambda x=1: x, "twin", module="toy.one")
gin.external_configurable(lambda x=1: x, "twin", module="toy.two")


@pytest.fixture(autouse=True)
def empty_config():
    gin.clear_config()
    yield
    gin.clear_config()


@pytest.fixture
def gin_dir(tmp_path, monkeypatch):
    """A folder of shipped gin files, and another current directory."""
    parts = tmp_path / "package" / "gin" / "toy" / "parts"
    parts.mkdir(parents=True)
    (parts / "data.gin").write_text("DATASET = 'digits'\nTrainer.dataset = %DATASET\n")
    (parts.parent / "run.gin").write_text(
        "# A run.\ninclude 'gin/toy/parts/data.gin'\n\nOUTER_STEPS = 700\nTrainer.steps = %OUTER_STEPS\n"
    )
    monkeypatch.setattr(statements, "GIN_DIR", tmp_path / "package" / "gin")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "package" / "gin"


def message(*args, **kwargs):
    with pytest.raises(errors.UserError) as caught:
        gin_config.parse(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def trained():
    return configurable_trainer().settings


@pytest.mark.parametrize("name", ["gin/toy/run.gin", "toy/run.gin", "absolute"])
def test_finds_shipped_files_from_any_directory(gin_dir, name):
    gin_config.parse([str(gin_dir / "toy/run.gin") if name == "absolute" else name], ["DATASET = 'glyphs'"])
    assert trained()["steps"] == 700 and trained()["dataset"] == "glyphs"


def test_a_file_given_by_its_path_comes_first(gin_dir):
    pathlib.Path("toy").mkdir()
    pathlib.Path("toy/run.gin").write_text("Trainer.steps = 3")
    gin_config.parse(["toy/run.gin"])
    assert trained()["steps"] == 3


def test_later_files_and_bindings_win(gin_dir):
    pathlib.Path("mine.gin").write_text("OUTER_STEPS = 5\nTrainer:\n  rate = 1\n  clip = 2.5  # a comment\n")
    gin_config.parse(["toy/run.gin", "mine.gin"], ["OUTER_STEPS = 6"])
    assert {k: trained()[k] for k in ("steps", "rate", "clip")} == {"steps": 6, "rate": 1, "clip": 2.5}


def test_lists_shipped_files(gin_dir):
    assert gin_config.shipped() == ["gin/toy/parts/data.gin", "gin/toy/run.gin"]


@pytest.mark.parametrize("inside", [True, False], ids=["wheel", "repository"])
def test_gin_folder_lies_in_the_wheel_or_beside_the_package(tmp_path, inside):
    (tmp_path / "tf_gtn" / "config").mkdir(parents=True)
    folder = tmp_path / ("tf_gtn/gin" if inside else "gin")
    folder.mkdir()
    copy = shutil.copy(statements.__file__, tmp_path / "tf_gtn" / "config")
    spec = importlib.util.spec_from_file_location("copied_gin_config", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert folder == module.GIN_DIR


def test_missing_file(gin_dir):
    assert message(["gin/toy/runs.gin"]) == "unknown gin file 'gin/toy/runs.gin'; did you mean 'gin/toy/run.gin'?"
    assert message([str(gin_dir)]).startswith("unknown gin file")  # a folder


def test_missing_included_file(gin_dir):
    pathlib.Path("mine.gin").write_text("\ninclude 'toy/parts/dota.gin'\n")
    assert message(["mine.gin"]) == (
        "mine.gin:2: unknown gin file 'toy/parts/dota.gin'; did you mean 'gin/toy/parts/data.gin'?"
    )


def test_an_include_is_looked_for_beside_its_file_first(gin_dir):
    mine = pathlib.Path("mine")
    (mine / "toy/parts").mkdir(parents=True)
    (mine / "run.gin").write_text("include 'sibling.gin'\ninclude 'toy/parts/data.gin'\ninclude 'gin/toy/run.gin'")
    (mine / "sibling.gin").write_text("Trainer.rate = 0.5")
    (mine / "toy/parts/data.gin").write_text("Trainer.clip = 2.0")
    pathlib.Path("sibling.gin").write_text("Trainer.rate = 0.25")
    gin_config.parse(["mine/run.gin"])
    assert {k: trained()[k] for k in ("steps", "rate", "clip")} == {"steps": 700, "rate": 0.5, "clip": 2.0}
    (mine / "run.gin").write_text("include 'sibing.gin'")
    assert message(["mine/run.gin"]) == "mine/run.gin:1: unknown gin file 'sibing.gin'; did you mean 'sibling.gin'?"
    assert message(["mine/rum.gin"]) == "unknown gin file 'mine/rum.gin'; did you mean 'mine/run.gin'?"
    (mine / "sibling.gin").write_text("include '../mine/sibling.gin'")
    assert "includes itself" in message(["mine/sibling.gin"])


def test_a_byte_order_mark_is_passed_over(gin_dir):
    pathlib.Path("mine.gin").write_bytes("Trainer.steps = 3  # ä\r\nTrainer.rate = 1\r\n".encode("utf-8-sig"))
    gin_config.parse(["mine.gin"])
    assert trained()["steps"] == 3 and trained()["rate"] == 1


def test_a_file_that_includes_itself(gin_dir):
    pathlib.Path("a.gin").write_text("include 'b.gin'")
    pathlib.Path("b.gin").write_text("include 'a.gin'")
    assert message(["a.gin"]) == "b.gin:1: the gin file a.gin includes itself"


def test_a_file_that_cannot_be_read(gin_dir):
    pathlib.Path("image.gin").write_bytes(b"\x89PNG\xff\xfe")
    assert message(["image.gin"]) == "cannot read the gin file image.gin: it is not text in UTF-8"
    pathlib.Path("zeros.gin").write_bytes(bytes(40))
    assert message(["zeros.gin"]).startswith("zeros.gin:1: ")
    assert message(["nowhere://x.gin"]).startswith("cannot read the gin file nowhere://x.gin: ")


def test_file_and_line_are_named(gin_dir):
    pathlib.Path("mine.gin").write_text("# mine\n\nTrainer:\n  rate = 0.1\n  step = 3\n")
    assert message(["mine.gin"]) == "mine.gin:5: unknown Trainer parameter 'step'; did you mean 'steps'?"


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ("Trianer.steps = 1", "unknown configurable 'Trianer'; did you mean 'Trainer'?"),
        ("toy.training.Trianer.steps = 1", "unknown configurable 'toy.training.Trianer'; did you mean 'toy.training.Trainer'?"),
        ("toy.trainin.Trainer.steps = 1", "unknown configurable 'toy.trainin.Trainer'; did you mean 'toy.training.Trainer'?"),
        ("Trainer.stesp = 1", "unknown Trainer parameter 'stesp'; did you mean 'steps'?"),
        ("Trainer.self = 1", "unknown Trainer parameter 'self'; "),
        ("training.Trainer.rat = 1", "unknown training.Trainer parameter 'rat'; did you mean 'rate'?"),
        ("toy_evaluator.learners = 1", "Configurable 'toy.evaluation.toy_evaluator' has denylisted kwarg 'learners'"),
        ("Trainer.model = @toy_modle()", "unknown configurable 'toy_modle'; did you mean 'toy_model'?"),
        ("Trainer.model = [(@a/toy_modle, 1)]", "unknown configurable 'toy_modle'; did you mean 'toy_model'?"),
        ("twin.x = 2", "twin is ambiguous: toy.one.twin or toy.two.twin"),
        ("Trainer.model = @twin", "Ambiguous selector 'twin', matches ['toy."),
        ("Trainer.dataset = digits", "digits is not a value; a string needs quotes: 'digits'"),
        ("DATASET = digits", "digits is not a value; a string needs quotes: 'digits'"),
        ("DATASET = 8x8", "bad syntax: Expected newline; a string needs quotes"),
        ("DATASET = /data/images", "bad syntax: Unable to parse value; a string needs quotes"),
        ("Trainer.augment = true", "true is not a value; did you mean True?"),
        ("Trainer.clip = none", "none is not a value; did you mean None?"),
        ("Trainer.steps 7", "bad syntax: Couldn't parse statement, expected ':' or '='"),
        ("Trainer.steps =", "bad syntax: Unable to parse value"),
        ("Trainer.filters = (1, 2", "bad syntax: "),
        ("Trainer.dataset = 'digits", "bad syntax: "),
        ("Trainer.steps = 1 2", "bad syntax: Expected newline"),
        ("Trainer:\nsteps = 1", "bad syntax: "),
        ("Trainer.filters = {[1]: 2}", "unhashable type: 'list'"),
        ("a//Trainer.steps = 1", "bad syntax: "),
        ("import no_such_module_here", "cannot import no_such_module_here: No module named 'no_such_module_here"),
        ("from __gin__ import dynamic_registration", "is not supported here"),
    ],
)
def test_names_and_syntax(binding, expected):
    text = message([], [binding])
    assert text.startswith('the binding "') and expected in text


def test_a_name_of_another_program(monkeypatch):
    monkeypatch.setitem(checking.PROGRAMS, "elsewhere", "train_elsewhere")
    monkeypatch.setitem(checking.PROGRAMS, "training.Tuner", "tune_elsewhere")
    for name, program in (("elsewhere.Thing", "train_elsewhere"), ("training.Tuner", "tune_elsewhere")):
        assert message([], [f"{name}.x = 1"]).endswith(f"{name} belongs to another program: {program}")
    monkeypatch.setitem(checking.PROGRAMS, "toy", "train_toy")  # which is this one
    assert message([], ["toy.training.Trianer.x = 1"]).endswith("did you mean 'toy.training.Trainer'?")


def test_every_program_that_is_named_is_one():
    programs = {program for words in checking.PROGRAMS.values() for program in words.split(" or ")}
    binaries = {path.stem for path in (statements.GIN_DIR.parent / "binaries").glob("*.py")}
    assert programs <= binaries
    for system in ("teaching", "gan", "nas", "transfer"):
        importlib.import_module(f"tf_gtn.{system}.gin_names")
    for name in checking.PROGRAMS:
        if name not in ("rl", "rl.Leap", "networks", "dynamics"):
            assert any(right == name or right.startswith(f"{name}.") for right in gin_table.registered()), name


def test_a_parameter_without_a_value():
    with pytest.raises(TypeError) as caught:
        configurable_evaluator()
    assert gin_table.missing_parameter(str(caught.value)) == "toy.evaluation.toy_evaluator.learners"
    assert gin_table.missing_parameter("anything else") is None


def test_a_forgotten_percent_sign(gin_dir):
    assert "OUTER_STEPS is not a value; did you mean %OUTER_STEPS?" in message(["toy/run.gin"], ["Trainer.rate = OUTER_STEPS"])


@pytest.mark.parametrize(
    ("bindings", "expected"),
    [
        (["OUTER_STEP = 5"], "the binding \"OUTER_STEP = 5\": unknown macro 'OUTER_STEP'; did you mean 'OUTER_STEPS'?"),
        (["Traineroutersteps = 5"], "unknown macro 'Traineroutersteps'; known: DATASET, OUTER_STEPS"),
        (["Trainer.steps = %OUTER_STEP"], "unknown macro 'OUTER_STEP'; did you mean 'OUTER_STEPS'?"),
        (["Trainer.filters = [1, (%DATSET,)]"], "unknown macro 'DATSET'; did you mean 'DATASET'?"),
        (["OUTER_STEPS = %LENGTH", "LENGHT = 3"], "unknown macro 'LENGTH'; did you mean 'LENGHT'?"),
        (["INNER_STEPS = %OUTER_STEPS"], "unknown macro 'INNER_STEPS'; did you mean 'OUTER_STEPS'?"),
        (["A = %B", "B = %A"], "the macro A refers to itself"),
        (["OUTER_STEPS = %OUTER_STEPS"], "the macro OUTER_STEPS refers to itself"),
        (["OUTER_STEPS = %gin.REQUIRED"], "OUTER_STEPS must be given a value"),
        (["Trainer.rate = %gin.REQUIRED"], "Trainer.rate must be given a value"),
    ],
)
def test_macros(gin_dir, bindings, expected):
    assert expected in message(["toy/run.gin"], bindings)


def test_a_macro_that_a_parameter_reaches_through_another(gin_dir):
    gin_config.parse(["toy/run.gin"], ["OUTER_STEPS = %LENGTH", "LENGTH = 3"])
    assert trained()["steps"] == 3


def test_a_parameter_that_a_file_gives_a_macro_can_be_set(gin_dir):
    """The macro, which the file refers to no more, goes, and so does a macro that only this one refers to."""
    pathlib.Path("mine.gin").write_text("LENGTH = 4\nOUTER_STEPS = %LENGTH\nDATASET = 'glyphs'")
    for bindings in (["Trainer.steps = 8"], ["Trainer.steps = %STEPS", "STEPS = 8"]):
        gin_config.parse(["toy/run.gin", "mine.gin"], bindings)
        assert trained()["steps"] == 8 and trained()["dataset"] == "glyphs"
        assert "LENGTH" not in gin_config.config_str() and "OUTER_STEPS" not in gin_config.config_str()
    pathlib.Path("other.gin").write_text("Trainer.steps = 9")
    gin_config.parse(["toy/run.gin", "other.gin"])
    assert trained()["steps"] == 9


def test_a_macro_of_the_command_line_that_nothing_refers_to_any_more(gin_dir):
    assert message(["toy/run.gin"], ["Trainer.steps = 8", "OUTER_STEPS = 9"]) == (
        'the binding "OUTER_STEPS = 9": the macro OUTER_STEPS does nothing here: '
        "Trainer.steps, which referred to it, is set to another value"
    )


def test_what_a_file_sets_for_a_scope_that_is_replaced_goes(gin_dir):
    pathlib.Path("mine.gin").write_text("Trainer.model = @small/toy_model()\nWIDTH = 3\nsmall/toy_model.width = %WIDTH")
    gin_config.parse(["mine.gin"], ["Trainer.model = @big/toy_model()", "big/toy_model.width = 5"])
    assert trained()["model"] == (5, 2) and "small" not in gin_config.config_str()
    bindings = ["Trainer.model = @big/toy_model()", "small/toy_model.width = 5"]
    assert message(["mine.gin"], bindings).endswith("unknown scope 'small'; known: big")


def test_every_parameter_of_a_run_file_can_be_set_though_a_macro_sets_it(tmp_path):
    """For all shipped run files of these systems; the new config.gin can be read as well."""
    for system in ("teaching", "gan", "nas", "transfer"):
        importlib.import_module(f"tf_gtn.{system}.gin_names")
    seen = 0
    for name in gin_config.shipped():
        if "/parts/" in name or name.split("/")[1] not in ("teaching", "gan", "nas", "leap") or "atari" in name:
            continue
        gin_config.parse([name])
        table = gin_table.bindings()
        set_by_macros = [k for k, v in table.items() if k[1] != gin_table.MACRO and gin_table.reachable_macros(table, [v])]
        text = "".join(f"{gin_table.statement(k, gin_table.resolve(table, table[k]))}\n" for k in set_by_macros)
        gin_config.parse([name], text.splitlines())
        (tmp_path / "config.gin").write_text(gin_config.config_str())
        gin_config.parse([str(tmp_path / "config.gin")])
        assert (tmp_path / "config.gin").read_text() == gin_config.config_str()
        seen += len(set_by_macros)
    assert seen > 100


def test_an_unused_macro_without_any_other():
    assert message([], ["LENGTH = 3"]).endswith("unknown macro 'LENGTH'; there is none here")


def test_arms_that_differ_in_nothing():
    gin_config.parse([], ["one/Trainer.rate = 0.1", "learned/Trainer.rate = 0.2"], known_scopes=["one", "learned"])
    gin_config.check_arms_differ(["one", "plain"])
    with pytest.raises(errors.UserError, match="the arm 'learnd' has no settings of its own; did you mean 'learned'"):
        gin_config.check_arms_differ(["one", "learnd"])
    with pytest.raises(errors.UserError, match=r"'plain' and 'other' have no settings .* no arm enters: learned, one"):
        gin_config.check_arms_differ(["plain", "other"])


def test_scopes():
    with_reference = ["Trainer.model = @small/inner/toy_model()"]
    assert message([], [*with_reference, "smal/toy_model.width = 1"]) == (
        "the binding \"smal/toy_model.width = 1\": unknown scope 'smal'; did you mean 'small'?"
    )
    assert message([], ["small/toy_model.width = 1"]).endswith("unknown scope 'small'; there is none here")
    gin_config.parse([], [*with_reference, "small/toy_model.width = 1", "small/inner/toy_model.depth = 4"])
    assert trained()["model"] == (1, 4)
    gin_config.parse([], ["small/toy_model.width = 1"], known_scopes=["small"])
    assert message([], ["smal/toy_model.width = 1"], known_scopes=["small"]).endswith("did you mean 'small'?")


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ("Trainer.steps = 'abc'", "Trainer.steps takes an int (default 700); got 'abc' (str)"),
        ("Trainer.steps = 7.0", "Trainer.steps takes an int (default 700); got 7.0 (float)"),
        ("Trainer.steps = True", "Trainer.steps takes an int (default 700); got True (bool)"),
        ("Trainer.steps = None", "Trainer.steps takes an int (default 700); got None"),
        ("Trainer.scale = [None]", "Trainer.scale takes float | str (default 'auto'); got [None] (list)"),
        ("Trainer.rate = 'high'", "Trainer.rate takes a float (default 0.02); got 'high' (str)"),
        ("Trainer.dataset = 3", "Trainer.dataset takes a str (default 'digits'); got 3 (int)"),
        ("Trainer.filters = 32", "Trainer.filters takes a tuple (default (32, 64)); got 32 (int)"),
        ("Trainer.augment = 1", "Trainer.augment takes a bool (default False); got 1 (int)"),
        ("Trainer.clip = 'no'", "Trainer.clip takes float | None (default None); got 'no' (str)"),
        ("Trainer.sizes = [1, 'a']", "Trainer.sizes takes list[int] | None (default None); got [1, 'a'] (list)"),
        ("Trainer.scale = [1]", "Trainer.scale takes float | str (default 'auto'); got [1] (list)"),
    ],
)
def test_wrong_types(binding, expected):
    assert message([], [binding]) == f'the binding "{binding}": {expected}'


@pytest.mark.parametrize(
    "binding",
    [
        "Trainer.rate = 1",
        "Trainer.filters = [8]",
        "Trainer.clip = 3",
        "Trainer.clip = None",
        "Trainer.sizes = None",
        "Trainer.filters = None",
        "Trainer.model = None",
        "Trainer.scale = 'auto'",
        "Trainer.steps = @toy_model()",
        "Trainer.sizes = (1, 2)",
        "Trainer.optimizer = 'anything'",
        "Trainer.scale = -1e-3",
    ],
)
def test_right_types(binding):
    gin_config.parse([], [binding])


def test_wrong_types_through_macros(gin_dir):
    assert message(["toy/run.gin"], ["OUTER_STEPS = 'many'"]) == (
        "the binding \"OUTER_STEPS = 'many'\": "
        "Trainer.steps takes an int (default 700); got 'many' (str) from the macro OUTER_STEPS"
    )
    pathlib.Path("mine.gin").write_text("LENGTH = 'x'\nOUTER_STEPS = %LENGTH")
    assert message(["toy/run.gin", "mine.gin"]) == (
        "mine.gin:1: Trainer.steps takes an int (default 700); got 'x' (str) from the macro LENGTH"
    )
    assert "got [1, 'x'] (list)" in message([], ["A = 'x'", "Trainer.sizes = [1, %A]"])


def unused(bindings, files=(), scopes=()):
    gin_config.parse(files, bindings, scopes)
    configurable_trainer()
    with pytest.raises(errors.UserError) as caught:
        gin_config.check_used()
    return str(caught.value)


def test_a_binding_that_does_nothing(gin_dir):
    assert unused(["toy_model.width = 1"]) == (
        'the binding "toy.models.toy_model.width = 1" does nothing here: nothing uses toy_model.width'
    )
    assert "nothing uses toy_model.width" in unused(["toy_model.width = 1", "Trainer.model = @toy_model"])  # never called
    assert "nothing uses small/toy_model.width" in unused(  # called in another scope
        ["small/toy_model.width = 1", "Trainer.model = @big/toy_model()"], scopes=["small"]
    )
    assert "nothing uses toy_model.width" in unused(  # an inner scope wins
        ["toy_model.width = 1", "small/toy_model.width = 2", "Trainer.model = @small/toy_model()"]
    )


def test_a_macro_that_does_nothing(gin_dir):
    pathlib.Path("mine.gin").write_text("WIDTH = 3\ntoy_model.width = %WIDTH\nevaluation.toy_evaluator.batch = 2")
    assert unused(["WIDTH = 5"], ["toy/run.gin", "mine.gin"]) == (
        'the binding "WIDTH = 5" does nothing here: nothing uses WIDTH'
    )


def test_what_the_caller_overrides_does_nothing():
    gin_config.parse([], ["LENGTH = 5", "Trainer.steps = %LENGTH"])
    configurable_trainer(steps=3)
    with pytest.raises(errors.UserError, match="nothing uses LENGTH"):
        gin_config.check_used()
    configurable_trainer()
    gin_config.check_used()


def test_bindings_that_do_something(gin_dir):
    pathlib.Path("mine.gin").write_text("toy_evaluator.batch = 2")  # in a file: exempt
    gin_config.parse(
        ["toy/run.gin", "mine.gin"],
        [
            "OUTER_STEPS = %LENGTH",
            "LENGTH = 3",
            "Trainer.model = @small/toy_model()",
            "toy_model.depth = 1",
            "small/toy_model.width = 2",
            "Trainer.filters = (%LENGTH,)",
        ],
    )
    assert trained()["model"] == (2, 1)
    gin_config.check_used()


def test_config_str_gives_the_same_config(gin_dir, tmp_path):
    gin_config.parse(
        ["toy/run.gin"],
        [
            "OUTER_STEPS = %LENGTH",
            "LENGTH = 3",
            "Trainer.model = @small/toy_model()",
            "small/toy_model.width = 2",
            "DATASET = 'image_folder:/a \"b\"\\n\\'c\\'" + "x" * 200 + "'",
            "Trainer.clip = -1e999",
            "Trainer.filters = (%LENGTH,)",
            "Trainer.optimizer = {'z': [(), 1e-05], 'a': None, (1, 'b'): @one.twin}",
            "Trainer.augment = True",
            "import json",
        ],
    )
    text, settings = gin_config.config_str(), trained()
    (tmp_path / "config.gin").write_text(text)
    gin_config.parse([tmp_path.as_posix() + "/config.gin"])
    again = trained()
    assert gin_config.config_str() == text
    assert settings.pop("optimizer").keys() == again.pop("optimizer").keys() and settings == again
    assert settings["steps"] == 3 and settings["clip"] == float("-inf") and settings["filters"] == (3,)
    lines = text.splitlines()
    assert lines[0] == "import json" and "LENGTH = 3" in lines and "toy.training.Trainer.steps = %OUTER_STEPS" in lines
    assert all(" = " in line for line in lines[1:])  # a binding a line


def test_operative_config_has_defaults_and_parses(gin_dir, tmp_path):
    gin_config.parse(["toy/run.gin"], ["OUTER_STEPS = 3"])
    configurable_trainer()
    text = gin_config.operative_config_str()
    assert "Trainer.rate = 0.02" in text and "OUTER_STEPS = 3" in text
    (tmp_path / "operative.gin").write_text(text)
    gin_config.parse([str(tmp_path / "operative.gin")])
    assert trained()["steps"] == 3


def test_a_new_parse_forgets_the_last():
    gin_config.parse([], ["Trainer.steps = 3"])
    gin_config.parse([], ["Trainer.rate = 0.5"])
    assert trained()["steps"] == 700
    assert gin_config.config_str() == "toy.training.Trainer.rate = 0.5\n"
    gin_config.check_used()


def test_configurables_may_be_registered_after_parsing():
    gin_config.parse([], ["Trainer.steps = 3"])
    gin.external_configurable(lambda y=1: y, "registered_late", module="toy")


def test_a_literal_out_of_range_is_named_where_it_stands(tmp_path):
    """Before anything is built: directly, in a list, by way of a macro, and in check_parameter."""

    @gin.configurable("ranged", module="for_ranges")
    def ranged(count: arguments.Count = 1, widths: tuple[arguments.Count, ...] = (1,), share: arguments.Share = 0.5):
        del count, widths, share

    path = tmp_path / "a.gin"
    for text, words in (
        ("for_ranges.ranged.count = 0", r"a\.gin:1: .*ranged\.count must be at least 1; got 0$"),
        ("N = 0\nfor_ranges.ranged.count = %N", r"a\.gin:1: .*ranged\.count must be at least 1; got 0 from the macro N$"),
        ("for_ranges.ranged.widths = [4, 0]", r"a\.gin:1: .*ranged\.widths must be at least 1; got 0$"),
        ("for_ranges.ranged.share = 2", r"a\.gin:1: .*ranged\.share must be from 0 to 1; got 2$"),
        ("for_ranges.ranged.count = 1.5", r"a\.gin:1: .*ranged\.count takes an int \(default 1\); got 1\.5 \(float\)$"),
    ):
        path.write_text(text)
        with pytest.raises(errors.UserError, match=words):
            gin_config.parse([str(path)])
    path.write_text("for_ranges.ranged.count = 3\nfor_ranges.ranged.share = @for_ranges.ranged()")
    gin_config.parse([str(path)])
    with pytest.raises(errors.UserError, match=r"ranged\.share must be from 0 to 1; got 7$"):
        gin_config.check_parameter("for_ranges.ranged.share", [0.5, 7])


def test_a_parameter_s_earlier_name_works_and_the_new_one_is_said(monkeypatch):
    monkeypatch.setitem(gin_config.RENAMED, "toy.training.Trainer.outer", "toy.training.Trainer.steps")
    with pytest.warns(errors.Notice, match="toy.training.Trainer.outer is called toy.training.Trainer.steps now"):
        gin_config.parse(bindings=["a/Trainer.outer = 7"], known_scopes=["a"])
    assert "a/toy.training.Trainer.steps = 7" in gin_config.config_str()
    earlier = gin_config.config_str().replace(".steps = 7", ".outer = 7")
    assert gin_config.current_names(earlier) == gin_config.config_str() != earlier


def test_new_names_are_there_and_earlier_ones_are_not():
    for earlier, name in gin_config.RENAMED.items():
        importlib.import_module(f"tf_gtn.{name.split('.')[0]}.gin_names")
        selector, _, parameter = name.rpartition(".")
        known, _ = gin_table.parameters(selector)
        assert parameter in known and earlier.rpartition(".")[2] not in known


def test_what_has_no_effect_any_more_is_said():
    with pytest.warns(errors.Notice, match="import tf_gtn.run.rl.leap has no effect any more"):
        gin_config.parse(bindings=["import tf_gtn.run.rl.leap"])
    with pytest.warns(errors.Notice, match="transfer.program.experiment has no effect any more"):
        gin_config.parse(bindings=["transfer.program.experiment = @rl.leap_games"])
