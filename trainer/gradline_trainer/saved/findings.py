"""What a file of saved moments says of a table's columns, as JSON: read with every check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from gradline.columns.calendar import PARTS
from gradline.columns.encoding import dump_columns, parse_columns
from gradline.columns.formula import Wanted
from gradline.columns.kinds import KINDS, Column, dump_column
from gradline.columns.plan import Plan
from gradline.columns.terms import dump_term, load_term, name_of
from gradline.errors import InputError
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.surveyed import Decision, Survey, Surveyed
from gradline_trainer.saved.whole import expanded, level_function, patterns_of, whole_column

MISSING = ("auto", "drop", "mean", "error")
ENDS = ("minimum", "maximum", "mean")


def dump_findings(columns: Columns) -> dict[str, Any]:
    """Build the members `columns`, `terms`, `asked`, `decisions` of format 2."""
    survey = columns.survey
    assert survey is not None  # noqa: S101 - of format 2
    asked: dict[str, Any] = {
        "terms": None if survey.wanted is None else [dump_term(w.factors) for w in survey.wanted],
        "one_hot": list(survey.one_hot),
        "missing": survey.missing,
        "max_categories": survey.most,
    }
    if survey.fixed is not None:
        asked["like"] = _dump_fixed(survey.fixed)
    return {
        "columns": [
            dump_column(column) | {"found": _dump_found(found)}
            for column, found in zip(columns.plan.columns, survey.found, strict=True)
        ],
        "terms": [dump_term(term) for term in columns.plan.terms],
        "asked": asked,
        "decisions": [vars(decision) for decision in columns.decisions],
    }


def _dump_fixed(plan: Plan) -> dict[str, Any]:
    """Build the JSON of a package's plan, of format 1 as its schema has it."""
    if plan.format == 2:
        return plan.dump()
    return {"features": plan.features, "columns": dump_columns(plan.columns)}


def _load_fixed(entry: Any) -> Plan:
    if "terms" in entry:
        return Plan.load(entry["columns"], entry["terms"])
    features, columns = entry["features"], entry["columns"]
    if not _are_texts(features) or not features:
        raise ValueError("the features of a package are not known")
    bare = [Column(name) for name in features]
    return Plan.of_columns(bare if columns is None else parse_columns(columns, features))


def _dump_found(found: Surveyed) -> dict[str, Any]:
    shared: dict[str, Any] = {"place": found.place, "rows": found.rows, "missing": found.missing}
    if found.reason is not None:
        shared |= {"reason": found.reason, "flag": found.flag}
    if found.column.kind == "category":
        counts = [found.counts.get(level, 0) for level in sorted(found.column.levels)]
        return {**shared, "kind": found.kind, "counts": counts}
    ends: dict[str, Any] = {name: _or_null(getattr(found, name)) for name in ENDS}
    if found.kind == "time":
        parts = {
            p: [counts.get(v, 0) for v in PARTS[p].values] for p, counts in found.parts.items()
        }
        ends |= {"parts": parts, "days": [list(run) for run in found.runs]}
    return shared | ends


def _or_null(number: float) -> float | None:
    return number if math.isfinite(number) else None


def load_findings(header: Mapping[str, Any]) -> tuple[Plan, Survey, tuple[Decision, ...]]:
    """Parse what `dump_findings` built; raise ValueError for anything else."""
    entries = header["columns"]
    if not isinstance(entries, list) or not entries:
        raise ValueError("it has no columns")
    if not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("a column is not described")
    bare = [{key: value for key, value in entry.items() if key != "found"} for entry in entries]
    plan = Plan.load(bare, header["terms"])
    asked = header["asked"]
    most, missing, one_hot = asked["max_categories"], asked["missing"], asked["one_hot"]
    if type(most) is not int or missing not in MISSING or not _are_texts(one_hot):
        raise ValueError("what was asked is not known")
    found = tuple(
        _load_found(column, entry["found"])
        for column, entry in zip(plan.columns, entries, strict=True)
    )
    fixed = _load_fixed(asked["like"]) if "like" in asked else None
    wanted = None if asked["terms"] is None else tuple(map(_wanted, asked["terms"]))
    survey = Survey(wanted, tuple(one_hot), most, missing, found, fixed)
    _check_terms(plan, survey)
    return plan, survey, tuple(map(_decision, header["decisions"]))


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _wanted(entry: Any) -> Wanted:
    factors = load_term(entry) if entry else ()
    return Wanted(factors, name_of(factors) if factors else "*")


def _decision(entry: Any) -> Decision:
    if not isinstance(entry, dict) or set(entry) != {"column", "what", "flag", "taken"}:
        raise ValueError("a decision has other members")
    texts = [entry[key] for key in ("column", "what", "flag")]
    if not _are_texts(texts) or type(entry["taken"]) is not bool:
        raise ValueError("a decision is not of texts")
    return Decision(**entry)


def _check_terms(plan: Plan, survey: Survey) -> None:
    """Raise unless the plan holds all levels of each of its terms, and no column is encoded."""
    columns = {column.name: column for column in plan.columns}
    for column, found in zip(plan.columns, survey.found, strict=True):
        if column.reference is not None or column.rare:
            raise ValueError(f"{column.name!r} has a reference or rare levels")
        if column.missing and survey.missing != "auto":
            raise ValueError(f"missing values of {column.name!r} have a term")
        if whole_column(found, survey.missing) != column:
            raise ValueError(f"{column.name!r} is not as it was found")
    patterns = patterns_of(plan.terms, columns)
    functions = {found.column.name: level_function(found) for found in survey.found}
    try:
        expected = expanded(patterns, columns, functions)
    except InputError as error:
        raise ValueError(str(error)) from error
    if set(map(frozenset, expected)) != set(map(frozenset, plan.terms)):
        raise ValueError("a term is without some of its levels")


def _load_found(column: Column, entry: Any) -> Surveyed:
    """Parse what the training rows showed of a column."""
    name = column.name
    rows, missing, place = (entry[key] for key in ("rows", "missing", "place"))
    _check_counts([rows, missing, place], name)
    kind = entry.get("kind", column.kind)
    reason, flag = entry.get("reason"), entry.get("flag", "")
    if not (reason is None or _are_texts([reason, flag])):
        raise ValueError(f"the reason to leave {name!r} out is no text")
    shared: dict[str, Any] = {
        "column": column,
        "kind": kind,
        "place": place,
        "rows": rows,
        "missing": missing,
    }
    shared |= {"rows": rows, "missing": missing, "reason": reason, "flag": flag}
    if column.kind == "category":
        counts = entry["counts"]
        _check_counts(counts, name)
        if kind not in KINDS or len(counts) != len(column.levels):
            raise ValueError(f"not one count for each level of {name!r}")
        if sum(counts) + missing != rows:
            raise ValueError(f"the counts of {name!r} do not add up")
        reference = min(zip(counts, column.levels, strict=True), key=lambda p: (-p[0], p[1]))[1]
        return Surveyed(
            **shared | {"column": replace(column, reference=reference)},
            counts={level: n for level, n in zip(column.levels, counts, strict=True) if n},
        )
    if kind != column.kind:
        raise ValueError(f"{name!r} is of two kinds")
    least, most, mean = (_number(entry[key]) for key in ENDS)
    shared |= {"minimum": least, "maximum": most, "mean": mean}
    if missing > rows or not (math.isnan(least) or least <= mean <= most):
        raise ValueError(f"the values of {name!r} are no column's")
    if column.kind == "number":
        return Surveyed(**shared)
    runs = _runs(entry["days"], name)
    return Surveyed(
        **shared,
        parts=_parts(entry["parts"], rows - missing, name),
        runs=runs,
        days=sum(last - first + 1 for first, last in runs),
    )


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if type(value) is not float or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return value


def _check_counts(counts: Any, name: str) -> None:
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise ValueError(f"invalid counts of {name!r}")


def _parts(entry: Any, present: int, name: str) -> dict[str, dict[int, int]]:
    if not isinstance(entry, dict) or (entry and set(entry) != set(PARTS)):
        raise ValueError(f"the parts of {name!r} are not known")
    found = {}
    for part, counts in entry.items():
        _check_counts(counts, name)
        values = PARTS[part].values
        if len(counts) != len(values) or sum(counts) != present:
            raise ValueError(f"the counts of {part}({name}) do not add up")
        found[part] = {value: n for value, n in zip(values, counts, strict=True) if n}
    return found


def _runs(entry: Any, name: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(entry, list):
        raise ValueError(f"the days of {name!r} are no list")
    days = [day for run in entry for day in run]
    if not all(type(day) is int for day in days) or not all(len(run) == 2 for run in entry):
        raise ValueError(f"the days of {name!r} are no runs")
    pairs = [(first, last) for first, last in entry]
    apart = all(a[1] + 1 < b[0] for a, b in pairwise(pairs))
    if not apart or not all(first <= last for first, last in pairs):
        raise ValueError(f"the days of {name!r} are not in order")
    return tuple(pairs)
