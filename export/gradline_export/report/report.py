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
from gradline.explain import MOST_FEATURES
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
from gradline_export.report import findings
from gradline_export.report.coefficients import IN_PICTURE, MOST_COLUMNS, Target
from gradline_export.report.columns import described
from gradline_export.report.effects import Effect, Spreads, effects_of
from gradline_export.report.examples import examples_of_use
from gradline_export.report.figures import moment_of, unmarked
from gradline_export.report.panel import panel, render
from gradline_export.report.plots import correlation_plot, loss_plot, ridge_plot
from gradline_export.report.residuals import clouds_of
from gradline_trainer.moments.moments import Moments
from gradline_trainer.result import Fit
from gradline_trainer.statistics.advice import FILLED

LINES = 50  # in a table of metrics
IN_PLOT = 20  # features in the map of correlations
MOST_PLOTTED = 4  # targets
FEW_TARGETS = 3  # with sentences about the columns of each
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
    effects, spreads = effects_of(fit), Spreads.of(fit)
    by_target = [spreads.strongest(k, effects) for k in shown]
    ordered = _by_any(effects, by_target)
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
        clouds=clouds_of(fit, Shown.targets_of(manifest, fit.targets, MOST_PLOTTED), ordered),
        shown=shown_targets,
        undefined=undefined,
        weighted=bool(statistics and statistics["weighted"]),
        opening=findings.opening(fit),
        says=_says(fit, manifest, shown, by_target, spreads, statistics),
        reading=findings.how_to_read(undefined),
        # The findings name the columns of filled values.
        warnings=[w for w in manifest["training"]["warnings"] if not w.endswith(FILLED)],
        sections=[
            _section(fit, k, own, spreads, standardized[k], statistics)
            for k, own in zip(shown, by_target, strict=True)
        ],
        groups=len(effects),
        further=max(len(effects) - MOST_COLUMNS, 0),
        weights=weights.T.tolist() if weights.size <= LISTED else None,
        bias=bias.tolist(),
        described=described(fit, ordered, manifest["columns"])[:MOST_COLUMNS],
        pictured=IN_PICTURE,
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


def _breaking(name: str) -> Markup:
    """Isolate a name, and let it break between its words."""
    parts = re.split(r"(?<=[_.:=/-])(?=\w)", label(name))
    return Markup("<span><bdi>{}</bdi></span>").format(Markup("<wbr>").join(parts))


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


def _by_any(effects: Sequence[Effect], by_target: Sequence[Sequence[Effect]]) -> list[Effect]:
    """Sort effects by their best rank for any of the targets."""
    ranks: dict[str, int] = {}
    for own in by_target:
        for rank, effect in enumerate(own):
            ranks[effect.name] = min(rank, ranks.get(effect.name, rank))
    return sorted(effects, key=lambda effect: ranks[effect.name])


def _says(
    fit: Fit,
    manifest: Mapping[str, Any],
    shown: Sequence[int],
    by_target: Sequence[Sequence[Effect]],
    spreads: Spreads,
    statistics: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """Describe each target in sentences: its accuracy, and the strongest effects on it."""
    metrics, k = manifest["metrics"], len(fit.targets)
    few, parts = k <= FEW_TARGETS, list[dict[str, Any]]()
    if not few:
        of_all = findings.accuracy_of_many(metrics, fit.targets)
        parts.append({"target": None, "sentences": of_all})
    for j, own in zip(shown, by_target, strict=True):
        target = fit.targets[j]
        known = statistics["targets"][target] if statistics else {}
        sentences = findings.accuracy(metrics, target) if few else []
        sentences += findings.strongest(fit, j, own, spreads, known, 3 if few else 1)
        if few:
            parts.append({"target": target if k > 1 else None, "sentences": sentences})
        else:
            parts[0]["sentences"] += sentences
    if few and k > 1:
        parts.append({"target": None, "sentences": []})
    parts[-1]["sentences"] += findings.left_out(fit)
    return [part for part in parts if part["sentences"]]


def _section(
    fit: Fit,
    k: int,
    effects: Sequence[Effect],
    spreads: Spreads,
    standardized: NDArray[np.float64],
    statistics: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Lay out a target's effects and coefficients."""
    known = statistics["targets"][fit.targets[k]] if statistics else {}
    vif = statistics["vif"] if statistics else None
    target = Target(fit, k, effects, spreads, standardized, known, vif)
    rows, folded = target.rows()
    return {
        "target": learned_names(fit.targets, fit.target_functions)[k],
        "picture": target.picture(),
        "rows": rows,
        "folded": folded,
        "known": known,
    }


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
    "cell": _breaking,
    "unmarked": unmarked,
    "moment": moment_of,
}
