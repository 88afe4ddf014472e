"""Turn what people ask for with `-f` into the terms of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from unicodedata import normalize

from gradline.columns.calendar import PARTS
from gradline.columns.formula import Wanted
from gradline.columns.kinds import RARE, Column
from gradline.columns.terms import Factor, Term, name_of, quoted
from gradline.errors import InputError, in_quotes, nearest
from gradline_trainer.rows.surveyed import Surveyed
from gradline_trainer.terms.blocks import (
    Block,
    check_names,
    column_blocks,
    part_block,
    with_reference,
)

Key = frozenset[object]
SHOWN = {"power": "a power", "hinge": "hinge", None: "a level"}


def chosen_terms(
    wanted: Sequence[Wanted],
    surveyed: Mapping[str, Surveyed],
    defaults: Sequence[Term],
    *,
    full: bool,
    mark_missing: bool = True,
) -> tuple[dict[str, Column], list[Term]]:
    """Expand the wanted terms in their order, each once; return the columns in use, and the terms.

    A category in a product stands without its reference only if the product without that category
    is itself a term (the bias is the empty product), as in R. Combinations that no training row
    has are still among the terms.

    Args:
        wanted: What each `-f` asks for.
        surveyed: What the training rows show of each column in use.
        defaults: The terms that `*` stands for.
        full: Whether each level has an indicator: under a penalty, or without a bias.
        mark_missing: Whether a plain name of a number or time may add `NAME is missing`.

    Raises:
        InputError: A function does not fit its column's kind ("wrong-kind"), a column is wanted as
            a category and as something else ("two-kinds"), no training row has a level or part
            ("unknown-level"), the column has no value ("missing-value") or one level only
            ("constant-category"), or two terms have one name ("name-clash").
    """
    _check_one_kind(wanted, surveyed)
    expansion = _Expansion(surveyed, _pooled(wanted, defaults), mark_missing)
    for one in wanted:
        if one.is_default:
            expansion.add_defaults(defaults)
        else:
            expansion.add(one)
    terms = expansion.terms(full)
    check_names(terms)
    names = dict.fromkeys(factor.column for term in terms for factor in term)
    return {name: with_reference(expansion.columns[name], terms) for name in names}, terms


def _pooled(wanted: Sequence[Wanted], defaults: Sequence[Term]) -> set[str]:
    """Find the categories whose rare levels share an indicator.

    They do in the default terms, unless the category is asked for by itself, or one of its levels.
    """
    by_hand, pooled = set(), set()
    for one in wanted:
        for factor in one.factors:
            if factor.level == RARE:
                pooled.add(factor.column)
            elif factor.function in (None, "category") and _is_named(one, factor):
                by_hand.add(factor.column)
    if any(one.is_default for one in wanted):
        pooled.update(factor.column for term in defaults for factor in term)
    return pooled - by_hand


def _is_named(one: Wanted, factor: Factor) -> bool:
    """Check whether a category, or one of its levels, is asked for by itself."""
    return len(one.factors) == 1 or factor.level is not None


@dataclass
class _Expansion:
    """Collects products of blocks, so that each can be compared with all others."""

    surveyed: Mapping[str, Surveyed]
    pooled: set[str]  # categories whose rare levels share an indicator, as in the default terms
    mark_missing: bool
    columns: dict[str, Column] = field(default_factory=dict)
    products: list[tuple[Block, ...]] = field(default_factory=list)

    def add(self, wanted: Wanted) -> None:
        """Add the products that a wanted term means."""
        alone = len(wanted.factors) == 1
        blocks = [self.blocks(factor, wanted.text, alone) for factor in wanted.factors]
        self.products += product(*blocks)

    def add_defaults(self, defaults: Sequence[Term]) -> None:
        """Add the default terms: by column, in their order."""
        wanted = set(defaults)
        for name in dict.fromkeys(term[0].column for term in defaults):
            for block in self.of_name(self.surveyed[name]):
                kept = tuple(f for f in block.factors if (f,) in wanted or name not in self.pooled)
                if kept:
                    self.products.append((replace(block, factors=kept),))

    def of_name(self, found: Surveyed) -> list[Block]:
        """Expand a column's name."""
        name = found.column.name
        self.columns[name], blocks = column_blocks(
            found, limited=name in self.pooled, mark_missing=self.mark_missing
        )
        return blocks

    def blocks(self, factor: Factor, text: str, alone: bool) -> list[Block]:
        """Expand one factor of a wanted term."""
        found = self.surveyed[factor.column]
        _check_kind(factor, found, text)
        blocks = self.of_name(found)
        if factor.function in PARTS:
            return [_part(factor, found, text)]
        if factor.function == "missing":
            if not found.missing:
                raise _no_rows(text, f"every training row has a value in {factor.column!r}")
            return [Block((factor,))]
        if factor.function not in (None, "category"):
            return [Block((factor,))]
        if factor.level is not None:
            return [_level(factor, found, self.columns[factor.column], text)]
        if not alone:
            blocks = [block for block in blocks if block.factors[0].function != "missing"]
        if not blocks:
            raise _constant(text, factor.column)
        return blocks

    def terms(self, full: bool) -> list[Term]:
        """Multiply the blocks' factors; each product of factors once, whatever their order."""
        keys = [_key(blocks) for blocks in self.products]
        present = {Key(), *keys}
        found: dict[frozenset[Factor], Term] = {}
        for blocks, key in zip(self.products, keys, strict=True):
            factors = [b.chosen(full or key - {b.key} not in present) for b in blocks]
            for term in product(*factors):
                found.setdefault(frozenset(term), term)
        return list(found.values())


def _key(blocks: Sequence[Block]) -> Key:
    return Key(block.key for block in blocks)


def _part(factor: Factor, found: Surveyed, text: str) -> Block:
    part = str(factor.function)
    if factor.level is None:
        block = part_block(found, part)
        if not block.adds:
            raise _constant(text, factor.column, f"{part} only")
        return block
    if factor.level not in found.parts[part]:
        raise _no_rows(text, f"no training row has {name_of((factor,))}")
    return Block((factor,))


def _level(factor: Factor, found: Surveyed, column: Column, text: str) -> Block:
    """Find the level that is meant, as the table's text is compared."""
    given = str(factor.level)
    texts = [given, normalize("NFC", given.strip())]
    if column.is_boolean:
        texts.append(given.lower())
    known = {*found.counts, RARE} if column.rare else found.counts
    level = next((text for text in texts if text in known), None)
    if level is None:
        raise InputError(
            f"the term {text!r}: no training row has {given!r} in the column {factor.column!r}",
            code="unknown-level",
            hint=nearest(given, found.column.levels),
        )
    function = None if found.kind == "category" else "category"
    return Block((Factor(factor.column, function, level=level),))


def _check_one_kind(wanted: Sequence[Wanted], surveyed: Mapping[str, Surveyed]) -> None:
    """Raise if a column is wanted as a category and as a number or time."""
    categories = {name: one.text for one in wanted for name in one.categories}
    for one in wanted:
        for factor in one.factors:
            name = factor.column
            kind = surveyed[name].kind
            if name not in categories or kind == "category":
                continue
            if factor.function in ("category", "missing") or _is_level(factor):
                continue
            raise InputError(
                f"the column {name!r} is a category in {categories[name]!r} and a {kind} in "
                f"{one.text!r}; a column has one kind in a model",
                code="two-kinds",
                hint="copy the column in the table, and name the copy in one of the terms",
            )


def _is_level(factor: Factor) -> bool:
    return factor.function is None and factor.level is not None


def _check_kind(factor: Factor, found: Surveyed, text: str) -> None:
    """Raise if a function does not fit its column's kind, or the column has no value."""
    name, kind, function = factor.column, found.column.kind, factor.function
    if not found.present:
        raise InputError(
            f"the column {name!r} has no value in the training rows, so {text!r} is no term",
            code="missing-value",
            hint=f"leave --feature {in_quotes(text)} out",
        )
    if function == "missing" or (function is None and factor.level is None):
        return
    if function is None and found.kind != "category":
        hint = f"--feature 'category({quoted(name)})={quoted(str(factor.level))}'"
        raise _wrong(text, f"{name!r} is a {found.kind}, which has no levels", hint)
    if function in (None, "category"):
        return
    takes = "time" if function in ("time", *PARTS) else "number"
    if kind == takes:
        return
    hint = f"--feature {in_quotes(quoted(name))} takes the column as a {kind}"
    if takes == "time" and kind == "category":
        hint = f"if its text is dates, say how they are written: --time-format '{name}=%d/%m/%Y'"
    elif kind == "time":
        hint = f"--feature 'time({quoted(name)})' takes it as a number of days"
    shown = SHOWN.get(function, function)
    raise _wrong(text, f"{shown} takes a {takes}, and {name!r} is a {kind}", hint)


def _wrong(text: str, reason: str, hint: str) -> InputError:
    return InputError(f"the term {text!r}: {reason}", code="wrong-kind", hint=hint)


def _no_rows(text: str, reason: str) -> InputError:
    return InputError(
        f"the term {text!r}: {reason}",
        code="unknown-level",
        hint=f"leave --feature {in_quotes(text)} out",
    )


def _constant(text: str, name: str, only: str = "category only") -> InputError:
    return InputError(
        f"the term {text!r}: the column {name!r} has one {only}, in the training rows",
        code="constant-category",
        hint=f"leave --feature {in_quotes(text)} out",
    )
