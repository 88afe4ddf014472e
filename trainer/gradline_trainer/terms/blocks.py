"""What the name of a column means as terms: a number itself, or blocks of indicators.

A block of k indicators adds k − 1 terms beside a bias, since the k add up to 1. Under a penalty, or
without a bias, all k become terms (`full`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.kinds import RARE, Column
from gradline.columns.terms import Factor, Term, name_of
from gradline.errors import InputError
from gradline_trainer.rows.surveyed import Surveyed

FEW = 10  # rows: what has fewer is not learned as a term of its own by default
RARELY = 5  # rows: levels with fewer share one indicator
SPAN_OF_YEARS = 730 * DAY
SPAN_OF_WEEKS = 28 * DAY


@dataclass(frozen=True)
class Block:
    """Factors that stand or fall together: one of a number, or the indicators of a column.

    Attributes:
        factors: In the terms' order.
        reference: The indicator without a term where the sum of all is already in the model; None
            for what is no set of indicators.
    """

    factors: tuple[Factor, ...]
    reference: Factor | None = None

    @property
    def key(self) -> object:
        """What the block is of, without its levels: the same for all blocks of a category."""
        first = self.factors[0]
        return first if self.reference is None else (first.column, self.reference.function)

    @property
    def adds(self) -> int:
        """How many terms the block adds beside a bias and without a penalty."""
        return len(self.factors) - (self.reference is not None)

    def chosen(self, full: bool) -> tuple[Factor, ...]:
        """Choose the factors that become terms."""
        return tuple(f for f in self.factors if full or f != self.reference)


def column_blocks(
    found: Surveyed, *, limited: bool, mark_missing: bool = True
) -> tuple[Column, list[Block]]:
    """Expand a column's name into blocks; return the column, with its rare levels, too."""
    column = found.column
    if column.kind == "category":
        return category_block(found, limited=limited)
    blocks = _of_time(found) if column.kind == "time" else [Block((Factor(column.name),))]
    if mark_missing and min(found.missing, found.present) >= FEW:
        blocks.append(Block((Factor(column.name, "missing"),)))
    return column, blocks


def category_block(found: Surveyed, *, limited: bool) -> tuple[Column, list[Block]]:
    """Make the indicators of a category; no block if all rows have the same one."""
    reference = min(found.counts, key=lambda level: (-found.counts[level], level), default=None)
    column = replace(found.column, reference=reference)
    rare, pooled = _rare_levels(found.counts) if limited else (frozenset(), False)
    function = None if found.kind == "category" else "category"
    kept = [level for level in column.levels if level not in rare]
    if pooled:
        kept.append(RARE)
        column = replace(column, rare=tuple(level for level in column.levels if level in rare))
    factors = [Factor(column.name, function, level=level) for level in kept]
    # The reference is the last of all to be rare; then the rare levels are the reference together.
    common = next((f for f in factors if f.level == reference), factors[-1] if factors else None)
    if column.missing and (found.missing >= RARELY or not limited):
        factors.append(Factor(column.name, "missing"))
    if common is None or len(factors) < 2:
        return column, []
    return column, [Block(tuple(factors), common)]


def _rare_levels(counts: Mapping[str, int]) -> tuple[frozenset[str], bool]:
    """Find the levels of few rows, and whether they share an indicator: together they may be few.

    Otherwise they have none, as the reference.
    """
    rare = frozenset(level for level, count in counts.items() if count < RARELY)
    if rare and RARE in counts:  # a level that the table itself calls so
        rare |= {RARE}
    return rare, sum(counts[level] for level in rare) >= RARELY


def _of_time(found: Surveyed) -> list[Block]:
    """Choose the parts of a time, and whether its trend is a term beside them."""
    parts = [part_block(found, part) for part in PARTS if part_occurs(found, part)]
    parts = [block for block in parts if has_rows(block, found.rows)]
    if parts and found.maximum - found.minimum < SPAN_OF_YEARS:
        return parts
    return [Block((Factor(found.column.name, "time"),)), *parts]


def part_occurs(found: Surveyed, part: str) -> bool:
    """Check whether enough of a time's months, weekdays or hours occur to learn from."""
    occurring = len(found.parts.get(part, ()))
    if part == "month":
        return occurring == len(PARTS["month"].values)
    if part == "hour":
        return occurring >= 2
    days = found.maximum // DAY - found.minimum // DAY + 1
    return (
        occurring >= 2 and found.maximum - found.minimum >= SPAN_OF_WEEKS and 4 * found.days >= days
    )


def part_block(found: Surveyed, part: str) -> Block:
    """Make the indicators of the months, weekdays or hours that occur."""
    counts = found.parts[part]
    reference = min(counts, key=lambda value: (-counts[value], value))
    factors = [Factor(found.column.name, part, level=value) for value in sorted(counts)]
    return Block(tuple(factors), Factor(found.column.name, part, level=reference))


def has_rows(block: Block, rows: int) -> bool:
    """Check whether there are enough training rows for each indicator that a block adds."""
    return rows >= FEW * block.adds


def with_reference(column: Column, terms: list[Term]) -> Column:
    """Record the level without an indicator; None if every level has one."""
    if column.kind != "category":
        return column
    own = [term for term in terms if any(factor.column == column.name for factor in term)]
    alone = [term for term in own if len(term) == 1]
    levels = {f.level for term in alone or own for f in term if f.column == column.name}
    if RARE in levels:
        levels.update(column.rare)
    return replace(column, reference=None if column.reference in levels else column.reference)


def check_names(terms: Sequence[Term]) -> None:
    """Raise if two terms have one name, such as an indicator and a column."""
    owners: dict[str, Term] = {}
    for term in terms:
        name = name_of(term)
        if name in owners:
            columns = [" and ".join(repr(f.column) for f in t) for t in (owners[name], term)]
            raise InputError(
                f"two terms have the name {name!r}, of the columns {columns[0]} and {columns[1]}",
                code="name-clash",
                hint="rename one of the columns",
            )
        owners[name] = term
