"""The panel of a report, to try the model in.

It is the server's component (`gradline.presentation.component`) with the frozen W and b: a field
for each column, and predictions as a person types. The page computes the terms and x @ W.T + b in
float64, from inputs rounded as the graph's are, well within the rounding bound of any host. Least
squares adds intervals around the float64 prediction, as in `gradline_export.freeze.intervals`. The
answer of a logged target is exp(z)·s; the ends of its interval are exp of z's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.errors import RefusedError, needs_extra
from gradline.explain.contributions import by_effect
from gradline.formatting import count
from gradline.presentation.component import component
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


def panel(
    fit: Fit, manifest: Mapping[str, Any], weights: NDArray[Any], bias: NDArray[Any]
) -> Markup:
    """Write the report's section to try the model in, with W (k, d) and b (k,) as frozen."""
    too_many = f"The {count(weights.size, 'weight')} of this model are too many for a page to hold."
    if weights.size > MOST_NUMBERS:
        return section(None, too_many)
    plan, schema = fit.columns.plan, manifest["schema"]
    data = {
        "schema": schema,
        "columns": manifest["columns"],
        "order": by_effect(weights, manifest, plan),
        "weights": weights.astype(np.float64).tolist(),
        "bias": bias.astype(np.float64).tolist(),
    }
    if len(json.dumps(data)) > MOST_LETTERS:
        return section(None, too_many)
    if "leverage" in manifest:
        data["leverage"] = manifest["leverage"]
    try:
        data |= _interval(fit, data)
    except RefusedError as refused:
        return section(data, f"No prediction intervals: {refused}.")
    return section(data, INTERVAL)


def section(data: dict[str, Any] | None, said: str) -> Markup:
    """Write the section: the panel of a model, or only what is said."""
    model = data and htmlsafe_json_dumps(data, dumps=json.dumps, allow_nan=False)
    page = render("panel.html.jinja", {}, said=said, model=model, component=Markup(component()))  # noqa: S704
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
