"""Training from saved moments: which of their columns, and which options have a meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradline.columns.encoding import Column
from gradline.errors import InputError, nearest
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns

Names = Sequence[str] | str | None


def chosen_moments(
    saved: SavedMoments,
    targets: Names,
    features: Names,
    exclude: Names,
    options: Options,
    of_rows: Mapping[str, Any],
    folds: int | None,
) -> tuple[SavedMoments, Options]:
    """Return the moments of the chosen columns, and the options as they are without rows.

    Args:
        saved: The moments.
        targets: Among the saved columns; by default those saved as such.
        features: By default those saved as such but for the targets. A column with categories has
            all of its indicators.
        exclude: Not to be features.
        options: Of the run.
        of_rows: What else `fit` was given that concerns the rows, by name.
        folds: That were asked for; by default as many as were saved.

    Raises:
        InputError: For an option that needs the rows, folds that were not saved, and columns that
            are not there.
    """
    _refuse_row_options(options, of_rows)
    if options.ridge == "auto":
        options = replace(options, folds=_folds(saved, folds))
    columns = _choose(saved, _named(targets), _named(features), _named(exclude) or [])
    return saved.select(columns), replace(options, arithmetic="fast", gradient="moments")


def _refuse_row_options(options: Options, of_rows: Mapping[str, Any]) -> None:
    given = {name: value for name, value in of_rows.items() if value}
    plain = Options()
    for name in ("missing", "holdout", "robust"):
        if getattr(options, name) != getattr(plain, name):
            given[name] = getattr(options, name)
    if options.arithmetic == "exact":
        given["arithmetic"] = "exact"
    if options.device == "cuda":
        given["device"] = "cuda"
    if options.gradient == "rows":
        given["gradient"] = "rows"
    elif options.gradient_source == "rows":
        raise InputError(
            "preconditioning = 'none' takes its gradient from the rows, which saved moments have "
            "not",
            code="needs-rows",
            hint="add --gradient moments: the same loss and gradient, from the moments",
        )
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        raise InputError(
            f"{name} = {value!r} needs the rows, which saved moments have not",
            code="needs-rows",
            hint=f"leave {option} out, or train from the table",
        )


def _folds(saved: SavedMoments, asked: int | None) -> int:
    """Return the number of folds that were saved, or raise where it is not the one asked for."""
    found = len(saved.folds)
    if not found:
        raise InputError(
            "ridge = 'auto' needs the moments of folds, which were not saved",
            code="no-folds",
            hint="save the moments of a run with --ridge auto, or give a number; what was "
            "subtracted from has none",
        )
    if asked not in (found, None):
        raise InputError(
            f"folds = {asked}, but the moments of {found} were saved",
            code="no-folds",
            hint=f"--folds {found}, or leave it out",
        )
    return found


def _choose(
    saved: SavedMoments, targets: list[str] | None, features: list[str] | None, exclude: list[str]
) -> Columns:
    known = {column.name: column for column in saved.columns.inputs}
    known |= {name: Column(name) for name in saved.columns.targets}
    targets = targets or saved.columns.targets
    if features is None:
        own = [column.name for column in saved.columns.inputs]
        features = [name for name in own if name not in {*targets, *exclude}]
    roles = {"target": targets, "feature": features, "excluded column": exclude}
    for role, names in roles.items():
        for place, name in enumerate(names):
            if name not in known:
                raise InputError(
                    f"unknown {role} {name!r}: it is none of the saved columns",
                    code="unknown-column",
                    hint=nearest(name, known),
                )
            if name in names[:place] or (role == "feature" and name in {*targets, *exclude}):
                raise InputError(
                    f"{name!r} is named twice", code="repeated-column", hint="give it one role"
                )
    for name in targets:
        if known[name].kind == "category" or known[name].fill is not None:
            raise InputError(
                f"{name!r} can't be a target: its categories or missing values were encoded as a "
                "feature's",
                code="not-numeric",
                hint="choose another target",
            )
    if not features:
        raise InputError("no feature is left", code="no-feature", hint="exclude fewer columns")
    return replace(
        saved.columns,
        inputs=[known[name] for name in features],
        targets=list(targets),
        left_out=[],
    )


def _named(names: Names) -> list[str] | None:
    return [names] if isinstance(names, str) else None if names is None else list(names)
