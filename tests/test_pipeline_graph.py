"""`pipeline.onnx`: raw columns in, the model's answers out, in whatever runs ONNX."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradline.columns.targets import TargetFunction
from gradline.errors import PackageError
from gradline.model import open_session
from gradline.package.graph import Graph
from gradline.package.pipeline_file import check_pipeline, pipeline_bytes
from gradline.package.rounding_bound import pipeline_bound
from gradline_export.freeze.raw_golden import exact_answers, terms_of
from random_plans import random_columns, random_graph, random_plan, rows_of

LOGGED = TargetFunction("log1p", 1.25, "rows")
OPERATORS = {
    "LabelEncoder", "Equal", "Where", "IsNaN", "Greater", "Cast", "Add", "Sub", "Mul", "Div",
    "Mod", "Log", "Sqrt", "Exp", "Relu", "Concat", "Gemm",
}  # fmt: skip


def graph_of(seed: int, columns: int = 5, terms: int = 4, dtype: str = "float64") -> Graph:
    generator = np.random.default_rng(seed)
    functions = [[None], [None, LOGGED], [LOGGED]][generator.integers(3)]
    return random_graph(generator, random_plan(generator, columns, terms), dtype, functions)


def check(answers: NDArray[Any], columns: dict[str, list[Any]], graph: Graph) -> None:
    """Check answers against the exact value of Plan.compute's terms."""
    x = terms_of(rows_of(columns, 1).values(graph.plan), graph)
    bound = pipeline_bound(x, graph.plan, graph.weights, graph.bias, graph.functions)
    finite = np.isfinite(x).all(axis=1)
    exact = np.full(bound.shape, np.nan)
    exact[finite] = exact_answers(x[finite], graph)
    largest = float(np.finfo(graph.dtype).max) / 2
    usable = np.isnan(x).any(axis=1) | (finite & (np.abs(exact) + bound < largest).all(axis=1))
    exact, bound, found = exact[usable], bound[usable], answers[usable].astype(np.float64)
    assert (np.isnan(exact) == np.isnan(found)).all()
    known = ~np.isnan(exact)
    worst = (np.abs(found - exact)[known] / bound[known]).max(initial=0.0)
    assert worst <= 1, f"off by {worst} of the bound"


@given(
    seed=st.integers(0, 2**32),
    columns=st.integers(1, 14),
    dtype=st.sampled_from(["float32", "float64"]),
    n=st.sampled_from([0, 1, 40]),
)
def test_onnx_runtime_answers_within_the_bound(seed: int, columns: int, dtype: str, n: int) -> None:
    graph = graph_of(seed, columns, dtype=dtype)
    rows = random_columns(np.random.default_rng(seed), graph.plan, n)
    data = pipeline_bytes(graph)
    feeds = rows_of(rows, 1).feeds(graph.plan)
    answers = open_session(data).run(None, feeds)[0]
    assert answers.shape == (n, len(graph.targets))
    assert answers.dtype == graph.dtype
    check(answers, rows, graph)


@given(seed=st.integers(0, 2**32), columns=st.integers(1, 14))
def test_the_graph_is_what_the_contract_says(seed: int, columns: int) -> None:
    graph = graph_of(seed, columns, dtype="float32")
    data = pipeline_bytes(graph)
    onnx.checker.check_model(data, full_check=True)
    model = onnx.load_from_string(data)
    assert model.SerializeToString(deterministic=True) == data
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13), ("ai.onnx.ml", 2)]
    assert model.ir_version == 7
    assert [i.name for i in model.graph.input] == [c.name for c in graph.plan.columns]
    kinds = [i.type.tensor_type.elem_type for i in model.graph.input]
    assert kinds == [8 if c.kind == "category" else 11 for c in graph.plan.columns]
    assert {p.key: p.value for p in model.metadata_props} == graph.metadata
    assert json.loads(graph.metadata["gradline.terms"]) == graph.plan.dump()["terms"]
    taken = any(c.name == "y" for c in graph.plan.columns)
    assert model.graph.output[0].name.strip("/") == "y"
    assert model.graph.output[0].name.startswith("/") == taken


def test_each_changed_byte_is_refused() -> None:
    graph = graph_of(3, 7, dtype="float32")
    data = pipeline_bytes(graph)
    check_pipeline(data, graph)
    for place in range(0, len(data), max(1, len(data) // 500)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(PackageError, match=r"^pipeline\.onnx is not the graph") as caught:
            check_pipeline(bytes(changed), graph)
        assert caught.value.code == "not-the-graph"
