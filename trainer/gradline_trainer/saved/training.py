"""Choose columns of saved moments, and refuse options that need the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import LogFunction, learned_name
from gradline.errors import InputError, in_quotes
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns, Names, checked_names, split_targets
from gradline_trainer.saved.deciding import decided_moments


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
    options = replace(options, arithmetic="fast", gradient="moments")
    if saved.columns.survey is None:
        columns = _choose(saved, targets, features, exclude)
        return saved.select(columns), replace(options, missing="error")
    names, excluded, functions = _roles(saved, targets, exclude)
    found = decided_moments(saved, names, functions, features, excluded, options)
    return found, options_as_saved(found, saved.columns.survey.missing, options)


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


def _roles(
    saved: SavedMoments, targets: Names, exclude: Names
) -> tuple[list[str], list[str], tuple[LogFunction | None, ...]]:
    """Choose targets and columns to leave out; return the targets' functions, too."""
    columns = saved.columns
    known = {column.name: column for column in columns.inputs}
    names = list(dict.fromkeys([*known, *columns.targets, *(d.column for d in columns.decisions)]))
    excluded = checked_names(names, "excluded column", exclude)
    asked, functions = split_targets(targets, names)
    chosen = checked_names(names, "target", asked or columns.targets)
    functions = _functions(columns, chosen, functions if asked else None)
    for name in chosen:
        if name in columns.targets:
            continue
        column = known.get(name)
        if column is None or column.fill is not None or name not in columns.features:
            raise InputError(
                f"{name!r} can't be a target: its categories or missing values were encoded as a "
                "feature's, or it was left out",
                code="not-numeric",
                hint="choose another target",
            )
    return chosen, excluded, functions


def options_as_saved(found: SavedMoments, missing: Any, options: Options) -> Options:
    """Set the option `missing` to what it was when the moments were gathered."""
    used = any(column.fill is not None or column.missing for column in found.columns.inputs)
    if missing == "auto" and not used and not found.rows_dropped:
        missing = "error"
    return replace(options, missing=missing)


def _choose(saved: SavedMoments, targets: Names, features: Names, exclude: Names) -> Columns:
    chosen_targets, excluded, functions = _roles(saved, targets, exclude)
    known = {column.name: column for column in saved.columns.inputs}
    known |= {name: Column(name) for name in saved.columns.targets}
    taken = dict.fromkeys(excluded, "excluded column") | dict.fromkeys(chosen_targets, "target")
    if features is None:
        own = [column.name for column in saved.columns.inputs]
        chosen = [name for name in own if name not in taken]
    else:
        chosen = checked_names(list(known), "feature", features, taken)
    if not chosen:
        raise InputError("no feature is left", code="no-feature", hint="exclude fewer columns")
    plan = Plan.of_columns([known[name] for name in chosen])
    return replace(
        saved.columns, plan=plan, targets=chosen_targets, left_out=[], functions=functions
    )


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
                learned = learned_name(target, own)
                raise InputError(
                    f"the target {learned_name(target, other)!r} needs the rows: the moments are "
                    f"those of {learned!r}",
                    code="needs-rows",
                    hint=f"--target {in_quotes(learned)}, or train from the table",
                )
    return functions if any(functions) else ()
