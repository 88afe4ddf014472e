"""Tables as they come in life: what is read, and what is refused by name."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from gradline.errors import InputError
from gradline.tables import BLOCK_ROWS, open_files
from gradline_trainer import Fit, fit

ROWS = 40
RNG = np.random.default_rng(3)
A, B = RNG.integers(0, 100, ROWS), RNG.standard_normal(ROWS)
Y = 2 * A - 3 * B + 1 + RNG.standard_normal(ROWS) / 10
FRAME = pl.DataFrame({"a": A, "b": B, "y": Y})
EXPECTED = np.linalg.lstsq(np.c_[A, B, np.ones(ROWS)], Y, rcond=None)[0]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def csv(frame: pl.DataFrame = FRAME, **options: Any) -> str:
    return frame.write_csv(**options)


def learned(table: Any, **options: Any) -> Fit:
    found = fit(table, targets="y", **options)
    values = np.append(found.weights.numpy()[0], found.bias.numpy())
    np.testing.assert_allclose(values, EXPECTED, rtol=1e-9)
    return found


def refusal(table: Any, targets: Any = "y", **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        fit(table, targets=targets, **options)
    return caught.value


def save(path: Path) -> None:
    writers = {
        "csv": FRAME.write_csv,
        "tsv": lambda p: FRAME.write_csv(p, separator="\t"),
        "parquet": FRAME.write_parquet,
        "pq": FRAME.write_parquet,
        "arrow": FRAME.write_ipc,
        "feather": FRAME.write_ipc,
        "ndjson": FRAME.write_ndjson,
        "jsonl": FRAME.write_ndjson,
        "csv.gz": lambda p: p.write_bytes(gzip.compress(csv().encode())),
    }
    writers[path.name.partition(".")[2]](path)


@pytest.mark.parametrize(
    "extension",
    ["csv", "tsv", "parquet", "pq", "arrow", "feather", "ndjson", "jsonl", "csv.gz"],
)
def test_every_file_format_gives_the_same_model(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"t.{extension}"
    save(path)
    assert learned(path).paths == [path]


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_pandas(),
        FRAME.to_arrow(),
        FRAME.to_dict(as_series=False),
        FRAME.to_dict(),
        (np.c_[A, B], Y),
        (torch.tensor(np.c_[A, B]), torch.tensor(Y)[:, None]),
        (np.c_[A, B].tolist(), Y.tolist()),
    ],
    ids=lambda table: type(table).__name__,
)
def test_every_table_in_memory_gives_the_same_model(table: Any) -> None:
    if isinstance(table, tuple):
        found = fit(table)
        assert (found.features, found.targets) == (["x0", "x1"], ["y0"])
        named = fit(table, targets=["t"], features=["p", "q"])
        assert (named.features, named.targets) == (["p", "q"], ["t"])
        np.testing.assert_allclose(found.weights.numpy()[0], EXPECTED[:2], rtol=1e-9)
    else:
        assert learned(table).features == ["a", "b"]


def test_a_glob_and_a_folder_are_read_in_sorted_order(tmp_path: Path) -> None:
    FRAME.head(15).write_csv(tmp_path / "part-1.csv")
    FRAME.tail(-15).write_csv(tmp_path / "part-2.csv")
    (tmp_path / "_notes.csv").write_text("ignored")
    expected = ["part-1.csv", "part-2.csv"]
    assert [p.name for p in learned(tmp_path).paths] == expected
    assert [p.name for p in learned(str(tmp_path / "*-?.csv")).paths] == expected


def test_separators_decimal_commas_and_quoted_numbers_are_read(tmp_path: Path) -> None:
    rows = csv(separator=";").replace(".", ",").splitlines()
    quoted = [rows[0]] + [";".join(f'"{cell}"' for cell in row.split(";")) for row in rows[1:]]
    path = write(tmp_path / "t.csv", "\r\n".join(quoted))
    learned(path, separator=";", decimal_comma=True)


def test_a_byte_order_mark_and_blanks_around_numbers_are_no_part_of_them(tmp_path: Path) -> None:
    text = csv().replace("\n", " \n").replace("a,b,y ", "a,b,y")
    learned(write(tmp_path / "t.csv", b"\xef\xbb\xbf" + text.encode()))


@pytest.mark.parametrize("text", ["", "NA", "N/A", "NaN", "null", " NA ", "-999"])
def test_what_means_missing_is_dropped_and_counted(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "t.csv", csv() + f"1,{text},2\n{text},1,2\n")
    options: dict[str, Any] = {"null": ["-999"]} if text == "-999" else {}
    found = learned(path, missing="drop", **options)
    assert (found.rows_read, found.rows_dropped) == (ROWS + 2, 2)
    assert f"2 of {ROWS + 2} rows dropped for missing values" in found.warnings
    for asked in ({"strict": True}, {"missing": "error"}):
        error = refusal(path, **options, **asked)
        assert str(error) == (
            f"the column 'a' has 1 missing value, the first in row {ROWS + 2} of t.csv; "
            "1 more column has some"
        )
        assert error.code == "missing-value"
        assert "--missing drop" in error.command_hint
    filled = fit(path, "y", **options)
    assert (filled.rows_dropped, filled.features) == (0, ["a", "b"])
    assert "2 missing values filled with the training mean" in filled.warnings


def test_an_integer_column_may_turn_decimal_in_row_5001(tmp_path: Path) -> None:
    lines = [f"{i},{2 * i}" for i in range(5000)] + ["0.5,1.25"]
    path = write(tmp_path / "t.csv", "a,y\n" + "\n".join(lines))
    found = fit(path, targets="y")
    assert found.moments.minimum[0] == 0
    assert found.moments.rows == 5001
    x = np.append(np.arange(5000.0), 0.5)
    y = np.append(2 * np.arange(5000.0), 1.25)
    slope = np.polyfit(x, y, 1)[0]
    assert found.weights.item() == pytest.approx(slope, rel=1e-12)


def test_a_table_of_several_blocks_gives_what_the_whole_matrix_gives(tmp_path: Path) -> None:
    rows = BLOCK_ROWS * 2 + 5
    x = RNG.normal([0, 1e6], 1, (rows, 2))
    y = x @ [1, -2] + RNG.standard_normal(rows)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}).write_parquet(path, row_group_size=1000)
    found = fit(path, targets="y")
    expected = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(found.weights.numpy()[0], expected, rtol=1e-9)
    assert found.moments.rows == rows
    assert (found.metrics["training"] or {})["y"].mae is None


def test_names_are_taken_verbatim(tmp_path: Path) -> None:
    names = ['Größe "x"', "a\nb", "<b>", "", "it's", "emoji 🍎", "x, y"]
    columns = {name: RNG.standard_normal(ROWS) for name in names}
    path = write(tmp_path / "t.csv", csv(pl.DataFrame({**columns, "y": Y})))
    assert fit(path, targets="y").features == names


def test_text_columns_are_left_out_by_name(tmp_path: Path) -> None:
    frame = FRAME.with_columns(who=pl.lit("x"), day=pl.lit("2020-01-31"))
    path = write(tmp_path / "t.csv", csv(frame))
    found = learned(path, strict=True)
    assert found.features == ["a", "b"]
    assert found.warnings == [
        "not used, since they are not numeric: 'who', 'day' (--one-hot adds text columns)"
    ]
    by_default = learned(path).columns.decisions
    assert [(each.column, each.what) for each in by_default if not each.taken] == [
        ("who", "left out: constant"),
        ("day", "left out: constant"),
    ]


@pytest.mark.parametrize("late", [False, True])
def test_a_text_column_that_is_nearly_all_numbers_is_refused(tmp_path: Path, late: bool) -> None:
    values = [str(i) for i in range(3000)]
    values[2500 if late else 7] = "4o"
    lines = [f"{value},{i * i}" for i, value in enumerate(values)]
    path = write(tmp_path / "t.csv", "a,y\n" + "\n".join(lines))
    error = refusal(path, strict=True)
    assert str(error) == (
        "the column 'a' is text: 1 of 3000 values are not numbers, such as '4o'; the first is "
        f"in row {2501 if late else 8} of t.csv"
    )
    assert "--exclude 'a'" in error.command_hint
    warned = fit(path, "y").warnings
    assert "1 value of 'a' cannot be read as a number and counts as missing: '4o'" in warned


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("features", [["a"], None])
def test_short_rows_are_refused_wherever_their_gap_stands(
    tmp_path: Path, missing: str, features: list[str] | None
) -> None:
    path = write(tmp_path / "t.csv", "a,y,z\n1,2,3\n2,3\n4,4,7\n")
    error = refusal(path, features=features, missing=missing)
    assert error.code == "ragged"
    assert "row 2 has 2 fields, the header has 3" in str(error)


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    lines = csv().splitlines()
    path = write(tmp_path / "t.csv", "\n".join([*lines[:9], "", *lines[9:], "", "", ""]))
    assert learned(path).rows_read == ROWS


def test_names_that_look_like_patterns_are_names(tmp_path: Path) -> None:
    frame = FRAME.select(
        pl.col("a").alias("^b$"), pl.col("b").alias("*"), "y", pl.lit(0).alias("b")
    )
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (tmp_path / "t.csv", tmp_path / "t.parquet", frame):
        assert learned(table, features=["^b$", "*"]).features == ["^b$", "*"]


def test_names_that_look_like_patterns_are_names_whatever_the_columns_hold(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "^b.*$": ["x", "y", "z", "y"] * 10,
            "^t$": ["2020-01-01", "2020-03-05 07:00", "2021-04-03", "2022-01-01 10:00"] * 10,
            "^c$": ["$1", "2", "$4", None] * 10,
            "*": [True, False] * 20,
            "y": Y,
        }
    )
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (tmp_path / "t.csv", tmp_path / "t.parquet", frame):
        found = fit(table, "y", features=["^b.*$", "time(`^t$`)", "^c$", "`*`=true"])
        assert found.features[:4] == ["`^b.*$`=x", "`^b.*$`=z", "time(`^t$`)", "^c$"]


def test_thousands_marks_are_not_taken_for_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'a,y\n"1,005",2\n"2,500",3\n"3,100",5\n')
    assert "remove the thousands marks" in refusal(path, strict=True).hint
    found = fit(path, "y")
    assert (found.moments.minimum[0], found.moments.maximum[0]) == (1005, 3100)


def test_with_decimal_commas_a_point_makes_no_number(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a;y\n1.000;2\n2,5;3\n3,5;4\n")
    options = {"separator": ";", "decimal_comma": True, "features": ["a"]}
    assert "such as '1.000'" in str(refusal(path, strict=True, **options))
    assert fit(path, "y", **options).features == ["a=`2,5`", "a=`3,5`"]  # a category


def test_a_number_with_a_comma_hints_at_the_decimal_comma(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a;y\n1,5;2\n2,5;3\n")
    assert "--decimal-comma" in refusal(path, separator=";", strict=True).command_hint
    assert "would be numbers with --decimal-comma" in str(refusal(path, separator=";"))


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("t.csv", "", "empty-file", "t.csv is empty"),
        ("t.parquet", "", "unreadable-data", "t.parquet cannot be read"),
        ("t.ndjson", "", "empty-file", "t.ndjson is empty"),
        ("t.csv", "a,b,y\n", "too-few-rows", "no rows to train on"),
        ("t.csv", "a,b,y\n1,2,3\n", "too-few-rows", "1 row to train on"),
        ("t.xlsx", "PK", "unknown-format", "unknown file format '.xlsx'"),
        ("t.csv", "a,b,y\n1,2,3\n1,2,3,4\n", "ragged", "row 2 has 4 fields, the header has 3"),
        ("t.csv", "a,b,y\n1,2,3\n1,2\n", "ragged", "row 2 has 2 fields, the header has 3"),
        ("t.csv", b"a,b,y\n1,2,\xf6\n", "wrong-encoding", "t.csv is not UTF-8"),
        ("t.csv", "a;b;y\n1;2;3\n", "wrong-separator", "a single column, named 'a;b;y'"),
        ("t.csv", "a,a,y\n1,2,3\n2,3,5\n", "duplicate-column", "2 columns named 'a'"),
        ("t.csv", "a,y\n1,inf\n2,3\n3,-inf\n", "infinite-value", "2 infinite values, the first in"),
        ("t.csv", "a,y\n1,1\n9007199254740993,2\n", "large-integer", "9007199254740993 in row 2"),
        ("t.csv", "a,y\n1,5\n2,5\n", "constant-target", "the target 'y' is 5 in every row"),
        ("t.csv", "a,y\n1,5\n1,6\n", "constant-features", "every feature has one value only"),
        ("t.csv", "a,y\n1e200,5\n1,6\n", "out-of-range", "'a' has values too large to square"),
        ("t.csv", "w,y\nx,5\nz,6\n", "no-feature", "'w' is left out: text that is all different"),
    ],
)
def test_faulty_files_are_refused_by_name(
    tmp_path: Path, name: str, content: str | bytes, code: str, says: str
) -> None:
    error = refusal(write(tmp_path / name, content))
    assert error.code == code
    assert says in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("chosen", "code", "says"),
    [
        ({"targets": None}, "no-target", "no target"),
        ({"targets": ["z"]}, "unknown-column", "unknown target 'z'"),
        ({"targets": ["y", "y"]}, "repeated-column", "the target 'y' is named twice"),
        ({"features": ["c"]}, "unknown-column", "unknown feature 'c'"),
        ({"features": ["a", "a"]}, "repeated-column", "the feature 'a' is named twice"),
        ({"features": ["a", "y"]}, "repeated-column", "'y' is named as target and as feature"),
        ({"exclude": ["c"]}, "unknown-column", "unknown excluded column 'c'"),
        ({"exclude": ["a", "b"]}, "no-feature", "no feature"),
        ({"sample_weight": "c"}, "unknown-column", "unknown sample weight 'c'"),
        ({"sample_weight": "y"}, "repeated-column", "'y' is named as target and as sample weight"),
        ({"sample_weight": "b"}, "bad-weight", "negative"),
    ],
)
def test_faulty_choices_of_columns_are_refused_by_name(
    chosen: dict[str, Any], code: str, says: str
) -> None:
    error = refusal(FRAME, **{"targets": ["y"], **chosen})
    assert error.code == code
    assert says in str(error)


def test_the_nearest_name_is_suggested() -> None:
    frame = FRAME.rename({"a": "temperature"})
    assert refusal(frame, features=["temprature"]).hint == "did you mean 'temperature'?"


def test_weights_never_count_as_a_feature_and_may_not_all_be_zero() -> None:
    frame = FRAME.with_columns(w=pl.lit(2.0))
    assert learned(frame, sample_weight="w").features == ["a", "b"]
    error = refusal(FRAME.with_columns(w=pl.lit(0.0)), sample_weight="w")
    assert str(error) == "the sample weights in 'w' are all zero"


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pl.Series("c", ["x"] * ROWS), "the column 'c' is text: 40 of 40 values"),
        (pl.Series("c", ["1"] * ROWS), "the column 'c' is text, though all of its values are"),
        (pl.Series("c", [[1]] * ROWS), "the column 'c' holds values that are not numbers"),
        (pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True).alias("c"), "dates"),
    ],
)
def test_a_chosen_column_must_hold_numbers(column: pl.Series, says: str) -> None:
    error = refusal(FRAME.with_columns(column), features=["a", "c"], strict=True)
    assert error.code == "not-numeric"
    assert says in str(error)


def test_text_is_a_category_as_a_feature_and_no_target() -> None:
    frame = FRAME.with_columns(pl.Series("c", ["x"] * ROWS))
    assert "--one-hot 'c'" in refusal(frame, features=["c"], strict=True).command_hint
    assert refusal(frame, features=["c"]).code == "constant-category"
    two = FRAME.with_columns(pl.Series("c", ["x", "z"] * (ROWS // 2)))
    assert fit(two, "y", features=["c"]).features == ["c=z"]
    assert refusal(frame, targets="c").hint.endswith("or choose another target")
    assert "--one-hot" not in refusal(frame, targets="c").hint


def test_a_wide_text_file_is_opened_in_moments(tmp_path: Path) -> None:
    names = ",".join(f"c{j}" for j in range(20_000))
    values = ",".join(["1.5"] * 20_000)
    path = write(tmp_path / "t.csv", f"{names},c0,t\n{values},2,x\n")
    start = time.process_time()
    table = open_files(path)
    assert time.process_time() - start < 8  # one by one, columns took 1 ms each, and more
    assert {table.kinds["c0"], table.kinds["c19999"], table.kinds["t"]} == {"number", "text"}


def test_files_with_other_columns_or_types_are_refused(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "1.parquet")
    FRAME.rename({"b": "c"}).write_parquet(tmp_path / "2.parquet")
    assert str(refusal(tmp_path, features=["a", "b"])) == (
        "the files differ: 1.parquet has the column 'b', 2.parquet does not"
    )
    FRAME.with_columns(pl.col("b").cast(pl.String)).write_parquet(tmp_path / "2.parquet")
    for asked in ({"strict": True}, {"strict": True, "features": ["a", "b"]}):
        assert str(refusal(tmp_path, **asked)) == (
            "the files differ: the column 'b' is number in 1.parquet and text in 2.parquet"
        )
    assert str(refusal(tmp_path, features=["a", "b"])) == (
        "the files differ: the column 'b' has numbers in 1.parquet and text in 2.parquet"
    )
    decided = {each.column: each.what for each in fit(tmp_path, "y").columns.decisions}
    assert decided["b"] == "left out: numbers in 1.parquet and text in 2.parquet"


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert str(refusal(tmp_path / "no.csv")).startswith("no such file: ")
    assert str(refusal(tmp_path)).startswith("no table in the folder ")
    assert str(refusal(str(tmp_path / "*.csv"))).startswith("no such file: ")


@pytest.mark.parametrize("separator", ["", ";;", '"', "·"])
def test_a_separator_is_one_plain_character(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path / "t.csv", csv())
    assert "expected one ASCII character" in str(refusal(path, separator=separator))


def test_in_memory_faults_are_refused_by_name() -> None:
    twice = pd.DataFrame(np.ones((3, 3)), columns=["a", "a", "y"])
    assert "the table has the column 'a' twice" in str(refusal(twice))
    assert "masked" in str(refusal((np.ma.array(np.ones((3, 1))), [1, 2, 3]), None))
    assert "X has the shape (3,)" in str(refusal((np.ones(3), [1, 2, 3]), None))
    assert "X has 3, Y has 2" in str(refusal((np.ones((3, 1)), [1, 2]), None))
    assert "text" in str(refusal((np.array([["a"], ["b"]]), [1, 2]), None))
    assert "2^53" in str(refusal((np.array([[1], [2**53 + 1]]), [1, 2]), None))
    assert "a table of type int" in str(refusal(3))
    nulls = pa.table({"a": [1, None, 3], "y": [1, 2, 4]})
    for asked in ({"strict": True}, {"missing": "error"}):
        assert "1 missing value, the first in row 2 of the table" in str(refusal(nulls, **asked))


# A text file's columns are read as numbers at once; a value that is odd changes nothing else.

LONG = 2 * BLOCK_ROWS + 1_000


@pytest.mark.parametrize(
    ("odd", "meant"),
    [(" 7 ", 7.0), ("7\t", 7.0), (" NA ", np.nan), ("inf", np.inf), ('" 7"', 7.0)],
)
@pytest.mark.parametrize("row", [0, BLOCK_ROWS, LONG - 1])
def test_an_odd_value_is_read_as_it_would_be_in_a_file_full_of_them(
    tmp_path: Path, odd: str, meant: float, row: int
) -> None:
    values = np.arange(LONG) / 8
    texts = [repr(float(value)) for value in values]
    texts[row], values[row] = odd, meant
    lines = "\n".join(f"{text},{place % 5}" for place, text in enumerate(texts))
    table = open_files(write(tmp_path / "t.csv", f"x,z\n{lines}\n"))
    for _ in range(2):  # the second time it is known
        blocks = list(table.blocks(["x", "z"], keep=["z"]))
        assert [block.start for block in blocks] == [0, BLOCK_ROWS, 2 * BLOCK_ROWS]
        found = np.concatenate([block.values for block in blocks])
        np.testing.assert_array_equal(found[:, 0], values)
        np.testing.assert_array_equal(found[:, 1], np.arange(LONG) % 5)
        assert [z for block in blocks for z in block.kept["z"]][-1] == str((LONG - 1) % 5)


@pytest.mark.parametrize("odd", [" 7", ""])
def test_a_file_is_read_on_as_text_behind_lines_within_quotes(tmp_path: Path, odd: str) -> None:
    lines = [f'{place},"a{place}\n,""b"""' for place in range(LONG)]
    lines[BLOCK_ROWS + 70] = f'{odd},"\n"'
    table = open_files(write(tmp_path / "t.csv", "\n".join(["x,name", *lines, ""])))
    blocks = list(table.blocks(["x"], keep=["name"]))
    assert [block.start for block in blocks] == [0, BLOCK_ROWS, 2 * BLOCK_ROWS]
    places = np.arange(LONG, dtype=np.float64)
    places[BLOCK_ROWS + 70] = float(odd or "nan")
    np.testing.assert_array_equal(np.concatenate([b.values[:, 0] for b in blocks]), places)
    names = [name for block in blocks for name in block.kept["name"]]
    assert names.pop(BLOCK_ROWS + 70) == "\n"
    assert names[-1] == f'a{LONG - 1}\n,"b"'
    assert len(set(names)) == LONG - 1


@pytest.mark.parametrize("blank", [3, BLOCK_ROWS + 70])
def test_blank_lines_are_no_rows_wherever_they_stand(tmp_path: Path, blank: int) -> None:
    lines = [f"{place},{place % 7}" for place in range(LONG)]
    lines[blank] += "\n"
    lines[-3] = " 5,1"
    table = open_files(write(tmp_path / "t.csv", "\n".join(["x,z", *lines, ""])))
    found = np.concatenate([block.values[:, 0] for block in table.blocks(["x", "z"])])
    expected = np.arange(LONG, dtype=np.float64)
    expected[-3] = 5
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("odd", ["2026-01-01", "0x10", "1_000", "--1", "true", "1 000", "１"])
def test_what_is_no_number_is_named_wherever_it_stands(tmp_path: Path, odd: str) -> None:
    lines = [f"{place},{place}" for place in range(LONG)]
    lines[-2] = f"{odd},1"
    table = open_files(write(tmp_path / "t.csv", "\n".join(["x,y", *lines])))
    with pytest.raises(InputError, match=f"'x' is text.*row {LONG - 1} of t.csv") as caught:
        list(table.blocks(["x", "y"]))
    assert caught.value.code == "not-numeric"


def test_a_large_integer_is_named_wherever_it_stands(tmp_path: Path) -> None:
    lines = [f"{place},{place}" for place in range(LONG)]
    lines[-2] = f"{2**53 + 1},1"
    table = open_files(write(tmp_path / "t.csv", "\n".join(["x,y", *lines])))
    with pytest.raises(InputError, match=f"{2**53 + 1} in row {LONG - 1} of t.csv"):
        list(table.blocks(["x", "y"]))


@pytest.mark.parametrize(
    "table",
    [
        {"shop": pd.Series(pd.Categorical([b"a", b"b"])), "y": [1.0, 2.0]},
        pd.DataFrame({"shop": pd.Categorical([b"a", b"b"]), "y": [1.0, 2.0]}),
        pa.table({"shop": pa.array([b"a", b"b"]).dictionary_encode(), "y": [1.0, 2.0]}),
    ],
)
def test_an_error_of_a_categorical_column_names_it(table: Any) -> None:
    with pytest.raises(InputError, match="the column 'shop' holds bytes: b'a'"):
        fit(table, "y")
