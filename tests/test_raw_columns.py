"""A model of format 2 predicts from the table's own columns, whatever carries them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from gradline.columns.inputs import Gaps, plan_of_inputs
from gradline.columns.kinds import NULLS, NUMBER_NULLS, Column
from gradline.columns.plan import Plan
from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline.model import Model
from gradline.package.files import Package
from gradline.package.graph import Graph
from gradline.scoring.changes import measure
from gradline.scoring.rows import Scoring
from gradline.serve.protocol.inference import infer
from gradline.serve.protocol.metadata import model_metadata
from gradline.serve.protocol.served_model import ServedModel
from gradline.tables import Dialect, open_files
from gradline.tables.frames import open_frame
from gradline_trainer import fit

# Rows without an answer are told of, too: tests/test_rows_of_any_form.py.
pytestmark = pytest.mark.filterwarnings("ignore::gradline.GradlineWarning")
PRICE = Column("price", fill=10.0, null=NUMBER_NULLS, parse={"currency": "$", "thousands": ","})
STORE = Column("store", "category", ("A", "B", "Ärger"), "A", null=NULLS, missing=True, rare=())
OPEN = Column("open", "category", ("false", "true"), "false", null=NULLS)
DAY = Column("day", "time", null=NUMBER_NULLS)
TERMS = (
    (Factor("price"),),
    (Factor("price", "missing"),),
    (Factor("price", "log"),),
    (Factor("store", level="B"),),
    (Factor("store", level="Ärger"),),
    (Factor("store", "missing"),),
    (Factor("open", level="true"),),
    (Factor("day", "time"),),
    (Factor("day", "month", level=3),),
    (Factor("price"), Factor("store", level="B")),
)
PLAN = Plan((PRICE, STORE, OPEN, DAY), TERMS)
WEIGHTS = np.array([[1.0, 100.0, 2.0, 8.0, 16.0, 32.0, 4.0, 0.25, 64.0, 0.5]])
BIAS = np.array([1.0])
FEATURES = [
    "price", "price is missing", "log(price)", "store=B", "store=Ärger", "store is missing",
    "open=true", "time(day)", "month(day)=3", "price:store=B",
]  # fmt: skip
PLAIN = Plan.of_columns([Column("a"), Column("b")])
ROWS = {
    "price": [20.0, None, 4.0],
    "store": ["B", "A", None],
    "open": [True, False, True],
    "day": [date(1970, 3, 2), date(1969, 12, 31), date(2024, 2, 29)],
}


def onnx_of(weights: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> bytes:
    """Build the graph y = x @ W.T + b."""
    kind = TensorProto.FLOAT if weights.dtype == np.float32 else TensorProto.DOUBLE
    k, d = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "W", "b"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", kind, ["N", d])],
        [helper.make_tensor_value_info("y", kind, ["N", k])],
        [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    found: bytes = model.SerializeToString()
    return found


def model_of(
    plan: Plan,
    weights: np.ndarray[Any, Any],
    bias: np.ndarray[Any, Any] | None = None,
    dtype: Any = np.float64,
) -> Model:
    """Make a model without the exporter, with ranges from -1e4 to 1e4."""
    weights = weights.astype(dtype)
    bias = np.zeros(len(weights), dtype) if bias is None else bias.astype(dtype)
    metadata = {"gradline.name": "shop", "gradline.format": str(plan.format)}
    targets = [f"y{j}" * (j > 0) or "y" for j in range(len(weights))]
    columns = [] if plan.format == 2 or plan == PLAIN else list(plan.columns)
    functions = [None] * len(targets)
    graph = Graph(weights, bias, plan.features, targets, columns, metadata, plan, functions)
    column = {"mean": 0.0, "deviation": 1.0, "minimum": -1e4, "maximum": 2e4}
    manifest = {
        "schema": {"features": plan.features, "targets": targets, **plan.dump()},
        "columns": dict.fromkeys([*plan.features, *targets], column),
    }
    path = Path("artifacts/shop/1")
    return Model(Package(path, 1, onnx_of(weights, bias), graph, manifest, None))


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(PLAN, WEIGHTS, BIAS)


def by_hand(price: float | None, store: str | None, is_open: bool, day: date) -> float:
    known = 10.0 if price is None else price
    found = 1 + known + 100 * (price is None) + 2 * np.log(known) + 4 * is_open
    found += {"A": 0, "B": 8 + 0.5 * known, "Ärger": 16, None: 32}[store]
    return float(found + (day - date(1970, 1, 1)).days / 4 + 64 * (day.month == 3))


EXPECTED = [by_hand(*row) for row in zip(*ROWS.values(), strict=True)]  # type: ignore[arg-type]


# Model.predict


CARRIERS = {
    "lists": lambda rows: rows,
    "objects": lambda rows: {k: np.array(v, object) for k, v in rows.items()},
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "pandas": pd.DataFrame,
    "nullable": lambda rows: pd.DataFrame(
        {
            "price": pd.array(rows["price"], "Float64"),
            "store": pd.array(rows["store"], "string"),
            "open": pd.array(rows["open"], "boolean"),
            "day": pd.to_datetime(rows["day"]),
        }
    ),
    "categorical": lambda rows: pd.DataFrame(
        {
            "price": rows["price"],
            "store": pd.Categorical(rows["store"]),
            "open": pd.Categorical(rows["open"]),
            "day": np.array(rows["day"], "datetime64[D]"),
        }
    ),
    "text": lambda rows: {
        "price": ["$20", "n/a", " 4.00 "],
        "store": [" B", "A", ""],
        "open": ["TRUE", "False", "true"],
        "day": ["1970-03-02", "1969-12-31T00:00", "2024/02/29"],
    },
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_carrier_gives_the_same_answers(model: Model, carrier: str) -> None:
    assert model.features == FEATURES
    answers = model.predict(CARRIERS[carrier](ROWS))
    np.testing.assert_allclose(answers[:, 0], EXPECTED, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_terms_are_computed_in_float64_and_rounded_once(dtype: Any) -> None:
    plan = Plan((Column("a", null=NUMBER_NULLS),), ((Factor("a", "power", 2),),))
    values = [1 + 2.0**-20, 3.1, np.float32(1.1)]
    answers = model_of(plan, np.array([[1.0]]), dtype=dtype).predict({"a": values})
    np.testing.assert_array_equal(
        answers[:, 0], np.array([v * v for v in map(float, values)], dtype)
    )


def test_the_graphs_own_inputs_are_taken_by_name_and_as_arrays(model: Model) -> None:
    inputs = PLAN.compute(np.array([[20.0, 1.0, 1.0, 5_184_000.0], [np.nan, 0.0, 0.0, -86_400.0]]))
    np.testing.assert_array_equal(model.predict(inputs)[:, 0], EXPECTED[:2])
    by_name = dict(zip(FEATURES, inputs.T, strict=True))
    for rows in (by_name, pd.DataFrame(by_name), pd.DataFrame({**by_name, "other": 1.0})):
        np.testing.assert_array_equal(model.predict(rows)[:, 0], EXPECTED[:2])


def test_an_unknown_level_gives_no_answer_unless_asked(model: Model) -> None:
    rows = {**ROWS, "store": ["B", "C", None]}
    assert np.isnan(model.predict(rows)).ravel().tolist() == [False, True, False]
    zero = model.predict(rows, unknown_category="zero")[:, 0]
    np.testing.assert_allclose(zero, EXPECTED)  # as the reference, A
    with pytest.raises(InputError, match="'store' has the unknown category 'C' in row 2"):
        model.predict(rows, unknown_category="error")
    with pytest.raises(InputError, match="expected one of error, missing, zero"):
        model.predict(rows, unknown_category="nil")
    assert np.isnan(model.explain(rows).contributions[1]).any()


def test_a_missing_value_without_a_fill_or_a_level_gives_no_answer(model: Model) -> None:
    answers = model.predict({**ROWS, "open": [None, False, True], "day": [*ROWS["day"][:2], None]})
    assert np.isnan(answers).ravel().tolist() == [True, False, True]


def test_outside_a_functions_domain_there_is_no_answer(model: Model) -> None:
    answers = model.predict({**ROWS, "price": [0.0, -1.0, 4.0]})
    assert np.isnan(answers).ravel().tolist() == [True, True, False]


def test_a_missing_column_is_an_error(model: Model) -> None:
    rows = {name: values for name, values in ROWS.items() if name != "open"}
    for table in (rows, pd.DataFrame(rows)):
        with pytest.raises(InputError, match="the column 'open' is missing"):
            model.predict(table)


def test_check_flags_fills_and_unknown_levels(model: Model) -> None:
    rows = {**ROWS, "price": [20.0, None, 3e4], "store": ["B", "A", "C"]}
    for option in (None, "zero"):
        _, outside = model.predict(rows, unknown_category=option, check=True)
        assert outside.rows.tolist() == [1, 2]
        assert outside.told(0) == "price filled"
        assert "price +1e+04 deviations" in outside.told(1)
        assert outside.told(1).endswith("store unknown")
        assert outside.is_beyond.tolist() == [False, True]


def test_format_1_keeps_its_answers_and_its_strictness() -> None:
    plan = Plan.of_columns([Column("a", fill=2.0), Column("c", "category", ("x", "y"), "x")])
    found = model_of(plan, np.array([[1.0, 10.0]]))
    rows = {"a": [1.0, None], "c": ["y", "x"]}
    assert found.predict(rows).ravel().tolist() == [11.0, 2.0]
    with pytest.raises(InputError, match="unknown category 'z'"):
        found.predict({"a": [1.0], "c": ["z"]})
    assert np.isnan(found.predict({"a": [1.0], "c": ["z"]}, unknown_category="missing"))
    _, outside = found.predict(
        {"a": [None, 1.0], "c": ["x", "z"]}, unknown_category="zero", check=True
    )
    assert [outside.told(j) for j in range(2)] == ["a filled", "c unknown"]
    answers, outside = found.predict(np.array([[np.nan, 1.0], [5.0, 0.0]]), check=True)
    assert answers.ravel().tolist() == [12.0, 5.0]
    assert [outside.told(j) for j in range(len(outside))] == ["a filled"]


def test_a_format_1_boolean_is_found_under_each_spelling() -> None:
    plan = Plan.of_columns([Column("c", "category", ("False", "True"), "False")])
    found = model_of(plan, np.array([[1.0]]))
    for values in ([True, False], ["True", "FALSE"], pd.array([True, False], "boolean")):
        assert found.predict({"c": values}).ravel().tolist() == [1.0, 0.0]


def test_large_integers_beside_a_missing_value_stay_two_levels() -> None:
    levels = (str(2**60), str(2**60 + 1))
    plan = Plan(
        (Column("id", "category", levels, levels[0], null=NULLS),),
        ((Factor("id", level=levels[1]),),),
    )
    found = model_of(plan, np.array([[1.0]]))
    for carrier in (
        [2**60, 2**60 + 1, None],
        pd.array([2**60, 2**60 + 1, None], "Int64"),
        pa.array([2**60, 2**60 + 1, None]),
        pl.Series([2**60, 2**60 + 1, None]),
    ):
        answers = found.predict({"id": carrier}).ravel()
        assert answers[:2].tolist() == [0.0, 1.0]
        assert np.isnan(answers[2])


def test_the_table_of_the_inputs_has_the_fills_of_plain_terms() -> None:
    own = plan_of_inputs(PLAN)
    assert [column.name for column in own.columns] == FEATURES
    assert [column.fill for column in own.columns] == [10.0, *[None] * 9]


# Files


CSV = """price,store,open,day,extra
"$20",B,True,1970-03-02,a
?, A ,False,1969-12-31,b
4.00,,TRUE,2024-02-29,c
"""


def scored(model: Model, path: Path | Any, **options: Any) -> tuple[pl.DataFrame, Scoring]:
    dialect = Dialect(nulls=(*Dialect.nulls, *options.pop("nulls", ())))
    table = open_files(path, dialect) if isinstance(path, Path) else open_frame(path)
    scoring = Scoring(model, table, **options)
    return pl.concat(scoring.frames()), scoring


def test_files_are_read_as_frames_are(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    frame = pl.DataFrame(ROWS)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.ndjson")
    for source in (path, tmp_path / "t.parquet", tmp_path / "t.ndjson", frame):
        found, scoring = scored(model, source)
        np.testing.assert_allclose(found["y"], EXPECTED, rtol=1e-14)
        assert scoring.counts.filled == 1
        assert list(scoring.counts.warnings("missing")) == [
            "1 row with missing values that were filled with training means"
        ]


def test_kept_columns_keep_their_text(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    found, _ = scored(model, path, keep=["price", "extra"])
    assert found["price"].to_list() == ["$20", "?", "4.00"]
    np.testing.assert_allclose(found["y"], EXPECTED, rtol=1e-14)


def test_what_has_no_answer_is_counted_by_its_reason(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "price,store,open,day\n1,C,true,2024-01-01\n1,D,true,2024-01-01\n0,A,true,2024-01-01\n"
        "1,A,,2024-01-01\n1,A,true,\n,A,true,2024-01-01\n1e999,A,true,2024-01-01\n"
    )
    found, scoring = scored(model, path, check=True)
    assert found["y"].is_null().to_list() == [True] * 5 + [False, True]
    assert list(scoring.counts.warnings("missing")) == [
        "2 rows with a category of 'store' that no training row had, such as 'C': no prediction",
        "1 row with missing values that were filled with training means",
        "2 rows with missing values got no prediction (missing: open, day)",
        "1 row with a number outside a function's domain got no prediction",
        "1 row with infinite or huge values got infinite or no predictions",
        "1 row outside the ranges that the model was trained on, alone or together",
    ]
    assert found["outside"].to_list()[:2] == ["store unknown"] * 2
    assert found["outside"][5] == "price filled"
    zero, scoring = scored(model, path, unknown_category="zero")
    assert zero["y"].is_null().to_list() == [False] * 2 + [True] * 3 + [False, True]
    assert "such as 'C': its indicators are 0" in next(iter(scoring.counts.warnings("zero")))
    with pytest.raises(InputError, match="unknown category 'C' in row 1 of t"):
        scored(model, path, unknown_category="error")


def test_null_adds_to_the_columns_own_tokens(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("price,store,open,day\n-9,none,true,2024-01-01\n10,A,true,2024-01-01\n")
    found, scoring = scored(model, path, nulls=["-9", "none"])
    assert scoring.counts.filled == 1
    assert found["y"][0] - found["y"][1] == 132.0


def test_diff_measures_models_of_raw_columns(model: Model, tmp_path: Path) -> None:
    other = model_of(PLAN, WEIGHTS, BIAS + 2)
    found = measure(model.package, other.package, open_frame(pl.DataFrame(ROWS)), ["y"])
    assert found.figures == {"y": {"rms": pytest.approx(2.0), "largest": 2.0, "rows": 3}}
    assert found.skipped == len(pl.DataFrame(ROWS)) - 3


# Folders


def folder(tmp_path: Path, **parts: pl.DataFrame | str) -> Path:
    for name, part in parts.items():
        if isinstance(part, str):
            (tmp_path / f"{name}.csv").write_text(part)
        else:
            part.write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_only_the_columns_in_use_must_agree(tmp_path: Path) -> None:
    plain = model_of(PLAIN, np.array([[1.0, 10.0]]))
    one = pl.DataFrame(
        {"a": [1], "b": [None], "c": [None], "d": ["x"]}, schema_overrides={"b": pl.Null}
    )
    two = pl.DataFrame({"b": [2.0], "a": [3.5], "c": ["text"], "e": [date(2024, 1, 1)]})
    found, scoring = scored(plain, folder(tmp_path, one=one, two=two))
    assert found["y"].to_list() == [None, 23.5]
    assert scoring.table.names == ["a", "b", "c"]
    assert scoring.table.kinds == {"a": "number", "b": "number", "c": "text"}


def test_a_used_column_that_one_file_lacks_is_named_with_the_file(tmp_path: Path) -> None:
    plain = model_of(PLAIN, np.array([[1.0, 10.0]]))
    path = folder(tmp_path, one="a,b\n1,2\n", two="a,c\n1,2\n")
    with pytest.raises(InputError, match=r"one.csv has the column 'b', two.csv does not") as caught:
        scored(plain, path)
    assert caught.value.code == "mixed-schemas"


def test_a_used_column_of_two_kinds_is_named_with_both_files(tmp_path: Path) -> None:
    plain = model_of(PLAIN, np.array([[1.0, 10.0]]))
    one, two = pl.DataFrame({"a": [1], "b": [2]}), pl.DataFrame({"a": [1], "b": ["x"]})
    message = "'b' is number in one.parquet and text in two.parquet"
    with pytest.raises(InputError, match=message):
        scored(plain, folder(tmp_path, one=one, two=two))


def test_a_file_of_0_bytes_is_left_out_with_a_note(tmp_path: Path) -> None:
    plain = model_of(PLAIN, np.array([[1.0, 10.0]]))
    found, scoring = scored(plain, folder(tmp_path, one="a,b\n1,2\n", two=""))
    assert found["y"].to_list() == [21.0]
    assert scoring.table.notes == ["two.csv is empty (0 bytes) and was left out"]
    (tmp_path / "one.csv").write_text("")
    with pytest.raises(InputError, match=r"one\.csv is empty"):
        scored(plain, tmp_path)


def test_a_first_file_with_an_empty_column_learns_its_kind_from_the_next(tmp_path: Path) -> None:
    table = open_files(folder(tmp_path, one="a,b\n1,\n", two="a,b\n1,word\n", three="a,b\n2,3\n"))
    assert table.kinds == {"a": "number", "b": "number"}  # of three.csv
    (tmp_path / "three.csv").unlink()
    assert open_files(tmp_path).kinds == {"a": "number", "b": "text"}


def test_training_says_what_of_the_files_it_does_not_read(tmp_path: Path) -> None:
    one, two = "a,b,y\n1,2,1\n3,5,2\n", "a,c,y\n4,2,5\n6,1,3\n"
    found = fit(folder(tmp_path, one=one, three="", two=two), "y")
    assert found.features == ["a"]
    assert found.warnings[:3] == [
        "three.csv is empty (0 bytes) and was left out",
        "the column 'b' is not used: one.csv has it, two.csv does not",
        "the column 'c' is not used: two.csv has it, one.csv does not",
    ]
    with pytest.raises(InputError, match=r"one\.csv has the column 'b', two\.csv does not"):
        fit(tmp_path, "y", ["a", "b"])


# Frames


@pytest.mark.parametrize(
    ("column", "dtype", "values"),
    [
        (pd.array([2**60, None, 2**60 + 1], "Int64"), pl.Int64, [2**60, None, 2**60 + 1]),
        (pd.array([True, None], "boolean"), pl.Boolean, [True, None]),
        (pd.array(["a", None], "string"), pl.String, ["a", None]),
        (pd.Categorical([3, None, 1]), pl.Categorical, ["3", None, "1"]),
        (pd.Categorical(["b", None, "a"]), pl.Categorical, ["b", None, "a"]),
        (pa.array([2**60, None, 2**60 + 1]), pl.Int64, [2**60, None, 2**60 + 1]),
        (pa.array([1, None, 1]).dictionary_encode(), pl.Categorical, ["1", None, "1"]),
        (np.array(["2024-03", "NaT"], "datetime64[M]"), pl.Date, [date(2024, 3, 1), None]),
        (
            np.array(["2024-03-01T05", "NaT"], "datetime64[h]"),
            None,
            [datetime(2024, 3, 1, 5), None],
        ),
        ([datetime(2024, 1, 1), None], None, [datetime(2024, 1, 1), None]),
    ],
)
def test_types_survive_in_memory(column: Any, dtype: Any, values: list[Any]) -> None:
    for carrier in ({"c": column}, *([pd.DataFrame({"c": column})] * hasattr(column, "isna"))):
        (part,) = open_frame(carrier).parts
        series = part.frame.collect()["c"]
        assert series.to_list() == values
        assert dtype is None or series.dtype == dtype


def test_times_with_an_offset_keep_their_clock() -> None:
    zoned = pd.Series(pd.to_datetime(["2024-01-01T03:00", "2024-07-01T03:00"]))
    offsets = zoned.dt.tz_localize("+02:00")
    frame = pd.DataFrame({"named": zoned.dt.tz_localize("Europe/Paris"), "fixed": offsets})
    found = open_frame(frame).parts[0].frame.collect()
    assert found["named"].dtype.time_zone == "Europe/Paris"  # type: ignore[attr-defined]
    assert found["fixed"].to_list() == ["2024-01-01T03:00:00+02:00", "2024-07-01T03:00:00+02:00"]


@pytest.mark.parametrize(
    "column", [np.ma.array([1.0, 2.0], mask=[0, 1]), [np.ma.array([1.0]), np.ma.array([2.0])]]
)
def test_masked_columns_are_refused(column: Any) -> None:
    for name in ("x", "y"):
        with pytest.raises(InputError, match=f"the column '{name}': masked arrays") as caught:
            open_frame({"x": [1.0, 2.0], "y": [1.0, 2.0], name: column})
        assert caught.value.code == "masked-array"


def test_a_masked_category_is_refused_in_prediction(model: Model) -> None:
    store = np.ma.array(["A", "B", "A"], mask=[0, 1, 0])
    with pytest.raises(InputError, match="the column 'store': masked arrays"):
        model.predict({**ROWS, "store": store})


def test_pairs_take_what_frames_take() -> None:
    x, y = [[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 4.0]], [1.0, 2.0, 3.0, 5.0]
    expected = fit((x, y)).weights
    flags = [True, False, True, True]
    for rows in (
        np.array([[Decimal(str(v)) for v in row] for row in x], object),
        pd.DataFrame(x).convert_dtypes(),
        pd.DataFrame(x, dtype="Int64"),
    ):
        assert fit((rows, y)).weights.tolist() == expected.tolist()
    nullable = fit((x, pd.array(flags, "boolean")))
    assert nullable.weights.tolist() == fit((x, flags)).weights.tolist()


@pytest.mark.parametrize("odd", [None, pd.NA, np.nan])
def test_a_missing_value_of_a_pair_is_said_as_of_a_frame(odd: Any) -> None:
    x = np.array([[1.0, 2.0], [odd, 1.0], [3.0, 5.0]], object)
    with pytest.raises(InputError, match="'x0' has 1 missing value, the first in row 2"):
        fit((x, [1.0, 2.0, 4.0]))


def test_a_pairs_integer_beside_a_missing_value_stays_exact() -> None:
    for column in (pd.array([2**60 + 1, None, 3], "Int64"),):
        with pytest.raises(InputError, match="holds the integer 1152921504606846977 in row 1"):
            fit((pd.DataFrame({"a": column, "b": [1, 2, 4]}), [1.0, 2.0, 3.0]))
    with pytest.raises(InputError, match="holds the integer 1152921504606846977 in row 1"):
        fit((pl.DataFrame({"a": [2**60 + 1, None, 3]}), [1.0, 2.0, 3.0]))


def test_masked_pairs_are_refused_wherever_the_mask_is() -> None:
    x, y = [[1.0], [2.0]], [1.0, 3.0]
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    for pair, options in (
        (([masked[:1], masked[1:]], y), {}),
        ((x, masked), {}),
        ((x, y), {"sample_weight": masked}),
    ):
        with pytest.raises(InputError, match="masked arrays are not accepted"):
            fit(pair, **options)


def test_hints_fit_the_values() -> None:
    prices = {"a": ["$1,200.50", "$3.00", "$2"], "y": [1.0, 2.0, 4.0]}
    for values, expected in ((prices["a"], False), (["1,5", "2,25", "3"], True)):
        with pytest.raises(InputError) as caught:
            fit({**prices, "a": values}, "y", "a", strict=True)
        assert ("--decimal-comma" in caught.value.command_hint) == expected


# Serving


def tensor(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}


def asked(model: Model, *inputs: dict[str, Any]) -> list[float]:
    import json

    body = json.dumps({"inputs": inputs}).encode()
    found: list[float] = json.loads(infer(ServedModel(model), body, None).body)["outputs"][0][
        "data"
    ]
    return found


def test_the_server_takes_raw_columns_in_several_types(model: Model) -> None:
    store = tensor("store", "BYTES", ["B", "A", ""])
    for price in (
        tensor("price", "BYTES", ["$20", "", "4"]),
        tensor("price", "BYTES", ["20", "n/a", "4.0"]),
    ):
        for is_open in (
            tensor("open", "BOOL", [True, False, True]),
            tensor("open", "BYTES", ["true", "False", "TRUE"]),
        ):
            for day in (
                tensor("day", "BYTES", ["1970-03-02", "1969-12-31", "2024-02-29"]),
                tensor("day", "INT64", [5_184_000, -86_400, 1_709_164_800]),
                tensor("day", "FP64", [5_184_000.5, -86_400, 1_709_164_800]),
            ):
                np.testing.assert_allclose(asked(model, price, store, is_open, day), EXPECTED)


def test_a_row_without_an_answer_is_null(model: Model) -> None:
    given = {
        "price": tensor("price", "BYTES", ["20", "4"]),
        "store": tensor("store", "BYTES", ["B", "Z"]),
        "open": tensor("open", "BOOL", [True, False]),
        "day": tensor("day", "BYTES", ["1970-03-02", "2024-02-29"]),
    }
    assert asked(model, *given.values()) == [EXPECTED[0], None]


def test_the_metadata_list_raw_columns_and_terms(model: Model) -> None:
    import json

    properties = model_metadata(ServedModel(model), ["1"])["properties"]
    assert json.loads(properties["encoding"]) == PLAN.dump()["columns"]
    assert json.loads(properties["terms"]) == PLAN.dump()["terms"]
    assert json.loads(properties["order"])[0] == 0


# The command


def test_the_option_has_three_values() -> None:
    from gradline.commands.group import cli

    said = CliRunner().invoke(cli, ["predict", "--help"]).stdout
    assert "--unknown-category [error|zero|missing]" in said


def test_gaps_are_found_by_kind() -> None:
    gaps = Gaps(np.array([[np.nan, -1.0, np.nan, np.nan], [-1.0, 3.0, 0.0, 0.0]]), PLAN)
    assert gaps.filled.tolist() == [[True, False, False, False], [False] * 4]
    assert gaps.unknown.tolist() == [[False, True, False, False], [False] * 4]
    assert gaps.missing.tolist() == [[False, False, True, True], [False] * 4]
