"""What other machines are asked for besides moments, and what they can't be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradline.engine import Engine
from gradline.errors import InputError
from gradline.shares import uncut
from gradline.tables import FrameTable
from gradline_trainer.columns import Columns, Table
from gradline_trainer.metrics import Metrics, ResidualSums, metrics_from_sums, metrics_over_rows
from gradline_trainer.options import Options
from gradline_trainer.passes import Progress, each_share
from gradline_trainer.rows import Counts, RowReader

__all__ = ["check_shareable", "metrics_held_out", "note_uncut", "refuse_wide"]

Array = NDArray[np.float64]


def check_shareable(table: Table, options: Options) -> FrameTable:
    """Return the table, which an engine's machines can read, to do what the options say.

    Raises:
        InputError: Where they can't, naming the table or the option.
    """
    if not isinstance(table, FrameTable) or not table.paths:
        raise InputError(
            "a table in memory can't be read by other machines",
            code="bad-option",
            hint="write it to files that each of them can read, or leave --engine out",
        )
    if options.gradient_source == "rows":
        asked = "preconditioning 'none'" if options.gradient == "auto" else "gradient 'rows'"
        raise InputError(
            f"{asked} walks over the rows in each epoch, which --engine has no way to share out",
            code="bad-option",
            hint="give --gradient moments, or leave --engine out",
        )
    if options.device == "cuda":
        raise InputError(
            "device 'cuda' is this machine's: --engine shares out to cores alone",
            code="bad-option",
            hint="leave --device or --engine out",
        )
    return table


def note_uncut(table: FrameTable, progress: Progress | None) -> None:
    """Tell of a file that only one task can read."""
    note, text = getattr(progress, "note", None), uncut(table)
    if note and text:
        note(text)


def refuse_wide(columns: Columns) -> InputError:
    """Return the error for a table whose moments don't fit."""
    return InputError(
        f"the moments of {len(columns.features)} features don't fit, and a walk over the rows in "
        "each epoch is what --engine has no way to share out",
        code="bad-option",
        hint="give fewer features, or leave --engine out",
    )


def metrics_held_out(
    reader: RowReader, W: Array, b: Array, centre: Array, engine: Engine | None
) -> list[Metrics] | None:
    """Return the metrics of each target over the rows held out; see `metrics_over_rows`."""
    if engine is None:
        return metrics_over_rows((held for _, held in reader), W, b, centre)
    work = partial(_held_out_sums, W=W, b=b, centre=centre)

    def sums() -> Iterator[ResidualSums]:
        for *_, found in each_share(work, reader, lambda stage, count: None, engine):
            yield from found

    return metrics_from_sums(sums())


def _held_out_sums(
    reader: RowReader, W: Array, b: Array, centre: Array
) -> tuple[list[ResidualSums], Counts]:
    """Return the sums of each block of a share, which are added up in the blocks' order."""
    found = [ResidualSums.of(held, W, b, centre) for _, _, held in reader.blocks()]
    return found, reader.counts
