"""Open a table and choose its columns: features, targets and weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradline.columns.formula import LogFunction, parse_target
from gradline.columns.kinds import Column
from gradline.columns.targets import learned_name
from gradline.errors import InputError, nearest_column
from gradline.tables import FrameTable
from gradline.tables.frames import open_frame
from gradline_trainer.rows.arrays import ArrayTable, table_of_arrays

TrainingTable = FrameTable | ArrayTable  # what a training run reads
Names = Sequence[str] | str | None
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
NUMERIC_SHARE = 0.9  # a text column with this share of numbers was probably meant to be numeric


@dataclass(frozen=True)
class Columns:
    """The columns of a training run."""

    inputs: list[Column]  # what features come from, in the graph's order
    targets: list[str]  # k names
    weight: str | None  # the column of sample weights
    left_out: list[str]  # not numeric, and not asked for
    functions: tuple[LogFunction | None, ...] = ()  # of the k targets; () if none has one

    @cached_property
    def features(self) -> list[str]:
        """The names of the graph's d inputs."""
        if not self.categories:
            return [column.name for column in self.inputs]
        return [feature for column in self.inputs for feature in column.features]

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


def open_table(
    table: Any,
    targets: Names,
    features: Names,
    exclude: Sequence[str] | str,
    sample_weight: Any,
    one_hot: Sequence[str] | str = (),
) -> tuple[TrainingTable, Columns]:
    """Open a table that is not a file, and choose its columns; see `fit`."""
    source: TrainingTable
    if isinstance(table, tuple):
        source, targets, features, sample_weight = table_of_arrays(
            table, targets, features, sample_weight
        )
    else:
        source = table if isinstance(table, ArrayTable | FrameTable) else open_frame(table)
    return source, _choose_columns(source, targets, features, exclude, sample_weight, one_hot)


def _choose_columns(
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
            hint=f"--target NAME, one of {_listed(known)}",
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
        _refuse_duplicates(known, candidates)
        chosen = [n for n in candidates if table.kinds[n] == "number" or n in categories]
        left_out = [n for n in candidates if n not in chosen]
        for name in left_out:
            _refuse_faulty(table, name)
    if not chosen:
        raise InputError(
            "no feature: apart from targets and weights, the table has no numeric column",
            code="no-feature",
            hint=f"its columns are {_listed(known)}; --one-hot NAME adds a text column",
        )
    _check_kinds(table, dict.fromkeys(chosen, "feature") | taken, categories)
    inputs = [Column(name, "category" if name in categories else "number") for name in chosen]
    return Columns(inputs, chosen_targets, weight, left_out, functions)


def split_targets(
    targets: Names, known: Sequence[str]
) -> tuple[list[str], tuple[LogFunction | None, ...]]:
    """Split targets such as `log(price)` into columns and functions, () if there is none."""
    texts = [targets] if isinstance(targets, str) else list(targets or ())
    found = [parse_target(text, known) for text in texts]
    functions = tuple(function for _, function in found)
    return [name for name, _ in found], functions if any(functions) else ()


def _check_kinds(table: TrainingTable, roles: Mapping[str, str], categories: Sequence[str]) -> None:
    """Raise if a column's kind does not fit its role."""
    for name, role in roles.items():
        if any("\ud800" <= c <= "\udfff" for c in name):
            raise InputError(
                f"the name {name!r} is not valid Unicode", code="bad-name", hint="rename the column"
            )
        kind = table.kinds[name]
        if kind == "number" or (kind == "text" and name in categories):
            continue
        if name not in categories:
            raise table.not_numbers(name, role)
        held = "dates" if kind == "date" else "values that are neither text nor integers"
        raise InputError(
            f"the column {name!r} holds {held}, expected categories",
            code="not-a-category",
            hint=f"store it as text or integers, or leave --one-hot {name!r} out",
        )
    for name in categories:
        if name not in roles:
            raise InputError(
                f"the category {name!r} is not among the features",
                code="not-a-feature",
                hint=f"--feature {name!r} too, or leave --one-hot {name!r} out",
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
    _refuse_duplicates(known, chosen)
    return chosen


def _refuse_duplicates(known: Sequence[str], names: Sequence[str]) -> None:
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
    found = table.survey(name)
    decimal_commas = bool(found.odd) and all(map(DECIMAL_COMMA.fullmatch, found.odd))
    if decimal_commas or 0 < NUMERIC_SHARE * found.present <= found.numbers:
        raise table.not_numbers(name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
