"""A package of format 2 with one column of each kind, as far as other hosts read it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor

__all__ = ["answer", "cafe_package"]

LEVELS = ("east", "north", "south")
PLAN = Plan(
    (
        Column("size", fill=71.5),
        Column("region", "category", LEVELS, "north", missing=True),
        Column("opened", "time"),
    ),
    (
        (Factor("size"),),
        (Factor("size", "missing"),),
        *[(Factor("region", level=level),) for level in ("east", "south")],
        (Factor("region", "missing"),),
        (Factor("opened", "time"),),
    ),
)
# Of such numbers every sum is exact, in float32, too.
WEIGHTS = np.array([[2.0, -8.0, 16.0, -4.0, 0.5, 0.125]], np.float32)
BIAS = np.array([-1024.0], np.float32)
ROWS: dict[str, list[Any]] = {
    "size": [71.5, None, 20.0, 100.25, 71.5, 71.5],
    "region": ["north", "east", None, "south", "west", "north"],
    "opened": [1709942400, 0, -86400, -2208988800, 1709942400, None],
}


def answer(size: float | None, region: str | None, opened: int | None) -> float:
    """Answer a row: NaN for an unknown region or without a time."""
    column = PLAN.columns[1]
    place = column.missing_place if region is None else column.places.get(region, np.nan)
    x = PLAN.compute(np.array([[size, place, opened]], np.float64))  # None becomes NaN
    return float((x @ WEIGHTS.T.astype(np.float64) + BIAS)[0, 0])


def cafe_package(folder: Path) -> Path:
    """Write the files that hosts read."""
    folder.mkdir(parents=True)
    onnx.save(_pipeline(), folder / "pipeline.onnx")
    answers = [answer(*row) for row in zip(*ROWS.values(), strict=True)]
    outputs = [[None if math.isnan(y) else y] for y in answers]
    bounds = [[None if math.isnan(y) else 1e-3] for y in answers]
    raw = {"columns": ROWS, "outputs": outputs, "bounds": bounds}
    schema = {"features": PLAN.features, "targets": ["revenue"], "dtype": "float32", **PLAN.dump()}
    figures = {
        name: {"mean": 1.0, "deviation": 1.0, "minimum": 0.0, "maximum": 2.0}
        for name in PLAN.features
    }
    manifest = {
        "name": "cafes",
        "schema": schema,
        "columns": figures,
        "files": {"pipeline.onnx": {}},
    }
    for name, document in (("golden", {"dtype": "float32", "raw": raw}), ("manifest", manifest)):
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def _pipeline() -> onnx.ModelProto:
    constants = {
        "fill": np.array([71.5]), "nan": np.array([np.nan]), "day": np.array([86_400.0]),
        "unknown": np.array([-1]), "ids": np.array([[0, 2, 3]]), "W": WEIGHTS, "b": BIAS,
    }  # fmt: skip
    node = helper.make_node
    places = {"keys_strings": [*LEVELS, ""], "values_int64s": range(4), "default_int64": -1}
    nodes = [
        node("IsNaN", ["size"], ["gone"]),
        node("Where", ["gone", "fill", "size"], ["filled"]),
        node("Cast", ["gone"], ["missing"], to=TensorProto.DOUBLE),
        node("LabelEncoder", ["region"], ["place"], domain="ai.onnx.ml", **places),
        node("Equal", ["place", "unknown"], ["is_unknown"]),
        node("Equal", ["place", "ids"], ["is_level"]),
        node("Cast", ["is_level"], ["known"], to=TensorProto.DOUBLE),
        node("Where", ["is_unknown", "nan", "known"], ["levels"]),
        node("Div", ["opened", "day"], ["days"]),
        node("Concat", ["filled", "missing", "levels", "days"], ["terms"], axis=1),
        node("Cast", ["terms"], ["x"], to=TensorProto.FLOAT),
        node("Gemm", ["x", "W", "b"], ["y"], transB=1),
    ]
    kinds = {
        "number": TensorProto.DOUBLE,
        "time": TensorProto.DOUBLE,
        "category": TensorProto.STRING,
    }
    inputs = [helper.make_tensor_value_info(c.name, kinds[c.kind], ["N", 1]) for c in PLAN.columns]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "pipeline", inputs, [output], stored)
    sets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    return model
