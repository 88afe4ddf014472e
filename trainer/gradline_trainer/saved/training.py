"""Choose columns of saved moments, and refuse options that need the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradline.columns.kinds import NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.columns.targets import LogFunction, learned_name
from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns, Names, checked_names, split_targets


def chosen_moments(
    saved: SavedMoments,
    targets: Names,
    features: Names,
    exclude: Names,
    options: Options,
    of_rows: Mapping[str, Any],
    folds: int | None,
) -> tuple[SavedMoments, Options]:
    """Select the moments of the chosen columns, and set the options that need no rows.

    By default targets and features are those that were saved as such. `of_rows` has what `fit` was
    given that concerns rows, by name; `folds` is the number asked for.
    """
    _refuse_row_options(options, of_rows)
    if options.ridge == "auto":
        options = replace(options, folds=_folds(saved, folds))
    columns = _choose(saved, targets, features, exclude)
    return saved.select(columns), replace(options, arithmetic="fast", gradient="moments")


def _refuse_row_options(options: Options, of_rows: Mapping[str, Any]) -> None:
    given = {name: value for name, value in of_rows.items() if value}
    plain = Options()
    for name in ("missing", "holdout", "robust"):
        if getattr(options, name) != getattr(plain, name):
            given[name] = getattr(options, name)
    need_rows = {"arithmetic": "exact", "device": "cuda", "gradient": "rows"}
    given |= {name: value for name, value in need_rows.items() if getattr(options, name) == value}
    if options.gradient_source == "rows" and options.gradient != "rows":
        raise InputError(
            "preconditioning = 'none' takes its gradient from the rows, which saved moments do not "
            "have",
            code="needs-rows",
            hint="add --gradient moments: the same loss and gradient, from the moments",
        )
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        raise InputError(
            f"{name} = {value!r} needs the rows, which saved moments do not have",
            code="needs-rows",
            hint=f"leave {option} out, or train from the table",
        )


def _folds(saved: SavedMoments, asked: int | None) -> int:
    found = len(saved.folds)
    if not found:
        raise InputError(
            "ridge = 'auto' needs the moments of folds, which were not saved",
            code="no-folds",
            hint="save the moments of a run with --ridge auto, or give a number; a "
            "subtraction keeps no folds",
        )
    if asked not in (found, None):
        raise InputError(
            f"folds = {asked}, but the moments of {found} were saved",
            code="no-folds",
            hint=f"--folds {found}, or leave it out",
        )
    return found


def _choose(saved: SavedMoments, targets: Names, features: Names, exclude: Names) -> Columns:
    known = {column.name: column for column in saved.columns.inputs}
    known |= {name: Column(name) for name in saved.columns.targets}
    learned = dict(zip(saved.columns.targets, saved.columns.learned, strict=True))
    names = list(known)
    excluded = checked_names(names, "excluded column", exclude)
    asked, functions = split_targets(targets, names)
    chosen_targets = checked_names(names, "target", asked or saved.columns.targets)
    functions = _functions(saved.columns, chosen_targets, functions if asked else None)
    taken = dict.fromkeys(excluded, "excluded column") | dict.fromkeys(chosen_targets, "target")
    if features is None:
        own = [column.name for column in saved.columns.inputs]
        chosen = [name for name in own if name not in taken]
    else:
        chosen = checked_names(names, "feature", features, taken)
    for name in chosen:
        if name in saved.columns.targets and learned[name] != name:
            raise InputError(
                f"{name!r} can't be a feature: the moments hold {learned[name]} alone",
                code="needs-rows",
                hint="choose other features, or train from the table",
            )
    for name in chosen_targets:
        is_number = known[name].kind == "number" and name in (*saved.columns.features, *learned)
        if not is_number or known[name].fill is not None:
            raise InputError(
                f"{name!r} can't be a target: its categories or missing values were encoded as a "
                "feature's",
                code="not-numeric",
                hint="choose another target",
            )
    if not chosen:
        raise InputError("no feature is left", code="no-feature", hint="exclude fewer columns")
    plan = _selected(saved.columns, chosen)
    return replace(
        saved.columns, plan=plan, targets=chosen_targets, left_out=[], functions=functions
    )


def _selected(saved: Columns, chosen: Sequence[str]) -> Plan:
    """Keep the terms that are made of the chosen columns alone, in the columns' order."""
    if saved.plan.format == 1:
        known = {column.name: column for column in saved.inputs}
        return Plan.of_columns([known.get(name, Column(name)) for name in chosen])
    added = [Column(name, null=NUMBER_NULLS) for name in saved.targets if name in chosen]
    terms = (*saved.plan.terms, *((Factor(column.name),) for column in added))
    whole = Plan((*saved.plan.columns, *added), terms)
    order = {name: place for place, name in enumerate(chosen)}
    places = [j for j, term in enumerate(terms) if order.keys() >= {f.column for f in term}]
    return whole.select(sorted(places, key=lambda j: order[terms[j][0].column]))


def _functions(
    saved: Columns, targets: Sequence[str], asked: Sequence[LogFunction | None] | None
) -> tuple[LogFunction | None, ...]:
    """Look up the functions of the chosen targets; refuse one that is asked for otherwise."""
    known = dict(zip(saved.targets, saved.functions, strict=False))
    functions = tuple(known.get(target) for target in targets)
    if asked is not None:
        wanted = asked or [None] * len(targets)
        for target, own, other in zip(targets, functions, wanted, strict=True):
            if own != other:
                raise InputError(
                    f"the target {learned_name(target, other)!r} needs the rows: the moments are "
                    f"those of {learned_name(target, own)!r}",
                    code="needs-rows",
                    hint=f"--target {learned_name(target, own)!r}, or train from the table",
                )
    return functions if any(functions) else ()
