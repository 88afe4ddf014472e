"""report.html: what a manifest says, for people, in one file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.wording import chosen_ridge, count, equations, float32_error, number
from gradline_export.curve import curve_of

__all__ = ["to_report"]

SHOWN_TARGETS = 8


def to_report(
    manifest: Mapping[str, Any], weights: NDArray[Any], bias: NDArray[Any], *, panel: Markup
) -> bytes:
    """Return the page; the same manifest gives the same bytes.

    Args:
        manifest: All but its list of files.
        weights: W as frozen, shape (k, d).
        bias: b as frozen, shape (k,).
        panel: The section that tries the model.
    """
    schema, columns = manifest["schema"], manifest["columns"]
    features, targets = schema["features"], schema["targets"]
    coefficients = [
        {"feature": feature, "weights": weights[:SHOWN_TARGETS, j], **columns[feature]}
        for j, feature in enumerate(features)
    ]
    encoded = schema.get("columns", [])
    example = {
        column["name"]: [column["levels"][0] if "levels" in column else _shown(columns, column)]
        for column in (encoded or [{"name": feature} for feature in features])[:8]
    }
    ridge_path = manifest["training"]["ridge_path"]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("gradline_export").joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    page = template.render(
        name=manifest["name"],
        features=features,
        targets=targets,
        shown_targets=targets[:SHOWN_TARGETS],
        dtype=schema["dtype"],
        equations=equations(weights, bias, features, targets),
        coefficients=coefficients,
        bias=bias[:SHOWN_TARGETS],
        encoded=encoded,
        example=json.dumps(example, ensure_ascii=False),
        metrics=manifest["metrics"],
        parity=manifest["parity"],
        certificate=manifest["certificates"]["float32"],
        ridge=ridge_path and chosen_ridge(ridge_path),
        curve=ridge_path and curve_of(ridge_path),
        optimality=manifest["certificates"]["optimality"],
        training=manifest["training"],
        rows=manifest["training"]["rows"],
        warnings=manifest["training"]["warnings"],
        number=number,
        float32_error=float32_error,
        count=count,
        panel=panel,
    )
    return page.encode()


def _shown(columns: Mapping[str, Any], column: Mapping[str, Any]) -> float:
    """Return the mean of a number column to four digits."""
    return float(f"{columns[column['name']]['mean']:.4g}")
