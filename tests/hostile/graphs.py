"""Forged ONNX files: what ONNX Runtime would load though it is no linear model, and broken ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto, helper, load_model_from_string, numpy_helper

from hostile.case import Case, Files, planted
from hostile.damage import some
from hostile.wire import changed, join, varint

SMALL_CHANGES = 1000
LOCATIONS = ["weights.bin", "./weights.bin", "../weights.bin", "/etc/passwd", "/dev/zero", ""]
SHAPES = [
    [2**40], [2**40, 3], [2**31, 2**31], [2**62, 4], [2**63 - 1, 3], [-1, 3], [-2, -3], [0, 3],
    [2, 0], [], [6], [2, 3, 1], [1] * 10_000, [2**32 + 2, 3],
]  # fmt: skip


def cases(files: Files, chance: random.Random) -> Iterator[Case]:
    """Yield forged graphs, each in a package that is sealed around it and alone."""
    original = files["model.onnx"]
    kinds = (other_nodes, other_weights, other_names, strangers, broken)
    for graph in itertools.chain.from_iterable(kind(original) for kind in kinds):
        if graph != original:
            yield Case("a graph of another kind, resealed", planted(files, "model.onnx", graph))
            yield Case("a bare graph of another kind", {"model.onnx": graph}, bare=True)
    small = list(changed(original))
    for place in some(range(len(small)), SMALL_CHANGES, chance):
        if small[place] != original:
            resealed = planted(files, "model.onnx", small[place])
            yield Case("a changed field of the graph, resealed", resealed, refused=False)
            bare = {"model.onnx": small[place]}
            yield Case("a changed field of a bare graph", bare, refused=False, bare=True)


def other_nodes(original: bytes) -> Iterator[bytes]:
    """Yield graphs with these nodes after the Gemm, before it, and instead of it."""
    for nodes in (endless_loop(), *bombs(), *more_nodes()):
        forged = load_model_from_string(original)
        forged.graph.node.extend(nodes)
        yield forged.SerializeToString()
        forged.graph.node.insert(0, forged.graph.node.pop())
        yield forged.SerializeToString()
        del forged.graph.node[:]
        forged.graph.node.extend(nodes)
        yield forged.SerializeToString()


def other_weights(original: bytes) -> Iterator[bytes]:
    """Yield graphs whose weights are in another file, or not as many as their shape says."""
    for location, kept in itertools.product(LOCATIONS, (True, False)):
        forged = load_model_from_string(original)
        for tensor in forged.graph.initializer:
            elsewhere(tensor, location, kept)
        yield forged.SerializeToString()
    for shape in SHAPES:
        forged = load_model_from_string(original)
        forged.graph.initializer[0].dims[:] = shape
        yield forged.SerializeToString()


def other_names(original: bytes) -> Iterator[bytes]:
    """Yield graphs with a metadata key that stands twice, and names that are no Unicode."""
    for entry in load_model_from_string(original).metadata_props:
        for value in (entry.value, "", "x"):
            forged = load_model_from_string(original)
            forged.metadata_props.add(key=entry.key, value=value)
            yield forged.SerializeToString()
    for names in ("[],", "{},", '"ab",'):
        forged = load_model_from_string(original)
        forged.metadata_props[1].value = f"[{names * 4_000_000}1]"
        yield forged.SerializeToString()
    for half in (r"\ud800", r"\uDFFF"):
        forged = load_model_from_string(original)
        for entry in forged.metadata_props:
            if entry.value.startswith("["):
                entry.value = entry.value.replace('"', f'"{half}', 1)
        yield forged.SerializeToString()


def endless_loop() -> list[NodeProto]:
    """Return a Loop that never ends, and would then give the graph's y."""
    identity = [
        helper.make_node("Identity", pair[:1], pair[1:]) for pair in (["go", "on"], ["v", "w"])
    ]
    types = {"i": TensorProto.INT64, "go": TensorProto.BOOL, "on": TensorProto.BOOL}
    i, go, on = (helper.make_tensor_value_info(name, kind, []) for name, kind in types.items())
    v, w = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "vw")
    body = helper.make_graph(identity, "body", [i, go, v], [on, w])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return [
        helper.make_node("Constant", [], ["forever"], value=yes),
        helper.make_node("Loop", ["", "forever", "b"], ["y"], body=body),
    ]


def bombs() -> Iterator[list[NodeProto]]:
    """Yield nodes of a few bytes that make tensors of terabytes."""
    shape = helper.make_tensor("s", TensorProto.INT64, [1], [2**40])
    constant = helper.make_node("Constant", [], ["shape"], value=shape)
    yield [constant, helper.make_node("ConstantOfShape", ["shape"], ["y"])]
    yield [constant, helper.make_node("Expand", ["b", "shape"], ["y"])]
    yield [constant, helper.make_node("Tile", ["b", "shape"], ["y"])]
    yield [constant, helper.make_node("RandomNormal", [], ["y"], shape=[2**20, 2**20])]


def more_nodes() -> Iterator[list[NodeProto]]:
    """Yield further nodes that a session would run."""
    yield [helper.make_node("Gemm", ["x", "W", "b"], ["z"], transB=1)]
    yield [helper.make_node("Gemm", ["x", "W", "b"], ["y"], transB=1)]
    yield [helper.make_node("Gemm", ["y", "W"], ["z"])]
    yield [helper.make_node("Inverse", ["y"], ["z"], domain="com.microsoft")]
    yield [helper.make_node("Identity", ["y"], ["z"])] * 1000


def elsewhere(tensor: TensorProto, location: str, kept: bool) -> None:
    """Say that the tensor's bytes are in another file."""
    if not kept:
        tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value=str(2**40))


def strangers(original: bytes) -> Iterator[bytes]:
    """Yield graphs with parts that a linear model has not."""
    model = load_model_from_string(original)
    node, weights, bias = model.graph.node[0], *model.graph.initializer
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "W"),
        helper.make_tensor("at", TensorProto.INT64, [1], [0]),
        list(weights.dims),
    )
    function = helper.make_function(
        "gradline", "Gemm", ["x"], ["y"], [node], list(model.opset_import)
    )
    for part, value in (
        (model.graph.sparse_initializer, sparse),
        (model.functions, function),
        (model.graph.initializer, weights),
        (model.graph.initializer, bias),
        (model.graph.input, model.graph.input[0]),
        (model.graph.output, model.graph.output[0]),
        (model.graph.value_info, model.graph.input[0]),
        (model.opset_import, model.opset_import[0]),
        (model.opset_import, helper.make_opsetid("com.microsoft", 1)),
        (node.attribute, node.attribute[0]),
        (node.attribute, helper.make_attribute("alpha", 2.0)),
        (node.attribute, helper.make_attribute("body", model.graph)),
    ):
        part.append(value)
        yield model.SerializeToString()
        part.pop()
    model.training_info.add().algorithm.CopyFrom(model.graph)
    yield model.SerializeToString()


def broken(original: bytes) -> Iterator[bytes]:
    """Yield numbers that don't end and graphs in graphs in graphs."""
    yield from (original[:1] + b"\x80" * n for n in (1, 9, 10, 11, 1_000_000))
    deep = b""
    for _ in range(10_000):  # graphs in graphs
        deep = varint(7 << 3 | 2) + varint(len(deep)) + deep
    yield from (deep, original + deep, join(7, original), original * 2)
