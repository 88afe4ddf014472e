"""`gradline predict`: a package and a table in, predictions out."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradline.errors import InputError, OutputError, needs_extra

if TYPE_CHECKING:
    import polars as pl

    from gradline.model import Model
    from gradline.tables import FrameTable

__all__ = ["command"]

WRITERS: dict[str, Callable[[Any, Any], None]] = {
    ".csv": lambda frame, file: frame.write_csv(file),
    ".tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
    ".parquet": lambda frame, file: frame.write_parquet(file),
    ".arrow": lambda frame, file: frame.write_ipc(file),
    ".feather": lambda frame, file: frame.write_ipc(file),
    ".ndjson": lambda frame, file: frame.write_ndjson(file),
    ".jsonl": lambda frame, file: frame.write_ndjson(file),
}


@click.command("predict", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("package", type=click.Path())
@click.argument("data", type=click.Path())
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here, not to stdout.")
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
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    package: str,
    data: str,
    output: Path | None,
    separator: str | None,
    decimal_comma: bool,
    nulls: tuple[str, ...],
    unknown_category: str,
    as_json: bool,
) -> None:
    """Predict every row of DATA with the model in PACKAGE.

    DATA is a CSV, TSV, Parquet, Arrow or NDJSON file, a glob or a folder; its columns are matched
    by name, in any order, and further columns are ignored. A row with a missing value that the
    package has no fill for gets missing predictions.

    \b
      gradline predict artifacts/orchard weather.csv
      gradline predict artifacts/orchard/1 weather.parquet -o fruit.parquet
      gradline predict artifacts/orchard weather.csv --json
    """
    from gradline.files import Dialect
    from gradline.model import load
    from gradline.tables import open_files
    from gradline.wording import count

    if output is not None and output.suffix not in WRITERS:
        raise InputError(
            f"unknown output format {output.suffix!r}",
            code="unknown-format",
            hint=f"name the output *{', *'.join(WRITERS)}",
        )
    model = load(package)
    table = open_files(data, Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls)))
    quiet = as_json and not sys.stderr.isatty()
    frame = predict_table(model, table, unknown_category=unknown_category, quiet=quiet)
    missing = int(frame.null_count().sum_horizontal()[0]) // len(model.targets)
    if missing:
        click.echo(
            f"Warning: {count(missing, 'row')} with missing values got no prediction", err=True
        )
    if output is not None:
        write_whole(output, lambda file: WRITERS[output.suffix](frame, file))
    if as_json:
        report = {"name": model.name, "version": model.version, "rows": len(frame)}
        answer = {"output": str(output)} if output else {"predictions": frame.to_dicts()}
        click.echo(json.dumps({**report, **answer}, ensure_ascii=False))
    elif output is None:
        sys.stdout.write(frame.write_csv())
    else:
        click.echo(
            f"{count(len(frame), 'row')} predicted by {model.name}, written to {output}", err=True
        )


def predict_table(
    model: Model, table: FrameTable, *, unknown_category: str = "error", quiet: bool = False
) -> pl.DataFrame:
    """Return one column for each target, one row for each of the table's.

    Args:
        model: Whose features the table has.
        table: To predict.
        unknown_category: See `Model.predict`.
        quiet: Whether to show no progress.

    Raises:
        InputError: For a missing feature, values that are not numbers, or an unknown category.
    """
    with needs_extra():
        import polars as pl
    from gradline.by_column import has_columns
    from gradline.categories import place_finder
    from gradline.encoding import Column, expand
    from gradline.inputs import match_names
    from gradline.progress import Progress

    by_columns = has_columns(table.names, model.columns, model.features)
    columns = model.columns if by_columns else [Column(name) for name in model.features]
    names = [column.name for column in columns]
    match_names(table.names, names, extra="ignore")
    categories = [column for column in columns if column.kind == "category"]
    coded = table.with_categories({c.name: place_finder(c, unknown_category) for c in categories})
    schema = dict.fromkeys(model.targets, pl.Float32 if model.dtype.itemsize == 4 else pl.Float64)
    frames = []
    with Progress(quiet=quiet) as progress:
        for block in coded.blocks(names):
            predicted = model.predict(expand(block.values, columns))
            answers = pl.DataFrame(predicted, schema=schema, orient="row")
            frames.append(answers.fill_nan(None))
            progress("rows", sum(map(len, frames)))
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def write_whole(path: Path, write: Callable[[Any], None]) -> None:
    """Let `write` write to a file that appears under `path` when it is whole, or not at all.

    Raises:
        OutputError: Where it can't be written.
    """
    try:
        handle, building = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            Path(building).replace(path)
        except BaseException:
            Path(building).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            code="cannot-write",
            hint="give a path in a folder with room that you may write to",
        ) from error
