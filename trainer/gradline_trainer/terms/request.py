"""What the caller asks of a table's columns: their roles, and the terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradline.columns.formula import Wanted, parse_feature
from gradline.columns.targets import LogFunction
from gradline.errors import InputError, in_quotes
from gradline.tables import FrameTable
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import (
    Names,
    checked_names,
    listed,
    no_category,
    refuse_duplicates,
    split_targets,
)
from gradline_trainer.terms.deciding import Asked


@dataclass(frozen=True)
class Request:
    """The roles that the caller gives to columns, and the terms.

    Attributes:
        targets: k names.
        functions: Each target's function, None for the target itself; () if none has one.
        weight: The column of sample weights.
        wanted: The terms; None for the default terms.
        candidates: The columns that may become features, in table order.
        lacking: Columns that only some files have, and that are left out by default.
        named: Those that the caller named.
        one_hot: Columns that are categories, with the levels of format 1.
        asked: What the caller says about the columns' kinds.
        full: Whether every level has an indicator.
        means: Whether missing numbers are filled because the caller said so.
    """

    targets: list[str]
    functions: tuple[LogFunction | None, ...]
    weight: str | None
    wanted: tuple[Wanted, ...] | None
    candidates: list[str]
    lacking: list[str]
    named: frozenset[str]
    one_hot: list[str]
    asked: Asked
    full: bool
    means: bool

    @property
    def has_defaults(self) -> bool:
        """Whether the default terms are among the terms."""
        return self.wanted is None or any(term.is_default for term in self.wanted)


def request_of(
    table: FrameTable,
    targets: Names,
    features: Names,
    exclude: Names,
    weight: str | None,
    one_hot: Names,
    asked: Asked,
    options: Options,
) -> Request:
    """Check every name against the table, and find which columns may become features.

    Raises:
        InputError: For an unknown or repeated column, one with two roles, and a term that cannot be
            read.
    """
    known = [*table.names, *sorted(table.agreement.lacking)]
    names, functions = split_targets(targets, known)
    names = checked_names(known, "target", names)
    if not names:
        raise InputError(
            "no target: which columns should be predicted?",
            code="no-target",
            hint=f"--target NAME, one of {listed(known)}",
        )
    excluded = checked_names(known, "excluded column", exclude)
    taken = dict.fromkeys(excluded, "excluded column")
    taken |= dict.fromkeys(names, "target")
    if weight is not None:
        checked_names(known, "sample weight", weight, dict.fromkeys(names, "target"))
        taken[weight] = "sample weight"
    categories = checked_names(known, "category", one_hot, taken)
    wanted = None if features is None else tuple(_wanted(features, known, taken))
    _check_missing(wanted or (), options.missing)
    named = {factor.column for term in wanted or () for factor in term.factors}
    table.check_names([*(name for name in taken if name not in excluded), *categories, *named])
    free = [name for name in table.names if name not in taken]
    everything = wanted is None or any(term.is_default for term in wanted)
    candidates = free if everything else [name for name in free if name in named]
    refuse_duplicates(known, candidates)
    for name in categories:
        if name in candidates and table.kinds[name] not in ("number", "text"):
            raise no_category(name, table.kinds[name])
        if name not in candidates:
            raise InputError(
                f"the category {name!r} is not among the features",
                code="not-a-feature",
                hint=f"--feature {in_quotes(name)} too, or leave --one-hot {in_quotes(name)} out",
            )
    asked = Asked(
        asked.nulls,
        asked.formats,
        frozenset({*categories, *(name for term in wanted or () for name in term.categories)}),
        asked.most,
    )
    return Request(
        names,
        functions,
        weight,
        wanted,
        candidates,
        [name for name in table.agreement.lacking if everything and name not in taken],
        frozenset(named),
        categories,
        asked,
        full=options.ridge != 0 or not options.bias,
        means=options.missing == "mean",
    )


def _texts(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _wanted(features: Names, known: Sequence[str], taken: dict[str, str]) -> Iterable[Wanted]:
    texts = _texts(features)
    for place, text in enumerate(texts):
        if text in texts[:place]:
            raise InputError(
                f"the feature {text!r} is named twice", code="repeated-column", hint="name it once"
            )
        term = parse_feature(text, known, {*taken, *texts})
        for factor in term.factors:
            if factor.column in taken:
                raise InputError(
                    f"{factor.column!r} is named as {taken[factor.column]} and as feature",
                    code="repeated-column",
                    hint="give it one role",
                )
        yield term


def _check_missing(wanted: Sequence[Wanted], missing: str) -> None:
    """Raise for a term `NAME is missing` unless missing values have terms."""
    for term in wanted:
        if missing != "auto" and any(factor.function == "missing" for factor in term.factors):
            raise InputError(
                f"the term {term.text!r} goes with --missing auto, not with --missing {missing}",
                code="bad-option",
                hint=f"leave out --missing {missing}, or --feature {in_quotes(term.text)}",
            )


def time_formats(given: Names, known: Sequence[str]) -> dict[str, str]:
    """Parse `NAME=FORMAT` of --time-format; a name may hold an equals sign.

    Raises:
        InputError: For an unknown column, and without a format.
    """
    found = {}
    for text in _texts(given):
        cuts = [place for place, letter in enumerate(text) if letter == "="]
        name = next((text[:cut] for cut in cuts if text[:cut] in known), None)
        if name is None:
            checked_names(known, "column of --time-format", text.partition("=")[0])
            raise InputError(
                f"--time-format {in_quotes(text)}, expected NAME=FORMAT",
                code="bad-option",
                hint="such as --time-format 'date=%d/%m/%Y'",
            )
        found[name] = text[len(name) + 1 :]
    return found
