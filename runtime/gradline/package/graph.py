"""Read the only graph that a package may hold, Gemm(x, W, b, transB=1), without onnx.

ONNX Runtime loads far more than a linear model: other operators, loops, weights in other files.
So the bytes are parsed here first, field by field, and anything but the one-node graph is refused
before a session sees it. Field numbers: onnx.proto3 (https://github.com/onnx/onnx); encoding:
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import dump_columns, parse_columns
from gradline.columns.kinds import Column
from gradline.columns.targets import TargetFunction, load_functions
from gradline.errors import GET_AGAIN, PackageError
from gradline.package.strict_json import parse_strict

FORMATS = (1, 2)  # of packages, also in the graph's metadata; the second has logged targets
OPSET = 13  # with IR version 7, every ONNX Runtime since 1.6 loads the file
IR_VERSION = 7
DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 11: np.dtype("<f8")}  # TensorProto.DataType
GEMM_TRANS_B = {1: [b"transB"], 3: [1], 20: [2]}  # AttributeProto: name, i, type = INT
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
Fields = dict[int, list[Any]]


class _GraphError(Exception):
    """Names something in a file that the one-node graph does not have."""


@dataclass(frozen=True)
class Graph:
    """The linear model in an ONNX file."""

    weights: NDArray[Any]  # W (k, d), float32 or float64
    bias: NDArray[Any]  # b (k,), of the same dtype
    features: list[str]
    targets: list[str]
    columns: list[Column]  # the table's, if any is a category or has a fill value
    metadata: dict[str, str]
    functions: list[TargetFunction | None] = field(default_factory=list)  # one for each target

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata["gradline.name"]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of x, W, b and y."""
        return self.weights.dtype


def parse_graph(data: bytes, file: str = "model.onnx") -> Graph:
    """Read the model in an ONNX file's bytes; refuse anything but the one-node graph."""
    try:
        return _model(data)
    except _GraphError as found:
        what = f"it has {found}"
    except UNREADABLE as error:
        what = f"it cannot be read as an ONNX model ({error})"
    raise PackageError(
        f"{file} is not the graph y = x @ W.T + b: {what}",
        code="not-the-graph",
        hint=f"export it with gradline, or {GET_AGAIN}",
    )


def _model(data: bytes) -> Graph:
    # ModelProto: 1 ir_version, 2-3 producer, 5 model_version, 7 graph, 8 opset_import, 14 metadata
    model = _fields(data, "model", {1, 2, 3, 5, 7, 8}, frozenset({14}))
    opset = _fields(_one(model, 8, "opset"), "opset", {1, 2})
    if (model[1], opset.get(1, [b""]), opset[2]) != ([IR_VERSION], [b""], [OPSET]):
        raise _GraphError(f"an opset or IR version other than {OPSET} and {IR_VERSION}")
    metadata: dict[str, str] = {}
    for entry in model[14]:
        pair = _fields(entry, "metadata", {1, 2})
        key, value = (_one(pair, n, "metadata").decode() for n in (1, 2))
        if key in metadata:
            raise _GraphError(f"the metadata key {key!r} twice")
        metadata[key] = value
    weights, bias = _graph(_one(model, 7, "graph"))
    features, targets = (_names(metadata, key) for key in ("features", "targets"))
    functions = _functions(metadata, len(targets))
    needed = str(FORMATS[any(functions)])
    if metadata.get("gradline.format") != needed:
        found = metadata.get("gradline.format")
        raise _GraphError(f"format {found!r} in its metadata, expected '{needed}'")
    if weights.shape != (len(targets), len(features)):
        raise _GraphError(
            f"weights of shape {weights.shape} for {len(targets)} targets, {len(features)} features"
        )
    if not metadata.get("gradline.name") or metadata.get("gradline.dtype") != str(weights.dtype):
        raise _GraphError("metadata without a name, or with another dtype")
    columns = _columns(metadata, features)
    return Graph(weights, bias, features, targets, columns, metadata, functions)


def _graph(data: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
    # GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
    graph = _fields(data, "graph", {1, 2, 11, 12}, frozenset({5}))
    # NodeProto: 1 input, 2 output, 4 op_type, 5 attribute
    node = _fields(_one(graph, 1, "node"), "node", {2, 4, 5}, frozenset({1}))
    if (node[1], node[2], node[4]) != ([b"x", b"W", b"b"], [b"y"], [b"Gemm"]):
        raise _GraphError("a node other than y = Gemm(x, W, b)")
    if dict(_fields(_one(node, 5, "attribute"), "attribute", {1, 3, 20})) != GEMM_TRANS_B:
        raise _GraphError("a Gemm with attributes other than transB = 1")
    tensors = dict(_tensor(entry) for entry in graph[5])
    if len(graph[5]) != 2 or set(tensors) != {"W", "b"}:
        raise _GraphError("initializers other than W and b")
    weights, bias = tensors["W"], tensors["b"]
    if weights.ndim != 2 or bias.shape != weights.shape[:1] or bias.dtype != weights.dtype:
        raise _GraphError(f"W of shape {weights.shape} and b of shape {bias.shape}")
    if 0 in weights.shape:
        raise _GraphError("no feature or no target")
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise _GraphError("a weight that is not finite")
    element = next(code for code, dtype in DTYPES.items() if dtype == weights.dtype)
    for number, name, columns in ((11, b"x", weights.shape[1]), (12, b"y", weights.shape[0])):
        _check_value(_one(graph, number, "input or output"), name, element, columns)
    return weights, bias


def _tensor(data: bytes) -> tuple[str, NDArray[Any]]:
    # TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data; 13 and 14, external data, are refused
    tensor = _fields(data, "initializer", {2, 8, 9}, frozenset({1}))
    shape = [n for part in tensor[1] for n in ([part] if isinstance(part, int) else _varints(part))]
    dtype = DTYPES.get(_one(tensor, 2, "data type"))
    if dtype is None:
        raise _GraphError("an initializer that is neither float32 nor float64")
    raw = _one(tensor, 9, "raw data")
    if dtype.itemsize * math.prod(shape) != len(raw):
        raise _GraphError(f"an initializer of {len(raw)} bytes for shape {shape}")
    values = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return _one(tensor, 8, "name").decode(), values


def _check_value(data: bytes, name: bytes, element: int, columns: int) -> None:
    # ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape;
    # TensorShapeProto: 1 dim; Dimension: 1 dim_value, 2 dim_param
    value = _fields(data, "value", {1, 2})
    tensor = _fields(_one(_fields(_one(value, 2, "type"), "type", {1}), 1, "type"), "type", {1, 2})
    shape = _fields(_one(tensor, 2, "shape"), "shape", set(), frozenset({1}))[1]
    dims = [dict(_fields(dim, "dimension", {1, 2})) for dim in shape]
    expected = [{2: [b"N"]}, {1: [columns]}]
    if value[1] != [name] or tensor[1] != [element] or dims != expected:
        raise _GraphError(f"an input or output other than {name.decode()} [N, {columns}]")


def _names(metadata: dict[str, str], which: str) -> list[str]:
    names = parse_strict(metadata.get(f"gradline.{which}", "null"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _GraphError(f"no list of names under gradline.{which}")
    if len(set(names)) != len(names):
        raise _GraphError(f"the same name twice under gradline.{which}")
    return names


def _functions(metadata: dict[str, str], targets: int) -> list[TargetFunction | None]:
    text = metadata.get("gradline.target_functions")
    try:
        return load_functions(None if text is None else parse_strict(text), targets)
    except ValueError as error:
        raise _GraphError(f"invalid functions of its targets ({error})") from error


def _columns(metadata: dict[str, str], features: list[str]) -> list[Column]:
    if "gradline.columns" not in metadata:
        return []
    try:
        columns = parse_columns(parse_strict(metadata["gradline.columns"]), features)
    except ValueError as error:
        raise _GraphError(f"invalid columns under gradline.columns ({error})") from error
    if dump_columns(columns) is None:
        raise _GraphError("an empty description of columns under gradline.columns")
    return columns


def _fields(
    data: bytes, where: str, once: set[int], repeated: frozenset[int] = frozenset()
) -> Fields:
    """Collect a message's values by field number; refuse unexpected and repeated numbers."""
    if not isinstance(data, bytes):
        raise _GraphError(f"a {where} that is not a message")
    found: Fields = defaultdict(list)
    for number, value in _walk(data):
        if number not in once | repeated:
            raise _GraphError(f"field {number} in the {where}, which a linear model does not have")
        if number in found and number not in repeated:
            raise _GraphError(f"field {number} in the {where} twice")
        found[number].append(value)
    return found


def _walk(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(data, at)
            if length > len(data) - at:
                raise _GraphError("a field that runs past the end of the file")
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise _GraphError(f"a field of wire type {key & 7}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read the base-128 number at a position; return it with the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise _GraphError("a number of more than 64 bits")


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _one(fields: Fields, number: int, what: str) -> Any:
    values = fields.get(number, [])
    if len(values) != 1:
        raise _GraphError(f"{len(values)} of {what}, expected one")
    return values[0]
