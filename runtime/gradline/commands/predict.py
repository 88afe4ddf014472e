"""`gradline predict`: a package and a table in, predictions out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradline.errors import InputError, needs_extra
from gradline.terminal import say, say_json, tell

if TYPE_CHECKING:
    import polars as pl

    from gradline.model import Model
    from gradline.tables import FrameTable

__all__ = ["command"]

OPTION = re.compile(r"--[a-z][a-z-]*")
BETWEEN = re.compile(r",(?: or)? (?=(?:[^']*'[^']*')*[^']*$)")  # a hint's parts, but for quotations


@click.command(
    "predict",
    short_help="Predict the rows of a table with a model.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    from gradline.writing import check_output, write_table

    if output is not None:
        check_output(output)
    model = load(package)
    with _own_hints():
        table = open_files(data, Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls)))
        if output is not None:
            check_output(output, table.paths)
        quiet = as_json and not sys.stderr.isatty()
        found = predict_table(model, table, unknown_category=unknown_category, quiet=quiet)
    for rows, what in (
        (found.missing, "with missing values got no prediction"),
        (found.infinite, "with infinite or huge values got infinite or no predictions"),
    ):
        if rows:
            tell(f"Warning: {count(rows, 'row')} {what}")
    if output is not None:
        write_table(found.frame, output)
    if as_json:
        report = {"name": model.name, "version": model.version, "rows": len(found.frame)}
        answer = {"output": str(output)} if output else {"predictions": found.frame.to_dicts()}
        say_json({**report, **answer})
    elif output is None:
        say(found.frame.write_csv().encode())
    else:
        whole = count(len(found.frame), "row")
        tell(f"{whole} predicted by {model.name}, written to {output}")


@dataclass(frozen=True)
class Predictions:
    """What a table's rows got.

    Attributes:
        frame: One column for each target, one row for each of the table's; null where NaN.
        missing: The number of rows with a missing value and without a prediction.
        infinite: The number of further rows with a prediction that is not finite.
    """

    frame: pl.DataFrame
    missing: int
    infinite: int


def predict_table(
    model: Model, table: FrameTable, *, unknown_category: str = "error", quiet: bool = False
) -> Predictions:
    """Return the predictions for every row of a table.

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
    import numpy as np

    from gradline.progress import Progress
    from gradline.scoring import table_inputs

    schema = dict.fromkeys(model.targets, pl.Float32 if model.dtype.itemsize == 4 else pl.Float64)
    frames = [pl.DataFrame(schema=schema)]
    missing = infinite = 0
    with Progress(quiet=quiet) as progress:
        progress.expect("rows", table.expected_rows() or 0)
        for inputs in table_inputs(table, model.columns, model.features, unknown_category):
            answers = model.predict(inputs)
            finite = np.isfinite(answers).all(axis=1)
            lacking = np.isnan(inputs).any(axis=1) & ~finite
            missing += int(lacking.sum())
            infinite += int((~lacking & ~finite).sum())
            frames.append(pl.DataFrame(answers, schema=schema, orient="row").fill_nan(None))
            progress("rows", sum(map(len, frames)))
    return Predictions(pl.concat(frames), missing, infinite)


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
