"""Examples of code in a report: each predicts one row, and runs as it is printed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.presentation.typical import EPOCH, typical_row, typical_value, written_value

MOST_COLUMNS = 1000  # in an example; pipeline.onnx has no more either


def examples_of_use(manifest: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, str]:
    """Write an example in each language; `columns` are those of a package of format 1."""
    schema = manifest["schema"]
    if "terms" in schema:
        return _of_terms(manifest, Plan.load(schema["columns"], schema["terms"]))
    name = manifest["name"]
    if len(columns) > MOST_COLUMNS:
        return _command_line(name)
    plan = Plan.of_columns(columns)
    row = typical_row(plan, manifest["columns"])
    values = [c.places[str(row[c.name])] if c.levels else row[c.name] for c in columns]
    inputs = plan.compute(np.array([values], np.float64))[0].tolist()
    shape, dtype = [1, len(inputs)], schema["dtype"]
    array = {"float32": "Float32Array", "float64": "Float64Array"}[dtype]
    numbers = ", ".join(map(repr, inputs))
    return {
        **_command_line(name),
        **_python(name, row),
        "JavaScript": (
            'import { InferenceSession, Tensor } from "onnxruntime-web";\n'
            'const session = await InferenceSession.create("model.onnx");\n'
            f'const x = new Tensor("{dtype}", {array}.of({numbers}), {shape});\n'
            "const { y } = await session.run({ x });"
        ),
        **_http(name, row),
    }


def _of_terms(manifest: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """Write the examples of a package of format 2, which take the table's own columns."""
    name = manifest["name"]
    if len(plan.columns) > MOST_COLUMNS:
        return _command_line(name)
    typical = {column: typical_value(column, manifest["columns"], plan) for column in plan.columns}
    row = {column.name: written_value(column, value) for column, value in typical.items()}
    lines = [
        f"  {_visible_json(column.name)}: {_tensor(column, value)},\n"
        for column, value in typical.items()
    ]
    return {
        **_command_line(name),
        **_python(name, row),
        "JavaScript": (
            'import { InferenceSession, Tensor } from "onnxruntime-web";\n'
            'const session = await InferenceSession.create("pipeline.onnx");\n'
            'const number = (value) => new Tensor("float64", [value], [1, 1]);\n'
            'const text = (value) => new Tensor("string", [value], [1, 1]);\n'
            f"const [y] = Object.values(await session.run({{\n{''.join(lines)}}}));"
        ),
        **_http(name, row),
    }


def _command_line(name: str) -> dict[str, str]:
    return {"Command line": f"gradline predict {shlex.quote(f'artifacts/{name}')} new.csv"}


def _python(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    mapping = _visible(json.dumps(row, ensure_ascii=False))
    code = f'import gradline\nmodel = gradline.load("artifacts/{name}")\nmodel.predict({mapping})'
    return {"Python": code}


def _http(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    body = shlex.quote(_visible_json({"instances": [row]}))
    command = f"curl http://127.0.0.1:8080/v1/models/{name}:predict -d {body}"
    return {"HTTP": f"gradline serve {shlex.quote(f'artifacts/{name}')}\n{command}"}


def _tensor(column: Column, value: float | str) -> str:
    """Write a value as pipeline.onnx takes it, in JavaScript."""
    if column.kind == "category":
        return f"text({_visible_json(value)})"
    if column.kind == "number":
        return f"number({value!r})"
    moment = EPOCH + timedelta(seconds=float(value))
    return f'number(Date.parse("{moment:%Y-%m-%dT%H:%MZ}") / 1000)'


def _visible(code: str) -> str:
    """Escape characters in Python code that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in code)


def _visible_json(value: object) -> str:
    """Write JSON with the same characters escaped; it is JavaScript, too."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
