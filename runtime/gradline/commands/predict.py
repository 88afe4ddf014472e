"""`gradline predict`: a package and a table in, predictions out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.commands import expect_name
from gradline.errors import InputError
from gradline.terminal.output import say, say_json, tell, warn

if TYPE_CHECKING:
    import polars as pl

    from gradline.model import Model
    from gradline.scoring.engine import Engine
    from gradline.scoring.folder import Scored
    from gradline.scoring.rows import Scoring
    from gradline.tables import FrameTable

__all__ = ["command"]

OPTION = re.compile(r"(?<!ray start )--[a-z][a-z-]*")  # of gradline's own
BETWEEN = re.compile(r",(?: or)? (?=(?:[^']*'[^']*')*[^']*$)")  # a hint's parts, but for quotations
STREAM = "-"  # stdin, stdout


@click.command(
    "predict",
    short_help="Predict the rows of a table with a model.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("package", type=click.Path())
@click.argument("data", type=click.Path())
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here, not to stdout.")
@click.option(
    "--format",
    "kind",
    metavar="EXT",
    help="csv, tsv (.gz, .zst), parquet, arrow or ndjson.",
    shell_complete=lambda _context, _option, typed: _formats(typed),
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="Pass a column through as it is, or all; repeat.",
)
@click.option("--explain", is_flag=True, help="Add each feature's part of each prediction.")
@click.option("--check", is_flag=True, help="Add what lies outside the training ranges.")
@click.option("--separator", metavar="C", help="Of CSV files; by default the extension's.")
@click.option("--decimal-comma", is_flag=True, help="Read 1,5 as one and a half.")
@click.option("--null", "nulls", multiple=True, metavar="TOKEN", help="Also means missing; repeat.")
@click.option(
    "--unknown-category",
    type=click.Choice(("error", "zero")),
    default="error",
    show_default=True,
    help="What a category that no training row had does; zero makes every indicator 0.",
)
@click.option(
    "--public-key", type=click.Path(path_type=Path), help="PACKAGE must be signed by its owner."
)
@expect_name
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="What predicts; ray is a cluster's machines, with one file in OUTPUT for each of DATA's.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Of the Ray cluster; by default RAY_ADDRESS, else one on this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no closing line.")
def command(
    package: str,
    data: str,
    output: Path | None,
    kind: str | None,
    keep: tuple[str, ...],
    explain: bool,
    check: bool,
    separator: str | None,
    decimal_comma: bool,
    nulls: tuple[str, ...],
    unknown_category: str,
    public_key: Path | None,
    name: str | None,
    engine: str,
    address: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict every row of DATA with the model in PACKAGE.

    DATA is a CSV, TSV, Parquet, Arrow or NDJSON file, a glob, a folder, or - for stdin; its columns
    are matched by name, in any order, and further columns are ignored unless kept. A row with a
    missing value that the package has no fill for gets missing predictions. Memory does not grow
    with the rows; the output file appears when it is whole, or not at all.

    \b
      gradline predict artifacts/orchard weather.csv
      gradline predict artifacts/orchard/1 'weather/*.parquet' -o fruit.parquet --keep region
      cat weather.csv | gradline predict artifacts/orchard - --format ndjson
      gradline predict artifacts/orchard weather.csv --json
      gradline predict artifacts/orchard 'years/*.parquet' --engine ray -o predicted/
    """
    from gradline.atomic import check_output, check_writable
    from gradline.model import load
    from gradline.scoring.open_engine import open_engine, path_for
    from gradline.scoring.rows import Scoring, made_names
    from gradline.tables import Dialect, open_files
    from gradline.tables.writing import check_types

    to_file = None if output is None or str(output) == STREAM else output
    shared = engine != "local"
    if shared:
        kind = _kind(kind or "parquet", None)
        _check_shared(data, to_file)
    else:
        kind = _kind(kind, to_file)
        if to_file is not None:
            check_writable(to_file)
    model = load(package, public_key=public_key, name=name)
    with ExitStack() as stack:
        stack.enter_context(_own_hints())
        if data == STREAM:
            from gradline.tables.stdin import table_from_stdin

            data = str(stack.enter_context(table_from_stdin()))
        dialect = Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls))
        table = open_files(path_for(engine, data), dialect)
        if to_file is not None and not shared:
            check_output(to_file, table.paths)
        kept = _kept(keep, table, made_names(model, explain=explain, check=check))
        scoring = Scoring(model, table, kept, unknown_category, explain, check)
        check_types(scoring.schema(), "ndjson" if as_json and to_file is None else kind)
        with open_engine(engine, address) as lent:
            if lent is None or to_file is None:
                _answer(scoring, to_file, kind, as_json=as_json, quiet=quiet)
                return
            found = _in_files(scoring, to_file, kind, lent, quiet=quiet or as_json)
    _say_files(model, found, to_file, as_json=as_json, quiet=quiet)


def _check_shared(data: str, output: Path | None) -> None:
    """Raise where an engine can't reach what is read or written."""
    if data == STREAM:
        raise InputError(
            "stdin can't be read by other machines", code="bad-option", hint="give files"
        )
    if output is None or output.is_file() or (_is_named_as_file(output) and not output.is_dir()):
        raise InputError(
            "an engine's machines write one file each: where to?",
            code="bad-option",
            hint="-o FOLDER, which each of them reaches by this path",
        )


def _is_named_as_file(output: Path) -> bool:
    from gradline.tables.writing import FORMATS

    return any(output.name.lower().endswith(f".{name}") for name in FORMATS)


def _formats(typed: str) -> list[str]:
    """Return the formats that what was typed may become."""
    from gradline.tables.writing import FORMATS

    return [name for name in FORMATS if name.startswith(typed.lower().removeprefix("."))]


def _kind(given: str | None, output: Path | None) -> str:
    """Return the output's format: the given one, or that of the file's name; CSV on stdout."""
    from gradline.tables.writing import FORMATS, output_format

    if given is None:
        return "csv" if output is None else output_format(output)
    kind = given.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(
            f"--format {given!r}: unknown", code="bad-option", hint=f"one of {', '.join(FORMATS)}"
        )
    return kind


def _kept(keep: tuple[str, ...], table: FrameTable, made: list[str]) -> list[str]:
    """Return the columns to pass through; all are those that no name of the answer's hides."""
    if "all" not in keep or "all" in table.names:
        return list(dict.fromkeys(keep))
    hidden = [name for name in table.names if name in made]
    if hidden:
        names = ", ".join(map(repr, hidden))
        warn(f"the table's own {names} left out, whose name the answer has")
    return [name for name in table.names if name not in hidden]


def _answer(
    scoring: Scoring, output: Path | None, kind: str, *, as_json: bool, quiet: bool
) -> None:
    """Predict, write and say what came of it."""
    from gradline.formatting import count
    from gradline.tables.writing import table_bytes, write_table

    name = scoring.model.name
    for_programs = as_json and not sys.stderr.isatty()
    shown = output is None and not as_json and sys.stdout is not None and sys.stdout.isatty()
    frames = _with_progress(scoring, quiet=quiet or for_programs or shown)
    report = {"name": name, "version": scoring.model.version}
    if output is not None:
        write_table(frames, scoring.schema(), output, kind)
        if as_json:
            say_json({**report, "rows": scoring.rows, "output": str(output)})
        elif not quiet:
            tell(f"{count(scoring.rows, 'row')} predicted by {name}, written to {output}")
    elif as_json:
        _say_object(report, scoring, frames)
    else:
        for part in table_bytes(frames, scoring.schema(), kind):
            say(part)
    _warn(scoring)


def _say_object(
    report: Mapping[str, object], scoring: Scoring, frames: Iterator[pl.DataFrame]
) -> None:
    """Print all predictions as one JSON object: once the last is made, and never all in memory."""
    import json
    from tempfile import TemporaryFile

    from polars import Float64, selectors

    from gradline.tables.writing import COPIED

    with TemporaryFile() as file:
        for frame in frames:
            rows = frame.with_columns(selectors.float().cast(Float64)).write_ndjson()
            between = "," if file.tell() and rows else ""
            file.write((between + rows.rstrip("\n").replace("\n", ",")).encode())
        file.seek(0)
        head = json.dumps({**report, "rows": scoring.rows}, ensure_ascii=False)
        opened = f'{head.removesuffix("}")}, "predictions": ['
        say(opened.encode(errors="backslashreplace"))
        while part := file.read(COPIED):
            say(part)
        say(b"]}\n")


def _in_files(scoring: Scoring, folder: Path, kind: str, engine: Engine, *, quiet: bool) -> Scored:
    """Have an engine predict into files, and return what came of it."""
    from gradline.scoring.folder import score_files
    from gradline.tables.shards import uncut
    from gradline.terminal.progress import Progress

    with Progress(quiet=quiet) as progress:
        progress.expect("rows", scoring.table.expected_rows() or 0)
        if note := uncut(scoring.table):
            progress.note(note)
        return score_files(scoring, folder, kind, engine, progress)


def _say_files(model: Model, found: Scored, folder: Path, *, as_json: bool, quiet: bool) -> None:
    from gradline.formatting import count

    if as_json:
        report = {"name": model.name, "version": model.version, "rows": found.rows}
        say_json({**report, "files": found.files, "before": found.before, "output": str(folder)})
    elif not quiet:
        before = f" ({found.before} of them before)" * bool(found.before)
        files = count(found.files, "file")
        tell(
            f"{count(found.rows, 'row')} predicted by {model.name}, in {files}{before} in {folder}"
        )
    _warn(found)


def _warn(found: Scoring | Scored) -> None:
    """Say which rows got no prediction, or one to be wary of."""
    from gradline.formatting import count

    for rows, what in (
        (found.missing, "with missing values got no prediction"),
        (found.infinite, "with infinite or huge values got infinite or no predictions"),
        (found.outside, "outside the ranges that the model was trained on, alone or together"),
    ):
        if rows:
            warn(f"{count(rows, 'row')} {what}")


def _with_progress(scoring: Scoring, *, quiet: bool) -> Iterator[pl.DataFrame]:
    from gradline.terminal.progress import Progress

    with Progress(quiet=quiet) as progress:
        progress.expect("rows", scoring.table.expected_rows() or 0)
        for frame in scoring.frames():
            yield frame
            progress("rows", scoring.rows)


@contextmanager
def _own_hints() -> Iterator[None]:
    """Leave out of an error's hint what it says of options that only training has."""
    try:
        yield
    except InputError as error:
        own = {name for parameter in command.params for name in parameter.opts}
        if not own.issuperset(OPTION.findall(error.hint)):
            parts = BETWEEN.split(error.hint)
            error.hint = ", or ".join(p for p in parts if own.issuperset(OPTION.findall(p)))
        raise
