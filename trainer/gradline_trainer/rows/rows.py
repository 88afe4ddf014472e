"""Read a table's rows: check them, drop or hold out some, and count what is found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.columns.terms import name_of
from gradline.errors import InputError
from gradline.tables import Block
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns, TrainingTable
from gradline_trainer.rows.counts import Counts, Fault, fault_error
from gradline_trainer.rows.dealing import dealt_folds, held_out_rows
from gradline_trainer.rows.domains import limited_factors, outside
from gradline_trainer.rows.logarithms import Functions, logarithms, without_logarithm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Complete rows.

    With a plan, the first piece holds the columns that the features are computed from.
    """

    pieces: tuple[NDArray[Any], ...]  # (n, …) each; side by side [features, targets]
    split: int  # d
    weights: Array | None = None  # (n,); None if each is 1
    folds: NDArray[np.intp] | None = None  # each row's fold, (n,)
    first: int = 0  # how many rows of the same kind come before these
    plan: Plan | None = None

    @cached_property
    def values(self) -> Array:
        """[features, targets], shape (n, d + k), float64."""
        if self.plan is not None:
            return self.expanded().values
        if len(self.pieces) == 1:
            return self.pieces[0].astype(np.float64, copy=False)
        return np.concatenate(self.pieces, axis=1, dtype=np.float64)

    @property
    def features(self) -> Array:
        """Shape (n, d); with a plan computed each time."""
        if self.plan is not None:
            return self.plan.compute(self.pieces[0])
        return self.pieces[0] if self._is_pair else self.values[:, : self.split]

    @property
    def targets(self) -> Array:
        """Shape (n, k)."""
        return self.pieces[1] if self._is_pair else self.values[:, self.split :]

    @property
    def _is_pair(self) -> bool:
        if self.plan is not None:
            return True
        return len(self.pieces) == 2 and self.pieces[0].shape[1] == self.split

    def __len__(self) -> int:
        return len(self.pieces[0])

    def laid_out(self) -> Rows:
        """Copy to contiguous float64 arrays: a sum's bits depend on the layout."""
        first = self.features if self.plan is None else self.pieces[0]
        pieces = (np.ascontiguousarray(part, np.float64) for part in (first, self.targets))
        weights = None if self.weights is None else np.ascontiguousarray(self.weights)
        return replace(self, pieces=tuple(pieces), weights=weights)

    def expanded(self) -> Rows:
        """Compute the features, if the rows have a plan."""
        if self.plan is None:
            return self
        return replace(self, pieces=(self.features, self.targets), plan=None)

    def in_logarithms(self, functions: Functions) -> Rows:
        """Replace targets by their logarithms, in float64."""
        first = self.features if self.plan is None else self.pieces[0]
        return replace(self, pieces=(first, logarithms(self.targets, functions)))

    def cut(self, part: slice) -> Rows:
        """Take consecutive rows."""
        return replace(self.take(part), first=self.first + (part.start or 0))

    def take(self, part: slice | NDArray[np.intp]) -> Rows:
        """Take some of the rows."""
        return replace(
            self,
            pieces=tuple(piece[part] for piece in self.pieces),
            weights=None if self.weights is None else self.weights[part],
            folds=None if self.folds is None else self.folds[part],
        )

    def chunks(self, size: int) -> Iterator[Rows]:
        """Yield `size` rows at a time; the last chunk may be shorter."""
        if len(self) <= size:
            yield self
            return
        for start in range(0, len(self), size):
            yield self.cut(slice(start, start + size))


@dataclass
class RowReader:
    """Reads a table's rows, as often as needed, and counts what it finds."""

    table: TrainingTable
    columns: Columns
    options: Options
    block_rows: int | None = None  # to read at a time, ≥ 100; None for the table's own
    counts: Counts = field(default_factory=Counts)  # of the latest pass
    before: Counts = field(default_factory=Counts)  # of the rows before this shard
    folds: int | None = None  # to deal for cross-validation, if the options deal none
    raw: bool = False  # yield the columns' own values in the place of features
    trusting: bool = False  # do not look for NaN and infinity where every row trains

    @property
    def dealt(self) -> int | None:
        """The number of folds that the rows are dealt to."""
        return self.options.folds or self.folds

    def blocks(self) -> Iterator[tuple[Block, Rows, Rows]]:
        """Yield each block, its training rows and its held-out rows.

        Faults are counted; from the first one on no block is yielded. See `refuse_faults`.
        """
        counts = self.counts = Counts()
        for block in self.table.blocks(self.columns.all, self.block_rows):
            counts.blocks += 1
            counts.read += len(block.pieces[0])
            if self._is_plain(block):
                self._check_domains(block, np.True_)
                first = self.before.training + counts.training
                training = Rows(block.pieces, len(self.columns.features), first=first)
                held_out = training.cut(slice(0))
                counts.training += len(training)
            else:
                complete = self._check(block)
                if counts.faults:
                    continue
                training, held_out = self._divide(block, complete)
            if self.columns.functions and not counts.faults:
                training, held_out = (
                    rows.in_logarithms(self.columns.functions) for rows in (training, held_out)
                )
            if not counts.faults:
                yield block, training, held_out

    def refuse_faults(self) -> None:
        """Raise InputError for what the latest pass found: column, count and first row."""
        if self.counts.faults:
            raise fault_error(self.counts.faults, self.columns)
        if self.columns.weight is not None and self.counts.read and not self.counts.training:
            raise InputError(
                f"the sample weights in {self.columns.weight!r} are all zero",
                code="bad-weight",
                hint="give at least one row a positive weight",
            )

    def _is_plain(self, block: Block) -> bool:
        """Check whether every row trains, with the same weight."""
        options = self.options
        if self.columns.weight or options.holdout or self.dealt:
            return False
        if not self.columns.plan.is_plain:
            return False
        return self.trusting or all(map(_is_finite, block.pieces))

    def _divide(self, block: Block, complete: NDArray[np.bool_]) -> tuple[Rows, Rows]:
        """Divide a block's complete rows into training rows and held-out rows, and count them."""
        counts, before = self.counts, self.before
        held = held_out_rows(block, self.options)
        folds = dealt_folds(block, self.dealt, self.options.seed)
        first, first_held = before.training + counts.training, before.held_out + counts.held_out
        training = self._rows(block.values, folds, complete & ~held, first)
        held_out = self._rows(block.values, None, complete & held, first_held)
        counts.dropped += int((~complete).sum())
        counts.held_out += int((held & complete).sum())
        counts.training += len(training)
        return training, held_out

    def _rows(
        self, values: Array, folds: NDArray[np.intp] | None, chosen: NDArray[np.bool_], first: int
    ) -> Rows:
        """Take the chosen rows, without those of weight 0."""
        if self.columns.weight:
            chosen = chosen & (values[:, -1] > 0)
        rows = values if chosen.all() else values[chosen]
        d, k = len(self.columns.inputs), len(self.columns.targets)
        weights = rows[:, d + k] if self.columns.weight else None
        folds = folds if folds is None or chosen.all() else folds[chosen]
        plan = self.plan
        if plan is None:
            return Rows((rows[:, : d + k],), d, weights, folds, first)
        pieces = (rows[:, :d], rows[:, d : d + k])
        found = Rows(pieces, len(plan.terms), weights, folds, first, plan)
        # Without groups, the features take no more memory than the columns.
        return found if plan.layout.groups else found.expanded()

    @cached_property
    def plan(self) -> Plan | None:
        """How to compute the features; None if they are the columns themselves."""
        plan = self.columns.plan
        filled = any(column.fill is not None for column in plan.columns)
        return None if self.raw or (plan.is_plain and not filled) else plan

    def _check(self, block: Block) -> NDArray[np.bool_]:
        """Note a block's faults, and find which of its rows are complete."""
        values = block.values
        every = range(values.shape[1])
        missing: NDArray[np.bool_] = np.isnan(values)
        if self.options.missing in ("auto", "mean"):
            missing = self._unfilled(missing, block)
        elif self.options.missing == "error":
            self._note("missing", missing, every, block)
        incomplete = missing.any(axis=1)
        self._note("infinite", np.isinf(values), every, block)
        known = ~np.any(values[:, self.columns.categories] < 0, axis=1)
        if self.columns.weight is not None:
            self._note("negative", values[:, -1:] < 0, every[-1:], block)
            known |= values[:, -1] == 0  # `_rows` leaves such a row out
        self.counts.unknown += int((~known & ~incomplete).sum())
        complete: NDArray[np.bool_] = known & ~incomplete
        self._check_domains(block, complete)
        self._note_outside(values, complete, block)
        return complete

    def _check_domains(self, block: Block, complete: NDArray[np.bool_] | np.bool_) -> None:
        """Note targets of complete rows of positive weight that have no logarithm."""
        if not self.columns.functions:
            return
        d, k, values = len(self.columns.inputs), len(self.columns.targets), block.values
        if self.columns.weight is not None:
            complete = complete & (values[:, -1] > 0)
        beyond = without_logarithm(values[:, d : d + k], self.columns.functions)
        beyond &= np.expand_dims(complete, -1)
        self._note("no logarithm", beyond, range(d, d + k), block)
        self._note("even of 1 + y", beyond & (values[:, d : d + k] <= -1), range(d, d + k), block)

    def _note_outside(self, values: Array, rows: NDArray[np.bool_], block: Block) -> None:
        """Count the values outside a function's domain, such as 0 for a logarithm."""
        if self.columns.weight is not None:
            rows = rows & (values[:, -1] > 0)
        for factor, j in [] if self.raw else limited_factors(self.columns.plan):
            wrong = rows & outside(factor, values[:, j])
            if wrong.any():
                row = int(np.argmax(wrong))
                first = f"{values[row, j]:.6g} in {self._place(row, block)}"
                key = name_of((factor,)), self.columns.all[j]
                fault = self.counts.faults.setdefault(key, Fault(0, first, factor))
                fault.count += int(wrong.sum())

    def _unfilled(self, missing: NDArray[np.bool_], block: Block) -> NDArray[np.bool_]:
        """Find the missing values that nothing fills, such as those of targets and weights."""
        inputs, categories = self.columns.inputs, self.columns.categories
        if self.options.missing == "mean":
            self._note("no category", missing[:, categories], categories, block)
        unfilled = missing.copy()
        filled = [j for j, column in enumerate(inputs) if self.raw or column.fill is not None]
        unfilled[:, filled] = False
        kept = ~unfilled.any(axis=1)
        self.counts.filled += int(missing[kept][:, filled].sum())
        return unfilled

    def _note(
        self, what: str, wrong: NDArray[np.bool_], places: Sequence[int], block: Block
    ) -> None:
        """Count faults; wrong[:, i] marks those of the column at places[i]."""
        for i in np.flatnonzero(wrong.any(axis=0)):
            row = int(np.argmax(wrong[:, i]))
            first = self._place(row, block)
            if what == "no logarithm":
                first = f"{block.values[row, places[int(i)]]:g} in {first}"
            key = what, self.columns.all[places[int(i)]]
            self.counts.faults.setdefault(key, Fault(0, first)).count += int(wrong[:, i].sum())

    def _place(self, row: int, block: Block) -> str:
        """Name a row of a block for people."""
        return f"row {block.start + row + 1} of {self.table.label(block.part)}"


def _is_finite(values: NDArray[Any]) -> bool:
    """Check for NaN and infinity: the sum shows them fastest, but may overflow."""
    flat = values.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(flat.sum()) or bool(np.isfinite(flat).all())
