"""report.html: a fit for people, in one file that needs no network."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.columns.targets import learned_names
from gradline.errors import RefusedError
from gradline.formatting import (
    chance,
    chosen_ridge,
    count,
    equation_lines,
    equation_sides,
    float32_error,
    in_doubt,
    isolated,
    label,
    number,
    reached,
    to_error,
)
from gradline.presentation.sections import unit_sides
from gradline.presentation.selection import Shown, scales, tolerances
from gradline.presentation.statistics import criterion, r_squared
from gradline_export.report.examples import examples_of_use
from gradline_export.report.panel import panel, render
from gradline_export.report.plots import (
    POINTS,
    coefficient_plot,
    correlation_plot,
    loss_plot,
    prediction_plot,
    residual_plot,
    ridge_plot,
)
from gradline_trainer.moments.moments import Moments
from gradline_trainer.result import Fit
from gradline_trainer.statistics.whitening import MOST_FEATURES

LINES = 50  # in a table of metrics
SHOWN_FEATURES = 30  # in a table; the most important ones
IN_PLOT = 20  # coefficients in a plot, features in the map of correlations
LISTED = 3_000  # coefficients in the list of all


def to_report(
    manifest: Mapping[str, Any], fit: Fit, weights: NDArray[Any], bias: NDArray[Any]
) -> bytes:
    """Write the page, with W (k, d) and b (k,) as frozen; the same run gives the same bytes."""
    scale = scales(manifest["columns"], fit.features, fit.targets)
    with np.errstate(all="ignore"):
        scaled = fit.weights.numpy() * scale
    standardized: NDArray[np.float64] = np.nan_to_num(scaled, posinf=0, neginf=0)
    shown = Shown.targets_of(manifest, fit.targets)
    importance = _by_size(np.abs(standardized[shown]).max(axis=0))
    statistics, undefined = _statistics(manifest, fit)
    ridge_path = manifest["training"]["ridge_path"]
    optimum = fit.optimality.rmse_at_optimum
    least = None if optimum is None else optimum**2
    tried = panel(fit, manifest, weights, bias)
    shown_targets = [fit.targets[k] for k in shown]
    learned = [learned_names(fit.targets, fit.target_functions)[k] for k in shown]
    functions = [fit.target_functions[k] for k in shown]
    page = render(
        "report.html.jinja",
        FILTERS,
        policy=_policy(tried),
        manifest=manifest,
        count=count,
        float32_error=float32_error,
        equations=equation_lines(
            equation_sides(
                weights[shown],
                bias[shown],
                fit.features,
                learned,
                standardized[shown],
                isolated,
                tolerances(manifest, fit.features, shown_targets),
            )
        ),
        scales=equation_lines(unit_sides(functions, shown_targets, isolated)),
        learned=learned,
        logged=any(fit.target_functions),
        panel=tried,
        loss=loss_plot(fit.history, least),
        doubt=in_doubt(fit.supposed),
        least=least,
        reached=reached(manifest["certificates"]["optimality"]),
        scored=[fit.targets[k] for k in Shown.targets_of(manifest, fit.targets, LINES)],
        measured=fit.leverage is not None,
        measurable=MOST_FEATURES,
        clouds=_clouds(fit, shown),
        shown=shown_targets,
        undefined=undefined,
        weighted=bool(statistics and statistics["weighted"]),
        sections=_sections(fit, shown, scale, standardized, statistics),
        further=max(len(fit.features) - SHOWN_FEATURES, 0),
        weights=weights.T.tolist() if weights.size <= LISTED else None,
        bias=bias.tolist(),
        ranges=[fit.features[j] for j in importance[:SHOWN_FEATURES]],
        **_correlations(fit, importance, shown),
        ridge=ridge_path and chosen_ridge(ridge_path),
        ridge_curve=ridge_path and ridge_plot(ridge_path),
        use=examples_of_use(manifest, fit.columns.inputs),
    )
    return page.encode()


def _policy(panel: str) -> str:
    """Allow the panel's own scripts alone, by their hashes (https://www.w3.org/TR/CSP3/)."""
    scripts = re.findall(r"<script>(.*?)</script>", panel, re.DOTALL)
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{found}'" for found in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def _by_size(values: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.argsort(-np.abs(values), kind="stable")


def _isolated(name: str) -> Markup:
    """Isolate a name, so that one written from right to left keeps the text around it."""
    return Markup("<bdi>{}</bdi>").format(label(name))


def _statistics(manifest: Mapping[str, Any], fit: Fit) -> tuple[dict[str, Any] | None, str]:
    """Compute the fit's statistics, or None, and why they are incomplete."""
    if "statistics" in manifest:
        found = fit.summary().to_dict()
        if found["residual_dof"] > 0:
            return found, ""
        return found, f"{count(found['rows'], 'row')} leave no degree of freedom"
    try:
        fit.summary()
    except RefusedError as error:
        return None, str(error)
    return None, "there are too many coefficients"


def _sections(
    fit: Fit,
    shown: Sequence[int],
    scale: NDArray[np.float64],
    standardized: NDArray[np.float64],
    statistics: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """Lay out each shown target's coefficients, as a plot and a table."""
    weights, bias = fit.weights.numpy(), fit.bias.numpy()
    learned = learned_names(fit.targets, fit.target_functions)
    sections = []
    for k in shown:
        target, named = fit.targets[k], learned[k]
        known = statistics["targets"][target] if statistics else {}
        rows = []
        for j in _by_size(standardized[k])[:SHOWN_FEATURES].tolist():
            row = {"term": fit.features[j], "weight": weights[k, j], "scaled": standardized[k, j]}
            row |= {name: known[name][j] for name in _BY_TERM if name in known}
            row["vif"] = statistics["vif"][j] if statistics else None
            row["reach"] = None  # half the width of the standardized coefficient's interval
            if row.get("upper") is not None and np.isfinite(scale[k, j]):
                row["reach"] = float((row["upper"] - row["weight"]) * scale[k, j])
            rows.append(row)
        if fit.options.bias:
            row = {"term": "bias", "weight": bias[k], "scaled": None, "vif": None}
            rows.append(row | {name: known[name][-1] for name in _BY_TERM if name in known})
        plotted = [row for row in rows[:IN_PLOT] if row["scaled"] is not None]
        plot = coefficient_plot(
            f"coefficients-{k}",
            named,
            [row["term"] for row in plotted],
            [row["scaled"] for row in plotted],
            [row["reach"] for row in plotted],
        )
        sections.append({"target": named, "plot": plot, "rows": rows, "known": known})
    return sections


_BY_TERM = ("standard_error", "t", "p", "lower", "upper")


def _clouds(fit: Fit, shown: Sequence[int]) -> dict[str, Any]:
    """Plot the residuals that the fit kept, in units: of the held-out rows if there are any."""
    which = "held_out" if fit.residuals["held_out"].rows else "training"
    residuals = fit.residuals[which]
    found: dict[str, Any] = {"which": which, "rows": residuals.rows, "plots": []}
    if not residuals.rows:
        return found
    actual, predicted = residuals.targets, residuals.predictions
    found |= {"step": residuals.step, "counted": len(actual) > POINTS}
    for k in shown:
        target = fit.targets[k]
        pair = actual[:, k], predicted[:, k]
        if np.isfinite(pair).all():
            found["plots"] += [
                prediction_plot(f"predicted-{k}", target, *pair),
                residual_plot(f"residual-{k}", target, *pair),
            ]
    return found


def _correlations(fit: Fit, importance: NDArray[np.intp], shown: Sequence[int]) -> dict[str, Any]:
    """Draw the map of correlations, or None, and list which columns it shows."""
    if not isinstance(fit.moments, Moments):
        return {"correlations": None}
    d, k = len(fit.features), len(fit.targets)
    features = sorted(importance[:IN_PLOT].tolist())
    # All targets if there is room, else the shown ones.
    targets = range(k) if len(features) + k <= 2 * IN_PLOT else shown
    chosen = [*features, *(d + t for t in targets)]
    comoment = fit.moments.comoment[np.ix_(chosen, chosen)]
    root = np.sqrt(comoment.diagonal())
    with np.errstate(all="ignore"):
        found = comoment / root / root[:, None]
    names = [*fit.features, *learned_names(fit.targets, fit.target_functions)]
    correlated = []
    if len(features) < d:
        correlated.append(f"{len(features)} of {d} features, the most important")
    if len(targets) < k:
        correlated.append(f"{len(targets)} of {k} targets, those predicted worst")
    plot = correlation_plot([names[j] for j in chosen], np.clip(found, -1, 1))
    return {"correlations": plot, "correlated": correlated}


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "to_error": to_error,
    "label": _isolated,
    "chance": chance,
    "criterion": criterion,
    "share": r_squared,
    "moment": lambda seconds: str(np.datetime64(int(seconds), "s")).replace("T", " "),
}
