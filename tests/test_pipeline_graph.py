"""`pipeline.onnx`: raw columns in, the model's answers out, in whatever runs ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradline.columns.calendar import FIRST, LAST, PARTS
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from gradline.errors import PackageError
from gradline.package.onnx_runtime import open_session
from gradline.package.pipeline_file import check_pipeline, pipeline_bytes
from random_plans import check, graph_of, random_columns, random_graph, rows_of

OPERATORS = {
    "LabelEncoder", "Equal", "Where", "IsNaN", "Greater", "Cast", "Add", "Sub", "Mul", "Div",
    "Mod", "Log", "Sqrt", "Exp", "Relu", "Concat", "Gemm",
}  # fmt: skip


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


def parts(model: onnx.ModelProto) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what can be changed in a model, with the name that the refusal must say."""
    graph = model.graph
    for node in graph.node:
        yield node.output[0], partial(setattr, node, "op_type", "Identity")
        yield node.output[0], partial(node.input.__setitem__, 0, node.input[-1] + "x")
        yield node.output[0], partial(setattr, node, "domain", "com.microsoft")
        for attribute in node.attribute:
            if attribute.ints:
                yield node.output[0], partial(attribute.ints.__setitem__, 0, 77)
            if attribute.strings:
                yield node.output[0], partial(attribute.strings.__setitem__, 0, b"other")
            yield node.output[0], partial(setattr, attribute, "i", attribute.i + 1)
    for tensor in graph.initializer:
        flipped = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
        yield tensor.name, partial(setattr, tensor, "raw_data", flipped)
        yield tensor.name, partial(tensor.dims.append, 1)
    for value in (*graph.input, *graph.output):
        yield value.name, partial(setattr, value.type.tensor_type, "elem_type", 7)
    yield "further node", partial(graph.node.add, op_type="Identity")
    yield "further input", partial(graph.input.add, name="more")
    yield "metadata", partial(setattr, model.metadata_props[0], "value", "else")
    yield "metadata", partial(model.opset_import.add, domain="com.microsoft", version=1)


def test_each_changed_part_is_refused_by_name() -> None:
    graph = graph_of(1, 7, dtype="float32")
    data = pipeline_bytes(graph)
    for place in range(len(list(parts(onnx.load_from_string(data))))):
        model = onnx.load_from_string(data)
        name, change = list(parts(model))[place]
        change()
        with pytest.raises(PackageError) as caught:
            check_pipeline(model.SerializeToString(), graph)
        assert name in str(caught.value), (name, str(caught.value))


@pytest.mark.parametrize("version", [17, 21, 23])
def test_a_later_opset_gives_the_same_answers(version: int) -> None:
    for seed in range(4):
        graph = graph_of(seed, 9, dtype="float32")
        rows = random_columns(np.random.default_rng(seed), graph.plan, 30)
        feeds = rows_of(rows, 1).feeds(graph.plan)
        data = pipeline_bytes(graph)
        later = onnx.version_converter.convert_version(onnx.load_from_string(data), version)
        answers = [open_session(d).run(None, feeds)[0] for d in (data, later.SerializeToString())]
        assert np.array_equal(*answers, equal_nan=True)


@pytest.mark.parametrize("name", ["y", "/y", "//constant0", "/W", "Gemm", "e\u0301", "a\tb"])
def test_no_columns_name_collides(name: str) -> None:
    plan = Plan((Column("y", fill=2.0), Column(name + "'"), Column(name + " ")), ())
    plan = replace(plan, terms=tuple((Factor(column.name),) for column in plan.columns))
    graph = random_graph(np.random.default_rng(0), plan, "float32", [None])
    rows: dict[str, list[Any]] = {"y": [None, 1.0], name + "'": [0.5, 2.0], name + " ": [1.0, 2.0]}
    session = open_session(pipeline_bytes(graph))
    assert [i.name for i in session.get_inputs()] == list(rows)
    check(session.run(None, rows_of(rows, 1).feeds(plan))[0], rows, graph)


@pytest.mark.slow
def test_every_day_of_the_years_1_to_9999_has_its_month_and_weekday() -> None:
    column = Column("at", "time")
    days = np.arange(FIRST // 86_400, LAST // 86_400 + 1)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    expected = {"month": months, "weekday": (days + 3) % 7}
    for part, of_days in expected.items():
        values = PARTS[part].values
        plan = Plan((column,), tuple((Factor("at", part, level=value),) for value in values))
        weights = np.array([list(values)], np.float32)
        graph = random_graph(np.random.default_rng(0), plan, "float32", [None], weights)
        session = open_session(pipeline_bytes(replace(graph, bias=np.zeros(1, np.float32))))
        for start in range(0, len(days), 500_000):
            chunk = slice(start, start + 500_000)
            for second in (0, 86_399):
                at = (days[chunk] * 86_400 + second).astype(np.float64)[:, None]
                assert (session.run(None, {"at": at})[0][:, 0] == of_days[chunk]).all()
