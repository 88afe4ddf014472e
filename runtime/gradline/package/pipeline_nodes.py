"""Nodes and constants of an ONNX graph, as plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column

FLOAT, INT64, DOUBLE = 1, 7, 11  # TensorProto.DataType
Attribute = int | Sequence[int] | Sequence[str]


@dataclass(frozen=True)
class Node:
    """An operator, with its inputs, its one output and its attributes."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: tuple[tuple[str, Attribute], ...] = ()
    domain: str = ""


@dataclass
class Pipeline:
    """The graph: its nodes in the order of computation, and the constants that they use."""

    inputs: list[Column]
    output: str
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)


class GraphBuilder:
    """Adds nodes to a graph; what was computed before is used again."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = {column.name: column for column in columns}
        self.prefix = "/"
        while any(name.startswith(self.prefix) for name in self.columns):
            self.prefix += "/"
        output = self.prefix + "y" if "y" in self.columns else "y"
        self.graph = Pipeline(list(columns), output)
        self.known: dict[object, str] = {}

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add a node, unless it is there already; return its output's name."""
        key = operator, inputs, repr(attributes)
        if key not in self.known:
            self.known[key] = output = f"{self.prefix}{operator}{len(self.graph.nodes)}"
            entries = tuple(sorted(attributes.items()))
            self.graph.nodes.append(Node(operator, inputs, output, entries, domain))
        return self.known[key]

    def constant(self, values: Any, name: str = "", dtype: Any = None) -> str:
        """Add a constant, unless it is there already; return its name."""
        array = np.ascontiguousarray(values, dtype)
        key = array.dtype.str, array.shape, array.tobytes(), name
        if key not in self.known:
            self.known[key] = self.prefix + (name or f"constant{len(self.graph.constants)}")
            self.graph.constants[self.known[key]] = array
        return self.known[key]

    def real(self, *values: float) -> str:
        """Add a row of float64 numbers."""
        return self.constant([values], dtype=np.float64)

    def whole(self, *values: int) -> str:
        """Add a row of whole numbers."""
        return self.constant([values], dtype=np.int64)

    def concatenated(self, values: Sequence[str]) -> str:
        """Put blocks side by side."""
        return self.add("Concat", *values, axis=1) if len(values) > 1 else values[0]

    def finished(self) -> Pipeline:
        """Name the last node's output as the graph's, and return the graph."""
        last = self.graph.nodes[-1]
        self.graph.nodes[-1] = Node(
            last.operator, last.inputs, self.graph.output, last.attributes, last.domain
        )
        return self.graph
