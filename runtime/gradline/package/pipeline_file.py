"""The bytes of `pipeline.onnx`: written without onnx, and compared with those of a package.

Field numbers: onnx.proto3 (https://github.com/onnx/onnx).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.errors import GET_AGAIN, PackageError
from gradline.package.graph import IR_VERSION, OPSET, Graph
from gradline.package.pipeline import ML, build_pipeline
from gradline.package.pipeline_nodes import DOUBLE, FLOAT, INT64, Attribute, Node, Pipeline
from gradline.package.protobuf import UnexpectedFieldError, message, walk

GRAPH_NAME = "gradline-pipeline"
OPSETS = {"": OPSET, ML: 2}
STRING, BOOL = 8, 9  # TensorProto.DataType, beside those of `pipeline`
ELEMENTS = {"float32": FLOAT, "float64": DOUBLE, "int64": INT64, "bool": BOOL}
#: Fields of a GraphProto.
PARTS = {1: "node", 5: "constant", 11: "input", 12: "output", 2: "graph name"}
Field = tuple[int, int | bytes]


def pipeline_bytes(graph: Graph) -> bytes:
    """Write `pipeline.onnx` for the model in `model.onnx`, with the same metadata."""
    built = build_pipeline(graph.plan.named, graph.weights, graph.bias, graph.functions)
    return message(
        (1, IR_VERSION),
        (2, "gradline"),
        (5, 1),  # model_version
        (7, _graph(built, graph)),
        *((8, message((1, domain), (2, version))) for domain, version in OPSETS.items()),
        *((14, message((1, key), (2, value))) for key, value in graph.metadata.items()),
    )


def _graph(built: Pipeline, graph: Graph) -> bytes:
    k = len(graph.targets)
    return message(
        *((1, _node(node)) for node in built.nodes),
        (2, GRAPH_NAME),
        *((5, _tensor(name, values)) for name, values in built.constants.items()),
        *((11, _input(column)) for column in built.inputs),
        (12, _value(built.output, ELEMENTS[str(graph.dtype)], k)),
    )


def _node(node: Node) -> bytes:
    return message(
        *((1, name) for name in node.inputs),
        (2, node.output),
        (4, node.operator),
        *((5, _attribute(name, value)) for name, value in node.attributes),
        *([(7, node.domain)] if node.domain else []),
    )


def _attribute(name: str, value: Attribute) -> bytes:
    # AttributeProto: 1 name, 3 i, 8 ints, 9 strings, 20 type
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    number, kind = (9, 8) if isinstance(value[0], str) else (8, 7)
    return message((1, name), *((number, entry) for entry in value), (20, kind))


def _tensor(name: str, values: NDArray[Any]) -> bytes:
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    element = ELEMENTS[str(values.dtype)]
    return message(*((1, n) for n in values.shape), (2, element), (8, name), (9, raw))


def _input(column: Column) -> bytes:
    return _value(column.name, STRING if column.kind == "category" else DOUBLE, 1)


def _value(name: str, element: int, columns: int) -> bytes:
    rows, width = message((2, "N")), message((1, columns))
    shape = message((1, rows), (1, width))
    return message((1, name), (2, message((1, message((1, element), (2, shape))))))


def check_pipeline(data: bytes, graph: Graph) -> None:
    """Check that `pipeline.onnx` is the very graph that the model's columns and terms define.

    Raises:
        PackageError: Naming the first node or constant that differs.
    """
    expected = pipeline_bytes(graph)
    if data == expected:
        return
    try:
        found = _first_difference(list(walk(data)), list(walk(expected)))
    except (UnexpectedFieldError, LookupError, ValueError, TypeError) as error:
        found = f"it cannot be read as an ONNX model ({error})"
    raise PackageError(
        f"pipeline.onnx is not the graph of the package's columns and terms: {found}",
        code="not-the-graph",
        hint=f"export it with gradline, or {GET_AGAIN}",
    )


def _first_difference(found: Sequence[Field], expected: Sequence[Field]) -> str:
    """Describe the first field of a ModelProto, or of its graph, that differs."""
    for a, b in zip_longest(found, expected):
        if a and b and a != b and a[0] == b[0] == 7:
            return _of_graph(list(walk(_bytes(a[1]))), list(walk(_bytes(b[1]))))
        if a != b:
            return "its header or metadata differ from those of model.onnx"
    return "its encoding differs"


def _of_graph(found: Sequence[Field], expected: Sequence[Field]) -> str:
    for number, part in PARTS.items():
        pairs = ([v for n, v in fields if n == number] for fields in (found, expected))
        for a, b in zip_longest(*pairs):
            if b is None:
                return f"it has a further {part}"
            if a != b:
                return f"the {part} {_named(number, _bytes(b))} differs"
    return "its encoding differs"


def _named(number: int, data: bytes) -> str:
    if number == 2:
        return repr(data.decode())
    inner = {key: _bytes(value).decode(errors="replace") for key, value in walk(data)}
    if number == 1:
        return f"{inner[2]!r} ({inner[4]})"
    return repr(inner[8 if number == 5 else 1])


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""
