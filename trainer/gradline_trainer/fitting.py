"""fit(): from a table to W and b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gradline.errors import InputError
from gradline.scoring.open_engine import open_engine, path_for
from gradline.tables import Dialect
from gradline.tables.shards import uncut
from gradline_trainer.descent.library_state import known_state
from gradline_trainer.learning import learn
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options, check_arguments
from gradline_trainer.result import Fit
from gradline_trainer.rows.columns import open_table
from gradline_trainer.rows.encoding import MAX_CATEGORIES, learn_encoding
from gradline_trainer.rows.passes import Progress, Walk, expect
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.rows.sharding import check_shareable
from gradline_trainer.saved.training import chosen_moments, reader_of

__all__ = ["Fit", "fit"]


@known_state()
def fit(
    table: Any,
    targets: Sequence[str] | str | None = None,
    features: Sequence[str] | str | None = None,
    *,
    exclude: Sequence[str] | str = (),
    one_hot: Sequence[str] | str = (),
    max_categories: int = MAX_CATEGORIES,
    sample_weight: Any = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    null: Sequence[str] = (),
    keep_moments: bool = False,
    progress: Progress | None = None,
    engine: str = "local",
    address: str | None = None,
    **options: Any,
) -> Fit:
    """Return the linear model that gradient descent learns from a table.

    Args:
        table: A path, a glob or a folder; a polars, pandas or pyarrow table; a mapping of
            columns; a pair (X, Y) of arrays or tensors, shapes (n, d) and (n, k) or (n,); or
            saved moments, from `gradline_trainer.load_moments`.
        targets: The columns to predict; for a pair (X, Y) their names, y0… by default; of saved
            moments by default those that were saved.
        features: The columns to predict from, in the graph's order; by default every other
            numeric column, for a pair (X, Y) the names x0…, and of saved moments those saved.
        exclude: Columns that are not to be features.
        one_hot: Features that are categories (text, integers or booleans): each becomes one
            indicator NAME=level per level, but for the most frequent one where there is a bias
            and no ridge penalty, which costs an earlier pass over the table.
        max_categories: The most levels that such a column may have.
        sample_weight: The column of sample weights; for a pair (X, Y) an array of shape (n,).
        separator: Of CSV files, by default the extension's.
        decimal_comma: Whether 1,5 means one and a half.
        null: Further texts that mean a missing value.
        keep_moments: Whether the fit is to keep what `gradline_trainer.save_moments` writes; a wide
            table, which has no co-moments, is refused then.
        progress: Called with ("rows", count) and ("epochs", count), and of a wide table with
            ("passes", count) over the rows in search of the largest stable rate. A method
            `expect` of it is called with each of the three and about how many there are to be (of
            epochs, at most), a method `loss` with each epoch's loss, before the epoch, and a method
            `note` with what makes the run take longer than it might.
        engine: What reads the rows: this process, or "ray", a cluster whose machines can all read
            the files; the answer is the same, bit for bit.
        address: Of the Ray cluster; None for the one that RAY_ADDRESS names, else for the last that
            was started on this machine, else for one that is started for as long.
        **options: See `Options`.

    Raises:
        InputError: For a table, column or option that does not fit, naming it.
        RefusedError: Where the run diverged, saying why, and where workers were lost again and
            again.
        MissingExtraError: Where Ray is asked for and not installed.
    """
    names = {"targets": targets, "features": features, "exclude": exclude, "one_hot": one_hot}
    check_arguments(table, sample_weight, separator, null=null, **names)
    chosen = Options.of(**options)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device = 'cuda', but PyTorch finds no CUDA device here",
            code="no-cuda",
            hint="use --device cpu, or install a PyTorch with CUDA on a machine that has one",
        )
    report = progress or (lambda stage, count: None)
    nulls = (*Dialect.nulls, *([null] if isinstance(null, str) else null or ()))
    if isinstance(table, SavedMoments):
        of_rows = {"sample_weight": sample_weight, "one_hot": one_hot, "null": null}
        of_rows |= {"separator": separator, "decimal_comma": decimal_comma}
        of_rows |= {"engine": engine != "local" and engine, "address": address}
        of_rows["max_categories"] = max_categories != MAX_CATEGORIES and max_categories
        saved, chosen = chosen_moments(
            table, targets, features, exclude, chosen, of_rows, options.get("folds")
        )
        learned = learn(Walk(reader_of(saved, chosen), report), refuse_trivial=True, gathered=saved)
        reason = "from saved moments, without the rows"
        return replace(learned, arithmetic=replace(learned.arithmetic, reason=reason))
    if isinstance(table, str | Path):
        table = path_for(engine, table)
    dialect = Dialect(separator, decimal_comma, nulls)
    source, columns = open_table(
        table, targets, features, exclude or (), sample_weight, dialect, one_hot
    )
    expect(report, "rows", source.expected_rows() or 0)
    with open_engine(engine, address) as lent:
        if lent is not None:
            note = uncut(check_shareable(source, chosen))
            if note and (tell := getattr(progress, "note", None)):
                tell(note)
        if one_hot or chosen.missing == "mean" or max_categories != MAX_CATEGORIES:
            source, columns = learn_encoding(source, columns, chosen, max_categories, report, lent)
        walk = Walk(RowReader(source, columns, chosen), report, lent)
        return learn(walk, refuse_trivial=True, keep_moments=keep_moments)
