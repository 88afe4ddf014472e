"""The main job: read, learn, freeze, prove, publish, and say what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from gradline.errors import InputError
from gradline.files import stem
from gradline.progress import Progress
from gradline_export.packaging import Frozen, freeze
from gradline_export.publishing import check_name, check_place, publish
from gradline_export.summary import summary, summary_record
from gradline_trainer.fitting import Fit, fit
from gradline_trainer.orchard import TARGETS, orchard

__all__ = ["run"]


def run(
    *,
    data: str | None,
    name: str | None,
    output: Path,
    targets: tuple[str, ...],
    notes: dict[str, str],
    torch_export: bool,
    no_report: bool,
    no_fingerprint: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train on `data` (None: the built-in orchard table), publish the package, print the summary.

    Raises:
        GradlineError: With nothing published.
    """
    if data is not None and not targets:
        raise InputError(
            "no target: which columns of DATA are to be predicted?",
            code="no-target",
            hint="--target NAME, repeated for several",
        )
    package = check_name(name or (stem(data) if data else "orchard"))
    check_place(output, package)
    for_programs = as_json and not sys.stderr.isatty()  # an error is all that stands on stderr
    with Progress(quiet=quiet or for_programs) as progress:
        trained = _train(data, targets, progress, options)
    for warning in trained.warnings * (not as_json):
        click.echo(f"Warning: {warning}", err=True)
    frozen = freeze(
        trained,
        package,
        torch_export=torch_export,
        report=not no_report,
        fingerprint=not no_fingerprint,
        notes=notes,
    )
    path = publish(frozen.files, output, package)
    click.echo(_said(trained, frozen, path, as_json, quiet))


def _train(
    data: str | None, targets: tuple[str, ...], progress: Progress, options: dict[str, Any]
) -> Fit:
    return fit(
        orchard() if data is None else data,
        targets or TARGETS,
        options.pop("features") or None,
        null=options.pop("nulls"),
        bias=not options.pop("no_bias"),
        progress=progress,
        **options,
    )


def _said(fit: Fit, frozen: Frozen, path: Path, as_json: bool, quiet: bool) -> str:
    if as_json:
        return json.dumps(summary_record(fit, frozen, path), ensure_ascii=False)
    return str(path) if quiet else "\n".join(summary(fit, frozen, path))
