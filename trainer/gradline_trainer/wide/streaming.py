"""Read a wide table again and again, with only a few blocks in memory at a time.

A matrix in memory is read where it lies. Anything else is parsed once, into a temporary file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS
from gradline_trainer.options import Options
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.dealing import GROUP_ROWS
from gradline_trainer.rows.passes import Walk
from gradline_trainer.wide.scratch import Scratch

BLOCK_BYTES = 1 << 24  # of a block in float64
CHUNK_BYTES = 1 << 22  # that a thread takes; larger memory goes back to the system each time
CHUNK_ROWS = 16  # at least: merging two chunks' sums costs as much as three rows or so
FILE_BLOCK_BYTES = 1 << 26  # of a parsed block: more columns make each block more expensive


@contextmanager
def stream(asked: Walk, *, keep_moments: bool) -> Iterator[tuple[Walk, Options]]:
    """Prepare passes over a wide table: options, sizes of blocks and chunks, a scratch file."""
    options, columns = asked.reader.options, asked.reader.columns
    _refuse_options(options, len(columns.features), keep_moments)
    whiten = options.preconditioning == "whiten"
    options = replace(
        options,
        gradient="rows",
        preconditioning="standardize" if whiten else options.preconditioning,
    )
    in_memory = isinstance(asked.reader.table, ArrayTable)
    row_bytes = 8 * len(columns.all)
    fitting = (BLOCK_BYTES if in_memory else FILE_BLOCK_BYTES) // row_bytes
    size = max(GROUP_ROWS, min(asked.reader.block_rows or BLOCK_ROWS, fitting))
    chunk_rows = max(CHUNK_ROWS, CHUNK_BYTES // row_bytes)
    reader = replace(asked.reader, options=options, block_rows=size)
    walk = replace(asked, reader=reader, chunk_rows=chunk_rows)
    with ExitStack() as files:
        if asked.engine is None and not in_memory:
            walk.kept, walk.held = (files.enter_context(Scratch(chunk_rows)) for _ in range(2))
        yield walk, options


def _refuse_options(options: Options, features: int, keep_moments: bool) -> None:
    if keep_moments:
        raise InputError(
            f"a wide table, {features:,} features, has no co-moments to save",
            code="no-moments",
            hint="give fewer features, or --gradient moments if memory holds their square",
        )
    refused = {
        "ridge": options.ridge == "auto",
        "robust": options.robust is not None,
        "dependent": options.dependent == "drop",
    }
    for name in (name for name, given in refused.items() if given):
        way = "give a number" if name == "ridge" else f"leave --{name} out"
        raise InputError(
            f"{name} = {getattr(options, name)!r} needs the co-moments, and {features} features "
            "have too many",
            code="bad-option",
            hint=f"{way}, or give fewer features",
        )
