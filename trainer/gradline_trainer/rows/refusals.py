"""Errors for a table that there is nothing to learn from."""

from __future__ import annotations

from gradline.errors import InputError
from gradline_trainer.rows.counts import Counts

SHOWN = 6  # columns


def too_few(rows: int, counts: Counts) -> InputError:
    """Build the error for a table without two rows to train on."""
    found = f"{counts.read} read, {counts.dropped} dropped, {counts.held_out} held out"
    return InputError(
        f"{rows or 'no'} row{'s' * (rows != 1)} to train on ({found})",
        code="too-few-rows",
        hint="give a smaller --holdout"
        if counts.held_out > 1
        else "give a table of at least two complete rows",
    )


def nothing_varies() -> InputError:
    """Build the error for features that are all constant."""
    return InputError(
        "every feature has one value only, or values too small to square: there is nothing to "
        "learn from",
        code="constant-features",
        hint="choose other features",
    )
