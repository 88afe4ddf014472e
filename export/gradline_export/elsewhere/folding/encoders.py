"""Turn the outputs of a OneHotEncoder into indicators of levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gradline.columns.categories import texts_of
from gradline.columns.kinds import RARE, Column
from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline_export.elsewhere.folding.sums import Output, Raw, Sum, indicator, plus
from gradline_export.elsewhere.folding.table import Step, Table

Level = str | None  # None is a missing value
Group = list[Level]  # the levels that share an output


def encode(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    """Encode each input, which must be a column of the table; see scikit-learn's OneHotEncoder."""
    found: list[Output] = []
    encoder = step.transformer
    infrequent = getattr(encoder, "infrequent_categories_", None) or [None] * len(inputs)
    drops = [None] * len(inputs) if encoder.drop_idx_ is None else encoder.drop_idx_
    for given, levels, rare, drop in zip(
        inputs, encoder.categories_, infrequent, drops, strict=True
    ):
        if not isinstance(given, Raw):
            raise step.refused("it encodes what another step computed, not a column of the table")
        found += _encode_column(step, given, levels, rare, drop, table)
    return found


def _encode_column(
    step: Step, column: Raw, categories: Any, infrequent: Any, drop: Any, table: Table
) -> Iterator[Sum]:
    """Make the indicators of one column, those of rare levels last."""
    name = column.name
    levels = _levels(step, categories, name)
    rare = [] if infrequent is None else _levels(step, infrequent, name)
    groups: list[Group] = [[level] for level in levels if level not in rare]
    groups += [rare] if rare else []
    dropped = next((group for group in groups if drop is not None and levels[drop] in group), None)
    ignores = _ignores_unknown(step, has_rare=bool(rare))
    pooled = [level for level in rare if level is not None] if rare != dropped else []
    known = [level for level in levels if level is not None]
    absent = None if column.fill is None else _level_of_fill(column.fill, name, known)
    if not known:
        raise step.refused(f"the column {name!r} has no level but the missing value")
    only = dropped[0] if dropped and len(dropped) == 1 else None
    may_miss = absent in levels or ignores
    kept = Column(
        name,
        "category",
        levels=tuple(sorted(known)),
        reference=only,
        missing=may_miss,
        rare=tuple(sorted(pooled)) if len(pooled) > 1 else (),
    )
    if table.categories.setdefault(name, kept) != kept:
        raise step.refused(f"the column {name!r} is encoded in two ways")
    table.add_samples(name, categories)
    if ignores:
        table.ignoring.add(name)
    return (_sum(name, group, absent) for group in groups if group is not dropped)


def _level_of_fill(fill: Any, name: str, levels: Sequence[str]) -> Level:
    """Write an imputer's fill value as a level; nullable booleans of pandas are 0 and 1."""
    if isinstance(fill, bool) and set(levels) <= {"0", "1"}:
        fill = int(fill)
    return texts_of([fill], name)[0]


def _levels(step: Step, categories: Any, name: str) -> list[Level]:
    """Write an encoder's categories as levels."""
    try:
        levels = texts_of(categories, name)
    except InputError as error:
        raise step.refused(str(error)) from None
    if len(set(levels)) < len(levels):
        twice = next(level for level in levels if levels.count(level) > 1)
        raise step.refused(f"two categories of {name!r} are the same level {twice or ''!r}")
    return levels


def _ignores_unknown(step: Step, *, has_rare: bool) -> bool:
    """Check whether an unknown level gives zeros; False if the encoder refuses it."""
    mode = step.transformer.handle_unknown
    if mode == "error":
        return False
    if mode != "ignore" and has_rare:
        raise step.refused(
            f"handle_unknown={mode!r} counts an unknown level as an infrequent one",
            "fit it with handle_unknown='ignore' or 'error'",
        )
    return True


def _sum(name: str, group: Group, absent: Level) -> Sum:
    """Add up the indicators of levels that share an output; `absent` is a missing value's level."""
    known = [level for level in group if level is not None]
    found: Sum = {}
    if known:
        found = indicator(Factor(name, level=known[0] if len(known) == 1 else RARE))
    if absent in group:
        found = plus(found, indicator(Factor(name, "missing")))
    return found
