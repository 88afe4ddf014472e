"""`gradline predict`: predict the rows of a table with a package."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.commands import (
    HELP,
    as_json,
    expect_name,
    package_argument,
    public_key,
    table_options,
)
from gradline.errors import InputError, OutputError, in_quotes

if TYPE_CHECKING:
    from gradline.tables import FrameTable

OPTION = re.compile(r"(?<!ray start )--[a-z][a-z-]*")  # of gradline's own
BETWEEN = re.compile(r",(?: or)? (?=(?:[^']*'[^']*')*[^']*$)")  # a hint's parts, quotations whole
LEVEL = re.compile(r"0?\.\d+")
STREAM = "-"  # stdin, stdout


class _PredictCommand(click.Command):
    """A command whose flag --intervals takes no value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; explain a level after --intervals, which would be taken for a file."""
        for word, following in pairwise(args):
            if word == "--intervals" and LEVEL.fullmatch(following):
                raise InputError(
                    f"--intervals takes no value, but {following} follows it",
                    code="bad-option",
                    hint=f"--intervals --level {following}",
                )
        return super().parse_args(ctx, args)


@click.command("predict", cls=_PredictCommand, context_settings=HELP)
@package_argument
@click.argument("data", type=click.Path())
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here, not to stdout.")
@click.option(
    "--format",
    "kind",
    metavar="EXT",
    help="Write csv, tsv (.gz, .zst), parquet, arrow or ndjson. Default: by OUTPUT's extension.",
    shell_complete=lambda _context, _option, typed: _formats(typed),
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="Copy this column of DATA to the output, or every one with 'all'; repeat.",
)
@click.option("--intervals", is_flag=True, help="Add the ends of each prediction's interval.")
@click.option(
    "--level",
    type=float,
    metavar="P",
    help="Probability that an interval contains the true value.  [default: 0.95]",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Add each column's part of each prediction (of log(NAME): its factor).",
)
@click.option("--check", is_flag=True, help="Add what lies outside the training ranges.")
@table_options
@public_key
@expect_name
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="Predict here, or on a Ray cluster, which fills the folder OUTPUT, a file per file.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Address of the Ray cluster. Default: RAY_ADDRESS, else one on this machine.",
)
@as_json
@click.option("-q", "--quiet", is_flag=True, help="Print no progress and no closing line.")
def command(
    package: str,
    data: str,
    output: Path | None,
    kind: str | None,
    keep: tuple[str, ...],
    intervals: bool,
    level: float | None,
    explain: bool,
    check: bool,
    separator: str | None,
    decimal_comma: bool,
    nulls: tuple[str, ...],
    unknown_category: str | None,
    public_key: Path | None,
    name: str | None,
    engine: str,
    address: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict the rows of a table with a model.

    DATA is a CSV, TSV, Parquet, Arrow or NDJSON file, a glob, a folder, or - for stdin. Its columns
    are matched by name, in any order; others are ignored unless kept. A row with a missing value
    gets missing predictions, unless PACKAGE fills that column. Memory use does not grow with the
    number of rows. The output file appears once it is complete, or not at all. Beside a kept column
    named like a target, its prediction is called TARGET_predicted.

    \b
      gradline predict artifacts/orchard weather.csv
      gradline predict artifacts/orchard/1 'weather/*.parquet' -o fruit.parquet --keep region
      gradline predict artifacts/sales labelled.csv --keep all --intervals --level 0.9
      cat weather.csv | gradline predict artifacts/orchard - --format ndjson
      gradline predict artifacts/orchard weather.csv --json
      gradline predict artifacts/orchard 'years/*.parquet' --engine ray -o predicted/
    """
    from gradline.atomic import check_output
    from gradline.commands.predictions import answer, answer_in_files
    from gradline.model import load
    from gradline.scoring.open_engine import open_engine, path_for
    from gradline.scoring.rows import Scoring
    from gradline.tables import Dialect, open_files
    from gradline.tables.writing import check_types

    to_file = None if output is None or str(output) == STREAM else output
    if engine != "local":
        kind = _kind(kind or "parquet", None)
        _check_shared(data, to_file)
    else:
        is_folder = to_file is not None and to_file.is_dir()
        kind = _kind(kind, None if is_folder else to_file)
        if to_file is not None:
            _check_file(to_file)
    model = load(package, public_key=public_key, name=name)
    with ExitStack() as stack:
        stack.enter_context(own_hints(command))
        if data == STREAM:
            from gradline.tables.stdin import table_from_stdin

            data = str(stack.enter_context(table_from_stdin()))
        dialect = Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls))
        table = open_files(path_for(engine, data), dialect)
        if to_file is not None and engine == "local":
            check_output(to_file, table.paths)
        kept = _kept(keep, table)
        scoring = Scoring(
            model, table, kept, unknown_category, explain, check, _level(level, intervals=intervals)
        )
        check_types(scoring.schema(), "ndjson" if as_json and to_file is None else kind)
        with open_engine(engine, address) as lent:
            if lent is None or to_file is None:
                answer(scoring, to_file, kind, as_json=as_json, quiet=quiet)
            else:
                answer_in_files(scoring, to_file, kind, lent, as_json=as_json, quiet=quiet)


def _check_shared(data: str, output: Path | None) -> None:
    """Refuse input and output that other machines can't reach."""
    from gradline.tables.writing import FORMATS

    if data == STREAM:
        raise InputError("other machines can't read stdin", code="bad-option", hint="give files")
    is_file = output is None or output.is_file()
    if output is not None and not output.is_dir():
        is_file |= output.name.lower().endswith(tuple(f".{name}" for name in FORMATS))
    if is_file:
        raise InputError(
            "the machines of a cluster write one file each and need a folder",
            code="bad-option",
            hint="-o FOLDER, at a path that each of them reaches",
        )


def _check_file(output: Path) -> None:
    """Refuse a folder, which only a cluster fills, and a path that can't be written."""
    from gradline.atomic import check_writable

    if output.is_dir():
        file = shlex.quote(str(output / "predictions.csv"))
        hint = f"-o {file}, or add --engine ray for a folder with a file per file"
        what = f"cannot write {output}: it is a folder"
        raise OutputError(what, code="cannot-write", hint=hint)
    check_writable(output)


def _formats(typed: str) -> list[str]:
    from gradline.tables.writing import FORMATS

    return [name for name in FORMATS if name.startswith(typed.lower().removeprefix("."))]


def _kind(given: str | None, output: Path | None) -> str:
    """Choose the output's format: the given one, the file name's, or CSV on stdout."""
    from gradline.tables.writing import FORMATS, output_format

    if given is None:
        return "csv" if output is None else output_format(output)
    kind = given.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(
            f"--format {in_quotes(given)}: unknown",
            code="bad-option",
            hint=f"one of {', '.join(FORMATS)}",
        )
    return kind


def _kept(keep: tuple[str, ...], table: FrameTable) -> list[str]:
    """List the columns to copy, each once."""
    if "*" in keep and "*" not in table.names:
        what = "no column '*' to keep"
        raise InputError(what, code="unknown-column", hint="--keep all copies every column")
    is_all = "all" in keep and "all" not in table.names
    return list(table.names if is_all else dict.fromkeys(keep))


def _level(level: float | None, *, intervals: bool) -> float | None:
    """Choose the level of the intervals; None without any."""
    if level is not None and not intervals:
        what = f"--level {level:g} without --intervals: there is nothing to choose it for"
        raise InputError(what, code="bad-option", hint="add --intervals, or leave --level out")
    return (0.95 if level is None else level) if intervals else None


@contextmanager
def own_hints(command: click.Command) -> Iterator[None]:
    """Remove from an error's hint the options that only training has."""
    from gradline.columns.python_numbers import hint_for_prediction

    try:
        yield
    except InputError as error:
        hint_for_prediction(error)
        own = {name for parameter in command.params for name in parameter.opts}
        if not own.issuperset(OPTION.findall(error.command_hint)):
            parts = BETWEEN.split(error.command_hint)
            error.command_hint = ", or ".join(p for p in parts if own.issuperset(OPTION.findall(p)))
        raise
