"""How a report lets people use the model: a panel to try it in, and examples of code.

The panel is the server's component (`panel.html` of the runtime) with the frozen W and b: a field
for each column, and predictions as a person types. The page computes x @ W.T + b in float64 from
inputs rounded as the graph's are, well within the rounding bound of any host. Least squares adds
intervals around the float64 prediction, as in `gradline_export.freeze.intervals`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.columns.encoding import expand
from gradline.errors import RefusedError, needs_extra
from gradline.explain.contributions import by_effect
from gradline.formatting import count
from gradline.terminal.printable import for_page
from gradline_trainer.result import Fit
from gradline_trainer.statistics.whitening import whitening_of

LEVEL = 0.95  # the component says so
MOST_FEATURES = 100  # with intervals: the factor has a number for each pair of features
INTERVAL = (
    "Below each prediction is its 95 % prediction interval, for a row whose error is normal and "
    "like those of the training rows."
)
MOST_NUMBERS = 40_000  # of W, about 0.8 MB
MOST_LETTERS = 2_500_000  # of the panel's data
WRITTEN = 40  # values in an example of code


def panel(
    fit: Fit, manifest: Mapping[str, Any], weights: NDArray[Any], bias: NDArray[Any]
) -> Markup:
    """Write the report's section to try the model in, with W (k, d) and b (k,) as frozen."""
    too_many = f"The {count(weights.size, 'weight')} of this model are too many for a page to hold."
    if weights.size > MOST_NUMBERS:
        return _section(None, too_many)
    columns = fit.columns.inputs if "columns" in manifest["schema"] else []
    data = {
        "schema": manifest["schema"],
        "columns": manifest["columns"],
        "order": by_effect(weights, manifest, columns),
        "weights": weights.astype(np.float64).tolist(),
        "bias": bias.astype(np.float64).tolist(),
    }
    if len(json.dumps(data)) > MOST_LETTERS:
        return _section(None, too_many)
    if "leverage" in manifest:
        data["leverage"] = manifest["leverage"]
    try:
        data |= _interval(fit, data)
    except RefusedError as refused:
        return _section(data, f"No prediction intervals: {refused}.")
    return _section(data, INTERVAL)


def _section(data: dict[str, Any] | None, said: str) -> Markup:
    component = files("gradline.presentation").joinpath("panel.html").read_text(encoding="utf-8")
    model = data and htmlsafe_json_dumps(data, dumps=json.dumps, allow_nan=False)
    page = render("panel.html.jinja", {}, said=said, model=model, component=Markup(component))  # noqa: S704
    return Markup(page)  # noqa: S704


def render(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Fill in a template of this folder with values, which are escaped."""
    environment = jinja2.Environment(
        autoescape=True,
        finalize=for_page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    text = files("gradline_export.report").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)


def _interval(fit: Fit, data: Mapping[str, Any]) -> dict[str, Any]:
    """Compute what the page needs for intervals; refuse if the fit has none."""
    if len(fit.features) > MOST_FEATURES:
        raise _refused(f"{count(len(fit.features), 'feature')} would make the page too large")
    if fit.options.robust is not None:
        raise _refused("robust standard errors do not assume that all rows have the same variance")
    summary = fit.summary(LEVEL)
    deviations = [found.residual_sd for found in summary.targets.values()]
    if summary.residual_dof < 1 or not any(deviations):
        raise _refused(f"the {count(summary.rows, 'row')} leave no error to estimate from")
    with needs_extra():
        from scipy.special import stdtrit
    return {
        "leverage": data.get("leverage") or whitening_of(fit).record(len(fit.features)),
        "interval": {
            "reach": [
                s and s * float(stdtrit(summary.residual_dof, (1 + LEVEL) / 2)) for s in deviations
            ],
            "weights": fit.weights.tolist(),
            "bias": fit.bias.tolist(),
        },
    }


def _refused(why: str) -> RefusedError:
    return RefusedError(why, code="no-intervals")


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
            "const { y } = await session.run({ x });" + _in_units(fit)
        ),
        "HTTP": (
            f"gradline serve {shlex.quote(f'artifacts/{name}')}\n"
            f"curl http://127.0.0.1:8080/v2/models/{name}/infer -d {shlex.quote(body)}"
        ),
    }


def _in_units(fit: Fit) -> str:
    """Write the lines that turn the graph's logarithms back to the targets' units."""
    return "".join(
        f"\ny.data[{j}] = Math.exp(y.data[{j}]) * {function.scale!r}"
        + " - 1" * bool(function.offset)
        + ";"
        for j, function in enumerate(fit.target_functions)
        if function is not None
    )


def _visible(code: str) -> str:
    """Escape characters in Python code that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in code)
