"""Compare the columns and terms of saved moments, and say what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradline.columns.kinds import NUMBER_NULLS
from gradline.columns.plan import Plan
from gradline.columns.terms import name_of
from gradline.errors import InputError, nearest
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.surveyed import Surveyed
from gradline_trainer.saved.deciding import survey_of
from gradline_trainer.saved.whole import level_function, own_patterns


def aligned(first: SavedMoments, other: SavedMoments) -> SavedMoments:
    """Reorder the other's columns like the first one's, or raise if they differ."""
    refuse_differences(first, other)
    return other.select(first.columns)


def refuse_differences(first: SavedMoments, other: SavedMoments) -> None:
    """Raise InputError for the first difference."""
    for difference in _differences(first, other):
        raise InputError(
            f"{label(other)} and {label(first)} differ: {difference}",
            code="mixed-schemas",
            hint="save the moments of one of the tables again with --like PACKAGE, which takes the "
            "columns and terms of the other one's model"
            if first.columns.survey
            else "save the moments of the same columns with the same encoding; --no-bias or "
            "--ridge use no reference level, and --missing drop fills nothing",
        )


def _differences(first: SavedMoments, other: SavedMoments) -> Iterator[str]:
    """Describe the differences between two tables' columns."""
    ours, theirs = first.columns, other.columns
    for what, mine, its in (
        ("target", ours.targets, theirs.targets),
        ("feature", [c.name for c in ours.inputs], [c.name for c in theirs.inputs]),
    ):
        for name in (*(n for n in its if n not in mine), *(n for n in mine if n not in its)):
            having, lacking, known = (other, first, mine) if name in its else (first, other, its)
            yield (
                f"{label(having)} has the {what} {name!r}, {label(lacking)} does not; "
                f"{nearest(name, known)}"
            )
    for name in theirs.learned:
        if name not in ours.learned:
            yield f"{label(other)} has the moments of {name!r}, {label(first)} does not"
    if ours.weight != theirs.weight:
        yield f"the sample weights are {theirs.weight!r} and {ours.weight!r}"
    if ours.survey is not None:
        yield from _differing_terms(first, other)
        return
    columns = {column.name: column for column in ours.inputs}
    for column in theirs.inputs:
        own = columns[column.name]
        for part, here, there in (
            ("levels", own.levels, column.levels),
            ("reference level", own.reference, column.reference),
            ("fill value", own.fill, column.fill),
        ):
            if here != there:
                yield f"the {part} of {column.name!r}, {_shown(there)} and {_shown(here)}"


def _differing_terms(first: SavedMoments, other: SavedMoments) -> Iterator[str]:
    """Describe differences between two tables' columns and terms, which have the same names."""
    ours, theirs = (found_of(one.columns) for one in (first, other))
    for name, found in theirs.items():
        own = ours[name]
        for part, here, there in (
            ("kind", own.column.kind, found.column.kind),
            ("function of the levels", level_function(own), level_function(found)),
            ("way to write numbers", dict(own.column.parse), dict(found.column.parse)),
            ("format", own.column.format, found.column.format),
            ("zone", own.column.zone, found.column.zone),
        ):
            if here != there:
                yield f"the {part} of {name!r}, {_shown(there)} and {_shown(here)}"
    mine, its = ({frozenset(p): p for p in own_patterns(s.columns.plan)} for s in (first, other))
    for key in (*(k for k in its if k not in mine), *(k for k in mine if k not in its)):
        pattern = mine.get(key) or its[key]
        having, lacking = (other, first) if key in its else (first, other)
        yield f"{label(having)} has the term {name_of(pattern)}, {label(lacking)} does not"
    mine_asked, its_asked = asked_of(first), asked_of(other)
    if mine_asked is not None and its_asked is not None and mine_asked != its_asked:
        yield f"the terms asked for, {', '.join(its_asked)} and {', '.join(mine_asked)}"
    plans = fixed_of(first), fixed_of(other)
    if None not in plans and plans[0] != plans[1]:
        yield "the packages that --like named"
    if missing_of(first) and missing_of(other) and missing_of(first) != missing_of(other):
        yield f"the option --missing, {missing_of(other)} and {missing_of(first)}"


def _shown(value: object) -> str:
    shown = "none" if value is None or value == () else str(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def all_with_terms(saved: Sequence[SavedMoments]) -> list[SavedMoments]:
    """Describe all as tables with terms."""
    return [with_terms(one) for one in saved]


def with_terms(saved: SavedMoments) -> SavedMoments:
    """Describe moments of plain numbers as if their terms had been decided.

    Raises:
        InputError: For format 1's levels and fills of one table.
    """
    if saved.columns.survey is not None:
        return saved
    columns = saved.columns
    for column in columns.inputs:
        if column.kind == "category" or column.fill is not None:
            raise InputError(
                f"{label(saved)} has the levels or the fill value of {column.name!r} of its table "
                "alone, as --strict, --one-hot and --missing mean save them",
                code="mixed-schemas",
                hint="save the moments again without these options",
            )
    inputs = tuple(replace(column, null=NUMBER_NULLS) for column in columns.inputs)
    plan = Plan(inputs, columns.plan.terms)
    return replace(saved, columns=replace(columns, plan=plan, survey=survey_of(saved)))


def label(saved: SavedMoments) -> str:
    """Name the file that moments come from."""
    return saved.file.name if saved.file else "the moments"


def found_of(columns: Columns) -> dict[str, Surveyed]:
    """Look up by name what was found of each column."""
    survey = columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    return {found.column.name: found for found in survey.found}


def asked_of(saved: SavedMoments) -> list[str] | None:
    """List what was asked for; None if nobody asked, as for format 1 and --like."""
    survey = saved.columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    if survey.fixed is not None or (survey.missing == "error" and survey.wanted is None):
        return None
    return ["*"] if survey.wanted is None else sorted(one.text for one in survey.wanted)


def fixed_of(saved: SavedMoments) -> Plan | None:
    """Look up the columns and terms that were given, as by --like."""
    survey = saved.columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    return survey.fixed


def missing_of(saved: SavedMoments) -> str | None:
    """Look up the option --missing; None if no value is."""
    survey = saved.columns.survey
    assert survey is not None  # noqa: S101 - see `with_terms`
    return survey.missing if any(found.missing for found in survey.found) else None
