"""`evaluate`: score a model on labelled rows, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradline.columns.inputs import checked_unknown
from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError
from gradline.model import Model, load
from gradline.presentation.scores import HEAD, cells, skipped
from gradline.scoring.errors import Score
from gradline.scoring.evaluation import Evaluation, of_moments, refuse_empty
from gradline.tables import Dialect, open_files
from gradline.tables.frames import open_frame
from gradline.terminal.layout import Grid, as_text
from gradline.tracebacks import short_tracebacks, warn_caller

MOMENTS = ".moments"


class Scores(dict[str, Score]):
    """Each target's `Score`: rows, rmse, mae, r2, bias and skipped; shown as a small table."""

    def __repr__(self) -> str:
        rows = [HEAD, *(cells(*item) for item in self.items())]
        return as_text([Grid(rows, indent=0), *skipped(self)])


@short_tracebacks
@numpy_defaults()
def evaluate(
    model: Model | str | Path,
    table: object,
    *,
    sample_weight: str | None = None,
    unknown_category: str | None = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    null: str | Sequence[str] = (),
) -> Scores:
    """Score a model on labelled rows, as `gradline evaluate` does.

    Args:
        model: A model, or the path of its package.
        table: A file, a glob or a folder; a dataframe or a mapping of columns; or a file of saved
            moments. It has the model's columns and a column for each target.
        sample_weight: The column of the rows' weights; None if all weigh the same.
        unknown_category: As for `Model.predict`.
        separator: The separator of CSV files; by default the one of the file's extension.
        decimal_comma: Whether 1,5 means one and a half in text files.
        null: More texts that mean a missing value in text files.

    Raises:
        InputError: For a table without a target's column or without a row to score, values that
            can't be read, and weights that are negative or all 0.
        PackageError: As for `load`.

    Warns:
        GradlineWarning: As for `Model.predict`.
    """
    scored = model if isinstance(model, Model) else load(model)
    reading = (separator, decimal_comma, (null,) if isinstance(null, str) else tuple(null))
    if isinstance(table, str | Path) and str(table).endswith(MOMENTS):
        if any((*reading, unknown_category)):
            what = "separator, decimal_comma, null and unknown_category do not apply to moments"
            hint = "leave them out, or give the table"
            raise InputError(what, code="bad-option", hint=hint)
        (scores,), notes = of_moments([scored], Path(table), scored.targets, sample_weight)
        warn_caller(notes)
        return Scores(scores)
    if isinstance(table, str | Path):
        dialect = Dialect(reading[0], reading[1], (*Dialect.nulls, *reading[2]))
        opened = open_files(table, dialect)
    else:
        opened = open_frame(table)
    found = Evaluation([scored], opened, sample_weight, unknown_category=unknown_category)
    (scores,) = found.scores()
    (counts,) = found.counts
    refuse_empty(scores, counts.rows)
    unknown = checked_unknown(unknown_category, scored.plan)
    warn_caller([*opened.notes, *found.notes, *counts.warnings(unknown)])
    return Scores(scores)
