"""What an engine can't be asked for."""

from __future__ import annotations

from gradline.errors import InputError
from gradline.tables import FrameTable
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Table

__all__ = ["check_shareable"]


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
            f"{asked} keeps the rows in memory: --engine is for tables that don't fit there",
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
