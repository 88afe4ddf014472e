"""The default terms follow from the training rows, and each decision is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradline.columns.calendar import DAY
from gradline.columns.formula import parse_feature
from gradline.columns.terms import name_of
from gradline_trainer.rows.surveyed import Decision, Surveyed
from gradline_trainer.terms.default_terms import decide, is_identifier, is_index
from gradline_trainer.terms.expansion import chosen_terms
from test_expansion import category, number, time


def chosen(
    *surveyed: Surveyed, full: bool = False, most_levels: int = 1000, mark_missing: bool = True
) -> tuple[list[str], list[Decision]]:
    columns, terms, decisions = decide(
        surveyed, full=full, most_levels=most_levels, mark_missing=mark_missing
    )
    assert list(columns) == list(dict.fromkeys(term[0].column for term in terms))
    assert [d.column for d in decisions] == [found.column.name for found in surveyed]
    assert [d.column for d in decisions if d.taken] == list(columns)
    return list(map(name_of, terms)), decisions


def said(found: Surveyed, **options: int) -> tuple[str, str]:
    _, (*_, decision) = chosen(found, **options)
    return decision.what, decision.flag


@pytest.mark.parametrize(
    "name", ["id", "ID", "Id", "uuid", "user_id", "user.GUID", "user id", "customerId", "raceID"]
)
def test_the_name_of_an_identifier(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["paid", "humid", "grid", "solid", "idle", "id_type", "VALID", ""])
def test_the_name_of_no_identifier(name: str) -> None:
    assert not is_identifier(name)


def test_the_name_of_an_index() -> None:
    assert is_index("__index_level_0__", 5)
    assert is_index("Unnamed: 0", 3)
    assert is_index("rownames", 0)
    assert is_index("", 0)
    assert not is_index("", 1)
    assert not is_index("Unnamed: x", 0)
    assert not is_index("index", 0)


AB = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
X = [float(k) for k in range(100)]


@pytest.mark.parametrize(
    ("found", "what", "flag"),
    [
        (number("x", X), "number", "--exclude x"),
        (number("my x", X), "number", "--exclude 'my x'"),
        (number("x", [math.nan] * 6 + X[6:]), "number, 6 missing values filled with 52.5",
         "--missing drop"),
        (number("x", [math.nan] * 10 + X[10:]), "number, 10 missing values filled with 54.5, "
         "1 more term for missing values", "--missing drop"),
        (number("x", [5.0] * 80 + [math.nan] * 20), "constant, 20 missing values filled with 5, "
         "1 more term for missing values", "--missing drop"),
        (category("s", AB), "category, 3 levels", "--exclude s"),
        (category("s", AB[:95] + [None] * 5), "category, 3 levels, 1 more for missing values",
         "--missing drop"),
        (category("s", AB[:-4] + [None] * 4), "category, 3 levels, 4 missing values without a term",
         "--missing drop"),
        (category("s", [*AB[:94], *"uuvvww"]), "category, 6 levels, 4 rare ones share a term",
         "--exclude s"),
        (category("s", [*AB[:98], "u", "v"]), "category, 5 levels, 2 rare ones without a term",
         "--exclude s"),
        (category("s", [*AB[:99], "u"]), "category, 4 levels, 1 rare one without a term",
         "--exclude s"),
        (time("d", np.arange(400) * DAY), "time, as month(d) and weekday(d)", "--exclude d"),
        (time("d", np.arange(800) * DAY), "time, as time(d), month(d) and weekday(d)",
         "--exclude d"),
        (time("d", [*np.arange(365, 1000, 7.0) * DAY, math.nan]), "time, as time(d), 1 missing "
         "value filled with the mean, month(d) left out: too few rows", "-f '*' -f 'month(d)'"),
        (number("rownames", X), "left out: an index column", "-f '*' -f rownames"),
        (number("", X, place=0), "left out: an index column", "-f '*' -f ''"),
        (number("user id", X), "left out: an identifier", "-f '*' -f 'user id'"),
        (number("x", [1.0] * 9), "left out: constant", "-f '*' -f x"),
        (number("x", [1.0] * 9 + [math.nan] * 9), "left out: constant", "-f '*' -f x"),
        (number("x", [math.nan] * 9), "left out: no value in the training rows", "--exclude x"),
        (category("s", ["a"] * 50), "left out: constant", "--exclude s"),
        (category("s", ["a"] * 50 + ["b"] * 4), "left out: fewer than two levels have 5 rows",
         "-f '*' -f s"),
        (category("s", [str(k) for k in range(50)]), "left out: text that is all different",
         "-f '*' -f s"),
        (category("s", [str(k % 10) for k in range(50)]), "left out: 10 levels are too many for "
         "50 rows", "-f '*' -f s"),
        (replace(number("x", X), reason="a list in each row", flag="--x"), "left out: a list in "
         "each row", "--x"),
    ],
)  # fmt: skip
def test_each_decision_is_said(found: Surveyed, what: str, flag: str) -> None:
    assert said(found) == (what, flag)


def test_the_order_of_day_and_month_is_said() -> None:
    found = time("d", np.arange(400) * DAY)
    found = replace(found, column=replace(found.column, format="%d/%m/%Y"))
    what = "time written as %d/%m/%Y, as month(d) and weekday(d)"
    assert said(found) == (what, "--exclude d")


def test_a_time_may_be_the_index() -> None:
    assert chosen(time("", np.arange(20) * DAY, place=0))[0] == ["time(``)"]
    assert chosen(time("Unnamed: 0", np.arange(800) * DAY))[1][0].taken


def test_too_many_levels() -> None:
    found = category("s", [str(k % 4) for k in range(100)])
    assert said(found, most_levels=3) == ("left out: 4 levels, more than 3", "--max-categories 4")
    assert said(found, most_levels=4) == ("category, 4 levels", "--exclude s")
    few = category("s", [str(k % 4) for k in range(29)])
    assert said(few, most_levels=3)[1] == "-f '*' -f s --max-categories 4"


def test_all_levels_are_rare_but_many_rows_have_none() -> None:
    cabins = category("cabin", [str(k // 2) for k in range(50)] + [None] * 50)
    assert chosen(cabins)[0] == ["cabin is missing"]
    assert chosen(cabins, full=True)[0] == ["cabin=(rare)", "cabin is missing"]
    columns, _, _ = decide([cabins], full=False, most_levels=1000)
    assert columns["cabin"].reference == "0"
    columns, _, _ = decide([cabins], full=True, most_levels=1000)
    assert columns["cabin"].reference is None


def test_terms_number_at_most_half_the_rows_but_numbers_stay() -> None:
    x = [math.nan] * 10 + [float(k) for k in range(30)]  # 40 rows, so 20 terms
    numbers = [number(f"x{k}", x) for k in range(15)]
    letters = category("s", ["a", "b", "c"] * 10 + ["a"] * 10)
    terms, decisions = chosen(*numbers, letters)
    assert terms == [
        name for k in range(15) for name in [f"x{k}", f"x{k} is missing"][: 2 if k < 5 else 1]
    ]
    assert decisions[-1].what == "left out: its 2 terms would be too many for 40 rows"
    assert decisions[-1].flag == "-f '*' -f s"
    assert decisions[7].what == (
        "number, 10 missing values filled with 14.5, x7 is missing left out: too few rows"
    )
    assert decisions[7].flag == "-f '*' -f 'x7 is missing'"
    many = [number(f"x{k}", x) for k in range(50)]  # more numbers than rows
    assert chosen(*many)[0] == [f"x{k}" for k in range(50)]
    assert chosen(letters, *numbers[:3])[0][:3] == ["s=b", "s=c", "x0"]


def test_without_terms_for_missing_numbers() -> None:
    found = number("x", [math.nan] * 20 + X)
    assert chosen(found)[0] == ["x", "x is missing"]
    assert chosen(found, mark_missing=False)[0] == ["x"]


@st.composite
def tables(draw: st.DrawFn) -> list[Surveyed]:
    rows = draw(st.integers(2, 60))

    def column(k: int) -> Surveyed:
        codes = draw(st.lists(st.integers(0, 12), min_size=rows, max_size=rows))
        missing = draw(st.integers(0, 12))
        kind = draw(st.sampled_from([number, category, time]))
        if kind is category:
            return category(f"c{k}", [str(c) if c != missing else None for c in codes])
        scale = DAY * 33.7 if kind is time else 1.0
        return kind(f"c{k}", [c * scale if c != missing else math.nan for c in codes])

    return [column(k) for k in range(draw(st.integers(1, 6)))]


@given(table=tables())
def test_a_penalty_changes_no_decision_and_star_means_the_default_terms(
    table: Sequence[Surveyed],
) -> None:
    columns, terms, decisions = decide(table, full=False, most_levels=9)
    by_name = {found.column.name: found for found in table}
    for full in (False, True):
        found = decide(table, full=full, most_levels=9)
        assert found[2] == decisions
        assert found[0].keys() == columns.keys()
        star = [parse_feature("*", list(by_name))]
        assert chosen_terms(star, by_name, found[1], full=full) == found[:2]
    numbers = sum(c.kind != "category" for c in columns.values())
    assert len(terms) <= max(numbers, table[0].rows // 2)
    assert len(set(terms)) == len(terms)
