"""Rows on their way from the table to the moments: checked, dropped, held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, Block
from gradline_trainer.columns import Columns, Table
from gradline_trainer.options import Options

__all__ = ["GROUP_ROWS", "RowReader", "Rows"]

Array = NDArray[np.float64]
GROUP_ROWS = 100  # the holdout is dealt within each consecutive group of so many rows


@dataclass(frozen=True)
class Rows:
    """Complete rows.

    Attributes:
        features: Shape (n, d).
        targets: Shape (n, k).
        weights: Shape (n,); None where every row weighs 1.
    """

    features: Array
    targets: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Fault:
    """How often something is wrong with a column, and where first."""

    count: int = 0
    first: str = ""


@dataclass
class RowReader:
    """Reads a table's rows and counts what it finds; read it as often as needed.

    Attributes:
        block_rows: How many rows are read at a time, GROUP_ROWS or more.
        read, dropped, held_out: Rows counted in the latest pass.
    """

    table: Table
    columns: Columns
    options: Options
    block_rows: int = BLOCK_ROWS
    read: int = 0
    dropped: int = 0
    held_out: int = 0
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        """Yield each block's training rows and held-out rows.

        Raises:
            InputError: At the end of the pass, for missing or infinite values and for weights
                that are negative or all 0, with the column, the count and the first row.
        """
        self.read = self.dropped = self.held_out = 0
        self.faults.clear()
        any_weight = self.columns.weight is None
        for block in self.table.blocks(self.columns.all, self.block_rows):
            keep = self._check(block)
            held = held_out_rows(block, self.options)
            self.read += len(keep)
            self.dropped += int((~keep).sum())
            self.held_out += int((held & keep).sum())
            if self.faults:
                continue  # only the count goes on
            training = self._rows(block.values, keep & ~held)
            any_weight = any_weight or len(training) > 0
            yield training, self._rows(block.values, keep & held)
        self._raise_faults()
        if self.read and not any_weight:
            raise InputError(
                f"the sample weights in {self.columns.weight!r} are all 0",
                code="bad-weight",
                hint="give at least one row a positive weight",
            )

    def _rows(self, values: Array, chosen: NDArray[np.bool_]) -> Rows:
        """Return the chosen rows; one of weight 0 is as if it were not there."""
        if self.columns.weight:
            chosen = chosen & (values[:, -1] > 0)
        rows = values if chosen.all() else values[chosen]
        d, k = len(self.columns.features), len(self.columns.targets)
        weights = rows[:, d + k] if self.columns.weight else None
        return Rows(rows[:, :d], rows[:, d : d + k], weights)

    def _check(self, block: Block) -> NDArray[np.bool_]:
        """Return which rows are complete, faults noted."""
        values = block.values
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum()
        if self.columns.weight is None and np.isfinite(total):
            return np.ones(len(values), np.bool_)  # without looking at each value
        missing = np.isnan(values)
        incomplete = missing.any(axis=1)
        if incomplete.any() and self.options.missing == "error":
            self._note("missing", missing, block)
        infinite = np.isinf(values)
        if infinite.any():
            self._note("infinite", infinite, block)
        if self.columns.weight is not None:
            negative = np.zeros_like(missing)
            negative[:, -1] = values[:, -1] < 0
            if negative.any():
                self._note("negative", negative, block)
        return np.logical_not(incomplete)

    def _note(self, what: str, wrong: NDArray[np.bool_], block: Block) -> None:
        for j in np.flatnonzero(wrong.any(axis=0)):
            fault = self.faults.setdefault((what, self.columns.all[j]), Fault())
            if not fault.count:
                row = block.start + int(np.argmax(wrong[:, j])) + 1
                fault.first = f"row {row} of {self.table.label(block.part)}"
            fault.count += int(wrong[:, j].sum())

    def _raise_faults(self) -> None:
        if not self.faults:
            return
        what, column = next(iter(self.faults))
        fault = self.faults[what, column]
        others = sum(key[0] == what for key in self.faults) - 1
        text, code, hint = {
            "missing": ("missing", "missing-value", "--missing drop leaves such rows out"),
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


def held_out_rows(block: Block, options: Options) -> NDArray[np.bool_]:
    """Return which of a block's rows are held out, shape (rows,).

    A permutation, seeded by the run's seed and the rows' own places, is dealt within each
    consecutive group of 100 rows of a part (or all of them, where the part has fewer), so that
    the choice is even over the table and the same for any block size.
    """
    n = len(block.values)
    if not options.holdout or not n:
        return np.zeros(n, np.bool_)
    size = n if block.start == 0 and n < GROUP_ROWS else GROUP_ROWS
    first = block.start // size
    groups = (block.start + n - 1) // size - first + 1
    places = np.arange(first * size, (first + groups) * size, dtype=np.uint64)
    keys = _scramble(places, options.seed, block.part).reshape(groups, size)
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1)
    held = (ranks < round(options.holdout * size)).ravel()
    return held[block.start - first * size :][:n]


def _scramble(places: NDArray[np.uint64], seed: int, part: int) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each place: splitmix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        stream = np.random.SeedSequence([seed, part]).generate_state(1, np.uint64)[0]
        z = stream + (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        keys: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return keys
