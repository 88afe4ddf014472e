"""Choose the terms of a table: first as if all columns were plain numbers, then from a survey."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gradline.columns.encoding import in_order
from gradline.columns.kinds import NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor, Term, name_of
from gradline.formatting import PLAIN
from gradline.scoring.engine import Engine
from gradline.tables import FrameTable
from gradline.tables.lazy_polars import pl
from gradline.tables.zeros import have_leading_zeros
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.rows.encoding import check_levels
from gradline_trainer.rows.passes import Progress
from gradline_trainer.rows.surveyed import Decision, Survey, Surveyed
from gradline_trainer.terms.blocks import check_names
from gradline_trainer.terms.decisions import asked_for, no_column
from gradline_trainer.terms.default_terms import decide
from gradline_trainer.terms.expansion import chosen_terms
from gradline_trainer.terms.leaving_out import excluded, left_out_by_name, left_out_by_type
from gradline_trainer.terms.request import Request
from gradline_trainer.terms.survey import survey


def plain_columns(table: FrameTable, request: Request) -> Columns | None:
    """Choose columns if all seem to be plain numbers or --one-hot categories; else None.

    A text file's kinds are a guess from its first rows: what the reader finds later decides.
    """
    if request.asked.formats or not all(
        len(term.factors) <= 1 and term.factors in ((), (Factor(f.column),))
        for term in request.wanted or ()
        for f in term.factors
    ):
        return None
    left_out = left_out_by_type(table, request) | left_out_by_name(table, request)
    chosen = [name for name in request.candidates if name not in left_out]
    if not chosen or not all(_seems_plain(table, name, request.one_hot) for name in chosen):
        return None
    if have_leading_zeros(table.parts, [name for name in chosen if name not in request.one_hot]):
        return None
    if not all(table.kinds[name] == "number" for name in _read_as_numbers(request)):
        return None
    order = dict.fromkeys(chosen if request.wanted is None else _in_order(request, chosen))
    categories = request.one_hot
    inputs = [Column(name, "category" if name in categories else "number") for name in order]
    numbers = {name: _plain(name) for name in chosen if name not in categories}
    decided = {**left_out, **numbers}
    return Columns(
        Plan.of_columns(inputs),
        request.targets,
        request.weight,
        [],
        decisions=_in_table_order(decided, request),
        optional=frozenset(
            name for name in chosen if request.has_defaults and name not in request.named
        )
        - frozenset(categories),
        functions=request.functions,
    )


def _in_table_order(decided: Mapping[str, Decision], request: Request) -> tuple[Decision, ...]:
    """Sort decisions by their columns; those that the first file lacks come last."""
    names = dict.fromkeys([*request.candidates, *decided])
    return tuple(decided[name] for name in names if name in decided)


def _plain(name: str) -> Decision:
    return Decision(name, PLAIN, excluded(name), True)


def _read_as_numbers(request: Request) -> list[str]:
    return [*request.targets, *([request.weight] if request.weight else [])]


def _seems_plain(table: FrameTable, name: str, categories: Sequence[str] = ()) -> bool:
    if name in categories:
        return table.kinds[name] in ("number", "text")
    types = table.dtypes.get(name, {pl.Null(): ""})
    return table.kinds[name] == "number" and (
        table.has_text_files or all(dtype.is_numeric() for dtype in types)
    )


def _in_order(request: Request, chosen: Sequence[str]) -> list[str]:
    """Put the columns in the order of the terms; `*` stands for all that are not named before."""
    found: list[str] = []
    for term in request.wanted or ():
        found += chosen if term.is_default else [term.factors[0].column]
    return found


def surveyed_columns(
    table: FrameTable,
    request: Request,
    options: Options,
    report: Progress,
    engine: Engine | None,
) -> tuple[FrameTable, Columns]:
    """Survey the columns, and choose the terms; return the table that reads them, too.

    Raises:
        InputError: For a table without a feature, and a term that does not fit its column.
    """
    left_out = left_out_by_type(table, request) | left_out_by_name(table, request)
    names = [name for name in request.candidates if name not in left_out]
    plain = Columns(Plan((), ()), request.targets, request.weight, [])
    roles, found, notes = survey(table, plain, names, request.asked, options, report, engine)
    surveyed = {one.column.name: _as_asked(one, options.missing).column for one in found}
    for column in (surveyed[name] for name in request.one_hot):
        check_levels(
            column.name,
            list(column.levels),
            request.asked.most,
            table,
            has_missing=column.missing,
        )
    texts = [] if table.has_text_files else [name for name in names if table.is_text(name)]
    columns, inputs = chosen_columns(table.names, found, left_out, request, options.missing, texts)
    reading = table.with_columns((*inputs, *roles.readings), "zero")
    return reading, replace(columns, notes=(*roles.notes, *notes), readings=roles.readings)


def chosen_columns(
    names: Sequence[str],
    found: Sequence[Surveyed],
    left_out: Mapping[str, Decision],
    request: Request,
    missing: str,
    texts: Collection[str] = (),
) -> tuple[Columns, list[Column]]:
    """Choose the terms from a survey; return how each column in use is read, too.

    Args:
        names: The table's columns.
        found: What the training rows show of those that may be used.
        left_out: Columns that are not surveyed, and why.
        request: What the caller asks for.
        missing: The option of this name.
        texts: The columns whose type is text, though all of their values may be numbers.

    Raises:
        InputError: For a table without a feature, and a term that does not fit its column.
    """
    surveyed = {one.column.name: _as_asked(one, missing) for one in found}
    mark_missing = missing == "auto"
    defaults, decisions = _defaults(names, surveyed, request, mark_missing=mark_missing)
    known = {one.column.name: one.column for one in surveyed.values()}
    if request.wanted is None:
        columns, terms = defaults
    else:
        columns, terms = chosen_terms(
            request.wanted,
            surveyed,
            defaults[1],
            full=request.full,
            mark_missing=mark_missing,
        )
    every = {**left_out, **{decision.column: decision for decision in decisions}}
    if not terms:
        raise no_column(_in_table_order(every, request), names)
    used = {factor.column for term in terms for factor in term}
    inputs = [columns.get(name, known[name]) for name in names if name in used]
    plan = _plan(inputs, terms, request, texts)
    asking = _asking(request)
    by_hand = used - {name for name, decision in every.items() if decision.taken}
    every |= {name: asked_for(surveyed[name], asking[name]) for name in asking if name in by_hand}
    if plan.format == 2:
        inputs = list(plan.columns)
    chosen = Columns(
        plan,
        request.targets,
        request.weight,
        [],
        decisions=_in_table_order(every, request),
        optional=_optional(defaults[1], terms, request),
        combined=frozenset(name_of(term) for term in terms if _is_combination(term)),
        functions=request.functions,
        survey=Survey(
            request.wanted,
            tuple(request.one_hot),
            request.asked.most,
            missing,
            tuple(one for one in found if one.column.name in used),
        ),
    )
    return chosen, inputs


def _asking(request: Request) -> dict[str, str]:
    """Look up the first term that asks for each column, as it was typed."""
    found: dict[str, str] = {}
    for term in request.wanted or ():
        for factor in term.factors:
            found.setdefault(factor.column, term.text)
    return found


def _as_asked(found: Surveyed, missing: str) -> Surveyed:
    """Apply --missing: only "auto" gives missing values terms of their own."""
    is_filled = missing == "mean" and found.column.kind != "category"
    if missing == "auto" or not found.missing or is_filled:
        return found
    return replace(found, column=replace(found.column, fill=None, missing=False), missing=0)


def _defaults(
    names: Sequence[str], surveyed: Mapping[str, Surveyed], request: Request, *, mark_missing: bool
) -> tuple[tuple[dict[str, Column], list[Term]], list[Decision]]:
    """Choose the default terms, with those of --one-hot in their places."""
    if not request.has_defaults:
        return ({}, []), []
    free = [one for name, one in surveyed.items() if name not in request.one_hot]
    columns, terms, decisions = decide(
        free, full=request.full, most_levels=request.asked.most, mark_missing=mark_missing
    )
    forced = {name: _one_hot(surveyed[name], full=request.full) for name in request.one_hot}
    if not forced:
        return (columns, terms), decisions
    columns |= {name: column for name, (column, _) in forced.items()}
    own: dict[str, list[Term]] = {name: [] for name in surveyed}
    for term in [*terms, *(term for _, some in forced.values() for term in some)]:
        own[term[0].column].append(term)
    terms = [term for name in names for term in own.get(name, [])]
    check_names(terms)
    return (columns, terms), decisions


def _one_hot(found: Surveyed, *, full: bool) -> tuple[Column, list[Term]]:
    """Make the indicators of --one-hot: all levels, in the order of format 1."""
    column = replace(found.column, levels=in_order(found.column.levels))
    reference = None if full else column.reference
    column = replace(column, reference=reference)
    levels: list[Factor] = [
        Factor(column.name, level=level) for level in column.levels if level != reference
    ]
    if column.missing:
        levels.append(Factor(column.name, "missing"))
    return column, [(factor,) for factor in levels]


def _plan(
    columns: Sequence[Column], terms: Sequence[Term], request: Request, texts: Collection[str]
) -> Plan:
    """Make the plan; one that format 1 can hold is of format 1.

    Format 1 takes no numbers that are typed as text, such as the rows of the same frame.
    """
    standard = {*NUMBER_NULLS, *request.asked.nulls}
    bare = [replace(column, null=()) for column in columns]
    simple = Plan.of_columns(bare)
    plain = all(
        (
            column.kind == "number"
            and column.name not in texts
            and not column.parse
            and (column.fill is None or request.means)
            and standard.issuperset(column.null)
        )
        or (column.name in request.one_hot and not column.missing)
        for column in columns
    )
    if plain and simple.terms == tuple(terms) and not request.functions:
        return simple
    return Plan(tuple(replace(c, levels=tuple(sorted(c.levels))) for c in columns), tuple(terms))


def _optional(defaults: Sequence[Term], terms: Sequence[Term], request: Request) -> frozenset[str]:
    """Find the default terms, which are left out if they turn out to add nothing."""
    own = {name_of(term) for term in defaults if term[0].column not in request.one_hot}
    named = {name_of(wanted.factors) for wanted in request.wanted or () if not wanted.is_default}
    return frozenset(own & set(map(name_of, terms))) - named


def _is_combination(term: Term) -> bool:
    """Check for a product of two levels, which no training row may have."""
    return sum(factor.is_indicator for factor in term) > 1
