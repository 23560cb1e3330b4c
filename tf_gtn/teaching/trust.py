"""What is looked at in an export before anything of it is run: its files, their checksums, the operations of its graph.

`tf.saved_model.load` builds whatever a graph holds, and a call of a signature runs it: an operation may write files or open
connections. So what an export may hold is listed here.
"""

import hashlib
import json
import os
import stat

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tf_gtn import errors
from tf_gtn.teaching import saved_models

CHECKSUMS = os.path.join("assets.extra", "sha256.json")

# Operations that compute on tensors: what Keras layers without lookups, strings and files are made of.
_OPERATIONS = """
Abs Acos Acosh Add AddN AddV2 Angle Asin Asinh Atan Atan2 Atanh BesselI0e BesselI1e BitwiseAnd BitwiseOr BitwiseXor Cast Ceil
ClipByValue Complex ComplexAbs Conj Cos Cosh Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod
Greater GreaterEqual Imag Inv Invert IsFinite IsInf IsNan LeakyRelu Less LessEqual Lgamma Log Log1p LogSoftmax LogicalAnd
LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Neg NotEqual Pow Real RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt
Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Square SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy
Xlog1py Xlogy

All Any ArgMax ArgMin Cumprod Cumsum CumulativeLogsumexp EuclideanNorm L2Loss Max Mean Min Prod SegmentMax SegmentMean
SegmentMin SegmentProd SegmentSum Sum TopKV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum

BatchMatMul BatchMatMulV2 BatchMatMulV3 BiasAdd Cholesky Einsum FFT FFT2D IFFT IFFT2D IRFFT IRFFT2D MatMul MatrixBandPart
MatrixDiagPartV3 MatrixDiagV3 MatrixInverse MatrixSetDiagV3 MatrixTriangularSolve Qr RFFT RFFT2D Svd

AvgPool AvgPool3D Conv Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative
DepthwiseConv2dNativeBackpropInput FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN MaxPool MaxPool3D MaxPoolV2 ResizeArea
ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate

BatchToSpaceND Bitcast BroadcastArgs BroadcastTo Concat ConcatOffset ConcatV2 DepthToSpace DynamicPartition DynamicStitch
EnsureShape ExpandDims Fill Gather GatherNd GatherV2 Identity IdentityN InvertPermutation LinSpace MirrorPad OneHot OnesLike
Pack Pad PadV2 Range Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Shape ShapeN Size Slice
SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient PreventGradient StridedSlice TensorScatterAdd
TensorScatterUpdate Tile Transpose Unpack Where ZerosLike

Assert Case Const Enter Exit If LoopCond Merge NextIteration NoOp PartitionedCall Placeholder PlaceholderWithDefault
StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile Switch While EmptyTensorList TensorListConcatV2
TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
TensorListPushBack TensorListReserve TensorListResize TensorListScatterV2 TensorListSetItem TensorListStack

AssignAddVariableOp AssignSubVariableOp AssignVariableOp DisableCopyOnRead ReadVariableOp ResourceGather ResourceGatherNd
VarHandleOp VarIsInitializedOp VariableShape

Multinomial RandomStandardNormal RandomUniform RandomUniformInt StatelessMultinomial StatelessRandomGetKeyCounter
StatelessRandomGetAlg StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt
StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
"""
OPERATIONS = frozenset(_OPERATIONS.split())
# What `tf.saved_model.save` adds, for others to restore and save the variables with; `tf.saved_model.load` runs none of it.
_SAVER = OPERATIONS | {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"}
# What a loaded object graph is built of without a call of anything that the file brings along.
_KINDS = {"user_object", "asset", "function", "variable", "bare_concrete_function", "constant"}
_OBJECTS = {
    "_generic_user_object",
    "signature_map",
    "trackable_dict_wrapper",
    "trackable_list_wrapper",
    "trackable_tuple_wrapper",
}


def read_graph(path: str) -> meta_graph_pb2.MetaGraphDef:
    """The only `MetaGraphDef` of the SavedModel at `path`, as a protobuf: nothing is built or run.

    Raises:
      UserError: it holds what is not listed in this module.
      ValueError: it is no SavedModel of TensorFlow 2.
    """
    saved = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(os.path.join(path, saved_models.GRAPH), "rb") as file:
        saved.ParseFromString(file.read())
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].object_graph_def.nodes:
        raise ValueError(f"{saved_models.GRAPH} is not one of TensorFlow 2")
    graph = saved.meta_graphs[0]
    forbidden = ", ".join(sorted(_forbidden_operations(graph) | _forbidden_objects(graph.object_graph_def)))
    if forbidden:
        raise errors.UserError(
            f"{path} is not loaded, and nothing of it was run: its graph holds {forbidden[:500]}; see docs/teaching.md"
        )
    for asset in graph.asset_file_def:
        if asset.filename in ("", ".", "..") or os.path.basename(asset.filename) != asset.filename:
            raise ValueError(f"its graph names a file outside its folder: {asset.filename!r}")
    return graph


def _forbidden_operations(graph):
    library = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    ends = (graph.saver_def.filename_tensor_name, graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)
    saver_nodes = {name.split(":")[0] for name in ends}
    groups = {True: [], False: []}
    for node in graph.graph_def.node:
        groups[node.name in saver_nodes].append(node)
    saver = _reached(_called(groups[True]), library)
    # Whatever else can be called, though by nothing that this module knows of, is held to the shorter list.
    live = _reached(_called(groups[False]) | _callable(graph) | (set(library) - saver), library)
    forbidden = {node.op for node in graph.graph_def.node} - OPERATIONS
    for name, nodes in library.items():
        forbidden |= {node.op for node in nodes} - (OPERATIONS if name in live else _SAVER)
    return forbidden


def _reached(names, library):
    """`names` and what these functions call, however deep."""
    reached, new = set(), set(names)
    while new:
        reached |= new
        new = set().union(*(_called(library[name]) for name in new if name in library)) - reached
    return reached


def _called(nodes):
    """Names of functions that nodes may call: a function's name may stand for an operation's, also for one that there is."""
    values = [value for node in nodes for value in node.attr.values()]
    named = {function.name for value in values for function in [value.func, *value.list.func] if function.name}
    return named | {node.op for node in nodes}


def _callable(graph):
    """Names of functions that the loaded object and its gradients call."""
    objects, library = graph.object_graph_def, graph.graph_def.library
    names = {*objects.concrete_functions, *(gradient.gradient_func for gradient in library.registered_gradients)}
    for node in objects.nodes:
        names |= {*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name}
    return names


def _forbidden_objects(objects):
    forbidden = set()
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        name = node.user_object.identifier if kind == "user_object" else kind
        if kind not in _KINDS or (kind == "user_object" and name not in _OBJECTS):
            forbidden.add(f"an object {name}")
        if node.registered_name or node.registered_saver or node.saveable_objects:
            forbidden.add(f"an object with a saver of its own ({node.registered_name or name})")
    return forbidden


def check_files(path: str) -> None:
    """Raises `ValueError` unless the local folder `path` holds plain files and folders, and no link leads out of it."""
    root = os.path.realpath(path)
    for folder, folders, files in os.walk(path):
        for entry in (os.path.join(folder, name) for name in folders + files):
            name, link = os.path.relpath(entry, path), os.path.islink(entry)
            if link and (os.path.isdir(entry) or os.path.commonpath([root, os.path.realpath(entry)]) != root):
                raise ValueError(f"{name} is a link that leads out of it")
            if not os.path.exists(entry):
                raise ValueError(f"{name} is a link to nothing")
            if not (stat.S_ISREG(os.stat(entry).st_mode) or stat.S_ISDIR(os.stat(entry).st_mode)):
                raise ValueError(f"{name} is not a file")


def write_checksums(path: str) -> None:
    """Notes the SHA-256 of each file of an export."""
    with tf.io.gfile.GFile(os.path.join(path, CHECKSUMS), "w") as file:
        json.dump(_checksums(path), file, indent=2)


def check_checksums(path: str) -> None:
    """Raises `ValueError` if a file is not as it was exported; an older export says nothing of its files, and passes."""
    if not tf.io.gfile.exists(os.path.join(path, CHECKSUMS)):
        return
    with tf.io.gfile.GFile(os.path.join(path, CHECKSUMS)) as file:
        exported = json.load(file)
    if not isinstance(exported, dict):
        raise ValueError(f"{CHECKSUMS} is not one of an export")
    present = _checksums(path)
    changed = sorted(name for name in exported if exported[name] != present.get(name))
    if changed:
        raise ValueError(f"{', '.join(changed)[:300]} {'is' if len(changed) == 1 else 'are'} missing or not as exported")


def _checksums(path):
    checksums = {}
    for folder, _, names in tf.io.gfile.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            relative = file[len(path) :].strip("/")
            if relative != CHECKSUMS:
                with tf.io.gfile.GFile(file, "rb") as opened:
                    checksums[relative] = hashlib.sha256(opened.read()).hexdigest()
    return dict(sorted(checksums.items()))
