"""One run over a table: decide its terms, learn, and start over if a surprise turns up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradline.errors import InputError
from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline_trainer.learning import WIDE, learn
from gradline_trainer.moments.superfluous import SuperfluousError
from gradline_trainer.options import FOLDS, Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.columns import Columns, Names, TrainingTable, choose_columns
from gradline_trainer.rows.encoding import learn_encoding, read_in_format_2
from gradline_trainer.rows.passes import Progress, Walk
from gradline_trainer.rows.rows import RowReader
from gradline_trainer.saved.differences import with_terms
from gradline_trainer.saved.gathering import gather_to_save, to_save, with_given_terms
from gradline_trainer.terms.choosing import plain_columns, surveyed_columns
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.decisions import no_column
from gradline_trainer.terms.leaving_out import without
from gradline_trainer.terms.likeness import columns_like
from gradline_trainer.terms.request import Request

#: Errors that say that a column does not hold plain numbers, all of them there.
SURPRISES = ("not-numeric", "missing-value")


@dataclass(frozen=True)
class Run:
    """The table, the options and the engine of a run."""

    table: TrainingTable
    options: Options
    report: Progress
    engine: Engine | None
    keep_moments: bool
    max_categories: int
    nulls: Sequence[str]
    refuse_trivial: bool = True  # see `learn`

    def as_given(
        self,
        targets: Names,
        features: Names,
        exclude: Sequence[str] | str,
        weight: str | None,
        one_hot: Sequence[str] | str,
    ) -> Fit:
        """Learn from the columns as they are, and decide nothing."""
        columns = choose_columns(self.table, targets, features, exclude, weight, one_hot)
        fit = self._learn(self.table, columns, self._plainly(), encode=True)
        if not columns.functions:
            return fit
        asked = Asked(tuple(self.nulls), most=self.max_categories)
        return self._keeping(fit, self.table, self._plainly(), asked)

    def by_default(self, request: Request) -> Fit:
        """Learn from the terms that are asked for, or the default terms; see docs/training.md.

        A table of plain numbers is read once. If it turns out to hold anything else, the columns
        are surveyed, and the table is read again.
        """
        assert isinstance(self.table, FrameTable)  # noqa: S101 - arrays are learned as given
        columns = plain_columns(self.table, request)
        if columns is not None and not (self.keep_moments and columns.functions):
            try:
                return self._settle(self.table, columns, self._plainly(), encode=True)
            except InputError as error:
                if error.code not in SURPRISES or self.options.missing == "error":
                    raise
        table, columns = surveyed_columns(
            self.table, request, self.options, self.report, self.engine
        )
        if self.keep_moments and columns.plan.format == 2:
            to_save(columns)  # raises before the training rather than after it
        fit = self._settle(table, columns, self.options, encode=False)
        return fit if fit.columns.plan.format == 1 else self._keeping(fit, table, self.options)

    def _keeping(
        self, fit: Fit, table: TrainingTable, options: Options, asked: Asked | None = None
    ) -> Fit:
        """Keep the moments of all levels; a reference is chosen when a model is learned.

        Args:
            fit: A fit whose package has terms.
            table: What was read.
            options: The options that it was read with.
            asked: What is known of the columns if their terms were given, not decided.
        """
        if not self.keep_moments:
            return fit
        if not isinstance(table, FrameTable):
            assert fit.gathered is not None  # noqa: S101 - it is kept
            return replace(fit, gathered=with_terms(fit.gathered))
        columns = fit.columns
        if asked is not None:
            columns = with_given_terms(table, columns, asked, options, self.report, self.engine)
        columns = to_save(columns)
        folds = _folds(fit.columns, options)
        kept = gather_to_save(table, columns, options, folds, self.report, self.engine)
        return replace(fit, gathered=kept)

    def like(self, package: Any, targets: Names, weight: str | None, asked: Asked) -> Fit:
        """Learn from the columns and terms of a package, so that both models are alike."""
        table, columns = columns_like(
            package,
            self.table,
            targets,
            weight,
            asked,
            self.options,
            self.report,
            self.engine,
        )
        fit = self._settle(table, columns, self.options, encode=False)
        return self._keeping(fit, table, self.options, asked)

    def _plainly(self) -> Options:
        """Turn --missing auto into an error, where nothing is decided by default."""
        if self.options.missing != "auto":
            return self.options
        return replace(self.options, missing="error")

    def _settle(
        self, table: TrainingTable, columns: Columns, options: Options, *, encode: bool
    ) -> Fit:
        """Learn; leave out default terms that turn out to add nothing, and learn again."""
        while True:
            try:
                return self._learn(table, columns, options, encode=encode)
            except SuperfluousError as found:
                columns = without(columns, found.reasons)
                if not columns.plan.columns:
                    raise no_column(columns.decisions, table.names) from None

    def _learn(
        self, table: TrainingTable, columns: Columns, options: Options, *, encode: bool
    ) -> Fit:
        reader = RowReader(table, columns, options)
        if encode and (columns.categories or options.missing == "mean"):
            reader = learn_encoding(reader, self.max_categories, self.report, self.engine)
        if columns.functions and columns.plan.format == 1:
            reader = read_in_format_2(reader, self.nulls)
        reader = replace(reader, folds=_folds(reader.columns, options))
        walk = Walk(reader, self.report, self.engine)
        fit = learn(
            walk,
            options,
            self.report,
            refuse_trivial=self.refuse_trivial,
            keep_moments=self.keep_moments,
        )
        return _recorded(fit)


def _folds(columns: Columns, options: Options) -> int | None:
    """Choose whether to deal folds, so that R² is cross-validated."""
    by_moments = options.gradient_source == "moments" and len(columns.features) <= WIDE
    return FOLDS if columns.has_format_2 and by_moments else None


def _recorded(fit: Fit) -> Fit:
    """Record --missing auto as "error" if no value was missing."""
    if fit.options.missing != "auto" or fit.rows_dropped:
        return fit
    if any(column.fill is not None or column.missing for column in fit.columns.inputs):
        return fit
    return replace(fit, options=replace(fit.options, missing="error"))
