"""Decide a model's terms from saved moments, as from the rows that they were gathered from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from gradline.columns.formula import Wanted, parse_feature
from gradline.columns.kinds import NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.columns.targets import LogFunction
from gradline.columns.terms import Factor, Term, name_of
from gradline.errors import InputError
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.moments.superfluous import superfluous_terms
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns, Names, checked_names
from gradline_trainer.rows.refusals import nothing_varies
from gradline_trainer.rows.surveyed import Survey, Surveyed
from gradline_trainer.saved.mapping import Combination, LinearMap, linear_map
from gradline_trainer.terms.choosing import chosen_columns
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.leaving_out import without
from gradline_trainer.terms.request import Request

NOT_SAVED = "it is not among the saved terms"
WITH_ROWS = (
    "train from the table, or save its moments with this term; --like PACKAGE takes the terms of "
    "a package"
)


def decided_moments(
    saved: SavedMoments,
    targets: Sequence[str],
    functions: tuple[LogFunction | None, ...],
    features: Names,
    excluded: Collection[str],
    options: Options,
) -> SavedMoments:
    """Decide the terms from what was counted; return their moments.

    Raises:
        InputError: For a term that needs the rows, and if no feature is left.
    """
    columns = _chosen(saved, targets, functions, features, excluded, options)
    columns = _without_unsaved(saved, columns)
    while True:
        found = select_terms(saved, columns)
        if not (reasons := superfluous_terms(found.columns, found.moments)):
            return found
        columns = without(columns, reasons)
        if not columns.plan.columns:
            raise nothing_varies()


def select_terms(saved: SavedMoments, columns: Columns) -> SavedMoments:
    """Compute the moments of a model's terms and targets."""
    known = {column.name: column for column in columns.plan.columns}
    whole, targets = saved.columns.plan, saved.columns.targets
    number = {term[0].column: j for j, term in enumerate(whole.terms) if _is_number(term)}
    d = len(whole.terms)
    places = number | {name: d + j for j, name in enumerate(targets)}
    own = [term for term in columns.plan.terms if not _is_target(term, targets)]
    rows, unknown = linear_map(own, known, whole)
    if unknown:
        raise _not_saved(unknown[0])
    of_term = dict(zip(own, rows, strict=True))
    found = [
        of_term[term] if term in of_term else Combination((places[term[0].column],))
        for term in columns.plan.terms
    ]
    found += [Combination((places[name],)) for name in columns.targets]
    by = LinearMap(tuple(found))
    return replace(
        saved,
        moments=by.apply(saved.moments),
        folds=[by.apply(fold) for fold in saved.folds],
        columns=columns,
    )


def _is_number(term: Term) -> bool:
    return term == (Factor(term[0].column),)


def _is_target(term: Term, targets: Collection[str]) -> bool:
    return _is_number(term) and term[0].column in targets


def _chosen(
    saved: SavedMoments,
    targets: Sequence[str],
    functions: tuple[LogFunction | None, ...],
    features: Names,
    excluded: Collection[str],
    options: Options,
) -> Columns:
    """Choose the terms that are asked for, or those that were asked for when it was saved."""
    columns, survey = saved.columns, survey_of(saved)
    taken = {*excluded, *targets}
    if features is None and survey.fixed is not None:
        fixed = _fixed(columns, survey.fixed, targets, taken)
        return replace(fixed, functions=functions)
    own = [found.column.name for found in survey.found]
    listed = [decision.column for decision in columns.decisions]
    names = list(dict.fromkeys([*_in_table_order(own, listed), *columns.targets]))
    if features is None:
        wanted = survey.wanted and tuple(
            one for one in survey.wanted if taken.isdisjoint(f.column for f in one.factors)
        )
    else:
        wanted = tuple(_wanted(features, names, targets, excluded, own))
    more = [] if features is None else [n for n in columns.targets if n not in (*own, *taken)]
    named = {factor.column for one in wanted or () for factor in one.factors}
    for name in named.intersection(more):
        if name not in columns.learned:
            learned = columns.learned[columns.targets.index(name)]
            raise InputError(
                f"{name!r} can't be a feature: the moments hold {learned} alone",
                code="needs-rows",
                hint="choose other features, or train from the table",
            )
    as_features = [found_of_number(saved, name) for name in more if name in named]
    every = map(_with_counted_levels, (*survey.found, *as_features))
    found = [one for one in every if one.column.name not in taken]
    request = Request(
        targets=list(targets),
        functions=functions,
        weight=columns.weight,
        wanted=wanted,
        candidates=[name for name in names if name not in taken],
        lacking=[],
        named=frozenset(named),
        one_hot=[name for name in survey.one_hot if name not in taken],
        asked=Asked(most=survey.most),
        full=options.ridge != 0 or not options.bias,
        means=survey.missing == "mean",
    )
    left_out = {
        decision.column: decision
        for decision in columns.decisions
        if request.has_defaults and decision.column not in (*own, *taken)
    }
    if not found or wanted == ():
        raise _no_feature()
    chosen, _ = chosen_columns(names, found, left_out, request, survey.missing)
    return chosen


def _fixed(columns: Columns, plan: Plan, targets: Sequence[str], taken: set[str]) -> Columns:
    """Take the terms that were given when it was saved."""
    if plan.format == 1:
        plan = Plan.of_columns([c for c in plan.columns if c.name not in taken])
    else:
        kept = [taken.isdisjoint(f.column for f in term) for term in plan.terms]
        plan = plan.select([j for j, keep in enumerate(kept) if keep])
    if not plan.terms:
        raise _no_feature()
    return Columns(plan, list(targets), columns.weight, [])


def _no_feature() -> InputError:
    return InputError("no feature is left", code="no-feature", hint="exclude fewer columns")


def _with_counted_levels(found: Surveyed) -> Surveyed:
    """Leave out levels that no row has, such as those of a package."""
    levels = tuple(level for level in found.column.levels if level in found.counts)
    return replace(found, column=replace(found.column, levels=levels))


def _in_table_order(own: Sequence[str], listed: Sequence[str]) -> list[str]:
    """Merge the columns in use into those that decisions were made about; both are in order."""
    merged = list(listed)
    for before, name in zip(("", *own), own, strict=False):
        if name not in merged:
            merged.insert(merged.index(before) + 1 if before in merged else 0, name)
    return merged


def _wanted(
    features: Names,
    names: Sequence[str],
    targets: Sequence[str],
    excluded: Collection[str],
    own: Sequence[str],
) -> Iterable[Wanted]:
    texts = [features] if isinstance(features, str) else list(features or ())
    roles = dict.fromkeys(excluded, "excluded column") | dict.fromkeys(targets, "target")
    checked_names(texts, "feature", texts)  # none twice
    for text in texts:
        one = parse_feature(text, names)
        for factor in one.factors:
            if factor.column in roles:
                raise InputError(
                    f"{factor.column!r} is named as {roles[factor.column]} and as feature",
                    code="repeated-column",
                    hint="give it one role",
                )
            if factor.column not in own and factor.column in names[: -len(targets) or None]:
                raise needs_rows(f"the column {factor.column!r} was left out of them")
        yield one


def needs_rows(why: str) -> InputError:
    """Build the error for a term that the saved moments do not have."""
    return InputError(
        f"the saved moments do not have what is asked for, which needs the rows: {why}",
        code="needs-rows",
        hint=WITH_ROWS,
    )


def _not_saved(term: Term) -> InputError:
    return needs_rows(f"the term {name_of(term)} is not among them")


def survey_of(saved: SavedMoments) -> Survey:
    """Look up what was asked and found; moments of plain numbers tell it themselves."""
    if saved.columns.survey is not None:
        return saved.columns.survey
    names = [column.name for column in saved.columns.inputs]
    return Survey(
        None,
        (),
        len(names),
        "error",
        tuple(found_of_number(saved, name) for name in names),
    )


def found_of_number(saved: SavedMoments, name: str) -> Surveyed:
    """Describe a number that no row misses, from its moments."""
    names, moments = [*saved.columns.features, *saved.columns.targets], saved.moments
    place = names.index(name)
    return Surveyed(
        Column(name, null=NUMBER_NULLS),
        "number",
        place,
        moments.rows,
        minimum=float(moments.minimum[place]),
        maximum=float(moments.maximum[place]),
        mean=float(moments.mean[place]),
    )


def _without_unsaved(saved: SavedMoments, columns: Columns) -> Columns:
    """Leave out default terms that were not saved, and say so; raise for other ones."""
    known = {column.name: column for column in columns.plan.columns}
    targets = saved.columns.targets
    terms = [term for term in columns.plan.terms if not _is_target(term, targets)]
    _, unknown = linear_map(terms, known, saved.columns.plan)
    for term in unknown:
        if name_of(term) not in columns.optional:
            raise _not_saved(term)
    if not unknown:
        return columns
    found = without(columns, {name_of(term): NOT_SAVED for term in unknown})
    if not found.plan.columns:
        raise _not_saved(unknown[0])
    return found
