"""The main job: read, learn, freeze, prove, publish, and print a summary."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from gradline.atomic import check_output, check_writable
from gradline.commands import reading_options
from gradline.errors import InputError, OutputError
from gradline.tables.files import stem, table_files
from gradline.tables.objects import is_remote
from gradline.terminal.interrupts import ignore_interrupts
from gradline.terminal.output import say, say_json, show, warn
from gradline.terminal.progress import ProgressDisplay
from gradline_export.freeze.freezing import freeze
from gradline_export.publish.publishing import check_name, check_place, publish
from gradline_export.summary import summary, summary_record
from gradline_trainer.fitting import fit
from gradline_trainer.moments.saved_moments import PRIVATE
from gradline_trainer.orchard import FEATURES, TARGETS, orchard
from gradline_trainer.result import Fit
from gradline_trainer.saved.files import load_moments, save_moments

DISTRIBUTIONS = ("scipy.special",)
TEMPLATES = ("jinja2",)


def train_and_export(
    *,
    data: str | None,
    name: str | None,
    output: Path,
    targets: tuple[str, ...],
    features: tuple[str, ...],
    notes: dict[str, str],
    from_moments: Path | None,
    save_moments: Path | None,
    torch_export: bool,
    intervals: bool,
    no_bias: bool,
    no_report: bool,
    no_fingerprint: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train on `data`, saved moments or the built-in orchard table; publish, and print a summary.

    Raises:
        GradlineError: With nothing published.
    """
    _check_source(data, from_moments, targets)
    if intervals:
        from gradline_export.freeze.intervals import refuse_intervals

        refuse_intervals(options["ridge"])
    source = data or from_moments
    package = check_name(name or (stem(source) if source else "orchard"))
    check_place(output, package)
    if save_moments is not None:
        local = source is not None and not is_remote(source)
        check_output(save_moments, table_files(source) if source and local else [])
        check_writable(save_moments)
    later = DISTRIBUTIONS * (not options["ridge"]) + TEMPLATES * (not no_report)
    ahead = Thread(target=_import_all, args=[later])
    for_programs = as_json and not sys.stderr.isatty()  # stderr then holds nothing but an error
    at_first = None if data is None else ahead.start
    with ProgressDisplay(quiet=quiet or for_programs, at_first=at_first) as progress:
        table: Any = orchard() if data is None else data
        if from_moments is not None:
            table = load_moments(from_moments)
        trained = fit(
            table,
            targets or (TARGETS if source is None else None),
            features or None,
            bias=not no_bias,
            keep_moments=save_moments is not None,
            progress=progress,
            **options,
        )
    for warning in trained.warnings * (not as_json):
        warn(warning)
    frozen = freeze(
        trained,
        package,
        torch_export=torch_export,
        intervals=intervals,
        report=not no_report,
        fingerprint=not no_fingerprint,
        notes=notes,
    )
    if save_moments is not None:
        trained = _save(trained, save_moments, as_json)
    # From the rename on, the package is published, and the exit status must say so.
    path = publish(frozen.files, output, package, before_rename=ignore_interrupts)
    try:
        if as_json:
            say_json(summary_record(trained, frozen, path))
        elif quiet:
            say(os.fsencode(path) + b"\n")  # for programs: the path's own bytes
        else:
            reading = reading_options(
                options["separator"], options["null"], decimal_comma=options["decimal_comma"]
            )
            show(summary(trained, frozen, path, reading, verbose=verbose))
    except OutputError as error:
        warn(f"{error}; the package is published as {path}")


def _check_source(data: str | None, from_moments: Path | None, targets: tuple[str, ...]) -> None:
    columns = (*FEATURES, *TARGETS)
    for target in targets * (data is None and from_moments is None):
        if not any(name in target for name in columns):
            raise InputError(
                f"no DATA, and the built-in orchard table has no column {target!r}",
                code="unknown-target",
                hint=shlex.join(["gradline", "train", "DATA", "-t", target]),
            )
    if data is not None and from_moments is not None:
        raise InputError(
            f"both DATA {data!r} and --from-moments {from_moments}: expected one of them",
            code="bad-option",
            hint="leave out one of the two",
        )


def _save(fit: Fit, path: Path, as_json: bool) -> Fit:
    """Write the moments; return the fit, with a warning if they reveal single rows."""
    save_moments(fit, path)
    if fit.gathered is None or not fit.gathered.reconstructible:
        return fit
    warning = f"{path}: {PRIVATE}"
    if not as_json:
        warn(warning)
    return replace(fit, warnings=[*fit.warnings, warning])


def _import_all(modules: tuple[str, ...]) -> None:
    with suppress(Exception):  # the code that needs them will raise it
        for module in modules:
            import_module(module)
