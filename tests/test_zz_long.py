"""Training with default terms: the decisions do not depend on how the table arrives."""

from __future__ import annotations

import datetime as dt
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
from gradline_trainer import Fit, fit

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
    max_examples=80,
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
    max_examples=80,
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


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64, pl.Date, pl.Boolean])
def test_a_column_without_values_is_left_out_whatever_its_type(dtype: Any) -> None:
    table = {"x": np.arange(40.0), "y": [k % 7 / 2 for k in range(40)]}
    found = fit(pl.DataFrame(table).with_columns(g=pl.lit(None, dtype)), "y")
    assert decision_on(found, "g") == ("left out: no value in the training rows", "--exclude g")
