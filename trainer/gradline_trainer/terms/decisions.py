"""What was decided about each column of a table, in a few words for people."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradline.columns.calendar import PARTS
from gradline.columns.kinds import Column
from gradline.columns.terms import Factor, name_of, quoted
from gradline.errors import InputError
from gradline.formatting import count
from gradline_trainer.rows.columns import listed
from gradline_trainer.rows.refusals import SHOWN, nothing_varies
from gradline_trainer.rows.surveyed import Decision, Surveyed
from gradline_trainer.terms.blocks import Block, has_rows, part_block, part_occurs

CONSTANT = "left out: constant"
MARKS = {"percent": "%", "thousands": "thousands marks", "brackets": "brackets"}


@dataclass
class Draft:
    """A column on its way to its terms."""

    found: Surveyed
    column: Column
    blocks: list[Block] = field(default_factory=list)
    taken: list[Block] = field(default_factory=list)
    why: str = ""  # it is left out
    flag: str = ""  # takes it in

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    def may_be_left_out(self, block: Block) -> bool:
        """Check whether a limit may leave a block out; one that is the column itself stays."""
        itself = block.factors[0].function in (None, "time") and block.reference is None
        return not itself or any(b.factors[0].function in PARTS for b in self.blocks)


def added(term: str) -> str:
    """Write the options that add a term to the default terms."""
    return f"-f '*' -f {shlex.quote(term)}"


def asked_for(found: Surveyed, text: str) -> Decision:
    """Say what a column is that the term `text` asks for."""
    parts: list[str] = [found.column.kind]
    if found.column.kind == "category":
        parts.append(count(len(found.counts), "level"))
    parts += _filled(Draft(found, found.column)) if found.column.kind != "category" else []
    return Decision(found.column.name, ", ".join(parts), f"-f {shlex.quote(text)}", True)


def decision(draft: Draft) -> Decision:
    """Say what was decided about a column."""
    if draft.why:
        return Decision(draft.name, f"left out: {draft.why}", draft.flag, False)
    if not draft.taken:
        adds = sum(block.adds for block in draft.blocks)
        what = f"left out: its {count(adds, 'term')} would be too many for {draft.found.rows} rows"
        return Decision(draft.name, what, added(draft.name), False)
    describe = {"number": _number, "time": _time, "category": _category}[draft.column.kind]
    parts, flag = describe(draft), f"--exclude {shlex.quote(draft.name)}"
    if draft.found.missing:
        flag = "--missing drop"
    if left := _left(draft):
        parts.append(f"{' and '.join(left)} left out: too few rows")
        flag = added(left[0])
    return Decision(draft.name, ", ".join(parts), flag, True)


def _left(draft: Draft) -> list[str]:
    """Name the parts and further terms that too few rows leave out."""
    found, name = draft.found, draft.name
    if draft.column.kind == "category":
        return []
    left = [_shown(block) for block in draft.blocks if block not in draft.taken]
    if draft.column.kind == "time":
        scarce = [
            part
            for part in PARTS
            if part_occurs(found, part) and not has_rows(part_block(found, part), found.rows)
        ]
        left += [f"{part}({quoted(name)})" for part in scarce]
    return left


def _number(draft: Draft) -> list[str]:
    if draft.found.minimum == draft.found.maximum:
        return ["constant", *_filled(draft)]
    parse = draft.column.parse
    marks = [str(parse["currency"])] if "currency" in parse else []
    marks += [MARKS[rule] for rule in parse if rule in MARKS]
    written = f" written with {' and '.join(marks)}" if marks else ""
    return [f"number{written}", *_filled(draft)]


def _time(draft: Draft) -> list[str]:
    shown = [_shown(b) for b in draft.taken if b.factors[0].function != "missing"]
    form = f" written as {draft.column.format}" if draft.column.format else ""
    zone = f" by the clock of {draft.column.zone}" if draft.column.zone else ""
    listed = " and ".join([", ".join(shown[:-1]), *shown[-1:]] if shown[1:] else shown)
    as_terms = f", as {listed}" if shown else ""
    return [f"time{form}{zone}{as_terms}", *_filled(draft)]


def _filled(draft: Draft) -> list[str]:
    """Say how a number's or a time's missing values are used."""
    found, fill = draft.found, draft.column.fill
    if not found.missing:
        return []
    values = count(found.missing, "missing value")
    value = f"{fill:.6g}" if fill is not None and draft.column.kind == "number" else "the mean"
    parts = [f"{values} filled with {value}"]
    marker = Factor(draft.name, "missing")
    if any(block.factors[0] == marker for block in draft.taken):
        parts.append("1 more term for missing values")
    return parts


def _category(draft: Draft) -> list[str]:
    found, column = draft.found, draft.column
    (block,) = draft.taken
    has_missing = Factor(draft.name, "missing") in block.factors
    own = len(block.factors) - has_missing - bool(column.rare)
    rare = len(found.counts) - own
    parts = [f"category, {count(len(found.counts), 'level')}"]
    if rare:
        parts.append(
            f"{count(rare, 'rare one')} {'share a term' if column.rare else 'without a term'}"
        )
    if has_missing:
        parts.append("1 more for missing values")
    elif found.missing:
        parts.append(f"{count(found.missing, 'missing value')} without a term")
    return parts


def _shown(block: Block) -> str:
    """Name a block as `-f` takes it."""
    first = block.factors[0]
    if block.reference is None:
        return name_of((first,))
    return f"{first.function}({quoted(first.column)})"


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
    which = "it" if len(decisions) == 1 else "one of them"
    return InputError(
        "no feature: " + "; ".join(reasons) + more,
        code="no-feature",
        hint=f"{flags[0]} takes {which} in" if flags else "give a table with other columns",
    )
