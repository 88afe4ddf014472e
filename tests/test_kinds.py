"""The kind of a text column follows from its training rows, in any order and any blocks."""

from __future__ import annotations

import datetime as dt
import pickle
import random
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradline.columns.kinds import NULLS, NUMBER_NULLS, dump_column, load_column
from gradline.columns.parsing import clean, values_of
from gradline.errors import InputError
from gradline_trainer.terms.kinds import Found, TextSurvey, typed_kind

Values = Sequence[Any] | pl.Series


def survey(values: Values, **options: Any) -> TextSurvey:
    found = TextSurvey(**options)
    found.add(values)
    return found


def decide(values: Values, *, as_category: bool = False, **options: Any) -> Found:
    return survey(values, **options).decide("c", as_category=as_category)


# Numbers


def test_numbers_may_be_a_tenth_other_text_that_becomes_missing() -> None:
    found = decide(["1", "2.5", "", None, "NA", "?", *["3"] * 25, "T", "T", "<1"])
    assert found.column.kind == "number"
    assert (found.present, found.missing) == (27, 7)
    assert (found.odd, found.odd_count) == (["T", "<1"], 3)
    assert found.column.null == (*NUMBER_NULLS, "<1", "T")
    assert decide(["1"] * 9 + ["T"]).column.kind == "number"
    assert decide(["1"] * 8 + ["T"]).column.kind == "category"


def test_only_three_odd_values_are_shown_and_all_are_recorded() -> None:
    found = decide(["1"] * 90 + ["e", "d", "c", "b", "b"])
    assert found.odd == ["b", "c", "d"]
    assert found.column.null[-4:] == ("b", "c", "d", "e")
    assert found.odd_count == 5


@pytest.mark.parametrize("zero", ["01067", " 007", "-01", "05/03/2024", "$01", "(01)"])
def test_a_leading_zero_makes_no_number(zero: str) -> None:
    assert decide(["1"] * 100 + [zero]).column.kind == "category"
    assert decide(["0", "0.5", "-0.5", "10"]).column.kind == "number"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (["$5", "$1,200.50", "7"], {"currency": "$", "thousands": ","}),
        (["(5)", "-6"], {"brackets": True}),
        (["5%", "-3 %"], {"percent": True}),
        (["1 234", "12"], {"thousands": " "}),
        (["1\u00a0234", "12"], {"thousands": "\u00a0"}),
        (["1'234'567.5"], {"thousands": "'"}),
        (["1", "\u22122"], {}),
        (["€5", "€6", *["7"] * 18, "$5"], {"currency": "€"}),
    ],
)
def test_one_rule_reads_the_whole_column(values: list[str], rule: dict[str, Any]) -> None:
    found = decide(values, separator=",").column
    assert (found.kind, found.parse) == ("number", rule)


def test_a_comma_is_no_thousands_mark_in_a_file_with_another_separator() -> None:
    values = ["1,234", "5,678,901", "12"]
    assert decide(values, separator=",").column.parse == {"thousands": ","}
    for separator in (";", "\t"):
        found = decide(["1,234", "5,678", "12"], separator=separator)
        assert found.column.kind == "category"
        assert found.reason == "would be numbers with --decimal-comma"
    assert decide(values).column.parse == {"thousands": ","}  # a frame, as from that file
    assert decide(["12,34", "1"], separator=",").reason == "would be numbers with --decimal-comma"


def test_decimal_commas_are_numbers_by_the_option() -> None:
    found = decide(["1,5", "2", "€ 3,25"], separator=";", decimal_comma=True)
    assert (found.column.kind, found.column.parse) == ("number", {"currency": "€"})
    assert decide(["1.5", "2,5"], separator=";", decimal_comma=True).column.kind == "category"


def test_tokens_are_missing_and_some_only_among_numbers() -> None:
    texts = ["NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "\\N", "", "  "]
    numeric = ["None", "-", "--", ".", "?"]
    found = decide([*texts, *numeric, "1"])
    assert (found.column.kind, found.missing, found.present) == ("number", 16, 1)
    found = decide([*texts, *numeric, "x"])
    assert found.column.levels == ("-", "--", ".", "?", "None", "x")
    assert (found.missing, found.present, found.column.missing) == (11, 6, True)
    found = decide(["1", "999", "999", "2"], nulls=["999", " x "])
    assert (found.missing, found.present) == (2, 2)
    assert found.column.null == (*NUMBER_NULLS, "999", "x")
    assert decide(["$1", "$999"], nulls=["$999"]).missing == 1


# Times


@pytest.mark.parametrize(
    ("values", "form", "zone"),
    [
        (["2024-03-09", "2024/03/10", "2024-04", "2024-03-09 10:00:01.5"], None, None),
        (["2024-03-09T10:00Z", "-"], None, "UTC"),
        (["2024-03-09T10:00+02:00", "2024-03-09 11:00 +0200"], None, "+02:00"),
        (["2024-03-09T10:00+02:00", "2024-03-09T10:00+01:00"], None, "UTC"),
        (["2024-03-09T10:00+00:00", "2024-03-09T10:00Z"], None, "UTC"),
        (["13/01/2024", "1/2/2024"], "%d/%m/%Y", None),
        (["01.13.2024", "01.02.2024", ""], "%m.%d.%Y", None),
        (["31-12-2024"], "%d-%m-%Y", None),
    ],
)
def test_times_are_read_by_iso_8601_or_by_the_one_order_that_reads_all(
    values: list[str], form: str | None, zone: str | None
) -> None:
    found = decide(values)
    assert (found.column.kind, found.column.format, found.column.zone) == ("time", form, zone)
    assert found.column.null == NUMBER_NULLS
    assert found.present + found.missing == len(values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            ["01/02/2024", "03/04/2024"],
            "would be dates with --time-format 'c=%d/%m/%Y' or --time-format 'c=%m/%d/%Y'",
        ),
        (["31/01/2024 10:00"] * 2, "would be dates with --time-format 'c=%d/%m/%Y %H:%M'"),
        (["1.13.2024 1:00:05"], "would be dates with --time-format 'c=%m.%d.%Y %H:%M:%S'"),
        (["Jan 1 2000", "feb 29 2000"] * 2, "would be dates with --time-format 'c=%b %d %Y'"),
        (["Jan 1, 2000", "NA", "May 2, 2001"], "would be dates with --time-format 'c=%b %d, %Y'"),
        (["1 June 2000"] * 2, "would be dates with --time-format 'c=%d %B %Y'"),
        (["01-Jan-00", "31-Dec-99"], "would be dates with --time-format 'c=%d-%b-%y'"),
        (["Jan 1 2000", "Feb 30 2000"] * 2, None),
        (["2024-03-09T10:00Z", "2024-03-09"], "times with and without a zone"),
        (["13/01/2024", "01/13/2024"], "text that is all different"),
        (["2024-03-09", "soon"] * 2, None),
        (["13/01/24"] * 2, None),
    ],
)
def test_text_that_may_be_times_says_which_option_takes_it_in(
    values: list[str], reason: str | None
) -> None:
    found = decide(values)
    assert (found.column.kind, found.reason) == ("category", reason)


@pytest.mark.parametrize(
    "values", [["01/02/2024 10:00", "03/04/2024 11:00"], ["Jan 1 2000", "Feb 1 2000"]]
)
def test_the_option_of_the_reason_works(values: list[str]) -> None:
    reason = decide(values).reason
    assert reason is not None
    form = reason.split("'")[1].removeprefix("c=")
    found = decide(values, time_format=form)
    assert (found.column.kind, found.column.format) == ("time", form)
    assert len(set(values_of(found.column, values))) == 2


def test_a_given_format_reads_every_value() -> None:
    assert decide(["01.02.24", "NA"], time_format="%d.%m.%y").column.kind == "time"
    with pytest.raises(InputError) as caught:
        decide(["01.02.24", "2024-02-01", "1"], time_format="%d.%m.%y")
    assert str(caught.value) == (
        "2 of 3 values of the column 'c' are no times written as %d.%m.%y, such as '1', "
        "'2024-02-01'"
    )
    assert "--null TOKEN" in caught.value.command_hint
    with pytest.raises(InputError, match="the time format"):
        TextSurvey(time_format="%Q")


# Categories


def test_levels_are_sorted_and_the_most_frequent_is_the_reference() -> None:
    found = decide(["b", "a", "c", " b ", "a", None])
    assert found.column.levels == ("a", "b", "c")
    assert found.column.reference == "a"
    assert found.counts == {"a": 2, "b": 2, "c": 1}
    assert (found.column.missing, found.missing, found.present) == (True, 1, 5)
    assert found.column.null == NULLS
    assert not decide(["b", "a", "a"]).column.missing
    assert decide(["NA", "NA", "x", "x", "y"]).column.reference == "x"


def test_3_and_3_0_are_one_level_and_text_is_composed() -> None:
    assert decide(["3", "3.0", "x"]).counts == {"3": 2, "x": 1}
    assert decide(["Zu\u0308rich", "Zürich", "x"]).counts == {"Zürich": 2, "x": 1}


def test_booleans_are_spelt_in_six_ways_only_among_themselves() -> None:
    assert decide(["True", "FALSE", "true", "NA"]).counts == {"false": 1, "true": 2}
    assert decide(["True", "true", "x"]).counts == {"True": 1, "true": 1, "x": 1}
    assert decide(["True", "true", "-"]).counts == {"-": 1, "True": 1, "true": 1}


def test_numbers_may_be_asked_for_as_categories() -> None:
    found = decide(["01067", "10115", "10115.0", "NA"], as_category=True)
    assert found.counts == {"01067": 1, "10115": 2}
    assert decide(["1"] * 20, as_category=True).column.kind == "category"
    assert decide(["01/02/2024"] * 2, as_category=True).reason is None


def test_the_true_reason_is_given_for_too_many_levels() -> None:
    assert decide(["a", "b", "c"]).reason == "text that is all different"
    assert decide(["a", "b", "c", "c"]).reason is None
    assert decide(["a", "b", "c", "c"], most=2).reason == "more than 2 levels"
    assert decide(["a", "b", "b", ""], most=2).reason == "more than 2 levels"
    many = [f"x{k}" for k in range(20_001)]
    found = decide(many)
    assert (found.reason, found.counts, found.present) == ("more than 1000 levels", {}, 20_001)
    found = decide([None, "", "NA"])
    assert (found.present, found.missing) == (0, 3)


def test_many_numbers_and_times_are_decided_in_bounded_memory() -> None:
    numbers = survey([*(f"{k}.5" for k in range(30_000)), "T", "?"])
    assert numbers.plain.counts is None
    found = numbers.decide("c")
    assert (found.column.kind, found.odd, found.present) == ("number", ["T"], 30_000)
    money = decide([f"${k:,}" for k in range(30_000)], separator=",")
    assert money.column.parse == {"currency": "$", "thousands": ","}
    start = dt.datetime(1960, 1, 1)
    times = decide([str(start + dt.timedelta(hours=k)) for k in range(30_000)])
    assert (times.column.kind, times.present) == ("time", 30_000)
    odd = [*["1"] * 300_000, *(f"x{k}" for k in range(20_001))]
    assert decide(odd).column.kind == "category"  # too many odd values to record


def test_typed_categories_are_counted_exactly() -> None:
    big = [2**60, 2**60 + 1, 2**60 + 1, None]
    found = decide(pl.Series(big))
    assert found.counts == {str(2**60): 1, str(2**60 + 1): 2}
    assert (found.missing, found.column.null) == (1, NULLS)
    assert decide(pl.Series([True, False, None, True])).counts == {"false": 1, "true": 2}
    assert decide(pl.Series([3.0, float("nan"), 0.5])).counts == {"0.5": 1, "3": 1}
    assert decide(pl.Series([3.0, float("nan")])).missing == 1
    for dtype in (pl.Categorical, pl.Enum(["1", "2", "NA"])):
        found = decide(pl.Series(["2", "1", "NA", "1"], dtype=dtype))
        assert (found.column.kind, found.counts, found.missing) == ("category", {"1": 2, "2": 1}, 1)
    assert decide(pl.Series([dt.date(2024, 3, 9)])).counts == {"2024-03-09": 1}
    assert decide(pl.Series([1, 2, 3])).reason is None  # integers asked for, all different


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        *[(dtype, "number") for dtype in (pl.Int8, pl.UInt64, pl.Float32, pl.Decimal(9, 2))],
        *[(dtype, "time") for dtype in (pl.Date, pl.Datetime("ms", "UTC"), pl.Datetime)],
        *[(dtype, "category") for dtype in (pl.Boolean, pl.Categorical(), pl.Enum(["a"]))],
        *[(dtype, "nested") for dtype in (pl.List(pl.Int8), pl.Struct([]), pl.Duration, pl.Time)],
        *[(pl.Binary, "nested"), (pl.String, "text"), (pl.Null, "number")],
    ],
)
def test_a_type_has_a_kind(dtype: Any, kind: str) -> None:
    assert typed_kind(dtype) == kind


# Any order and any division


TEXTS = st.sampled_from(
    [
        *["1", "2.5", "-3", "1e5", "007", "$01", "\u22124", " 5", "999", "1,234", "1,5", "$5"],
        *["€6", "5%", "($7)", "1 234", "NA", "", "?", "-", "None", "a", "b", "True", "true"],
        *["FALSE", "3.0", "0", "zu\u0308", "zü", "x1", "13/01/2024", "01/02/2024", "01/13/2024"],
        *["2024-03-09", "2024/03/10", "2024-03", "2024-03-09T10:00Z", "2024-03-09 11:00+02:00"],
        "1.2.2024 10:00",
    ]
)
COLUMNS = st.one_of(
    st.lists(st.none() | TEXTS, max_size=30),
    st.lists(TEXTS, min_size=1, max_size=2).flatmap(
        lambda few: st.lists(st.sampled_from([*few, "1", "2"]), max_size=40)
    ),
)
OPTIONS = st.fixed_dictionaries(
    {
        "separator": st.sampled_from([None, ",", ";"]),
        "decimal_comma": st.booleans(),
        "nulls": st.sampled_from([[], ["999"], ["x", "zz"]]),
        "most": st.sampled_from([2, 1000]),
    }
)


@given(COLUMNS, OPTIONS, st.randoms(), st.booleans())
def test_the_decision_is_the_same_for_any_order_and_any_blocks(
    values: list[str | None], options: dict[str, Any], shuffle: random.Random, as_category: bool
) -> None:
    whole = decide(values, as_category=as_category, **options)
    mixed = values[:]
    shuffle.shuffle(mixed)
    merged = TextSurvey(**options)
    while mixed:
        block = [mixed.pop() for _ in range(shuffle.randint(1, len(mixed)))]
        part = survey(block, **options)
        if shuffle.random() < 0.5:
            merged.merge(pickle.loads(pickle.dumps(part)))  # noqa: S301 - our own
        else:
            merged.add(pl.Series(block, dtype=pl.String))
    assert merged.decide("c", as_category=as_category) == whole


@given(COLUMNS, OPTIONS)
def test_texts_are_counted_alike_together_and_one_by_one(
    values: list[str | None], options: dict[str, Any]
) -> None:
    slow = TextSurvey(**options)
    for value in values:
        slow._add_text(clean(value or ""), 1)
    assert slow.decide("c") == decide(values, **options)


@given(COLUMNS, OPTIONS)
def test_what_is_decided_reads_every_training_row(
    values: list[str | None], options: dict[str, Any]
) -> None:
    options["decimal_comma"] = False
    found = decide(values, **options)
    column = found.column
    assert found.present + found.missing == len(values)
    if column.kind != "category" or column.levels:
        assert load_column(dump_column(column)) == column
    if found.reason is None:
        read = values_of(column, values, "error")
        missing = read == column.missing_place if column.kind == "category" else read != read
        assert missing.sum() == found.missing
