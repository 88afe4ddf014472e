"""Open a table and choose its columns: features, targets and weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gradline.columns.formula import parse_target
from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import LogFunction, learned_name
from gradline.errors import InputError, in_quotes, nearest_column
from gradline.tables import FrameTable
from gradline.tables.text_columns import TextColumn
from gradline_trainer.rows.arrays import ArrayTable
from gradline_trainer.rows.surveyed import Decision, Survey

TrainingTable = FrameTable | ArrayTable  # what a training run reads
Names = Sequence[str] | str | None
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
NUMERIC_SHARE = 0.9  # a text column with this share of numbers was probably meant to be numeric


@dataclass(frozen=True)
class Columns:
    """The columns of a training run."""

    plan: Plan  # the columns that features come from, and the terms made of them
    targets: list[str]  # k names
    weight: str | None  # the column of sample weights
    left_out: list[str]  # not numeric, and not asked for
    decisions: tuple[Decision, ...] = ()  # what was decided by default, in table order
    optional: frozenset[str] = frozenset()  # default terms, left out if constant or twins
    combined: frozenset[str] = frozenset()  # products of levels, left out if no row has them
    notes: tuple[str, ...] = ()  # warnings about values that were read in an unusual way
    functions: tuple[LogFunction | None, ...] = ()  # of the k targets; () if none has one
    readings: tuple[Column, ...] = ()  # how targets and weight are read; empty: as plain numbers
    are_given: bool = False  # the terms are those of a package (--like)
    survey: Survey | None = field(default=None, compare=False, repr=False)  # if terms were decided

    @property
    def inputs(self) -> list[Column]:
        """The columns that features come from."""
        return list(self.plan.columns)

    @property
    def has_format_2(self) -> bool:
        """Whether the package needs format 2."""
        return self.plan.format == 2 or bool(self.functions)

    @cached_property
    def features(self) -> list[str]:
        """The names of the graph's d inputs."""
        return self.plan.features

    @cached_property
    def learned(self) -> list[str]:
        """The names of what is learned: the targets, or `log(price)`."""
        if not self.functions:
            return self.targets
        return list(map(learned_name, self.targets, self.functions))

    @cached_property
    def categories(self) -> list[int]:
        """The places of the category columns among the inputs."""
        return [j for j, column in enumerate(self.inputs) if column.kind == "category"]

    @property
    def all(self) -> list[str]:
        """The inputs, targets and weight, in the order of a block's columns."""
        names = [column.name for column in self.inputs]
        return names + self.targets + ([self.weight] if self.weight else [])


def choose_columns(
    table: TrainingTable,
    targets: Names,
    features: Names,
    exclude: Sequence[str] | str,
    weight: str | None,
    one_hot: Sequence[str] | str,
) -> Columns:
    """Choose the columns to train on, and check every name against the table."""
    known = table.names
    names, functions = split_targets(targets, known)
    chosen_targets = checked_names(known, "target", names)
    if not chosen_targets:
        raise InputError(
            "no target: which columns should be predicted?",
            code="no-target",
            hint=f"--target NAME, one of {listed(known)}",
        )
    excluded = dict.fromkeys(checked_names(known, "excluded column", exclude), "excluded column")
    taken = dict.fromkeys(chosen_targets, "target")
    if weight is not None:
        checked_names(known, "sample weight", weight, taken)
        taken[weight] = "sample weight"
    categories = checked_names(known, "category", one_hot, taken | excluded)
    left_out: list[str] = []
    if features is not None:
        chosen = checked_names(known, "feature", features, excluded | taken)
    else:
        candidates = [n for n in known if n not in taken and n not in excluded]
        refuse_duplicates(known, candidates)
        chosen = [n for n in candidates if table.kinds[n] == "number" or n in categories]
        left_out = [n for n in candidates if n not in chosen]
        for name in left_out:
            _refuse_faulty(table, name)
    if not chosen:
        raise InputError(
            "no feature: apart from targets and weights, the table has no numeric column",
            code="no-feature",
            hint=f"its columns are {listed(known)}; --one-hot NAME adds a text column",
        )
    _check_kinds(table, dict.fromkeys(chosen, "feature") | taken, categories)
    inputs = [Column(name, "category" if name in categories else "number") for name in chosen]
    return Columns(Plan.of_columns(inputs), chosen_targets, weight, left_out, functions=functions)


def split_targets(
    targets: Names, known: Sequence[str]
) -> tuple[list[str], tuple[LogFunction | None, ...]]:
    """Split targets such as `log(price)` into columns and functions, () if there is none."""
    texts = [targets] if isinstance(targets, str) else list(targets or ())
    columns = set(known)
    found = [
        (text, None) if text in columns else parse_target(text, known, texts) for text in texts
    ]
    functions = tuple(function for _, function in found)
    return [name for name, _ in found], functions if any(functions) else ()


def is_unicode(text: str) -> bool:
    """Check that text has no half of a surrogate pair, which no file can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _check_kinds(table: TrainingTable, roles: Mapping[str, str], categories: Sequence[str]) -> None:
    """Raise if a column's kind does not fit its role."""
    for name, role in roles.items():
        if not is_unicode(name):
            raise InputError(
                f"the name {name!r} is not valid Unicode", code="bad-name", hint="rename the column"
            )
        kind = table.kinds[name]
        if kind == "number" or (kind == "text" and name in categories):
            continue
        if name not in categories:
            raise table.not_numbers(name, role)
        raise no_category(name, kind)
    for name in categories:
        if name not in roles:
            raise InputError(
                f"the category {name!r} is not among the features",
                code="not-a-feature",
                hint=f"--feature {in_quotes(name)} too, or leave --one-hot {in_quotes(name)} out",
            )


def no_category(name: str, kind: str) -> InputError:
    """Build the error for a column of --one-hot of a kind that has no categories of format 1."""
    held = "dates" if kind == "date" else "values that are neither text nor integers"
    return InputError(
        f"the column {name!r} holds {held}, expected categories",
        code="not-a-category",
        hint=f"store it as text or integers, or leave --one-hot {in_quotes(name)} out",
    )


def checked_names(
    known: Sequence[str], role: str, names: Names, taken: Mapping[str, str] | None = None
) -> list[str]:
    """Check that names are among the known columns, and not among those taken by other roles."""
    chosen = [names] if isinstance(names, str) else list(names or ())
    taken = taken or {}
    columns, counts = set(known), Counter(chosen)
    for name in chosen:
        if name not in columns:
            raise InputError(
                f"unknown {role} {name!r}",
                code="unknown-column",
                hint=nearest_column(name, known, {*chosen, *taken}),
            )
        if counts[name] > 1:
            raise InputError(
                f"the {role} {name!r} is named twice", code="repeated-column", hint="name it once"
            )
        if name in taken:
            raise InputError(
                f"{name!r} is named as {taken[name]} and as {role}",
                code="repeated-column",
                hint="give it one role",
            )
    refuse_duplicates(known, chosen)
    return chosen


def refuse_duplicates(known: Sequence[str], names: Sequence[str]) -> None:
    """Raise for a name that the table has more than once."""
    if len(set(known)) == len(known):
        return
    counts = Counter(known)
    for name in names:
        if counts[name] > 1:
            raise InputError(
                f"the table has {counts[name]} columns named {name!r}",
                code="duplicate-column",
                hint="rename them in the table",
            )


def _refuse_faulty(table: TrainingTable, name: str) -> None:
    """Raise if a text column is nearly all numbers, or its text has decimal commas."""
    if not isinstance(table, FrameTable) or table.kinds[name] != "text":
        return
    found = TextColumn.of(name, table.parts, table.dialect)
    decimal_commas = bool(found.odd) and all(map(DECIMAL_COMMA.fullmatch, found.odd))
    if decimal_commas or 0 < NUMERIC_SHARE * found.present <= found.numbers:
        raise table.not_numbers(name)


def listed(names: Sequence[str]) -> str:
    """List the first names for a message."""
    return ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
