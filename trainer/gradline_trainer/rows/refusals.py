"""Errors for a table that there is nothing to learn from."""

from __future__ import annotations

from collections.abc import Sequence

from gradline.errors import InputError
from gradline_trainer.rows.columns import listed
from gradline_trainer.rows.counts import Counts
from gradline_trainer.rows.decisions import CONSTANT, Decision

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


def no_column(decisions: Sequence[Decision], names: Sequence[str]) -> InputError:
    """Build the error for a table whose columns `names` give no default term."""
    if not decisions:
        return InputError(
            "no feature: the table has no other column",
            code="no-feature",
            hint=f"its columns are {listed(names)}",
        )
    others = [decision for decision in decisions if decision.what != CONSTANT]
    if not others:
        return nothing_varies()
    reasons = [f"{d.column!r} is {d.what}" for d in decisions[:SHOWN]]
    more = f"; {len(decisions) - SHOWN} more" if len(decisions) > SHOWN else ""
    flags = [d.flag for d in others if not d.flag.startswith("--exclude")]
    return InputError(
        "no feature: " + "; ".join(reasons) + more,
        code="no-feature",
        hint=f"{flags[0]} takes one of them in" if flags else "give a table with other columns",
    )
