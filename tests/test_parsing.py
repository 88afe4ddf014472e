"""Values of any carrier and spelling are read alike: in training, prediction and serving."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradline.columns.categories import texts_of
from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column
from gradline.columns.parsing import (
    UnknownCategoryError,
    clean,
    read_level,
    read_number,
    read_time,
    values_of,
)
from gradline.columns.times import check_format
from gradline.errors import InputError
from gradline.tables import Dialect
from gradline.tables.frames import open_frame
from gradline.tables.values import series_values
from gradline_trainer.rows.arrays import matrix_of

NUMBER = Column("c", null=NUMBER_NULLS)
TIME = Column("c", "time", null=NUMBER_NULLS)
BOOLEAN = Column("c", "category", ("false", "true"), "true", null=NULLS)
HUGE = [2**60, 2**60 + 1]
#: What carries a column of Python values that may be missing.
CARRIERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "objects": lambda values: np.array([*values, None], object)[:-1],
    "pandas": lambda values: pd.Series(values, dtype=object),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "chunked": lambda values: pa.chunked_array([pa.array(values)]),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
}


def category(*levels: str, **options: Any) -> Column:
    return Column("c", "category", tuple(sorted(levels)), null=NULLS, **options)


def read(column: Column, values: Any, unknown: str = "missing") -> list[float | None]:
    """Read values as a column of any carrier and of Polars; None stands for NaN."""
    found = values_of(column, values, unknown)
    if isinstance(values, pl.Series):
        np.testing.assert_array_equal(found, series_values(column, values, unknown))
    return [None if math.isnan(value) else value for value in found.tolist()]


def refused(column: Column, values: Any, code: str, unknown: str = "missing") -> InputError:
    with pytest.raises(InputError) as caught:
        values_of(column, values, unknown)
    assert caught.value.code == code
    assert "'c'" in str(caught.value)
    return caught.value


# Numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1", 1.0), ("-1.5", -1.5), ("+.5", 0.5), ("5.", 5.0), ("1e3", 1e3), ("2E-2", 0.02)],
        *[("\u22125", -5.0), ("007", 7.0), ("1e\u22122", 0.01), ("1e999", math.inf)],
        *[(text, None) for text in ("", ".", "-", "1_000", "inf", "nan", "Infinity", "0x1f")],
        *[(text, None) for text in ("٣", "１", "1,5", "1e", "e5", "--1", "1 2", "$1", "5%", "(5)")],
    ],
)
def test_a_plain_number_is_a_sign_digits_a_point_and_an_exponent(
    text: str, value: float | None
) -> None:
    assert read_number(text, {}) == value


DOLLARS = {"brackets": True, "currency": "$", "thousands": ","}


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        *[("$1,200.50", DOLLARS, 1200.5), ("1,200.50$", DOLLARS, 1200.5)],
        *[("-$5", DOLLARS, -5.0), ("$-5", DOLLARS, -5.0), ("($1,200)", DOLLARS, -1200.0)],
        *[("7", DOLLARS, 7.0), ("$ 7", DOLLARS, 7.0), ("1,234,567", DOLLARS, 1234567.0)],
        *[("5%", {"percent": True}, 5.0), ("-0.5 %", {"percent": True}, -0.5)],
        *[("1 234.5", {"thousands": " "}, 1234.5), ("1'234", {"thousands": "'"}, 1234.0)],
        ("1\u00a0234", {"thousands": "\u00a0"}, 1234.0),
        *[(text, DOLLARS, None) for text in ("€5", "12,34", "0,123", "1,2345", "1,234,56", "5%")],
        *[
            (text, DOLLARS, None)
            for text in ("$5$", "-$-5", "(-5)", "(5", "5)", "$", "()", "1 234")
        ],
        *[("1,234", {"percent": True}, None), ("1,234'567", {"thousands": ","}, None)],
    ],
)
def test_marks_are_read_by_the_columns_rule(
    text: str, rule: dict[str, Any], value: float | None
) -> None:
    assert read_number(text, rule) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_python_writes_it(value: float) -> None:
    assert read_number(repr(value), {}) == value


@given(st.integers(-(10**15), 10**15), st.sampled_from(",' \u00a0"))
def test_groups_of_three_are_read(value: int, mark: str) -> None:
    text = f"{value:,}".replace(",", mark)
    assert read_number(text, {"thousands": mark}) == value


ODD_NUMBERS = [
    *["1", "2.5", "-3e2", " 4 ", "5.", ".5", "NA", "", "None", "-", "?", "\u22126", "T"],
    *["007", "1e999", "+1", "999", "-0"],
]


MARKED = [
    "$1,200",
    "($3)",
    "5%",
    "-$7",
    "7.5$",
    "(1 234)",
    "1'000%",
    "\u00a3-2",
    "(-3)",
    "+1,000.5",
]
RULES = st.fixed_dictionaries(
    {},
    optional={
        "currency": st.sampled_from("$\u00a3"),
        "thousands": st.sampled_from(", '\u00a0"),
        "percent": st.just(True),
        "brackets": st.just(True),
    },
)


@given(st.lists(st.none() | st.sampled_from(ODD_NUMBERS + MARKED), min_size=1), RULES)
def test_polars_reads_text_of_numbers_as_python_does(
    values: list[str | None], rule: dict[str, Any]
) -> None:
    unread = {v for v in MARKED if read_number(v, rule) is None}  # else an error
    column = Column("c", null=(*NUMBER_NULLS, *unread, "T", "999"), parse=rule)
    read(column, pl.Series(values, dtype=pl.String))


@given(
    st.text(st.sampled_from("0123 .,'%$()-+e\u00a0\u00a3"), max_size=9),
    RULES,
)
def test_any_text_is_a_number_to_polars_if_it_is_one_to_python(
    text: str, rule: dict[str, Any]
) -> None:
    wanted = read_number(clean(text), rule)
    null = () if wanted is not None or not clean(text) else (clean(text),)
    found = series_values(Column("c", null=(*NUMBER_NULLS, *null), parse=rule), pl.Series([text]))
    missing = wanted is None or clean(text) in NUMBER_NULLS
    np.testing.assert_array_equal(found, [np.nan if missing else wanted])


def test_decimal_commas_are_read_from_a_text_file() -> None:
    texts = pl.Series(["1,5", "2", "n.a.", "€ 1,25", None])
    column = Column("c", null=(*NUMBER_NULLS, "n.a."), parse={"currency": "€"})
    found = series_values(column, texts, dialect=Dialect(decimal_comma=True))
    np.testing.assert_array_equal(found, [1.5, 2.0, np.nan, 1.25, np.nan])
    with pytest.raises(InputError, match=r"holds '1.5' in row 2 of t\.csv, expected a number"):
        series_values(
            NUMBER, pl.Series(["1", "1.5"]), label="t.csv", dialect=Dialect(decimal_comma=True)
        )


@pytest.mark.parametrize("carrier", CARRIERS)
def test_numbers_are_read_from_every_carrier(carrier: str) -> None:
    assert read(NUMBER, CARRIERS[carrier]([1.5, None, 3.0])) == [1.5, None, 3.0]
    assert read(NUMBER, CARRIERS[carrier]([2, None, 3])) == [2, None, 3]
    assert read(NUMBER, CARRIERS[carrier](["2", None, " 3.5 ", "NA"])) == [2, None, 3.5, None]
    assert read(NUMBER, CARRIERS[carrier]([Decimal("1.5"), None])) == [1.5, None]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], np.int8),
        np.array([1, 2], ">f4"),
        torch.tensor([1.0, 2.0], requires_grad=True),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, 2], dtype="Float32"),
        pd.Index([1, 2]),
        pd.array([1, 2], dtype="int64[pyarrow]"),
        [np.int64(1), np.float32(2)],
        [1, Fraction(2)],
        (1, 2.0),
        pl.Series([1, 2], dtype=pl.UInt8),
        pl.Series([1, 2], dtype=pl.Decimal(10, 2)),
    ],
)
def test_numbers_of_any_type_are_read(values: Any) -> None:
    assert read(NUMBER, values) == [1, 2]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["1", "x"], "holds 'x' in row 2 of the table, expected a number"),
        ([1, True], "holds True in row 2"),
        (np.array([True]), "holds True in row 1"),
        (pd.Series([None, True], dtype="boolean"), "holds True in row 2"),
        ([dt.date(2024, 3, 9)], "holds 2024-03-09 in row 1"),
        (np.array(["2024-03-09"], "datetime64[ns]"), "holds '2024-03-09' in row 1"),
        (np.array([5], "timedelta64[ns]"), "holds 5 nanoseconds in row 1"),
        ([1.0, {}], "holds {} in row 2"),
        ([b"1"], "holds b'1' in row 1"),
    ],
)
def test_what_is_no_number_is_refused_with_its_row(values: Any, shown: str) -> None:
    assert shown in str(refused(NUMBER, values, "not-numeric"))


def test_a_value_out_of_the_range_of_float64_is_refused() -> None:
    refused(NUMBER, [Decimal("1e999")], "out-of-range")


@pytest.mark.parametrize("values", [[1, HUGE[1]], np.array([1, HUGE[1]]), ["1", str(HUGE[1])]])
def test_large_integers_are_refused_as_numbers(values: Any) -> None:
    assert "row 2 of the table" in str(refused(NUMBER, values, "large-integer"))
    with pytest.raises(InputError, match="float64 is exact only up to"):
        series_values(NUMBER, pl.Series(values))
    nullable = pd.Series([1, None, HUGE[1]], dtype="Int64")
    assert "row 3 of the table" in str(refused(NUMBER, nullable, "large-integer"))


def test_format_1_takes_booleans_as_numbers_and_no_text() -> None:
    assert read(Column("c"), np.array([True, False])) == [1, 0]
    assert read(Column("c"), [True, None, 2**60]) == [1, None, 2**60]
    assert read(Column("c"), pl.Series([True, None])) == [1, None]
    refused(Column("c"), ["1"], "not-numeric")
    text = series_values(Column("c"), pl.Series(["1", "NA"]), dialect=Dialect())
    np.testing.assert_array_equal(text, [1.0, np.nan])


# Masked and misshapen


@pytest.mark.parametrize(
    "values",
    [
        np.ma.array([1.0, 2.0], mask=[False, True]),
        [1.0, np.ma.masked],
        np.array([1.0, np.ma.masked, None], object),
        [np.ma.array([1.0], mask=[True])],
    ],
)
@pytest.mark.parametrize("column", [NUMBER, TIME, BOOLEAN])
def test_masked_arrays_are_refused(column: Column, values: Any) -> None:
    refused(column, values, "masked-array")


@pytest.mark.parametrize("values", [[[1, 2], [3, 4]], np.ones((2, 2)), np.array(3.0), [(1,), (2,)]])
def test_other_than_one_value_per_row_is_refused(values: Any) -> None:
    refused(NUMBER, values, "wrong-shape")


# Times


def seconds(text: str) -> int:
    return int(np.datetime64(text, "s").astype(int))


@pytest.mark.parametrize(
    ("text", "local", "offset"),
    [
        ("2024-03", "2024-03-01", None),
        ("2024-03-09", "2024-03-09", None),
        ("2024/03/09", "2024-03-09", None),
        ("2024-03-09 14:05", "2024-03-09T14:05", None),
        ("2024-03-09T14:05:59.999", "2024-03-09T14:05:59", None),
        ("1969-12-31 23:59:59.5", "1969-12-31T23:59:59", None),
        ("0001-01-01", "0001-01-01", None),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59", None),
        ("2024-03-09T14:05Z", "2024-03-09T14:05", "UTC"),
        ("2024-03-09T14:05:00+02:00", "2024-03-09T14:05", "+02:00"),
        ("2024-03-09 14:05 -0530", "2024-03-09T14:05", "-05:30"),
        ("2024-03-09 14:05+02", "2024-03-09T14:05", "+02:00"),
        ("2024/03/09 14:05", "2024-03-09T14:05", None),
    ],
)
def test_iso_times_are_read(text: str, local: str, offset: str | None) -> None:
    assert read_time(text) == (seconds(local), offset)


@pytest.mark.parametrize(
    "text",
    [
        *["2024", "2024-3-9", "2024-02-30", "0000-01-01", "2024-03/09", "2024-03-09T24:00"],
        *["2024-03-09T14", "2024-03-09T14:60", "2024-03-09 14:05:60", "10000-01-01", "2024-03-09Z"],
        *["2024-03-09T14:05+24:00", "14:05", "20240309", "9/3/2024", "2024-03-09  14:05", ""],
    ],
)
def test_other_text_is_no_iso_time(text: str) -> None:
    assert read_time(text) is None
    assert series_values(
        Column("c", "time", null=(*NUMBER_NULLS, *([text] if text else []))), pl.Series([text])
    ).tolist() == pytest.approx([math.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "form", "local"),
    [
        ("9/3/2024", "%d/%m/%Y", "2024-03-09"),
        ("09.03.24", "%d.%m.%y", "2024-03-09"),
        ("03/09/1969 11:05 PM", "%m/%d/%Y %I:%M %p", "1969-03-09T23:05"),
        ("12:00 am 9 Mar 2024", "%I:%M %p %d %b %Y", "2024-03-09"),
        ("Saturday, March 9, 2024", "%A, %B %d, %Y", "2024-03-09"),
        ("2024-03-09T14.05.06,5", "%Y-%m-%dT%H.%M.%S,%f", "2024-03-09T14:05:06"),
        ("100% 2024", "100%% %Y", "2024-01-01"),
    ],
)
def test_a_format_is_read_as_strptime_reads_it(text: str, form: str, local: str) -> None:
    found = read_time(text, form)
    assert found == (seconds(local), None)
    assert dt.datetime(1970, 1, 1) + dt.timedelta(seconds=found[0]) == dt.datetime.strptime(
        text, form
    ).replace(microsecond=0)


@pytest.mark.parametrize("form", ["%Q", "%d/%m", "%Y-%Y", "%b %B %Y", "%Y %", "%Y %y %y"])
def test_an_unusable_format_is_an_error(form: str) -> None:
    with pytest.raises(InputError, match="the time format"):
        check_format(form)


def test_a_format_reads_offsets_too() -> None:
    assert read_time("09/03/2024 14:05 +0200", "%d/%m/%Y %H:%M %z") == (
        seconds("2024-03-09T14:05"),
        "+02:00",
    )


MOMENT = dt.datetime(2024, 3, 9, 14, 5, 7, 999_999)
LOCAL = seconds("2024-03-09T14:05:07")


@pytest.mark.parametrize(
    "values",
    [
        [MOMENT, None],
        ["2024-03-09 14:05:07", "NA"],
        [np.datetime64("2024-03-09T14:05:07.5"), np.datetime64("NaT")],
        np.array(["2024-03-09T14:05:07.5", "NaT"], "datetime64[ms]"),
        np.array([MOMENT, None]),
        pd.Series([MOMENT, None]),
        pd.Series([MOMENT, pd.NaT], dtype="datetime64[s]"),
        [pd.Timestamp(MOMENT), pd.NaT],
        pa.array([MOMENT, None]),
        pa.array([MOMENT, None]).cast(pa.timestamp("ns")),
        *[pl.Series([MOMENT, None], dtype=pl.Datetime(unit)) for unit in ("ms", "us", "ns")],
    ],
)
def test_times_of_every_carrier_are_whole_seconds(values: Any) -> None:
    assert read(TIME, values) == [LOCAL, None]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_before_1970_are_rounded_down(unit: str) -> None:
    before = dt.datetime(1969, 12, 31, 23, 59, 59, 500_000)
    assert read(TIME, pl.Series([before], dtype=pl.Datetime(unit))) == [-1]
    assert read(TIME, pd.Series([before]).astype(f"datetime64[{unit}]")) == [-1]
    assert read(TIME, [before]) == [-1]
    assert read(TIME, np.array([before], f"datetime64[{unit}]")) == [-1]


@pytest.mark.parametrize("values", [[dt.date(1969, 12, 31)], pl.Series([dt.date(1969, 12, 31)])])
def test_dates_are_midnights(values: Any) -> None:
    assert read(TIME, values) == [-86_400]


INSTANTS = [
    dt.datetime(1883, 11, 18, 17, 0, 1, tzinfo=dt.UTC),  # New York leaves its own mean time
    dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
    *(dt.datetime(2024, 3, 10, hour, 30, tzinfo=dt.UTC) for hour in range(5, 9)),
    dt.datetime(2024, 11, 3, 5, 59, 59, tzinfo=dt.UTC),
    dt.datetime(2024, 11, 3, 6, 0, 0, tzinfo=dt.UTC),
]


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "+02:00", "-05:30"])
def test_zoned_times_are_the_wall_clock_of_the_columns_zone(zone: str) -> None:
    column = Column("c", "time", zone=zone, null=NUMBER_NULLS)
    if "/" in zone:
        info: dt.tzinfo = ZoneInfo(zone)
    else:
        hours = {"UTC": 0.0, "+02:00": 2.0, "-05:30": -5.5}[zone]
        info = dt.timezone(dt.timedelta(hours=hours))
    wanted = [(t.astimezone(info).replace(tzinfo=None) - dt.datetime(1970, 1, 1)) for t in INSTANTS]
    local = [int(t.total_seconds()) for t in wanted]
    paris = [t.astimezone(ZoneInfo("Europe/Paris")) for t in INSTANTS]
    texts = [t.isoformat() for t in INSTANTS]
    frames = pl.Series(INSTANTS)
    for values in (
        *[INSTANTS, paris, texts, pd.Series(INSTANTS), pd.DatetimeIndex(INSTANTS), frames],
        *[frames.dt.convert_time_zone("Asia/Tokyo"), pa.array(INSTANTS), pl.Series(texts)],
    ):
        assert read(column, values) == local
    many = pl.Series(texts * 1000) + pl.Series(["", "0"] * 500 * len(texts)).str.slice(1)
    distinct = pl.concat(
        [many, pl.Series([f"2024-01-01T00:00:{k / 1e4:07.4f}Z" for k in range(9000)])]
    )
    assert series_values(column, distinct)[: len(texts)].tolist() == local


def test_zoned_and_zoneless_times_never_mix() -> None:
    zoned = Column("c", "time", zone="+02:00", null=NUMBER_NULLS)
    for values in (["2024-03-09"], [MOMENT], pd.Series([MOMENT]), [dt.date(2024, 1, 1)]):
        assert "a time with a zone" in str(refused(zoned, values, "not-a-time"))
    for values in (["2024-03-09T10:00Z"], [INSTANTS[0]], pl.Series(INSTANTS)):
        assert "a time without a zone" in str(refused(TIME, values, "not-a-time"))


def test_what_is_no_time_is_refused() -> None:
    assert "such as 2024-03-09" in str(refused(TIME, ["9/3/2024"], "not-a-time"))
    form = Column("c", "time", null=NUMBER_NULLS, format="%d/%m/%Y")
    assert "written as %d/%m/%Y" in str(refused(form, ["2024-03-09"], "not-a-time"))
    refused(TIME, [20240309], "not-a-time")
    refused(TIME, np.array([20240309.0]), "not-a-time")
    refused(TIME, np.array(["-30000-01-01"], "datetime64[s]"), "out-of-range")
    assert read(TIME, [math.nan, None]) == [None, None]


@given(
    st.lists(
        st.datetimes(dt.datetime(1, 1, 1)).map(lambda t: t.isoformat(" ")), min_size=1, max_size=20
    )
)
def test_polars_reads_iso_times_as_python_does(texts: list[str]) -> None:
    many = [f"2024-01-01 00:00:00.{k}" for k in range(5_001)]  # enough for the fast way
    found = series_values(TIME, pl.Series([*texts, *many]))
    assert found[: len(texts)].tolist() == [read_time(text)[0] for text in texts]  # type: ignore[index]


# Categories


@pytest.mark.parametrize("carrier", CARRIERS)
def test_large_integers_stay_apart_beside_a_missing_value(carrier: str) -> None:
    column = category("7", *map(str, HUGE))
    wanted = [0, 1, 2, None]
    assert read(column, CARRIERS[carrier]([*HUGE, 7, None])) == wanted
    assert read(column, pd.Series([*HUGE, 7, None], dtype="Int64")) == wanted
    assert read(column, pd.array([*HUGE, 7, None], dtype="Int64")) == wanted
    assert texts_of(pd.Series([*HUGE, None], dtype="Int64"), "c") == [*map(str, HUGE), None]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_booleans_are_one_level_in_every_carrier_and_spelling(carrier: str) -> None:
    make = CARRIERS[carrier]
    assert read(BOOLEAN, make([True, False, None])) == [1, 0, None]
    assert read(BOOLEAN, make(["True", "FALSE", "", " true"])) == [1, 0, None, 1]
    assert read(BOOLEAN, np.array([True, False])) == [1, 0]
    assert read(BOOLEAN, pd.Series([True, None], dtype="boolean")) == [1, None]
    assert read(BOOLEAN, [np.bool_(True)]) == [1]
    other = category("True", "maybe")
    assert read(other, ["True", "true"]) == [0, None]  # only booleans are spelt in several ways


def test_format_1_looks_booleans_up_once_more() -> None:
    python = Column("c", "category", ("False", "True"))
    for values in ([True, False], ["TRUE", "false"], pl.Series([True, False])):
        assert read(python, values, "error") == [1, 0]
    both = Column("c", "category", ("True", "true"))
    assert read(both, [True, "True"], "error") == [1, 0]
    refused(both, ["TRUE"], "unknown-category", "error")
    assert read(Column("c", "category", ("NA", "x")), ["NA", "", "x"]) == [0, None, 1]


def test_3_and_3_0_are_one_level() -> None:
    column = category("3", "-0.5", "0")
    values = [3, 3.0, "3", "3.00", " 3 ", Decimal("3.0"), np.float32(3), -0.5, -0.0, "-0.0"]
    three = column.levels.index("3")
    assert read(column, values) == [three] * 7 + [0, 1, 1]
    assert read(column, np.array([3.0, np.nan])) == [three, None]
    assert read_level("03.0") == "03.0"


@given(st.integers() | st.floats(allow_nan=False, width=64).filter(lambda x: abs(x) < 1e15))
def test_a_number_and_its_text_are_one_level(value: float) -> None:
    text = str(value)
    assert read(category(read_level(text)), [value, text]) == [0, 0]


def test_text_is_compared_in_nfc_without_white_space() -> None:
    assert clean("\u00a0Zu\u0308rich\n") == "Zürich"
    assert read(category("Zürich"), ["Zu\u0308rich ", "zürich"]) == [0, None]


def test_missing_and_unknown_levels_have_their_places() -> None:
    column = category("A", "B", "None", "rare", rare=("rare",), missing=True)
    values = ["B", "NA", None, math.nan, "?", "None", "rare"]
    assert read(column, values) == [1, 4, 4, 4, None, 2, 5]
    assert read(column, values, "zero")[4] == -1
    error = refused(column, ["A", "a"], "unknown-category", "error")
    assert isinstance(error, UnknownCategoryError)
    assert (error.column, error.text, error.row) == ("c", "a", 1)
    assert error.hint.startswith("known names: 'A', 'B', 'None', 'rare'")
    with pytest.raises(InputError, match="expected one of error, missing, zero"):
        values_of(column, ["A"], "nil")


def test_dictionaries_and_categoricals_are_read_by_their_values() -> None:
    column = category("A", "B")
    frame = pd.Series(["B", None, "A"], dtype="category")
    assert read(column, frame) == [1, None, 0]
    assert read(column, frame.cat.add_categories([5.5]), "error") == [1, None, 0]  # in no row
    for dtype in (pl.Categorical, pl.Enum(["B", "A"])):
        assert read(column, pl.Series(["B", None, "A"], dtype=dtype)) == [1, None, 0]
    assert read(category("3"), pd.Series([3, None], dtype="category")) == [0, None]


def test_dates_may_be_categories() -> None:
    column = category("2024-03-09", "2024-03-09T14:05:07")
    midnight = dt.datetime(2024, 3, 9)
    for values in (
        [midnight, MOMENT],
        pl.Series([midnight, MOMENT]),
        pd.Series([midnight, MOMENT]),
    ):
        assert read(column, values) == [0, 1]
    assert read(column, [dt.date(2024, 3, 9), np.datetime64("2024-03-09")]) == [0, 0]


@pytest.mark.parametrize(
    "series", [pl.Series([[1]]), pl.Series([dt.timedelta(1)]), pl.Series([b""])]
)
@pytest.mark.parametrize("column", [NUMBER, TIME, BOOLEAN])
def test_nested_and_other_types_are_refused(column: Column, series: pl.Series) -> None:
    with pytest.raises(InputError, match="the column 'c' holds"):
        series_values(column, series)


def test_the_row_is_the_first_that_cannot_be_read() -> None:
    values = ["1", "z", "b", "b", "z"]
    for carried in (values, pa.array(values), pd.Series(values, dtype="category")):
        assert "holds 'z' in row 2" in str(refused(NUMBER, carried, "not-numeric"))
    with pytest.raises(InputError, match=r"holds 'z' in row 12 of part\.csv"):
        series_values(NUMBER, pl.Series(values), label="part.csv", start=10)


def test_an_empty_column_has_no_values() -> None:
    for values in ([], np.array([]), pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.Null)):
        for column in (NUMBER, TIME, BOOLEAN):
            assert read(column, values) == []
    assert read(BOOLEAN, pl.Series([None, None])) == [None, None]
    assert read(NUMBER, pl.Series([None], dtype=pl.Null)) == [None]


# Training's own carriers


def frame(values: Any) -> pl.Series:
    return open_frame({"c": values}).parts[0].frame.collect()["c"]


@pytest.mark.parametrize(
    "values",
    [
        [*HUGE, None],
        np.array([*HUGE, None]),
        pa.array([*HUGE, None]),
        pd.Series([*HUGE, None], dtype="Int64"),
        pd.Series([*HUGE, None], dtype="int64[pyarrow]"),
    ],
)
def test_integers_of_a_frame_stay_exact_beside_a_missing_value(values: Any) -> None:
    assert frame(values).to_list() == [*HUGE, None]
    if not isinstance(values, list):
        with pytest.raises(InputError, match="float64 is exact only up to 2"):
            matrix_of(values, "Y")


@pytest.mark.parametrize(
    "values",
    [pd.Series(["b", None], dtype="category"), pa.array(["b", None]).dictionary_encode()],
)
def test_categoricals_of_a_frame_stay_categories(values: Any) -> None:
    assert (frame(values).dtype, frame(values).to_list()) == (pl.Categorical, ["b", None])
    integers = pd.Series([3, None], dtype="category")
    assert (frame(integers).dtype, frame(integers).to_list()) == (pl.Categorical, ["3", None])


def test_times_of_a_frame_keep_their_zone() -> None:
    for values in (pd.Series(INSTANTS), pa.array(INSTANTS)):
        assert frame(values).dtype.time_zone == "UTC"
        assert frame(values).to_list() == INSTANTS


def test_masked_columns_are_refused_in_training() -> None:
    for values in (np.ma.array([1.0, 2.0], mask=[True, False]), [np.ma.masked, 1.0]):
        with pytest.raises(InputError, match="masked"):
            open_frame({"c": values})
        with pytest.raises(InputError, match="masked"):
            matrix_of([values], "X")
        with pytest.raises(InputError, match="masked"):
            texts_of(values, "c")


def test_pairs_take_what_frames_take() -> None:
    found = matrix_of(np.array([[1, None], [Decimal("2.5"), True]], object), "X")
    np.testing.assert_array_equal(found, [[1, np.nan], [2.5, 1]])
    nullable = pd.DataFrame({"a": pd.array([True, None], dtype="boolean"), "b": [1.0, 2.0]})
    np.testing.assert_array_equal(matrix_of(nullable, "X"), [[1, 1], [np.nan, 2]])
