"""Choose the default terms: what a table's columns become if no `-f` asks for any.

The choice depends on what the survey found in the training rows, and on nothing else: not on the
order of the rows, the number of workers, or a penalty.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from gradline.columns.kinds import Column
from gradline.columns.terms import Term
from gradline_trainer.rows.surveyed import Decision, Surveyed
from gradline_trainer.terms.blocks import (
    RARELY,
    Block,
    check_names,
    column_blocks,
    has_rows,
    with_reference,
)
from gradline_trainer.terms.decisions import Draft, added, decision

INDEX = re.compile(r"__index_level_[0-9]+__|Unnamed: [0-9]+|rownames")
IDENTIFIER = re.compile(r"(?:.*[_.\s/:-])?(?:id|uuid|guid)", re.IGNORECASE | re.DOTALL)
ROWS_PER_TERM = 2


def is_identifier(name: str) -> bool:
    """Check whether a column's name looks like an identifier's: `id`, `user_id` or `customerId`."""
    if IDENTIFIER.fullmatch(name):
        return True
    return name.endswith(("Id", "ID")) and name[:-2][-1:].islower()


def is_index(name: str, place: int) -> bool:
    """Check whether a column is the row numbers that pandas or R wrote; `place` counts from 0."""
    return INDEX.fullmatch(name) is not None or (not name and place == 0)


def decide(
    surveyed: Sequence[Surveyed], *, full: bool, most_levels: int, mark_missing: bool = True
) -> tuple[dict[str, Column], list[Term], list[Decision]]:
    """Choose the default terms; return the columns in use, the terms, and each column's decision.

    Terms that are equal or constant in the training rows are still among them.

    Args:
        surveyed: What the training rows show of each column that may be used, in table order.
        full: Whether each level has an indicator: under a penalty, or without a bias. It changes
            no decision.
        most_levels: The most levels of a category.
        mark_missing: Whether a number or time may have a term `NAME is missing`.

    Raises:
        InputError: Two terms have one name, such as an indicator and a column ("name-clash").
    """
    drafts = [_draft(found, most_levels, mark_missing) for found in surveyed]
    _take(drafts)
    columns: dict[str, Column] = {}
    terms: list[Term] = []
    for draft in drafts:
        own: list[Term] = [(f,) for block in draft.taken for f in block.chosen(full)]
        if own:
            columns[draft.name] = with_reference(draft.column, own)
            terms += own
    check_names(terms)
    return columns, terms, [decision(draft) for draft in drafts]


def _take(drafts: Sequence[Draft]) -> None:
    """Take blocks while the terms are at most half the training rows; those that add few first."""
    blocks = [(draft, block) for draft in drafts for block in draft.blocks]
    chosen = [(draft, block) for draft, block in blocks if not draft.may_be_left_out(block)]
    limited = [(draft, block) for draft, block in blocks if draft.may_be_left_out(block)]
    number = len(chosen)
    for draft, block in sorted(limited, key=lambda pair: pair[1].adds):
        number += block.adds
        if ROWS_PER_TERM * number > draft.found.rows:
            break
        chosen.append((draft, block))
    taken = {id(block) for _, block in chosen}
    for draft in drafts:
        draft.taken = [block for block in draft.blocks if id(block) in taken]


def _draft(found: Surveyed, most_levels: int, mark_missing: bool) -> Draft:
    """Expand a column, or find why it is left out."""
    column, blocks = column_blocks(found, limited=True, mark_missing=mark_missing)
    if found.minimum == found.maximum:  # only whether it is missing can tell rows apart
        blocks = [block for block in blocks if block.factors[0].function == "missing"]
    draft = Draft(found, column)
    draft.why, draft.flag = _why_left_out(found, blocks, most_levels)
    if not draft.why:
        draft.blocks = blocks
    return draft


def _why_left_out(found: Surveyed, blocks: Sequence[Block], most: int) -> tuple[str, str]:
    """Say why a column is left out, and which option takes it in; empty if it is not."""
    name, levels = found.column.name, len(found.counts)
    by_name = added(name)
    if found.kind != "time" and is_index(name, found.place):
        return "an index column", by_name
    if is_identifier(name):
        return "an identifier", by_name
    if found.reason:
        return found.reason, found.flag or by_name
    if not found.present:
        return "no value in the training rows", f"--exclude {shlex.quote(name)}"
    if found.column.kind != "category":
        return ("", "") if blocks else ("constant", by_name)
    if levels == found.present > 2:
        return "text that is all different", by_name
    return _why_no_category(found, blocks, most)


def _why_no_category(found: Surveyed, blocks: Sequence[Block], most: int) -> tuple[str, str]:
    """Say why a category is left out for its levels; empty if it is not."""
    name, levels = found.column.name, len(found.counts)
    rows_suffice = all(has_rows(block, found.rows) for block in blocks)
    if levels > most:
        flag = "" if rows_suffice else f"{added(name)} "
        return f"{levels} levels, more than {most}", f"{flag}--max-categories {levels}"
    if not blocks and levels + found.column.missing == 1:
        return "constant", f"--exclude {shlex.quote(name)}"
    if not blocks:
        return f"fewer than two levels have {RARELY} rows", added(name)
    if not rows_suffice:
        return f"{levels} levels are too many for {found.rows} rows", added(name)
    return "", ""
