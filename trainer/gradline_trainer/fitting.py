"""The front door: fit() turns a table into W and b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Unpack

import torch

from gradline.errors import InputError
from gradline.scoring.open_engine import open_engine, path_for
from gradline.tables import Dialect, open_files
from gradline.tables.shards import uncut
from gradline.tracebacks import short_tracebacks, warn_caller
from gradline_trainer.given import Given, check_arguments
from gradline_trainer.learning import learn
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import MAX_CATEGORIES, Options, TrainingOptions
from gradline_trainer.result import Fit
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.library_state import known_state
from gradline_trainer.rows.passes import Progress, expect, silent
from gradline_trainer.rows.sharding import check_shareable
from gradline_trainer.run import Run
from gradline_trainer.saved.training import chosen_moments
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.likeness import refuse_with_like
from gradline_trainer.terms.request import request_of, time_formats


@short_tracebacks
@known_state()
def fit(
    table: Any,
    targets: Any = None,
    features: Sequence[str] | str | None = None,
    *,
    exclude: Sequence[str] | str = (),
    one_hot: Sequence[str] | str = (),
    max_categories: int = MAX_CATEGORIES,
    strict: bool = False,
    like: str | Path | None = None,
    time_format: Sequence[str] | str = (),
    sample_weight: Any = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    null: Sequence[str] = (),
    keep_moments: bool = False,
    progress: Progress | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    **options: Unpack[TrainingOptions],
) -> Fit:
    """Learn a linear model from a table by gradient descent.

    `fit("sales.csv", "revenue")` learns from a file, `fit(frame, "revenue")` from a data frame,
    `fit(X, y)` from features and targets. The type of X decides how it is read. A path, a frame or
    a mapping of columns gets the default terms: categories, times and missing values are encoded,
    and constants are left out. An array, a tensor, a list of lists or a sparse matrix is taken as
    it is: d columns give d weights, and a missing value is an error.

    Each of `Fit.warnings` is also issued as a `gradline.GradlineWarning`.

    Args:
        table: A path, a glob or a folder; a polars, pandas or pyarrow table; a mapping of
            columns; X alone, shape (n, d); a pair (X, y); or saved moments, from
            `gradline_trainer.load_moments`.
        targets: A text or a list of texts: the columns to predict, or `log(NAME)` or `log1p(NAME)`
            to learn the logarithm of one, or of 1 + it; predictions stay in its units. Anything
            else is y, shape (n,) or (n, k): an array, a tensor, a series, a frame. Its names become
            the targets' names, by default y0…; a name that X also has is an error. For a pair
            (X, y) the names of y's columns; for saved moments by default the saved targets.
        features: The terms to predict from, such as "price", "log(price)", "store",
            "month(date)" or "size:promo", in the graph's order; "*" stands for the default terms
            (see docs/training.md), which are taken if there is no other. For an array X the
            names x0…; for saved moments the saved features.
        exclude: Columns not to use as features.
        one_hot: Features that are categories (text, integers or booleans), with an indicator
            NAME=level for every level; with a bias and no ridge penalty, the most frequent level
            has none.
        max_categories: The most levels that a category may have.
        strict: Whether to decide nothing: the features are the columns of numbers and `one_hot`,
            and a missing value is an error unless `missing` says otherwise.
        like: A package, whose columns and terms are taken instead of deciding anew, so that next
            month's table gives a model of the same terms. By default its targets, too.
        time_format: How the times of a column are written, as NAME=FORMAT in the letters of
            strptime, such as "date=%d/%m/%Y".
        sample_weight: The column of sample weights; for data in memory also an array, shape (n,).
        separator: The separator of CSV files; by default the one of the file's extension.
        decimal_comma: Whether 1,5 means one and a half.
        null: More texts that mean a missing value.
        keep_moments: Whether the fit keeps what `gradline_trainer.save_moments` writes. Refused for
            a wide table, which has no co-moments.
        progress: Called with ("rows", count), ("epochs", count) and, for a wide table, with
            ("passes", count) while the largest stable rate is sought. Optional methods: `expect`
            is called with a stage and about how many steps it has, `loss` with the loss before
            each epoch, and `note` with a reason why the run takes longer than it might.
        engine: "local" reads the rows in this process, "ray" on a cluster whose machines can all
            read the files. Both give the same bits.
        address: The Ray cluster's address. None for RAY_ADDRESS, else the last cluster started on
            this machine, else a new one that ends with the run.
        **options: See `Options`.

    Raises:
        InputError: For a table, column or option that does not fit, naming it.
        RefusedError: If the run diverged, or if workers were lost again and again.
        MissingExtraError: If Ray is asked for and not installed.
    """
    names = {"features": features, "exclude": exclude, "one_hot": one_hot}
    check_arguments(separator, max_categories, null=null, time_format=time_format, **names)
    given = Given.of(table, targets, features, sample_weight)
    chosen = Options.of(**options)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device = 'cuda', but PyTorch finds no CUDA device here",
            code="no-cuda",
            hint="use --device cpu, or install a PyTorch with CUDA on a machine that has one",
        )
    report = progress or silent
    nulls = (null,) if isinstance(null, str) else tuple(null or ())
    if isinstance(given.X, SavedMoments):
        of_rows = {"sample_weight": sample_weight, "one_hot": one_hot, "null": null}
        of_rows |= {"separator": separator, "decimal_comma": decimal_comma}
        of_rows |= {"engine": engine != "local" and engine, "address": address}
        of_rows["max_categories"] = max_categories != MAX_CATEGORIES and max_categories
        return _warned(_of_moments(given, exclude, chosen, of_rows, options.get("folds"), report))
    if isinstance(given.X, str | Path):
        dialect = Dialect(separator, decimal_comma, (*Dialect.nulls, *nulls))
        given = replace(given, X=open_files(path_for(engine, given.X), dialect))
    source, targets, features, weight = given.open()
    expect(report, "rows", source.expected_rows() or 0)
    with open_engine(engine, address) as workers:
        if workers is not None:
            note = uncut(check_shareable(source, chosen))
            if note and (tell := getattr(progress, "note", None)):
                tell(note)
        run = Run(source, chosen, report, workers, keep_moments, max_categories, nulls)
        formats = time_formats(time_format, source.names) if time_format else {}
        asked = Asked(nulls, formats, most=max_categories)
        if like is not None:
            deciding = {"feature": given.features, "exclude": exclude, "one_hot": one_hot}
            refuse_with_like(deciding | {"strict": strict, "time_format": time_format})
            return _warned(run.like(like, targets, weight, asked))
        if strict or isinstance(source, ArrayTable):
            return _warned(run.as_given(targets, features, exclude or (), weight, one_hot))
        request = request_of(
            source, targets, features, exclude or (), weight, one_hot, asked, chosen
        )
        return _warned(run.by_default(request))


def _of_moments(
    given: Given,
    exclude: Sequence[str] | str,
    options: Options,
    of_rows: dict[str, Any],
    folds: int | None,
    report: Progress,
) -> Fit:
    """Learn from saved moments; `of_rows` are the arguments that need rows."""
    saved, options = chosen_moments(
        given.X, given.targets, given.features, exclude, options, of_rows, folds
    )
    if options.missing == "auto" and not saved.columns.has_format_2:
        options = replace(options, missing="error")  # nothing was decided
    found = learn(saved, options, report)
    return found if given.X.columns.survey is None else replace(found, gathered=given.X)


def _warned(found: Fit) -> Fit:
    """Issue the warnings of a fit."""
    if found.warnings:
        warn_caller(found.warnings)
    return found
