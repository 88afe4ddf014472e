"""State what the page shows of a model beside its fields."""

from __future__ import annotations

from typing import Any

from gradline.errors import GradlineError
from gradline.model import Model


def facts(model: Model) -> dict[str, Any]:
    """Collect the equation, metrics, origin and report, and why there are no intervals."""
    manifest = model.manifest
    found: dict[str, Any] = {
        "equation": model.equation,
        "report": "report.html" in manifest.get("files", {}),
    }
    if metrics := model.metrics:
        found["metrics"] = metrics
    if origin := manifest.get("origin"):
        found["origin"] = origin
    try:
        _ = model.intervals
    except GradlineError as error:
        found["no_intervals"] = str(error).removeprefix("no intervals: ")
    return found
