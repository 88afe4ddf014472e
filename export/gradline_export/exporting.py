"""Freeze a fit, prove it and publish it as the next version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gradline_export.freeze.freezing import freeze
from gradline_export.publish.publishing import check_name, publish
from gradline_trainer.result import Fit


def export_package(
    fit: Fit,
    root: str | Path = "artifacts",
    name: str = "model",
    *,
    torch_export: bool = False,
    intervals: bool = False,
    report: bool = True,
    fingerprint: bool = True,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Publish a fit as a package and return the path of its new version directory.

    Args:
        fit: A fit from `gradline_trainer.fit`.
        root: The folder of packages.
        name: The package's name.
        torch_export: Whether to add model.pt2.
        intervals: Whether to add intervals.onnx.
        report: Whether to add report.html.
        fingerprint: Whether to record the SHA-256 of the input files.
        notes: Recorded unchanged: author, purpose, commit.

    Raises:
        InputError: If no package can have this name.
        RefusedError: If the requested float32 is not accurate enough, a frozen graph is outside the
            rounding bound, or the fit can have no intervals; nothing is published.
        OutputError: If the folder can't be written.
    """
    check_name(name)
    frozen = freeze(
        fit,
        name,
        torch_export=torch_export,
        intervals=intervals,
        report=report,
        fingerprint=fingerprint,
        notes=notes,
    )
    return publish(frozen.files, root, name)
