"""Rows on their way from the table to the moments: checked, dropped, held out, dealt to folds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.encoding import expand
from gradline.errors import InputError
from gradline.tables import Block
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns, Table

__all__ = ["GROUP_ROWS", "Counts", "RowReader", "Rows"]

Array = NDArray[np.float64]
GROUP_ROWS = 100  # the holdout is dealt within each consecutive group of so many rows
FOLDS = 1  # what makes the seed of the folds another than that of the holdout


@dataclass(frozen=True)
class Rows:
    """Complete rows.

    Attributes:
        pieces: Matrices of n rows: their columns side by side are [features, targets].
        split: d.
        weights: Shape (n,); None where every row weighs 1.
        folds: The fold of each row, shape (n,); None where there are none.
        first: How many rows of their kind, to train on or held out, come before them.
    """

    pieces: tuple[NDArray[Any], ...]
    split: int
    weights: Array | None
    folds: NDArray[np.intp] | None = None
    first: int = 0

    @cached_property
    def values(self) -> Array:
        """[features, targets], shape (n, d + k), float64."""
        if len(self.pieces) == 1:
            return self.pieces[0].astype(np.float64, copy=False)
        return np.concatenate(self.pieces, axis=1, dtype=np.float64)

    @property
    def features(self) -> Array:
        """Shape (n, d)."""
        if self._parted:
            return self.pieces[0]
        return self.values[:, : self.split]

    @property
    def targets(self) -> Array:
        """Shape (n, k)."""
        if self._parted:
            return self.pieces[1]
        return self.values[:, self.split :]

    @property
    def _parted(self) -> bool:
        return len(self.pieces) == 2 and self.pieces[0].shape[1] == self.split

    def __len__(self) -> int:
        return len(self.pieces[0])

    def laid_out(self) -> Rows:
        """Return the same in float64, each row in one piece: a sum's bits depend on the layout."""
        apart = tuple(np.ascontiguousarray(p, np.float64) for p in (self.features, self.targets))
        weights = None if self.weights is None else np.ascontiguousarray(self.weights)
        return replace(self, pieces=apart, weights=weights)

    def chunks(self, size: int) -> Iterator[Rows]:
        """Yield `size` rows at a time, the last ones fewer."""
        if len(self) <= size:
            yield self
            return
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Rows(
                tuple(piece[part] for piece in self.pieces),
                self.split,
                None if self.weights is None else self.weights[part],
                None if self.folds is None else self.folds[part],
                self.first + start,
            )


@dataclass
class Fault:
    """How often something is wrong with a column, and where first."""

    count: int = 0
    first: str = ""


@dataclass
class Counts:
    """What a pass over rows has counted.

    Attributes:
        blocks: Blocks of rows.
        read, dropped, held_out: Rows.
        training: Rows to train on.
        unknown: The rows held out that have a category which no training row has; they can't be
            measured and count as dropped.
        filled: The missing values that were filled, or are to be.
        faults: What is wrong with which column.
    """

    blocks: int = 0
    read: int = 0
    dropped: int = 0
    held_out: int = 0
    training: int = 0
    unknown: int = 0
    filled: int = 0
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)

    def add(self, later: Counts) -> None:
        """Count what a pass over later rows has counted."""
        for name in ("blocks", "read", "dropped", "held_out", "training", "unknown", "filled"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for key, fault in later.faults.items():
            self.faults.setdefault(key, Fault(0, fault.first)).count += fault.count


@dataclass
class RowReader:
    """Reads a table's rows and counts what it finds; read it as often as needed.

    Attributes:
        block_rows: How many rows are read at a time, GROUP_ROWS or more; None for the table's own.
        counts: Of the latest pass.
        before: What is known of the rows before the table's, where it is a share of another.
    """

    table: Table
    columns: Columns
    options: Options
    block_rows: int | None = None
    counts: Counts = field(default_factory=Counts)
    before: Counts = field(default_factory=Counts)

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        """Yield each block's training rows and held-out rows.

        Raises:
            InputError: At the end of the pass, for missing or infinite values and for weights
                that are negative or all 0, with the column, the count and the first row.
        """
        for _, training, held_out in self.blocks():
            yield training, held_out
        self.refuse_faults()

    def blocks(self) -> Iterator[tuple[Block, Rows, Rows]]:
        """Yield each block, its training rows and its held-out rows, faults being counted alone."""
        counts = self.counts = Counts()
        for block in self.table.blocks(self.columns.all, self.block_rows):
            counts.blocks += 1
            counts.read += len(block)
            firsts = (
                self.before.training + counts.training,
                self.before.held_out + counts.held_out,
            )
            if self._is_plain(block):
                counts.training += len(block)
                if not counts.faults:
                    rows = Rows(block.pieces, len(self.columns.features), None, None, firsts[0])
                    none = tuple(piece[:0] for piece in block.pieces)
                    yield block, rows, Rows(none, rows.split, None)
                continue
            keep = self._check(block)
            held = held_out_rows(block, self.options)
            folds = dealt_folds(block, self.options)
            counts.dropped += int((~keep).sum())
            counts.held_out += int((held & keep).sum())
            if counts.faults:
                continue  # only the count goes on
            training = self._rows(block.values, folds, keep & ~held, firsts[0])
            counts.training += len(training)
            yield block, training, self._rows(block.values, None, keep & held, firsts[1])

    def refuse_faults(self) -> None:
        """Raise for what the latest pass found wrong; see `__iter__`."""
        self._raise_faults()
        if self.columns.weight is not None and self.counts.read and not self.counts.training:
            raise InputError(
                f"the sample weights in {self.columns.weight!r} are all zero",
                code="bad-weight",
                hint="give at least one row a positive weight",
            )

    def _is_plain(self, block: Block) -> bool:
        """Return whether all of its rows train, and weigh the same.

        A sum is finite only where all the values are; it is the quickest look at them all.
        """
        options = self.options
        if self.columns.weight or options.holdout or options.folds:
            return False
        if any(column.kind == "category" for column in self.columns.inputs):
            return False
        return all(map(_is_finite, block.pieces))

    def _rows(
        self, values: Array, folds: NDArray[np.intp] | None, chosen: NDArray[np.bool_], first: int
    ) -> Rows:
        """Return the chosen rows; one of weight 0 is as if it were not there."""
        if self.columns.weight:
            chosen = chosen & (values[:, -1] > 0)
        rows = values if chosen.all() else values[chosen]
        d, k = len(self.columns.inputs), len(self.columns.targets)
        weights = rows[:, d + k] if self.columns.weight else None
        folds = folds if folds is None or chosen.all() else folds[chosen]
        inputs = rows[:, :d]
        features = expand(inputs, self.columns.inputs)
        whole = (rows[:, : d + k],) if features is inputs else (features, rows[:, d : d + k])
        return Rows(whole, features.shape[1], weights, folds, first)

    def _check(self, block: Block) -> NDArray[np.bool_]:
        """Return which rows are complete, faults noted."""
        values = block.values
        missing: NDArray[np.bool_] = np.isnan(values)
        if self.options.missing == "mean":
            missing = self._unfilled(missing, block)
        elif self.options.missing == "error":
            self._note("missing", missing, block)
        incomplete = missing.any(axis=1)
        self._note("infinite", np.isinf(values), block)
        if self.columns.weight is not None and (values[:, -1] < 0).any():
            negative = np.zeros(values.shape, np.bool_)
            negative[:, -1] = values[:, -1] < 0
            self._note("negative", negative, block)
        known = np.ones(len(values), np.bool_)
        for j, column in enumerate(self.columns.inputs):
            if column.kind == "category":
                known &= ~(values[:, j] < 0)
        if self.columns.weight is not None:
            known |= values[:, -1] == 0  # as if the row did not exist: see `_rows`
        self.counts.unknown += int((~known & ~incomplete).sum())
        complete: NDArray[np.bool_] = known & ~incomplete
        return complete

    def _unfilled(self, missing: NDArray[np.bool_], block: Block) -> NDArray[np.bool_]:
        """Return what is missing of targets and weights; a category has no mean to fill with."""
        kinds = [column.kind for column in self.columns.inputs]
        places = np.arange(missing.shape[1])
        category = np.isin(places, [j for j, kind in enumerate(kinds) if kind == "category"])
        if missing[:, category].any():
            self._note("no category", missing & category, block)
        unfilled = missing & (places >= len(kinds))
        rows = ~unfilled.any(axis=1)
        self.counts.filled += int((missing[rows, : len(kinds)]).sum())
        return unfilled

    def _note(self, what: str, wrong: NDArray[np.bool_], block: Block) -> None:
        for j in np.flatnonzero(wrong.any(axis=0)):
            fault = self.counts.faults.setdefault((what, self.columns.all[j]), Fault())
            if not fault.count:
                row = block.start + int(np.argmax(wrong[:, j])) + 1
                fault.first = f"row {row} of {self.table.label(block.part)}"
            fault.count += int(wrong[:, j].sum())

    def _raise_faults(self) -> None:
        if not self.counts.faults:
            return
        what, column = next(iter(self.counts.faults))
        fault = self.counts.faults[what, column]
        others = sum(key[0] == what for key in self.counts.faults) - 1
        text, code, hint = {
            "missing": ("missing", "missing-value", "--missing drop leaves such rows out"),
            "no category": (
                "missing",
                "missing-value",
                "a category has no mean: --missing drop, or write a word of your own in its place",
            ),
            "infinite": ("infinite", "infinite-value", "mend or remove these rows"),
            "negative": ("negative", "bad-weight", "sample weights are 0 or more"),
        }[what]
        raise InputError(
            f"the column {column!r} has {fault.count} {text} value{'s' * (fault.count > 1)}, the "
            f"first in {fault.first}"
            + (f"; {others} more column{'s have' if others > 1 else ' has'} some" * (others > 0)),
            code=code,
            hint=hint,
        )


def _is_finite(values: NDArray[Any]) -> bool:
    flat = values.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(flat.sum()) or bool(np.isfinite(flat).all())


def held_out_rows(block: Block, options: Options) -> NDArray[np.bool_]:
    """Return which of a block's rows are held out, shape (rows,).

    A permutation, seeded by the run's seed and the rows' own places, is dealt within each
    consecutive group of 100 rows of a part (or all of them, where the part has fewer), so that
    the choice is even over the table and the same for any block size.
    """
    n = len(block)
    if not options.holdout or not n:
        return np.zeros(n, np.bool_)
    size = n if block.start == 0 and n < GROUP_ROWS else GROUP_ROWS
    return _dealt(block, size, options.seed, block.part) < round(options.holdout * size)


def dealt_folds(block: Block, options: Options) -> NDArray[np.intp] | None:
    """Return the fold of each of a block's rows, shape (rows,); None without folds.

    Each consecutive group of as many rows of a part as there are folds is dealt one row to each,
    whatever becomes of the rows, by a permutation that does not depend on the holdout's.
    """
    if not options.folds:
        return None
    return _dealt(block, options.folds, options.seed, block.part, FOLDS)


def _dealt(block: Block, size: int, *seed: int) -> NDArray[np.intp]:
    """Return what each row of a block draws from 0 … size − 1, each once in a group of `size`."""
    n = len(block.values)
    first = block.start // size
    groups = (block.start + n - 1) // size - first + 1
    places = np.arange(first * size, (first + groups) * size, dtype=np.uint64)
    keys = _scramble(places, seed).reshape(groups, size)
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1).ravel()
    return ranks[block.start - first * size :][:n]


def _scramble(places: NDArray[np.uint64], seed: Sequence[int]) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each place: splitmix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        stream = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        z = stream + (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return keys
