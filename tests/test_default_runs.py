"""Training with default terms: the decisions do not depend on how the table arrives."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradline.errors import InputError
from gradline_export import export_package
from gradline_trainer import Fit, fit, load_moments, save_moments

ROWS = 60
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "csv": lambda frame, path: frame.write_csv(path),
    "tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "parquet": lambda frame, path: frame.write_parquet(path, row_group_size=17),
    "arrow": lambda frame, path: frame.write_ipc(path),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
}
#: Values of one column each: names of the values' sorts, and what is drawn from.
SORTS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-99_999, 99_999).map(lambda n: n / 1000),
    "gaps": st.one_of(st.none(), st.integers(0, 50)),
    "count": st.integers(0, 4),
    "flag": st.booleans(),
    "doubt": st.sampled_from([True, False, None]),
    "level": st.sampled_from(["a", "b", " c", "None", "-"]),
    "blank": st.sampled_from(["a", "b", "NA", None]),
    "rare": st.sampled_from([*"aaaaaaaaaabbbbbbbbbb", *"uvw"]),
    "share": st.integers(0, 99).map("{}%".format),
    "money": st.integers(1, 999).map("${}".format),
    "odd": st.sampled_from([*map(str, range(30)), "<1", "?"]),
    "day": st.dates(dt.date(2019, 1, 1), dt.date(2021, 12, 31)).map(str),
    "european": st.dates(dt.date(2019, 1, 1), dt.date(2021, 12, 31)).map("{:%d/%m/%Y}".format),
    "constant": st.just(7),
    "word": st.just("word"),
    "code": st.sampled_from(["01067", "10115", "20095"]),
    "nothing": st.none(),
    "moment": st.datetimes(dt.datetime(2019, 1, 1), dt.datetime(2021, 1, 1)).map(
        lambda at: at.replace(microsecond=0).isoformat()
    ),
    "shop_id": st.integers(0, 9),
}


@st.composite
def messy_tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of mixed sorts, sometimes a twin, and a target that depends on all of them."""
    sorts = draw(st.lists(st.sampled_from(sorted(SORTS)), min_size=1, max_size=5, unique=True))
    table = {"x": [k * 7 % 11 / 2 for k in range(ROWS)]}
    for sort in sorts:
        table[sort] = draw(st.lists(SORTS[sort], min_size=ROWS, max_size=ROWS))
    if draw(st.booleans()):
        table["twin"] = list(table[sorts[0]])
    noise = np.random.default_rng(1).normal(size=ROWS)
    table["y"] = [float(round(k % 7 + e, 3)) for k, e in enumerate(noise)]
    return table


def typed(table: dict[str, list[Any]]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, values) for name, values in table.items()])


def in_order(table: dict[str, list[Any]], order: list[int]) -> dict[str, list[Any]]:
    return {name: [values[k] for k in order] for name, values in table.items()}


def decided(table: Any, **options: Any) -> Any:
    """What was decided about the columns, and the terms; an error's message."""
    try:
        found = fit(table, "y", **options)
    except InputError as error:
        return error.code, str(error).replace(".tsv", ".csv")
    columns = [
        (c.name, c.kind, c.levels, c.reference, c.missing, c.rare, dict(c.parse), c.format, c.zone)
        for c in found.columns.inputs
    ]
    fills = [f"{c.fill:.9g}" for c in found.columns.inputs if c.fill is not None]
    return found.features, columns, fills, found.columns.decisions, found.columns.notes


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=messy_tables(), order=st.permutations(range(ROWS)), cut=st.integers(1, ROWS - 1))
def test_decisions_do_not_depend_on_the_carrier_or_the_order_of_the_rows(
    table: dict[str, list[Any]], order: list[int], cut: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("messy")
    frame = typed(table)
    frame.write_csv(folder / "t.csv")
    expected = decided(folder / "t.csv")
    for kind, write in WRITERS.items():
        write(frame, folder / f"t.{kind}")
        assert decided(folder / f"t.{kind}") == expected, kind
    for carried in (table, frame, pd.DataFrame(table), pd.DataFrame(table).convert_dtypes()):
        assert decided(carried) == expected, type(carried)
    typed(in_order(table, order)).write_csv(folder / "shuffled.csv")
    assert decided(folder / "shuffled.csv") == expected
    for kind in ("csv", "parquet"):
        (folder / kind).mkdir()
        for place, rows in enumerate((range(cut), range(cut, ROWS))):
            write = WRITERS[kind]
            write(typed(in_order(table, list(rows))), folder / kind / f"{place}.{kind}")
        assert decided(folder / kind) == expected, f"a folder of {kind}"


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=messy_tables(), size=st.integers(1, 40))
def test_decisions_do_not_depend_on_the_size_of_blocks(
    table: dict[str, list[Any]], size: int, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    for kind in ("csv", "parquet"):
        WRITERS[kind](typed(table), folder / f"t.{kind}")
        expected = decided(folder / f"t.{kind}")
        with pytest.MonkeyPatch.context() as patch:
            for module in ("tables.parts", "tables.table"):
                patch.setattr(f"gradline.{module}.BLOCK_ROWS", size)
            for module in ("rows.passes", "rows.sharding"):
                patch.setattr(f"gradline_trainer.{module}.BLOCK_ROWS", size)
            patch.setattr("gradline.tables.parts.BATCH_ROWS", size)
            assert decided(folder / f"t.{kind}") == expected


# Folders of files


def folder_of(path: Path, *columns: dict[str, Any], kinds: str = "parquet") -> Path:
    """A folder with a file for each group of columns; kinds are their extensions."""
    path.mkdir()
    extensions = kinds.split() * len(columns)
    for place, (group, kind) in enumerate(zip(columns, extensions, strict=False)):
        random = np.random.default_rng(place)
        frame = pl.DataFrame({"x": random.normal(size=40), "y": random.normal(size=40), **group})
        WRITERS[kind](frame, path / f"{place}.{kind}")
    return path


def decision_on(found: Fit, name: str) -> tuple[str, str]:
    (chosen,) = [d for d in found.columns.decisions if d.column == name]
    return chosen.what, chosen.flag


LEVELS = list("abab" * 10)


def test_a_column_that_a_file_lacks_is_left_out_and_said(tmp_path: Path) -> None:
    for place, columns in enumerate(([{"g": LEVELS}, {}], [{}, {"g": LEVELS}])):
        folder = folder_of(tmp_path / str(place), *columns)
        found = fit(folder, "y")
        assert found.features == ["x"]
        told = f"left out: {1 - place}.parquet has no such column"
        assert decision_on(found, "g") == (told, "--exclude g")
        assert [d.column for d in fit(folder, "y", exclude="g").columns.decisions] == ["x"]
        for roles in ({"features": "g"}, {"features": ["*", "log(g)"]}, {"sample_weight": "g"}):
            with pytest.raises(InputError, match=f"{place}.parquet has the column 'g'") as caught:
                fit(folder, "y", **roles)
            assert caught.value.code == "mixed-schemas"
        with pytest.raises(InputError, match=f"{place}.parquet has the column 'g'"):
            fit(folder, "g")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([1, 2, 3, 4] * 10, LEVELS, "numbers in 0.parquet and text in 1.parquet"),
        (LEVELS, [1, 2, 3, 4] * 10, "text in 0.parquet and numbers in 1.parquet"),
        ([True, False] * 20, [1, 2] * 20, "categories in 0.parquet and numbers in 1.parquet"),
        ([1, 2] * 20, [True, False] * 20, "numbers in 0.parquet and categories in 1.parquet"),
        ([dt.date(2020, 1, 1)] * 40, LEVELS, "times in 0.parquet and text in 1.parquet"),
        (
            pl.Series([dt.datetime(2020, 1, 1)] * 40).dt.replace_time_zone("UTC"),
            [dt.datetime(2020, 1, 1)] * 40,
            "times with a zone in 0.parquet and times in 1.parquet",
        ),
    ],
)
def test_a_column_of_two_kinds_is_left_out_unless_it_is_named(
    first: Any, second: Any, told: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "t", {"g": first}, {"g": second})
    found = fit(folder, "y")
    assert found.features == ["x"]
    assert decision_on(found, "g") == (f"left out: {told}", "-f '*' -f 'category(g)'")
    with pytest.raises(InputError, match=f"the column 'g' has {told}") as caught:
        fit(folder, "y", ["x", "g"])
    assert caught.value.code == "mixed-schemas"
    assert fit(folder, "y", ["*", "category(g)"]).features[0] == "x"  # the flag does what it says


@pytest.mark.parametrize("kinds", ["csv", "parquet", "csv parquet", "parquet csv"])
def test_what_is_null_in_one_file_is_what_the_others_say(kinds: str, tmp_path: Path) -> None:
    for place, columns in enumerate(([None] * 40, LEVELS), 1):
        other = LEVELS if place == 1 else [None] * 40
        folder = folder_of(tmp_path / str(place), {"g": columns}, {"g": other}, kinds=kinds)
        found = fit(folder, "y")
        assert found.columns.inputs[1].levels == ("a", "b")
        assert found.columns.inputs[1].missing


def test_zones_that_differ_between_files_count_in_utc(tmp_path: Path) -> None:
    at = pl.Series([dt.datetime(2020, 1, 1) + dt.timedelta(hours=5 * k) for k in range(40)])
    zones = [at.dt.replace_time_zone(zone) for zone in ("Europe/Berlin", "America/New_York")]
    for place, order in enumerate((zones, zones[::-1])):
        folder = folder_of(tmp_path / str(place), *({"at": column} for column in order))
        assert fit(folder, "y").columns.inputs[1].zone == "UTC"


# What is said


@pytest.mark.parametrize("as_text", [False, True])
def test_the_reason_is_the_same_with_and_without_a_survey(as_text: bool) -> None:
    table = {"one": [7] * 40, "x": np.arange(40.0).tolist(), "y": [k % 7 / 2 for k in range(40)]}
    frame = pl.DataFrame(table)
    found = fit(frame.cast(pl.String) if as_text else frame, "y")
    assert decision_on(found, "one") == ("left out: constant", "-f '*' -f one")


def test_a_column_that_a_term_takes_in_is_not_said_to_be_left_out() -> None:
    table = {
        "x": np.arange(40.0) ** 2,
        "code": [f"c{k // 3}" for k in range(40)],
        "note": [f"t{k}" for k in range(40)],
        "one": [7] * 40,
        "user id": range(40),
        "flag": list("ab" * 20),
        "y": np.arange(40.0),
    }
    before = {d.column: d for d in fit(table, "y").columns.decisions}
    for name in ("code", "note", "one", "user id"):
        assert before[name].what.startswith("left out: ")
        _, default, _, term = shlex.split(before[name].flag)
        found = fit(table, "y", features=[default, term])
        assert any(name in feature for feature in found.features)
        (chosen,) = [d for d in found.columns.decisions if d.column == name]
        assert chosen.taken
        assert not chosen.what.startswith("left out")
        others = {d.column: d for d in found.columns.decisions if d.column != name}
        assert others == {other: before[other] for other in others}


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64, pl.Date, pl.Boolean])
def test_a_column_without_values_is_left_out_whatever_its_type(dtype: Any) -> None:
    table = {"x": np.arange(40.0), "y": [k % 7 / 2 for k in range(40)]}
    found = fit(pl.DataFrame(table).with_columns(g=pl.lit(None, dtype)), "y")
    assert decision_on(found, "g") == ("left out: no value in the training rows", "--exclude g")


# Terms by hand


def made(rows: int = 120) -> dict[str, list[Any]]:
    """A column of each kind, and a target."""
    random = np.random.default_rng(2)
    day = dt.date(2020, 1, 1)
    return {
        "number": random.normal(5, 1, rows).round(3).tolist(),
        "count": [k % 4 for k in range(rows)],
        "gaps": [None if k % 9 == 0 else k % 13 / 4 for k in range(rows)],
        "level": [*"abc"] * (rows // 3),
        "flag": [k % 5 < 2 for k in range(rows)],
        "day": [day + dt.timedelta(days=7 * k) for k in range(rows)],
        "nested": [[1, 2]] * rows,
        "y": random.normal(size=rows).round(3).tolist(),
    }


@pytest.mark.parametrize(
    ("term", "told"),
    [
        ("log(count)", "no value for 30 values of the column 'count', the first 0 in row 1"),
        ("log(count):level", "the term 'log(count)' has no value for 30 values"),
        ("sqrt(low)", "no value for 1 value of the column 'low', the first -1 in row 8"),
        ("log1p(low)", "no value for 1 value of the column 'low', the first -1 in row 8"),
    ],
)
@pytest.mark.parametrize("blocks", [None, 7])
def test_a_value_that_a_term_cannot_take_is_named(
    term: str, told: str, blocks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if blocks:
        monkeypatch.setattr("gradline.tables.table.BLOCK_ROWS", blocks)
    table = made()
    table["low"] = [-1 if k == 7 else k for k in range(120)]
    with pytest.raises(InputError) as caught:
        fit(table, "y", ["number", term])
    assert told in str(caught.value)
    assert caught.value.code == "out-of-range"


def test_rows_that_are_not_learned_from_may_hold_any_value() -> None:
    table = made()
    table["y"] = [None if c == 0 else y for c, y in zip(table["count"], table["y"], strict=True)]
    assert fit(table, "y", "log(count)").features == ["log(count)"]
    table = made() | {"w": [float(c > 0) for c in table["count"]]}
    assert fit(table, "y", "log(count)", sample_weight="w").features == ["log(count)"]


def test_indicators_of_a_number_are_named_as_they_are_asked_for() -> None:
    found = fit(made(), "y", ["number", "category(count)"])
    assert found.features == ["number", *(f"category(count)={k}" for k in (1, 2, 3))]
    found = fit(pl.DataFrame(made()).drop("nested").cast(pl.String), "y", "category(count)=2")
    assert found.features == ["category(count)=2"]
    assert fit(made(), "y", ["count"], one_hot="count").features[0] == "count=1"
    for other in ("count", "count^2", "log1p(count)", "count:level"):
        with pytest.raises(InputError, match="a column has one kind in a model"):
            fit(made(), "y", ["category(count)=1", other])


@pytest.mark.parametrize("term", ["nested", "category(nested)", "nested=1", "level:nested"])
def test_a_type_without_a_kind_is_refused_by_name(term: str) -> None:
    with pytest.raises(InputError, match="the column 'nested' holds") as caught:
        fit(made(), "y", ["number", term])
    assert caught.value.code == "not-numeric"
    told = "left out: values that are neither numbers, times nor text"
    assert decision_on(fit(made(), "y"), "nested") == (told, "--exclude nested")


@pytest.mark.parametrize("missing", ["drop", "mean", "error"])
def test_terms_for_missing_values_go_with_missing_auto(missing: str) -> None:
    with pytest.raises(InputError, match=f"not with --missing {missing}") as caught:
        fit(made(), "y", ["number", "gaps is missing"], missing=missing)
    assert caught.value.code == "bad-option"
    assert fit(made(), "y", ["number", "gaps is missing"]).features[1] == "gaps is missing"


# Messages


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"id": range(20)}, "'id' is left out: an identifier by its name"),
        ({"Unnamed: 0": range(20)}, "'Unnamed: 0' is left out: an index column"),
        ({"x": [f"n{k}" for k in range(20)], "one": ["q"] * 20}, "text that is all different"),
        ({"one": [1] * 20, "user_id": range(20)}, "'one' is left out: constant; 'user_id' is"),
    ],
)
def test_the_hint_for_a_table_without_features_works(table: dict[str, Any], told: str) -> None:
    table = {name: list(values) for name, values in table.items()}
    table["y"] = [k % 7 + k / 9 for k in range(20)]
    with pytest.raises(InputError, match=told) as caught:
        fit(table, "y")
    assert caught.value.code == "no-feature"
    hint = str(caught.value.command_hint)
    flags = shlex.split(re.sub(r" takes (it|one of them) in$", "", hint))
    assert fit(table, "y", [flag for flag in flags if flag != "-f"]).features


@pytest.mark.parametrize("dtype", [pl.Int64, pl.String, pl.Boolean])
def test_constants_alone_are_the_same_error_for_any_type(dtype: Any) -> None:
    frame = pl.DataFrame({"x": [1] * 9, "y": range(9)}).cast({"x": dtype})
    with pytest.raises(InputError) as caught:
        fit(frame, "y")
    assert caught.value.code == "constant-features"


@pytest.mark.parametrize("dtype", [pl.Null, pl.Float64, pl.String])
@pytest.mark.parametrize("features", [None, "x"])
def test_a_target_without_values_leaves_no_rows(dtype: Any, features: str | None) -> None:
    frame = pl.DataFrame({"x": LEVELS}).with_columns(y=pl.lit(None, dtype))
    with pytest.raises(InputError, match=r"no rows to train on .40 read, 40 dropped") as caught:
        fit(frame, "y", features)
    assert caught.value.code == "too-few-rows"


def test_one_row_is_too_few_whatever_it_holds() -> None:
    for value in (1.0, "a", None):
        with pytest.raises(InputError, match="1 row to train on") as caught:
            fit({"x": ["a", "b"], "z": [value, value], "y": [1.0, None]}, "y")
        assert caught.value.code == "too-few-rows"


@pytest.mark.parametrize(
    ("weight", "told"),
    [(-1.0, "the column 'w' has 40 negative values"), (0.0, "weights in 'w' are all zero")],
)
def test_weights_are_refused_for_the_true_reason(weight: float, told: str) -> None:
    table = {"g": LEVELS, "w": [weight] * 40, "y": list(range(40))}
    with pytest.raises(InputError, match=told) as caught:
        fit(table, "y", sample_weight="w")
    assert caught.value.code == "bad-weight"


def test_true_is_one_in_a_target_and_in_a_weight_beside_any_column() -> None:
    table = {"g": LEVELS, "w": [k % 3 > 0 for k in range(40)], "y": [k % 5 > 1 for k in range(40)]}
    found = fit(table, "y", sample_weight="w")
    numbers = table | {"w": [int(w) for w in table["w"]], "y": [int(y) for y in table["y"]]}
    assert found.weights.tolist() == fit(numbers, "y", sample_weight="w").weights.tolist()


def test_odd_values_of_targets_are_named_as_those_of_features() -> None:
    values = [*map(str, range(96)), "<1", ">5", "T", "u"]
    told = "4 values of 'y' cannot be read as a number and count as missing: '<1', '>5', 'T'"
    found = fit({"x": list(range(100)), "y": values}, "y")
    assert told in found.warnings
    assert found.rows_dropped == 4


# Leading zeros


@pytest.mark.parametrize(
    ("odd", "is_code"),
    [
        ("01067", True),
        ("-01", True),
        ("+05.5", True),
        (" 07", True),
        ('"03"', True),
        ("00", True),
        ("0", False),
        ("0.05", False),
        ("1e-05", False),
        ("1E05", False),
        ("100", False),
        ("-0.01", False),
    ],
)
@pytest.mark.parametrize("place", [0, 1234, 2999])
def test_one_leading_zero_anywhere_makes_a_column_no_number(
    odd: str, is_code: bool, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [str(10 + k % 9) for k in range(3000)]
    values[place] = odd
    lines = [f"{v},{k % 7}.5,{k % 5}" for k, v in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join(["code,x,y", *lines, ""]))
    for piece in (1 << 18, 5, 7):
        monkeypatch.setattr("gradline.tables.zeros.PIECE", piece)
        found = fit(tmp_path / "t.csv", "y")
        assert [c.kind for c in found.columns.inputs][:1] == ["category" if is_code else "number"]
        if piece < 10 and place:
            break  # the others take a while


def test_the_index_that_pandas_names_in_a_parquet_file_is_left_out(tmp_path: Path) -> None:
    towns = pd.Index(["a", "b"] * 30, name="town")
    table = pd.DataFrame({"x": np.arange(60.0) ** 2, "y": np.arange(60.0)}, index=towns)
    table.to_parquet(tmp_path / "t.parquet")
    found = fit(tmp_path / "t.parquet", "y")
    assert found.features == ["x"]
    (decision,) = [d for d in found.columns.decisions if d.column == "town"]
    assert decision.what == "left out: an index column"
    dated = table.set_index(pd.date_range("2020-01-01", periods=60, name="day"))
    dated.to_parquet(tmp_path / "d.parquet")
    assert "weekday(day)=1" in fit(tmp_path / "d.parquet", "y").features


# Terms of a package


def test_a_category_that_the_package_does_not_know_is_said(tmp_path: Path) -> None:
    package = export_package(fit(made(), "y", ["number", "level"]), tmp_path, "m", report=False)
    table = made() | {"level": [*"abz"] * 40}
    found = fit(table, like=package)
    assert found.rows_dropped == 40
    told = "40 of the dropped rows have a category that the package of --like does not know"
    assert told in found.warnings
    with pytest.raises(InputError, match="--like needs a table with names"):
        fit((np.ones((5, 2)), np.arange(5.0)), like=package)


def test_a_folder_that_lacks_a_column_of_the_package_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "t", {"g": LEVELS}, {"g": LEVELS})
    package = export_package(fit(folder, "y"), tmp_path, "m", report=False)
    lacking = folder_of(tmp_path / "u", {"g": LEVELS}, {})
    with pytest.raises(InputError, match=r"0.parquet has the column 'g', 1.parquet does not"):
        fit(lacking, like=package)


def test_plain_saved_moments_record_that_no_value_was_missing(tmp_path: Path) -> None:
    numbers = {"x": made()["number"], "y": made()["y"]}
    save_moments(fit(numbers, "y", keep_moments=True), tmp_path / "m.moments")
    assert fit(load_moments(tmp_path / "m.moments")).options.missing == "error"


def test_exact_weights_that_float64_cannot_hold_are_learned_fast() -> None:
    # The three columns add up to 1 but for rounding: exactly, they are independent.
    generator = np.random.default_rng(2)
    group = generator.integers(0, 3, 111)
    shares = np.eye(3)[group]
    shares[:11] = 0.1, 0.2, 0.7
    table = dict(zip("abc", shares.T, strict=True))
    table["y"] = group + generator.standard_normal(111)
    found = fit(table, "y")
    assert found.arithmetic.used == "fast"
    assert "too large for float64" in found.arithmetic.reason
    assert float(found.weights.abs().max()) < 10
    training = found.metrics["training"]
    expected = fit(table, "y", arithmetic="fast").metrics["training"]
    assert training is not None
    assert expected is not None
    assert training["y"].r2 == expected["y"].r2
    assert fit(table, "y", arithmetic="exact").arithmetic.used == "exact"
