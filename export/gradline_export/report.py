"""report.html: what came of a fit, for people, in one file that needs no network."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.errors import RefusedError
from gradline.wording import (
    chosen_ridge,
    count,
    equations,
    float32_error,
    isolated,
    label,
    number,
)
from gradline_export.panel import panel
from gradline_export.plots import (
    POINTS,
    coefficient_plot,
    correlation_plot,
    loss_plot,
    prediction_plot,
    residual_plot,
    ridge_plot,
)
from gradline_export.use import examples_of_use
from gradline_trainer.fitting import Fit
from gradline_trainer.moments import Moments
from gradline_trainer.whitening import MOST_FEATURES

__all__ = ["to_report"]

SHOWN_TARGETS = 8  # with a section of their own
SHOWN_FEATURES = 30  # in a table; the most important ones
IN_PLOT = 20  # coefficients of a picture, columns of the map of correlations
LISTED = 3_000  # coefficients that the list of them all may have
LEAST = 1e-300  # a probability below it is said to be, also where it is no number of float64


def to_report(
    manifest: Mapping[str, Any], fit: Fit, weights: NDArray[Any], bias: NDArray[Any]
) -> bytes:
    """Return the page; the same run gives the same bytes.

    Args:
        manifest: With the files that are there so far.
        fit: What it is about.
        weights: W as frozen, shape (k, d).
        bias: b as frozen, shape (k,).
    """
    standardized = _standardized(manifest, fit)
    importance = _by_size(np.abs(standardized).max(axis=0))
    statistics, undefined = _statistics(manifest, fit)
    training = manifest["training"]
    optimum = fit.optimality.rmse_at_optimum
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "label": _isolated, "chance": _chance}
    template = environment.from_string(
        files("gradline_export").joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    tried = panel(fit, manifest, weights, bias)
    page = template.render(
        policy=_policy(tried),
        manifest=manifest,
        name=manifest["name"],
        features=fit.features,
        targets=fit.targets,
        count=count,
        equations=equations(weights, bias, fit.features, fit.targets, isolated)[:SHOWN_TARGETS],
        panel=tried,
        loss=loss_plot(fit.history, None if optimum is None else optimum**2),
        optimum=optimum,
        ridged=fit.options.ridge != 0,
        measured=MOST_FEATURES,
        clouds=_clouds(fit),
        shown=fit.targets[:SHOWN_TARGETS],
        undefined=undefined,
        robust=fit.options.robust,
        sections=_sections(fit, standardized, statistics),
        further=max(len(fit.features) - SHOWN_FEATURES, 0),
        weights=weights.T.tolist() if weights.size <= LISTED else None,
        bias=bias.tolist(),
        ranges=[fit.features[j] for j in importance[:SHOWN_FEATURES]],
        correlations=_correlations(fit, importance),
        ridge=training["ridge_path"] and chosen_ridge(training["ridge_path"]),
        ridge_curve=training["ridge_path"] and ridge_plot(training["ridge_path"]),
        float32=_float32(manifest),
        use=examples_of_use(manifest, fit),
    )
    return page.encode()


def _policy(panel: str) -> str:
    """Return what the page may do: nothing may be loaded, and no script run but the panel's own.

    Each of those is named by its hash (https://www.w3.org/TR/CSP3/).
    """
    scripts = re.findall(r"<script>(.*?)</script>", panel, re.DOTALL)
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{found}'" for found in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def _by_size(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the largest sizes first."""
    return np.argsort(-np.abs(values), kind="stable")


def _chance(value: float | None) -> str:
    return number(value) if value is None or value >= LEAST else f"<{LEAST:g}"


def _isolated(name: str) -> Markup:
    """Return a name that turns no text around it, whatever it is written in."""
    return Markup("<bdi>{}</bdi>").format(label(name))


def _standardized(manifest: Mapping[str, Any], fit: Fit) -> NDArray[np.float64]:
    """Return W in deviations of the target per deviation of the feature, shape (k, d); 0 for NaN.

    As shares of the largest deviation, whose squares may overflow.
    """
    found = manifest["columns"]
    across = np.array([found[feature]["deviation"] for feature in fit.features])
    along = np.array([found[target]["deviation"] for target in fit.targets])
    with np.errstate(all="ignore"):
        scaled = fit.weights.numpy() * (across / along[:, None])
    standardized: NDArray[np.float64] = np.nan_to_num(scaled, posinf=0, neginf=0)
    return standardized


def _statistics(manifest: Mapping[str, Any], fit: Fit) -> tuple[dict[str, Any] | None, str]:
    """Return the fit's statistics, or None and the reason."""
    if "statistics" in manifest:
        found = fit.summary().to_dict()
        if found["residual_dof"] > 0:
            return found, ""
        return found, (
            f"{count(found['rows'], 'row')} leave no degree of freedom: standard errors, tests and "
            "intervals are not defined"
        )
    try:
        fit.summary()
    except RefusedError as error:
        return None, str(error)
    return None, "they are left out where there are too many coefficients to look at"


def _sections(
    fit: Fit,
    standardized: NDArray[np.float64],
    statistics: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """Return for each target that is shown its coefficients, in a picture and a table."""
    weights, bias = fit.weights.numpy(), fit.bias.numpy()
    sections = []
    for k, target in enumerate(fit.targets[:SHOWN_TARGETS]):
        known = statistics["targets"][target] if statistics else {}
        rows = []
        for j in _by_size(standardized[k])[:SHOWN_FEATURES].tolist():
            row = {"term": fit.features[j], "weight": weights[k, j], "scaled": standardized[k, j]}
            row |= {name: known[name][j] for name in _BY_TERM if name in known}
            row["vif"] = statistics["vif"][j] if statistics else None
            rows.append(row)
        if fit.options.bias:
            row = {"term": "bias", "weight": bias[k], "scaled": None, "vif": None}
            rows.append(row | {name: known[name][-1] for name in _BY_TERM if name in known})
        reaches = [_reach(row) for row in rows[:IN_PLOT]]
        plotted = [row for row in rows[:IN_PLOT] if row["scaled"] is not None]
        plot = coefficient_plot(
            f"coefficients-{k}",
            target,
            [row["term"] for row in plotted],
            [row["scaled"] for row in plotted],
            reaches[: len(plotted)],
        )
        sections.append({"target": target, "plot": plot, "rows": rows, "known": known})
    return sections


_BY_TERM = ("standard_error", "t", "p", "lower", "upper")


def _reach(row: Mapping[str, Any]) -> float | None:
    """Return how far a standardized coefficient's interval goes."""
    if row.get("upper") is None or not row["scaled"]:
        return None
    return float(abs((row["upper"] - row["weight"]) / row["weight"] * row["scaled"]))


def _clouds(fit: Fit) -> dict[str, Any]:
    """Return the pictures of rows that were at hand, of those held out where there are some."""
    which = "held_out" if fit.residuals["held_out"].rows else "training"
    residuals = fit.residuals[which]
    found: dict[str, Any] = {"which": which, "rows": residuals.rows, "plots": []}
    if not residuals.rows:
        return found
    actual, predicted = residuals.targets, residuals.predictions
    found |= {"step": residuals.step, "counted": len(actual) > POINTS}
    for k, target in enumerate(fit.targets[:SHOWN_TARGETS]):
        pair = actual[:, k], predicted[:, k]
        if np.isfinite(pair).all():
            found["plots"] += [
                prediction_plot(f"predicted-{k}", target, *pair),
                residual_plot(f"residual-{k}", target, *pair),
            ]
    return found


def _correlations(fit: Fit, importance: NDArray[np.intp]) -> Any:
    """Return the map of the most important features' correlations, and the targets'; or None."""
    if not isinstance(fit.moments, Moments):
        return None
    d = len(fit.features)
    chosen = [*sorted(importance[:IN_PLOT].tolist()), *range(d, d + len(fit.targets))][
        : 2 * IN_PLOT
    ]
    comoment = fit.moments.comoment[np.ix_(chosen, chosen)]
    root = np.sqrt(comoment.diagonal())
    with np.errstate(all="ignore"):
        found = comoment / root / root[:, None]
    names = [*fit.features, *fit.targets]
    return correlation_plot([names[j] for j in chosen], np.clip(found, -1, 1))


def _float32(manifest: Mapping[str, Any]) -> str:
    found = manifest["certificates"]["float32"]
    said = float32_error(found["error"], found["target"], found["limit"], found["column"])
    return f"The certificate of float32 {found['verdict']}: it {said}."
