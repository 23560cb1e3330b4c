"""What an export holds is looked at before anything of it is run."""

import os

import pytest
import tensorflow as tf

import tf_gtn
from tests.teaching import helpers
from tf_gtn import errors
from tf_gtn.teaching import inspection, trust


def test_an_operation_that_writes_files_is_not_run(exported, tmp_path):
    """A real one, in the signature that `load` calls."""
    loot = str(tmp_path / "loot")

    class Hostile(tf.Module):
        def __init__(self):
            good = tf_gtn.load(exported)._model
            self.metadata = tf.saved_model.Asset(f"{exported}/assets/metadata.json")
            self.good = good

            @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "step")])
            def curriculum(step):
                tf.io.write_file(loot, "owned")
                return good.signatures["curriculum"](step=step)

            self.curriculum = curriculum

    module = Hostile()
    path = str(tmp_path / "hostile" / "1")
    signatures = {"generate": module.good.signatures["generate"], "curriculum": module.curriculum}
    tf.saved_model.save(module, path, signatures=signatures)
    with pytest.raises(errors.UserError, match="is not loaded, and nothing of it was run: its graph holds WriteFile; see"):
        tf_gtn.load(path)
    assert not os.path.exists(loot)
    tf.saved_model.load(path).signatures["curriculum"](step=tf.range(4, dtype=tf.int64))
    assert os.path.exists(loot), "it would not have written anything: nothing was tested"


@pytest.mark.parametrize(
    "operation", ["ReadFile", "PyFunc", "EagerPyFunc", "PrintV2", "SaveV2", "RpcCall", "HashTableV2", "ImmutableConst"]
)
@pytest.mark.parametrize("where", ["main", "loop"])
def test_operations_are_named_wherever_they_stand(exported, tmp_path, operation, where):
    target = helpers.altered(exported, tmp_path)
    with helpers.edited_graph(target) as graph:
        body = next(f.node_def for f in graph.graph_def.library.function if "while_body" in f.signature.name)
        (graph.graph_def.node if where == "main" else body).add(name="more", op=operation)
    with pytest.raises(errors.UserError, match=f"its graph holds {operation};"):
        tf_gtn.load(target)


def _curriculum_saves(graph):
    """The signature calls what TensorFlow made to save variables."""
    save = graph.saver_def.save_tensor_name.split(":")[0]
    name = next(node.attr["f"].func.name for node in graph.graph_def.node if node.name == save)
    for function in graph.graph_def.library.function:
        if "wrapper_curriculum" in function.signature.name:
            next(node for node in function.node_def if "Call" in node.op).attr["f"].func.name = name


def _replace_saver(graph, name):
    """The saver calls a function of that name, which writes a file, instead of what TensorFlow made."""
    function = graph.graph_def.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="step", type=tf.int64.as_datatype_enum)
    function.node_def.add(name="more", op="SaveV2")
    save = graph.saver_def.save_tensor_name.split(":")[0]
    call = next(node.attr["f"].func for node in graph.graph_def.node if node.name == save)
    functions = [f for f in graph.graph_def.library.function if f.signature.name != call.name]
    del graph.graph_def.library.function[:]
    graph.graph_def.library.function.extend(functions)
    call.name = name


def _object_saves(graph):
    """The object's signature is that function, which the list of functions leaves out."""
    _replace_saver(graph, "saves")
    nodes = [node for node in graph.object_graph_def.nodes if node.bare_concrete_function.concrete_function_name]
    nodes[0].bare_concrete_function.concrete_function_name = "saves"


def _name_of_an_operation_saves(graph):
    """TensorFlow calls a function of that name where a node asks for the operation."""
    _replace_saver(graph, "Rint")
    body = next(f.node_def for f in graph.graph_def.library.function if "while_body" in f.signature.name)
    body.add(name="more", op="Rint")


def _gradient_saves(graph):
    _replace_saver(graph, "saves")
    graph.graph_def.library.registered_gradients.add(gradient_func="saves", registered_op_type="any")


def _unused_function(graph):
    graph.graph_def.library.function.add().node_def.add(name="more", op="WriteFile")


def _initialised_object(graph):
    graph.object_graph_def.nodes.add().resource.device = "cpu"


def _own_restorer(graph):
    graph.object_graph_def.nodes[0].saveable_objects["x"].restore_function = 1


def _other_class(graph):
    graph.object_graph_def.nodes[0].user_object.identifier = "_tf_keras_model"


def _asset_elsewhere(graph):
    graph.asset_file_def[0].filename = "../../metadata.json"


def _version_1(graph):
    graph.ClearField("object_graph_def")


@pytest.mark.parametrize(
    "edit, words",
    [
        (_curriculum_saves, "MergeV2Checkpoints, SaveV2"),
        (_object_saves, "its graph holds SaveV2;"),
        (_name_of_an_operation_saves, "its graph holds SaveV2;"),
        (_gradient_saves, "its graph holds SaveV2;"),
        (_unused_function, "WriteFile"),
        (_initialised_object, "an object resource"),
        (_own_restorer, "a saver of its own"),
        (_other_class, "an object _tf_keras_model"),
        (_asset_elsewhere, "a file outside its folder: '../../metadata.json'"),
        (_version_1, "not one of TensorFlow 2"),
    ],
)
def test_ways_around_are_closed(exported, tmp_path, monkeypatch, edit, words):
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    target = helpers.altered(exported, tmp_path)
    with helpers.edited_graph(target) as graph:
        edit(graph)
    with pytest.raises(errors.UserError, match=words):
        tf_gtn.load(target)


def test_links_pipes_and_devices_are_refused(exported, tmp_path):
    target = helpers.copy(exported, tmp_path)
    inside, outside = target / "variables" / "variables.index", tmp_path / "moved"
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(errors.UserError, match=r"variables/variables\.index is a link that leads out of it"):
        tf_gtn.load(target)
    inside.unlink()
    outside.rename(inside)
    pipe = target / "assets.extra" / "more"
    os.mkfifo(pipe)
    with pytest.raises(errors.UserError, match=r"assets\.extra/more is not a file"):
        tf_gtn.load(target)
    pipe.unlink()
    os.symlink(target, tmp_path / "latest")  # the export itself may be a link
    assert tf_gtn.load(tmp_path / "latest").metadata["dataset"] == "tiny"


def test_a_flipped_bit_is_seen(exported, tmp_path):
    target = helpers.copy(exported, tmp_path)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    assert len(files) == 7
    for file in files:
        right = file.read_bytes()
        middle = len(right) // 2
        file.write_bytes(right[:middle] + bytes([right[middle] ^ 1]) + right[middle + 1 :])
        with pytest.raises(errors.UserError, match="is not a complete export of a GTN: ") as caught:
            tf_gtn.load(target)
        assert len(str(caught.value).splitlines()) == 1
        file.write_bytes(right)
    assert tf_gtn.load(target).metadata["dataset"] == "tiny"


def test_what_comes_with_the_package_is_whole():
    for name in inspection.ready_made():
        path = str(inspection.READY_MADE / name / "1")
        assert os.path.exists(os.path.join(path, trust.CHECKSUMS))
        assert tf_gtn.load(name).path == path
