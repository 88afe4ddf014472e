"""Examples of use in a report: command line, Python, JavaScript, HTTP."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradline.columns.encoding import expand
from gradline_trainer.result import Fit

WRITTEN = 40  # values in an example


def examples_of_use(manifest: Mapping[str, Any], fit: Fit) -> dict[str, str]:
    """Write an example in each language: predict a row of means and first levels."""
    name, columns = manifest["name"], fit.columns.inputs
    means = [
        0.0 if c.levels else float(f"{manifest['columns'][c.name]['mean']:.4g}") for c in columns
    ]
    pairs = list(zip(columns, means, strict=True))[:WRITTEN]
    row = {column.name: [column.levels[0] if column.levels else mean] for column, mean in pairs}
    more = ", …" * (len(columns) > len(row))
    values = expand(np.array([means]), columns)[0, :WRITTEN].tolist()
    shape = [1, len(fit.features)]
    dtype = manifest["schema"]["dtype"]
    array = {"float32": "Float32Array", "float64": "Float64Array"}[dtype]
    numbers = ", ".join(map(repr, values)) + ", …" * (shape[1] > len(values))
    tensor = f'"name": "x", "shape": {shape}, "datatype": "{dtype.replace("float", "FP")}"'
    body = f'{{"inputs": [{{{tensor}, "data": [{numbers}]}}]}}'
    mapping = _visible(json.dumps(row, ensure_ascii=False)[:-1] + more + "}")
    return {
        "Command line": f"gradline predict {shlex.quote(f'artifacts/{name}')} new.csv",
        "Python": (
            f'import gradline\nmodel = gradline.load("artifacts/{name}")\nmodel.predict({mapping})'
        ),
        "JavaScript": (
            'import { InferenceSession, Tensor } from "onnxruntime-web";\n'
            'const session = await InferenceSession.create("model.onnx");\n'
            f'const x = new Tensor("{dtype}", {array}.of({numbers}), {shape});\n'
            "const { y } = await session.run({ x });"
        ),
        "HTTP": (
            f"gradline serve {shlex.quote(f'artifacts/{name}')}\n"
            f"curl http://127.0.0.1:8080/v2/models/{name}/infer -d {shlex.quote(body)}"
        ),
    }


def _visible(code: str) -> str:
    """Escape characters in Python code that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in code)
