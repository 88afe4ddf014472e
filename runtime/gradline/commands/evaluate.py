"""`gradline evaluate`: score models on labelled rows, or on their moments."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradline.commands import (
    HELP,
    as_json,
    expect_name,
    public_key,
    reading_options,
    table_options,
)
from gradline.commands.limits import parse_limits
from gradline.commands.predict import STREAM, own_hints
from gradline.commands.scores import Named, Scores, parts_of, record
from gradline.errors import InputError, RefusedError
from gradline.formatting import count, number
from gradline.terminal.output import say_json, show, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradline.model import Model

MOMENTS = ".moments"


@click.command("evaluate", context_settings=HELP)
@click.argument("packages", metavar="PACKAGE...", nargs=-1, type=click.Path())
@click.argument("data", type=click.Path())
@click.option(
    "--max-rmse",
    "gates",
    multiple=True,
    metavar="[TARGET=]X",
    help="Exit with 1 if a model's RMSE exceeds X, in the target's units; repeat per target.",
)
@click.option("--sample-weight", "weight", metavar="NAME", help="Weight the rows by this column.")
@table_options
@public_key
@expect_name
@as_json
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def command(
    packages: tuple[str, ...],
    data: str,
    gates: tuple[str, ...],
    weight: str | None,
    separator: str | None,
    decimal_comma: bool,
    nulls: tuple[str, ...],
    unknown_category: str | None,
    public_key: Path | None,
    name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score models on labelled rows.

    The scores of each target are RMSE, MAE, R² and bias, the mean of prediction − truth.

    DATA is a table as for `predict`, with a column for each target. Or it is a file of saved
    moments (--save-moments of train-and-export), which needs no rows but gives no MAE. Rows without
    a true value or without a prediction are skipped and counted. Several models are scored on the
    rows that all of them answer.

    \b
      gradline evaluate artifacts/sales labelled.csv
      gradline evaluate artifacts/sales labelled.csv --max-rmse revenue=25
      gradline evaluate artifacts/sales/3 artifacts/sales/4 'labelled/*.parquet' --json
      gradline evaluate artifacts/sales may.moments
    """
    from gradline.model import load
    from gradline.scoring.evaluation import common_targets

    _check_order(packages)
    models = [load(package, public_key=public_key, name=name) for package in packages]
    named = [
        Named(path, model.name, model.version) for path, model in zip(packages, models, strict=True)
    ]
    targets = common_targets(models)
    _check_targets(named, models, targets)
    limits = parse_limits("--max-rmse", gates, targets)
    if data.endswith(MOMENTS):
        given = (separator, decimal_comma, nulls, unknown_category)
        scores, notes = _from_moments(models, data, targets, weight, given)
    else:
        from gradline.tables import Dialect

        dialect = Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls))
        is_quiet = quiet or as_json
        scores, notes = _from_rows(
            named, models, data, targets, dialect, weight, unknown_category, quiet=is_quiet
        )
    _refuse_logarithms(scores[0], limits)
    failed = _failed(named, scores, limits)
    if as_json:
        say_json({"models": list(map(record, named, scores)), "passed": not failed})
    else:
        show(parts_of(named, scores))
    for note in notes:
        warn(note)
    if failed:
        more = f", and {count(len(failed) - 1, 'more gate')} failed" if len(failed) > 1 else ""
        package, told = failed[0]
        hint = ""
        if not data.endswith(MOMENTS):
            reading = reading_options(separator, nulls, decimal_comma=decimal_comma)
            line = shlex.join(["gradline", "predict", package, data, *reading, "--keep", "all"])
            hint = f"see which rows: {line}"
        raise RefusedError(told + more, code="large-error", hint=hint)


def _check_order(packages: tuple[str, ...]) -> None:
    """Refuse a call without data, or with the data first."""
    from gradline.tables.files import file_format

    context = click.get_current_context()
    if not packages:
        raise click.UsageError("Missing argument 'DATA': the table to score PACKAGE on.", context)
    for path in packages:
        if path.endswith(MOMENTS) or file_format(Path(path)) is not None:
            raise click.UsageError(
                f"{path!r} is not a package: DATA is the last argument.", context
            )


def _check_targets(named: Sequence[Named], models: Sequence[Model], targets: list[str]) -> None:
    """Refuse models without a common target; warn about targets that some models lack."""
    if not targets:
        other = next(m for m in models if not set(m.targets) & set(models[0].targets))
        what = f"{', '.join(models[0].targets[:8])} and {', '.join(other.targets[:8])}"
        raise InputError(
            f"the models have no target in common: {what}",
            code="other-targets",
            hint="evaluate models of the same target",
        )
    for one, model in zip(named, models, strict=True):
        if rest := [name for name in model.targets if name not in targets]:
            which = ", ".join(map(repr, rest))
            warn(f"not scored, because another model lacks it: {which} of {one}")


def _from_rows(
    named: Sequence[Named],
    models: Sequence[Model],
    data: str,
    targets: list[str],
    dialect: Any,
    weight: str | None,
    unknown_category: str | None,
    *,
    quiet: bool,
) -> tuple[list[Scores], list[str]]:
    """Score the models on a table's rows; return warnings, too."""
    from gradline.scoring.evaluation import Evaluation, refuse_empty
    from gradline.tables import open_files
    from gradline.terminal.progress import ProgressDisplay

    with ExitStack() as stack:
        stack.enter_context(own_hints(command))
        if data == STREAM:
            from gradline.tables.stdin import table_from_stdin

            data = str(stack.enter_context(table_from_stdin()))
        table = open_files(data, dialect)
        found = Evaluation(models, table, weight, targets, unknown_category)
        with ProgressDisplay(quiet=quiet) as progress:
            progress.expect("rows", table.expected_rows() or 0)
            scores = found.scores(progress)
    refuse_empty(scores[0], found.counts[0].rows, several=len(named) > 1)
    notes = [*table.notes, *found.notes]
    for one, model, counts in zip(named, models, found.counts, strict=True):
        unknown = unknown_category or ("error" if model.plan.format == 1 else "missing")
        whose = f"{one}: " if len(models) > 1 else ""
        notes += [whose + note for note in counts.warnings(unknown)]
    return scores, list(dict.fromkeys(notes))


def _from_moments(
    models: Sequence[Model],
    data: str,
    targets: list[str],
    weight: str | None,
    given: tuple[object, ...],
) -> tuple[list[Scores], list[str]]:
    """Score the models on saved moments; return warnings, too."""
    from gradline.scoring.evaluation import of_moments

    if any(given):
        what = "--separator, --decimal-comma, --null and --unknown-category do not apply to moments"
        hint = "leave them out, or give the table"
        raise InputError(what, code="bad-option", hint=hint)
    return of_moments(models, Path(data), targets, weight)


def _refuse_logarithms(scores: Scores, limits: dict[str, float]) -> None:
    """Refuse a gate in units on the error of a logarithm."""
    for target in limits:
        if scores[target].scale != "units":
            raise InputError(
                f"--max-rmse is in the units of {target!r}, but moments give the errors of its "
                "logarithm",
                code="needs-rows",
                hint="give the table",
            )


def _failed(
    named: Sequence[Named], scores: Sequence[Scores], limits: dict[str, float]
) -> list[tuple[str, str]]:
    """Describe each gate that fails, beside its package's path."""
    found = []
    for one, of_targets in zip(named, scores, strict=True):
        for target, limit in limits.items():
            score = of_targets[target]
            rmse = score.below_resolution if score.rmse is None else score.rmse
            if rmse is None or not rmse <= limit:
                at_most = "may be as large as" if score.rmse is None else "is"
                told = f"the RMSE of {target!r} {at_most} {number(rmse)}, more than {limit:g}"
                found.append((one.path, f"{one}: {told}"))
    return found
