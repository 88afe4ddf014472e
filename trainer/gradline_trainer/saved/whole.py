"""The terms that saved moments hold: those that were decided, over all levels.

A model's reference level and its rare levels are chosen when it is learned, so every level has an
indicator here. Where missing values are filled, each term with a filled column has a companion, in
which that column's factors are replaced by `NAME is missing`. With it the fill can be moved: a
filled value is x + (new − old)·(x is missing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations, product
from math import prod

from gradline.columns.calendar import PARTS
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor, Term
from gradline.errors import InputError
from gradline_trainer.rows.surveyed import Survey, Surveyed

MOST = 12_000  # terms: their co-moments take over a gigabyte

#: A term with all its levels: `category` or a part of a time stands for all indicators.
Pattern = tuple[Factor, ...]


def whole_plan(survey: Survey, terms: Sequence[Term]) -> Plan:
    """Make the plan of all levels of terms.

    Raises:
        InputError: For more terms than co-moments can be kept of ("too-many-terms").
    """
    columns = {found.column.name: whole_column(found, survey.missing) for found in survey.found}
    functions = {found.column.name: level_function(found) for found in survey.found}
    patterns = patterns_of(terms, columns)
    return Plan(tuple(columns.values()), expanded(patterns, columns, functions))


def whole_column(found: Surveyed, missing: str) -> Column:
    """Describe a column as all its levels, or its fill, are used."""
    column = found.column
    if column.kind == "category":
        known = tuple(sorted(column.levels))
        return replace(
            column,
            levels=known,
            reference=None,
            rare=(),
            missing=column.missing and missing == "auto",
        )
    return column if missing in ("auto", "mean") else replace(column, fill=None)


def level_function(found: Surveyed) -> str | None:
    """Look up how the terms of a column's levels are written."""
    return None if found.kind == "category" else "category"


def patterns_of(terms: Sequence[Term], columns: Mapping[str, Column]) -> list[Pattern]:
    """List the different patterns of terms, in order; companions of fills have none."""
    found: dict[frozenset[Factor], Pattern] = {}
    for term in terms:
        pattern = tuple(dict.fromkeys(_pattern(factor, columns[factor.column]) for factor in term))
        found.setdefault(frozenset(pattern), pattern)
    return list(found.values())


def own_patterns(plan: Plan) -> list[Pattern]:
    """List the patterns of a plan of all levels without companions: what was decided."""
    columns = {column.name: column for column in plan.columns}
    patterns = patterns_of(plan.terms, columns)
    companions = {
        frozenset(one)
        for pattern in patterns
        for one in (*_with_companions(pattern, columns), *_markers(pattern, columns))
        if one != pattern
    }
    return [pattern for pattern in patterns if frozenset(pattern) not in companions]


def _pattern(factor: Factor, column: Column) -> Factor:
    if column.kind == "category":
        return Factor(factor.column, "category")
    if factor.function in PARTS:
        return Factor(factor.column, factor.function)
    return factor


def expanded(
    patterns: Sequence[Pattern], columns: Mapping[str, Column], functions: Mapping[str, str | None]
) -> tuple[Term, ...]:
    """Expand patterns over all levels, with the companions of fills; each term once."""
    found: dict[frozenset[Factor], Term] = {}
    for pattern in patterns:
        for one in (*_with_companions(pattern, columns), *_markers(pattern, columns)):
            choices = [_all_levels(factor, columns, functions) for factor in one]
            if len(found) + prod(map(len, choices)) > MOST:
                raise InputError(
                    f"the moments of all levels have more than {MOST:,} terms",
                    code="too-many-terms",
                    hint="leave out a product of categories, or a category of many levels",
                )
            for term in product(*choices):
                found.setdefault(frozenset(term), term)
    return tuple(found.values())


def _all_levels(
    factor: Factor, columns: Mapping[str, Column], functions: Mapping[str, str | None]
) -> list[Factor]:
    column = columns[factor.column]
    if column.kind == "category":
        own = functions[column.name]
        levels = [Factor(column.name, own, level=level) for level in column.levels]
        return levels + [Factor(column.name, "missing")] * column.missing
    if factor.function in PARTS:
        values = PARTS[factor.function].values
        return [Factor(column.name, factor.function, level=value) for value in values]
    return [factor]


def _with_companions(pattern: Pattern, columns: Mapping[str, Column]) -> Iterator[Pattern]:
    """Yield a pattern, and those that tell where its columns are filled."""
    yield pattern
    filled = filled_columns(pattern, columns)
    subsets = (combinations(filled, size) for size in range(1, len(filled) + 1))
    for some in chain.from_iterable(subsets):
        yield tuple(
            dict.fromkeys(
                Factor(factor.column, "missing")
                if factor.column in some and not factor.is_indicator
                else factor
                for factor in pattern
            )
        )


def _markers(pattern: Pattern, columns: Mapping[str, Column]) -> Iterator[Pattern]:
    """Yield `NAME is missing` of each filled column: its mean tells the weight of the others."""
    for name in dict.fromkeys(factor.column for factor in pattern):
        if columns[name].fill is not None:
            yield (Factor(name, "missing"),)


def filled_columns(factors: Sequence[Factor], columns: Mapping[str, Column]) -> list[str]:
    """List the columns whose fill a term depends on.

    Where a time is missing, its parts are all 0, and so is a product with one of them.
    """
    parted = {factor.column for factor in factors if factor.function in PARTS}
    numbers = dict.fromkeys(
        factor.column
        for factor in factors
        if columns[factor.column].kind != "category" and not factor.is_indicator
    )
    return [name for name in numbers if columns[name].fill is not None and name not in parted]
