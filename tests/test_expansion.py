"""Wanted terms become terms: names, levels, parts, and products with the coding that R gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradline.columns.calendar import DAY, PARTS
from gradline.columns.formula import parse_feature
from gradline.columns.kinds import Column, Kind
from gradline.columns.plan import Plan
from gradline.columns.terms import Term, name_of
from gradline.errors import InputError
from gradline_trainer.rows.surveyed import Surveyed
from gradline_trainer.terms.blocks import column_blocks, with_reference
from gradline_trainer.terms.expansion import chosen_terms


def column_terms(found: Surveyed, *, full: bool, limited: bool) -> tuple[Column, list[Term]]:
    """Expand a column's name: return the column as it is used, and its terms."""
    column, blocks = column_blocks(found, limited=limited)
    terms: list[Term] = [(factor,) for block in blocks for factor in block.chosen(full)]
    return with_reference(column, terms), terms


def number(name: str, values: Sequence[float], **more: Any) -> Surveyed:
    x = np.asarray(values, np.float64)
    seen = x[~np.isnan(x)]
    missing = len(x) - len(seen)
    kind = more.pop("kind", "number")
    column = Column(name, kind, fill=float(seen.mean()) if missing and len(seen) else None)
    return Surveyed(
        column,
        kind,
        more.pop("place", 1),
        len(x),
        missing,
        minimum=float(seen.min()) if len(seen) else math.nan,
        maximum=float(seen.max()) if len(seen) else math.nan,
        **more,
    )


def category(
    name: str, values: Sequence[str | None], kind: Kind = "category", **more: Any
) -> Surveyed:
    counts = Counter(value for value in values if value is not None)
    missing = list(values).count(None)
    column = Column(name, "category", tuple(sorted(counts)), missing=missing > 0)
    return Surveyed(column, kind, more.pop("place", 1), len(values), missing, dict(counts), **more)


def time(name: str, values: Sequence[float], **more: Any) -> Surveyed:
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    parts = {p: Counter(PARTS[p].of(x).astype(int).tolist()) for p in PARTS}
    return replace(
        number(name, values, kind="time", **more),
        parts={part: dict(counts) for part, counts in parts.items()},
        days=len(np.unique(x // DAY)),
    )


HOURLY = [t * 3600.0 for t in range(0, 400 * 24, 5)]  # 1,920 rows over 400 days
SURVEYED = {
    found.column.name: found
    for found in [
        number("x", range(40)),
        number("gap", [1.0, 2.0, 3.0] * 10 + [math.nan] * 10),
        category("s", ["b"] * 20 + ["a"] * 12 + ["c"] * 8),
        category("t", ["u"] * 20 + ["v"] * 17 + [None] * 3),
        category("zip", ["1"] * 30 + ["2"] * 10, kind="number"),
        number("empty", [math.nan] * 40),
        category("same", ["a"] * 40),
        category("yes", ["true"] * 10 + ["false"] * 30),
        replace(time("d", HOURLY), place=2),
    ]
}


def expand(
    *texts: str,
    full: bool = False,
    surveyed: Mapping[str, Surveyed] = SURVEYED,
    defaults: Sequence[Term] = (),
) -> tuple[dict[str, Column], list[str]]:
    wanted = [parse_feature(text, list(surveyed)) for text in texts]
    columns, terms = chosen_terms(wanted, surveyed, defaults, full=full)
    plan = Plan(tuple(columns.values()), tuple(terms))
    assert Plan.load(*plan.dump().values()) == plan  # it can be shipped
    return columns, list(map(name_of, terms))


@pytest.mark.parametrize(
    ("texts", "terms"),
    [
        (["x"], ["x"]),
        (["gap"], ["gap", "gap is missing"]),  # 10 have it, 10 miss it
        (["x", "x", "x:s", "s:x"], ["x", "x:s=a", "x:s=c"]),
        (["s"], ["s=a", "s=c"]),
        (["s=b"], ["s=b"]),
        (["t"], ["t=v", "t is missing"]),
        (["t is missing"], ["t is missing"]),
        (["category(s)"], ["s=a", "s=c"]),
        (["category(zip)"], ["category(zip)=2"]),
        (["category(zip)=2"], ["category(zip)=2"]),
        (["yes=TRUE"], ["yes=true"]),
        (["log(x):gap^2"], ["log(x):gap^2"]),
        (["x:s"], ["x:s=a", "x:s=b", "x:s=c"]),  # x is no term, so a slope for each level
        (["s:t", "s", "t"], ["s=a:t=v", "s=a:t is missing", "s=c:t=v", "s=c:t is missing",
                             "s=a", "s=c", "t=v", "t is missing"]),
        (["s", "s:yes"], ["s=a", "s=c", "s=a:yes=true", "s=b:yes=true", "s=c:yes=true"]),
        (["s:yes"], [f"s={s}:yes={y}" for s, y in product("abc", ["false", "true"])]),
        (["gap:s=a"], ["gap:s=a"]),
        (["weekday(d)"], [f"weekday(d)={k}" for k in range(7) if k != 3]),
        (["month(d)=3", "time(d)"], ["month(d)=3", "time(d)"]),
        (["x", "x:hour(d)"], ["x", *(f"x:hour(d)={k}" for k in range(1, 24))]),
    ],
)  # fmt: skip
def test_terms_by_hand(texts: list[str], terms: list[str]) -> None:
    assert expand(*texts)[1] == terms


def test_full_gives_each_level_and_part_a_term() -> None:
    columns, terms = expand("s", "s:yes", "weekday(d)", full=True)
    assert terms[:3] == ["s=a", "s=b", "s=c"]
    assert terms[3:9] == [f"s={s}:yes={y}" for s, y in product("abc", ["false", "true"])]
    assert len(terms) == 16
    assert columns["s"].reference is None
    assert expand("s")[0]["s"].reference == "b"
    assert expand("s=b")[0]["s"].reference is None
    assert expand("x:s")[0]["s"].reference is None
    assert expand("s", "x:s")[0]["s"].reference == "b"


@pytest.mark.parametrize(
    ("texts", "code", "message", "hint"),
    [
        (["log(s)"], "wrong-kind", "log takes a number, and 's' is a category", "--feature 's'"),
        (["s^2"], "wrong-kind", "a power takes a number", "--feature 's'"),
        (["log(d)"], "wrong-kind", "log takes a number, and 'd' is a time", "--feature 'time(d)'"),
        (["month(x)"], "wrong-kind", "month takes a time, and 'x' is a number", "--feature 'x'"),
        (["time(s)"], "wrong-kind", "time takes a time", "--time-format 's=%d/%m/%Y'"),
        (["x=3"], "wrong-kind", "'x' is a number, which has no levels",
         "--feature 'category(x)=3'"),
        (["zip", "category(zip)"], "two-kinds", "a category in 'category(zip)' and a number in "
         "'zip'", "copy the column"),
        (["log(zip)", "category(zip)=2"], "two-kinds", "in 'log(zip)'", "copy the column"),
        (["x:zip", "category(zip):x"], "two-kinds", "a number in 'x:zip'", "copy the column"),
        (["s=B"], "unknown-level", "no training row has 'B' in the column 's'", "'b'"),
        (["s is missing"], "unknown-level", "has a value in 's'", "leave --feature"),
        (["month(h)=3"], "unknown-level", "no training row has month(h)=3", "leave --feature"),
        (["empty"], "missing-value", "the column 'empty' has no value", "leave --feature"),
        (["x:empty"], "missing-value", "so 'x:empty' is no term", "leave --feature"),
        (["zip is missing"], "unknown-level", "every training row has a value in 'zip'", "leave"),
        (["same"], "constant-category", "'same' has one category only", "leave --feature"),
        (["month(h)"], "constant-category", "'h' has one month only", "leave --feature"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(
    texts: list[str], code: str, message: str, hint: str
) -> None:
    surveyed = SURVEYED | {"h": time("h", [0.0, 3600.0, 7200.0])}
    with pytest.raises(InputError) as caught:
        expand(*texts, surveyed=surveyed)
    assert message in str(caught.value)
    assert hint in caught.value.command_hint
    assert caught.value.code == code


STAR = category("s", ["a"] * 20 + ["b"] * 12 + ["c"] * 4 + ["d"] * 4 + [None] * 4)


def test_rare_levels_share_a_term_by_default_and_have_their_own_by_hand() -> None:
    column, terms = column_terms(STAR, full=False, limited=True)
    assert list(map(name_of, terms)) == ["s=b", "s=(rare)"]
    assert (column.reference, column.rare) == ("a", ("c", "d"))
    column, terms = column_terms(STAR, full=False, limited=False)
    assert list(map(name_of, terms)) == ["s=b", "s=c", "s=d", "s is missing"]
    assert column.rare == ()
    few = category("s", ["a"] * 20 + ["b"] * 12 + ["c"] * 4)
    column, terms = column_terms(few, full=True, limited=True)
    assert list(map(name_of, terms)) == ["s=a", "s=b"]
    assert (column.reference, column.rare) == (None, ())


def test_a_level_that_is_called_rare() -> None:
    found = category("s", ["a"] * 20 + ["(rare)"] * 12 + ["c"] * 4)
    column, terms = column_terms(found, full=False, limited=True)
    assert list(map(name_of, terms)) == ["s=(rare)"]
    assert column.rare == ("(rare)", "c")
    column, terms = column_terms(found, full=False, limited=False)
    assert list(map(name_of, terms)) == ["s=(rare)", "s=c"]


def test_two_terms_with_one_name() -> None:
    surveyed = {"s": STAR, "s=b": number("s=b", range(44))}
    with pytest.raises(InputError, match="two terms have the name 's=b'") as caught:
        expand("s", "s=b", surveyed=surveyed)
    assert caught.value.code == "name-clash"


def test_the_default_terms_and_more() -> None:
    surveyed = {"x": number("x", range(44)), "s": STAR}
    _, by_x = column_terms(surveyed["x"], full=False, limited=True)
    _, by_s = column_terms(surveyed["s"], full=False, limited=True)
    defaults = by_x + by_s

    def expanded(*texts: str) -> list[str]:
        return expand(*texts, surveyed=surveyed, defaults=defaults)[1]

    assert expanded("*") == ["x", "s=b", "s=(rare)"]
    assert expanded("log(x)", "*", "x") == ["log(x)", "x", "s=b", "s=(rare)"]
    assert expanded("*", "x:s") == ["x", "s=b", "s=(rare)", "x:s=b", "x:s=(rare)"]
    assert expanded("*", "s") == ["x", "s=b", "s=c", "s=d", "s is missing"]
    assert expanded("*", "s=c") == ["x", "s=b", "s=c", "s=d", "s is missing"]
    assert expanded("*", "x:s=c")[-1] == "x:s=c"
    assert expanded("s=(rare)") == ["s=(rare)"]  # a name that was printed
    # A term that the caller has left out, such as a twin, stays out.
    assert expand("*", surveyed=surveyed, defaults=defaults[:2])[1] == ["x", "s=b"]


def test_the_parts_of_a_time() -> None:
    def terms(found: Surveyed) -> set[str]:
        return {
            name_of(t).partition("=")[0] for t in column_terms(found, full=True, limited=True)[1]
        }

    days = np.arange(400.0) * DAY
    assert terms(time("d", days)) == {"month(d)", "weekday(d)"}
    assert terms(time("d", HOURLY)) == {"month(d)", "weekday(d)", "hour(d)"}
    assert terms(time("d", np.arange(731.0) * DAY)) == {"time(d)", "month(d)", "weekday(d)"}
    assert terms(time("d", days[::7])) == {"time(d)"}  # weekly; 12 months, but for 58 rows
    assert terms(time("d", np.arange(27.0) * DAY)) == {"time(d)"}
    gaps = np.where(np.arange(400) % 20 == 0, np.nan, days)
    assert terms(time("d", gaps)) == {"month(d)", "weekday(d)", "d is missing"}


patterns = st.sampled_from(["x", "log1p(x)", "s", "t", "yes"])
products = st.lists(patterns, min_size=1, max_size=3, unique=True).map(":".join)


@settings(deadline=None)
@given(texts=st.lists(products, min_size=1, max_size=4, unique=True), full=st.booleans())
def test_the_coding_spans_what_a_product_means(texts: list[str], full: bool) -> None:
    """With the bias, the terms span the same space as all combinations of each product."""
    rng = np.random.default_rng(len(texts))
    surveyed = {name: SURVEYED[name] for name in ["x", "s", "t", "yes"]}
    columns, terms = chosen_terms(
        [parse_feature(text, list(surveyed)) for text in texts], surveyed, [], full=full
    )
    plan = Plan(tuple(columns.values()), tuple(terms))
    every = {"x": rng.normal(4, 1, 200), "s": 3, "t": 3, "yes": 2}
    values = {k: rng.integers(v, size=200) if isinstance(v, int) else v for k, v in every.items()}
    found = plan.compute(np.column_stack([values[c].astype(float) for c in columns]))
    wholes = []
    for text in texts:
        factors = [
            np.eye(every[n])[values[n]] if n in ("s", "t", "yes") else
            (values["x"] if n == "x" else np.log1p(values["x"]))[:, None]
            for n in text.split(":")
        ]  # fmt: skip
        whole = factors[0]
        for factor in factors[1:]:
            whole = (whole[:, :, None] * factor[:, None, :]).reshape(200, -1)
        wholes.append(whole)
    bias = np.ones((200, 1))
    ours, theirs = np.hstack([bias, found]), np.hstack([bias, *wholes])
    rank = np.linalg.matrix_rank(ours)
    assert rank == np.linalg.matrix_rank(theirs)
    assert rank == np.linalg.matrix_rank(np.hstack([ours, theirs]))
    if full:  # each product's combinations, all of them
        distinct = {
            frozenset(text.split(":")): w.shape[1] for text, w in zip(texts, wholes, strict=True)
        }
        assert len(terms) == sum(distinct.values())
