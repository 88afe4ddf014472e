"""The main job: read, learn, freeze, prove, publish, and say what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from gradline.errors import InputError, OutputError
from gradline.files import stem
from gradline.interrupts import ignore_interrupts
from gradline.progress import Progress
from gradline.terminal import say, say_json, show, warn
from gradline_export.packaging import Frozen, freeze
from gradline_export.publishing import check_name, check_place, publish
from gradline_export.statistics_record import begin
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
    intervals: bool = False,
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
    if intervals:
        from gradline_export.intervals import refuse_intervals

        refuse_intervals(options.get("ridge", 0))
    package = check_name(name or (stem(data) if data else "orchard"))
    check_place(output, package)
    for_programs = as_json and not sys.stderr.isatty()  # an error is all that stands on stderr
    with Progress(quiet=quiet or for_programs) as progress:
        trained = _train(data, targets, progress, options)
    for warning in trained.warnings * (not as_json):
        warn(f"{warning}")
    frozen = freeze(
        trained,
        package,
        torch_export=torch_export,
        intervals=intervals,
        report=not no_report,
        fingerprint=not no_fingerprint,
        notes=notes,
    )
    # From the rename on the package is there, and the exit status must say so.
    path = publish(frozen.files, output, package, before_rename=ignore_interrupts)
    try:
        _say(trained, frozen, path, as_json, quiet)
    except OutputError as error:
        warn(f"{error}; the package is published as {path}")


def _train(
    data: str | None, targets: tuple[str, ...], progress: Progress, options: dict[str, Any]
) -> Fit:
    if data is not None and not options["ridge"]:
        begin()
    return fit(
        orchard() if data is None else data,
        targets or TARGETS,
        options.pop("features") or None,
        null=options.pop("nulls"),
        bias=not options.pop("no_bias"),
        progress=progress,
        **options,
    )


def _say(fit: Fit, frozen: Frozen, path: Path, as_json: bool, quiet: bool) -> None:
    if as_json:
        say_json(summary_record(fit, frozen, path))
    elif quiet:
        say(os.fsencode(path) + b"\n")  # for programs: the path's own bytes
    else:
        show(summary(fit, frozen, path))
