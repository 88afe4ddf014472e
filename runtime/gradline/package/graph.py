"""Read the only graph that a package may hold, Gemm(x, W, b, transB=1), without onnx.

ONNX Runtime loads far more than a linear model: other operators, loops, weights in other files.
So the bytes are parsed here first, field by field, and anything but the one-node graph is refused
before a session sees it. Field numbers: onnx.proto3 (https://github.com/onnx/onnx); encoding:
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import dump_columns, parse_columns
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import TargetFunction, dump_functions, load_functions
from gradline.errors import GET_AGAIN, PackageError
from gradline.package.protobuf import UnexpectedFieldError, fields, one, varints
from gradline.package.strict_json import parse_strict

FORMATS = (1, 2)  # the package formats, also in the graph's metadata
OPSET = 13  # with IR version 7, every ONNX Runtime since 1.6 loads the file
IR_VERSION = 7
DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 11: np.dtype("<f8")}  # TensorProto.DataType
GEMM_TRANS_B = {1: [b"transB"], 3: [1], 20: [2]}  # AttributeProto: name, i, type = INT
FUNCTIONS = "gradline.target_functions"
UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Graph:
    """The linear model in an ONNX file."""

    weights: NDArray[Any]  # W (k, d), float32 or float64
    bias: NDArray[Any]  # b (k,), of the same dtype
    features: list[str]
    targets: list[str]
    columns: list[Column]  # format 1: the table's, if any is a category or has a fill value
    metadata: dict[str, str]
    plan: Plan  # the table's columns, and the terms that x is made of
    functions: list[TargetFunction | None]  # the targets that are learned as logarithms

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata["gradline.name"]

    @property
    def format(self) -> int:
        """The package format."""
        return int(self.metadata["gradline.format"])

    def schema(self) -> dict[str, Any]:
        """Build the manifest's `schema`."""
        planned = self.plan.dump() if self.plan.format == 2 else {}
        optional = {
            "columns": dump_columns(self.columns),
            **planned,
            "target_functions": dump_functions(self.functions),
        }
        return {
            "features": self.features,
            "targets": self.targets,
            "dtype": str(self.dtype),
            **{key: value for key, value in optional.items() if value is not None},
        }

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of x, W, b and y."""
        return self.weights.dtype


def parse_graph(data: bytes, file: str = "model.onnx") -> Graph:
    """Read the model in an ONNX file's bytes; refuse anything but the one-node graph."""
    try:
        return _model(data)
    except UnexpectedFieldError as found:
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
    model = fields(data, "model", {1, 2, 3, 5, 7, 8}, frozenset({14}))
    opset = fields(one(model, 8, "opset"), "opset", {1, 2})
    if (model[1], opset.get(1, [b""]), opset[2]) != ([IR_VERSION], [b""], [OPSET]):
        raise UnexpectedFieldError(f"an opset or IR version other than {OPSET} and {IR_VERSION}")
    metadata: dict[str, str] = {}
    for entry in model[14]:
        pair = fields(entry, "metadata", {1, 2})
        key, value = (one(pair, n, "metadata").decode() for n in (1, 2))
        if key in metadata:
            raise UnexpectedFieldError(f"the metadata key {key!r} twice")
        metadata[key] = value
    weights, bias = _graph(one(model, 7, "graph"))
    features, targets = (_names(metadata, key) for key in ("features", "targets"))
    found = metadata.get("gradline.format")
    if found not in [str(known) for known in FORMATS]:
        raise UnexpectedFieldError(f"format {found!r} in its metadata, expected '1' or '2'")
    if weights.shape != (len(targets), len(features)):
        raise UnexpectedFieldError(
            f"weights of shape {weights.shape} for {len(targets)} targets, {len(features)} features"
        )
    if not metadata.get("gradline.name") or metadata.get("gradline.dtype") != str(weights.dtype):
        raise UnexpectedFieldError("metadata without a name, or with another dtype")
    plain = list(map(Column, features))
    columns = _columns(metadata, features) if found == "1" else []
    plan = _plan(metadata, features) if found == "2" else Plan.of_columns(columns or plain)
    functions = _functions(metadata if found == "2" else {}, len(targets))
    return Graph(weights, bias, features, targets, columns, metadata, plan, functions)


def _graph(data: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
    # GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
    graph = fields(data, "graph", {1, 2, 11, 12}, frozenset({5}))
    # NodeProto: 1 input, 2 output, 4 op_type, 5 attribute
    node = fields(one(graph, 1, "node"), "node", {2, 4, 5}, frozenset({1}))
    if (node[1], node[2], node[4]) != ([b"x", b"W", b"b"], [b"y"], [b"Gemm"]):
        raise UnexpectedFieldError("a node other than y = Gemm(x, W, b)")
    if dict(fields(one(node, 5, "attribute"), "attribute", {1, 3, 20})) != GEMM_TRANS_B:
        raise UnexpectedFieldError("a Gemm with attributes other than transB = 1")
    tensors = dict(read_tensor(entry) for entry in graph[5])
    if len(graph[5]) != 2 or set(tensors) != {"W", "b"}:
        raise UnexpectedFieldError("initializers other than W and b")
    weights, bias = tensors["W"], tensors["b"]
    if weights.ndim != 2 or bias.shape != weights.shape[:1] or bias.dtype != weights.dtype:
        raise UnexpectedFieldError(f"W of shape {weights.shape} and b of shape {bias.shape}")
    if 0 in weights.shape:
        raise UnexpectedFieldError("no feature or no target")
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise UnexpectedFieldError("a weight that is not finite")
    element = next(code for code, dtype in DTYPES.items() if dtype == weights.dtype)
    for number, name, columns in ((11, b"x", weights.shape[1]), (12, b"y", weights.shape[0])):
        _check_value(one(graph, number, "input or output"), name, element, columns)
    return weights, bias


def read_tensor(data: bytes) -> tuple[str, NDArray[Any]]:
    """Read a constant of float32 or float64 out of a TensorProto: its name and its values."""
    # TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data; 13 and 14, external data, are refused
    tensor = fields(data, "initializer", {2, 8, 9}, frozenset({1}))
    shape = [n for part in tensor[1] for n in ([part] if isinstance(part, int) else varints(part))]
    dtype = DTYPES.get(one(tensor, 2, "data type"))
    if dtype is None:
        raise UnexpectedFieldError("an initializer that is neither float32 nor float64")
    raw = one(tensor, 9, "raw data")
    if dtype.itemsize * math.prod(shape) != len(raw):
        raise UnexpectedFieldError(f"an initializer of {len(raw)} bytes for shape {shape}")
    values = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return one(tensor, 8, "name").decode(), values


def _check_value(data: bytes, name: bytes, element: int, columns: int) -> None:
    # ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; Tensor: 1 elem_type, 2 shape;
    # TensorShapeProto: 1 dim; Dimension: 1 dim_value, 2 dim_param
    value = fields(data, "value", {1, 2})
    tensor = fields(one(fields(one(value, 2, "type"), "type", {1}), 1, "type"), "type", {1, 2})
    shape = fields(one(tensor, 2, "shape"), "shape", set(), frozenset({1}))[1]
    dims = [dict(fields(dim, "dimension", {1, 2})) for dim in shape]
    expected = [{2: [b"N"]}, {1: [columns]}]
    if value[1] != [name] or tensor[1] != [element] or dims != expected:
        raise UnexpectedFieldError(f"an input or output other than {name.decode()} [N, {columns}]")


def _names(metadata: dict[str, str], which: str) -> list[str]:
    names = parse_strict(metadata.get(f"gradline.{which}", "null"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnexpectedFieldError(f"no list of names under gradline.{which}")
    if len(set(names)) != len(names):
        raise UnexpectedFieldError(f"the same name twice under gradline.{which}")
    return names


def _columns(metadata: dict[str, str], features: list[str]) -> list[Column]:
    if "gradline.columns" not in metadata:
        return []
    try:
        columns = parse_columns(parse_strict(metadata["gradline.columns"]), features)
    except ValueError as error:
        raise UnexpectedFieldError(f"invalid columns under gradline.columns ({error})") from error
    if dump_columns(columns) is None:
        raise UnexpectedFieldError("an empty description of columns under gradline.columns")
    return columns


def _plan(metadata: dict[str, str], features: list[str]) -> Plan:
    documents = [metadata.get(f"gradline.{key}") for key in ("columns", "terms")]
    try:
        plan = Plan.load(*(parse_strict(document or "null") for document in documents))
    except ValueError as error:
        raise UnexpectedFieldError(f"invalid columns or terms ({error})") from error
    if plan.features != features:
        raise UnexpectedFieldError("terms that are not the graph's inputs")
    return plan


def _functions(metadata: dict[str, str], targets: int) -> list[TargetFunction | None]:
    if FUNCTIONS not in metadata:
        return [None] * targets
    try:
        return load_functions(parse_strict(metadata[FUNCTIONS]) or [], targets)
    except ValueError as error:
        raise UnexpectedFieldError(f"invalid functions under {FUNCTIONS} ({error})") from error
